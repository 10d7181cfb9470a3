"""The published formulation: patches, reshaped to (K * K, C / G, G), multiplied and summed.

The operator within the Keras example (A. R. Gosthipaty, 2021) in our own words, so that it can be
judged as it was published. Its arithmetic is that of the operands: it is what the declaration says.
"""

from typing import Any

import tensorflow as tf

from conformance import adapt

# Measured: products are rounded to the operands' format in every mode, TensorFlow adds up float16
# rounding each partial sum, and it scatters dx in the operands' format.
capabilities: dict[str, Any] = {
    "paddings": ["same", "valid"],
    "group_layouts": ["interleaved"],
    "accumulator": {"float16": "float16", "bfloat16": "bfloat16"},
    "validates": False,
    # Of no samples TensorFlow's UnsortedSegmentSum, in the gradient of the patches, raises.
    "may_refuse": "batch == 0",
}


def apply(
    x: Any, kernel: Any, *, stride: Any, dilation: Any, padding: Any, group_layout: Any
) -> Any:
    """Apply the formulation to tensors whose batch, height and width may be unknown."""
    if group_layout != "interleaved":
        raise ValueError(f"not claimed: {group_layout=}")
    batch, height, width = tf.unstack(tf.shape(kernel)[:3])
    *_, rows, columns, groups = kernel.shape
    patches = tf.image.extract_patches(
        x, [1, rows, columns, 1], _window(stride), _window(dilation), padding.upper()
    )
    members = x.shape[3] // groups
    patches = tf.reshape(patches, (batch, height, width, rows * columns, members, groups))
    weights = tf.reshape(kernel, (batch, height, width, rows * columns, 1, groups))
    y = tf.reduce_sum(weights * patches, axis=3)
    return tf.reshape(y, (batch, height, width, x.shape[3]))


def _window(step: Any) -> list[int]:
    vertical, horizontal = step if isinstance(step, tuple) else (step, step)
    return [1, vertical, horizontal, 1]


eager, graph, xla = (
    adapt.tensorflow(apply, mode, capabilities=capabilities) for mode in ("eager", "graph", "xla")
)
forward, backward, environment = eager.forward, eager.backward, eager.environment
jvp, double_backward = eager.jvp, eager.double_backward
