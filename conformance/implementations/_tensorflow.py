"""What the TensorFlow adapters share: arrays in, arrays out, eagerly, in a graph or through XLA.

No involution is computed here: an operator on tensors is given, and its automatic derivative is
what answers as `backward`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[Any]
# A suite draws geometries without end, and each keeps its graph: more than the default profile
# traces are not kept.
_MOST_GRAPHS = 256


class TensorFlowAdapter:
    """The seam for an operator on tensors.

    Parameters
    ----------
    operator : callable
        ``operator(x, kernel, stride=, dilation=, padding=, group_layout=)``, tensors to a tensor.
    mode : "eager", "graph" or "xla"
        In the latter two the operator is traced once for each dtype, kernel extent, number of
        channels and groups and set of options, batch, height and width being unknown.
    capabilities : mapping, optional
        What the operator supports; everything by default.
    """

    def __init__(
        self,
        operator: Callable[..., Any],
        mode: str,
        capabilities: Mapping[str, Any] | None = None,
    ) -> None:
        self.operator, self.mode = operator, mode
        self.capabilities = {**(capabilities or {}), "compiles": mode != "eager"}
        device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
        self.environment = f"{versions}, {device}, {mode}"
        self._graphs: dict[str, Any] = {}

    def forward(
        self,
        x: Array,
        kernel: Array,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> Array:
        """Return y."""
        options = _options(stride, dilation, padding, group_layout)
        return self._run(self._forward, options, x, kernel)[0]

    def backward(
        self,
        dy: Array,
        x: Array,
        kernel: Array,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> tuple[Array, Array]:
        """Return dx and dkernel."""
        # A tape would broadcast or cast a gradient that does not fit.
        due = (*x.shape[:1], *kernel.shape[1:3], *x.shape[3:])
        if dy.shape != due or dy.dtype != x.dtype:
            raise ValueError(f"dy must be {x.dtype} of shape {due}, got {dy.dtype} {dy.shape}")
        options = _options(stride, dilation, padding, group_layout)
        dx, dkernel = self._run(self._backward, options, dy, x, kernel)
        return dx, dkernel

    def _forward(self, options: Mapping[str, Any], x: Any, kernel: Any) -> tuple[Any, ...]:
        return (self.operator(x, kernel, **options),)

    def _backward(
        self, options: Mapping[str, Any], dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            y = self.operator(x, kernel, **options)
        return tuple(tape.gradient(y, (x, kernel), output_gradients=dy))

    def _run(
        self, body: Callable[..., Any], options: Mapping[str, Any], *arrays: Array
    ) -> tuple[Array, ...]:
        if self.mode == "eager":
            results = body(options, *map(tf.convert_to_tensor, arrays))
        else:
            results = self._graph(body, options, arrays)(*map(tf.convert_to_tensor, arrays))
        return tuple(result.numpy() for result in results)

    def _graph(
        self, body: Callable[..., Any], options: Mapping[str, Any], arrays: tuple[Array, ...]
    ) -> Any:
        specs = [_spec(array) for array in arrays]
        # As text, since 1 and True are the same key but not the same stride.
        key = repr((body.__name__, options, specs))
        if key not in self._graphs:
            if len(self._graphs) >= _MOST_GRAPHS:
                del self._graphs[next(iter(self._graphs))]
            function = tf.function(
                lambda *tensors: body(options, *tensors), jit_compile=self.mode == "xla"
            )
            self._graphs[key] = function.get_concrete_function(*specs)
        return self._graphs[key]


def _options(stride: Any, dilation: Any, padding: Any, group_layout: Any) -> dict[str, Any]:
    names = {"stride": stride, "dilation": dilation, "padding": padding}
    return {**names, "group_layout": group_layout}


def _spec(array: Array) -> Any:
    """Leave batch, height and width open."""
    known = array.shape[3:]
    return tf.TensorSpec((*[None] * (array.ndim - len(known)), *known), array.dtype)
