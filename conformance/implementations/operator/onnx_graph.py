"""The operator as an ONNX graph of standard operators, run by ONNX Runtime; forward alone.

Written independently of the oracle. It trusts its arguments. The graph pads, gathers the pixel
under each tap of each output, multiplies and sums; one is built for each geometry and format.
There are no derivatives, and half precision is not claimed.
"""

import functools
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from conformance.implementations.operator._margins import margins

capabilities: dict[str, Any] = {
    "dtypes": ["float32", "float64"],
    "backward": False,
    "empty_batch": False,
    "validates": False,
    "compiles": True,
}
environment = f"ONNX {onnx.__version__}, ONNX Runtime {onnxruntime.__version__}, CPU"


def forward(
    x: Any,
    kernel: Any,
    *,
    stride: Any = 1,
    dilation: Any = 1,
    padding: Any = "same",
    group_layout: str = "blocked",
) -> Any:
    """Return y."""
    steps, spreads = (n if isinstance(n, tuple) else (n, n) for n in (stride, dilation))
    run = _session(x.dtype.name, x.shape, kernel.shape, steps, spreads, padding, group_layout)
    (y,) = run.run(None, {"x": np.ascontiguousarray(x), "kernel": np.ascontiguousarray(kernel)})
    return y


@functools.lru_cache(maxsize=64)
def _session(
    dtype: str, image: Any, shape: Any, steps: Any, spreads: Any, padding: Any, layout: str
) -> Any:
    """Build the graph of a geometry; sizes are fixed in it."""
    batch, height, width, *taps, groups = shape
    members, count = image[3] // groups, taps[0] * taps[1]
    sides, places = [], []
    for axis, length in enumerate((height, width)):
        before, after = margins(
            image[1 + axis], taps[axis], steps[axis], spreads[axis], padding, axis
        )
        sides.append((before, after))
        rows = np.add.outer(np.arange(length) * steps[axis], np.arange(taps[axis]) * spreads[axis])
        places.append(rows.ravel())
    # Channels as (G, M), or as (M, G) where they are interleaved; the kernel has one for all M.
    split, shared = ((groups, members), (groups, 1))
    if layout == "interleaved":
        split, shared = (members, groups), (1, groups)
    numbers = {
        "pads": [0, sides[0][0], sides[1][0], 0, 0, sides[0][1], sides[1][1], 0],
        "rows": places[0], "columns": places[1],
        "apart": [batch, height, taps[0], width, taps[1], *split],
        "flat": [batch, height, width, count, *split],
        "weights": [batch, height, width, count, *shared],
        "taps": [3], "whole": [batch, height, width, image[3]],
    }  # fmt: skip
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["padded"]),
        helper.make_node("Gather", ["padded", "rows"], ["by_rows"], axis=1),
        helper.make_node("Gather", ["by_rows", "columns"], ["patches"], axis=2),
        helper.make_node("Reshape", ["patches", "apart"], ["windows"]),
        helper.make_node("Transpose", ["windows"], ["ordered"], perm=[0, 1, 3, 2, 4, 5, 6]),
        helper.make_node("Reshape", ["ordered", "flat"], ["joined"]),
        helper.make_node("Reshape", ["kernel", "weights"], ["factors"]),
        helper.make_node("Mul", ["joined", "factors"], ["products"]),
        helper.make_node("ReduceSum", ["products", "taps"], ["sums"], keepdims=0),
        helper.make_node("Reshape", ["sums", "whole"], ["y"]),
    ]
    kind = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}[dtype]
    typed = functools.partial(helper.make_tensor_value_info, elem_type=kind)
    graph = helper.make_graph(
        nodes,
        "involution",
        [typed("x", shape=image), typed("kernel", shape=shape)],
        [typed("y", shape=numbers["whole"])],
        [numpy_helper.from_array(np.array(n, np.int64), name) for name, n in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
