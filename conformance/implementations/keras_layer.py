"""Adapter to `refimpl.keras.Involution`, the layer, with its kernel generation taken over.

What is judged is the layer's own path from a given kernel to the output.
"""

import functools
from typing import Any

import tensorflow as tf

from conformance.implementations._tensorflow import TensorFlowAdapter
from refimpl.keras import Involution

capabilities: dict[str, Any] = {
    "kernel_shapes": "square",
    "strides": "square",
    "dilations": [(1, 1)],
    "paddings": ["same"],
    "group_layouts": ["interleaved"],
}


class GivenKernel(Involution):
    """The layer with a kernel that is given."""

    given: Any

    def generate_kernel(self, x: Any, training: bool | None = None) -> Any:  # noqa: ARG002
        """Return the given kernel."""
        return self.given


@functools.cache
def _layer(channels: int, groups: int, size: int, stride: int, dtype: str) -> GivenKernel:
    """Build a layer once: one object then meets images of many sizes."""
    with tf.init_scope():
        layer = GivenKernel(groups, groups, size, stride, groups, dtype=dtype)
        layer.build((None, None, None, channels))
    return layer


def apply(
    x: Any, kernel: Any, *, stride: Any, dilation: Any, padding: Any, group_layout: Any
) -> Any:
    """Apply the layer to what it can do, and refuse the rest."""
    *_, rows, columns, groups = kernel.shape
    if (dilation not in (1, (1, 1))) or padding != "same" or group_layout != "interleaved":
        raise ValueError(f"not claimed: {dilation=}, {padding=}, {group_layout=}")
    if rows != columns or (isinstance(stride, tuple) and stride != (stride[0],) * 2):
        raise ValueError(f"not claimed: {stride=}, kernel of shape {kernel.shape}")
    step = stride[0] if isinstance(stride, tuple) else stride
    layer = _layer(x.shape[3], groups, rows, step, x.dtype.name)
    # As the layer itself lays out kernels: (B, Ho, Wo, K * K, 1, G).
    batch, height, width = tf.unstack(tf.shape(kernel)[:3])
    layer.given = tf.reshape(kernel, (batch, height, width, rows * columns, 1, groups))
    return layer(x)[0]


eager, graph = (TensorFlowAdapter(apply, mode, capabilities) for mode in ("eager", "graph"))
