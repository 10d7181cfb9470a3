"""Adapter to `refimpl.keras.Involution`, the layer, its generator returning a kernel that is given.

What is judged is the layer's own path from a given kernel to the output, with its own options.
"""

import threading
from typing import Any

import keras
import tensorflow as tf

from conformance import adapt
from refimpl.keras import Involution


class Given(keras.layers.Layer):  # type: ignore[misc]
    """A kernel generator that returns the kernel that it was given, in the same thread."""

    def __init__(self, entries: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entries, self.given = entries, threading.local()

    def call(self, x: Any) -> Any:  # noqa: ARG002
        """Return the kernel as a generator lays it out: (B, Ho, Wo, Kh * Kw * G)."""
        kernel = self.given.kernel
        return tf.reshape(kernel, tf.concat([tf.shape(kernel)[:3], [self.entries]], 0))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return what is known before there is a kernel."""
        return (input_shape[0], None, None, self.entries)


_layers: dict[str, Involution] = {}


def _layer(channels: int, taps: tuple[int, ...], dtype: str, **options: Any) -> Involution:
    """Build a layer once: one object then meets images of many sizes."""
    # As text, since 1 and True are the same key but not the same stride.
    key = repr((channels, taps, dtype, options))
    if key not in _layers:
        rows, columns, groups = taps
        with tf.init_scope():
            given = Given(rows * columns * groups, dtype=dtype)
            layer = Involution(
                max(groups, 1),
                groups,
                (rows, columns),
                kernel_generator=given,
                return_kernel=False,
                dtype=dtype,
                **options,
            )
            layer.build((None, None, None, channels))
        _layers[key] = layer
    return _layers[key]


def apply(x: Any, kernel: Any, **options: Any) -> Any:
    """Apply the layer, its generator returning `kernel`."""
    if len(x.shape) != 4 or len(kernel.shape) != 6:
        raise ValueError(f"ranks must be 4 and 6, got x {x.shape} and kernel {kernel.shape}")
    if x.dtype != kernel.dtype:
        # The layer itself casts what a generator returns to its own dtype.
        raise TypeError(f"x and kernel must have one dtype, got {x.dtype} and {kernel.dtype}")
    layer = _layer(x.shape[3], tuple(kernel.shape[3:]), x.dtype.name, **options)
    given = layer.generator.given
    given.kernel = kernel
    try:
        return layer(x)
    finally:
        given.kernel = None


eager, graph = (adapt.tensorflow(apply, mode) for mode in ("eager", "graph"))
