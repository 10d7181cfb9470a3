"""The published layer around the published formulation, to be trained in our layer's place.

The layer of the Keras example (A. R. Gosthipaty, 2021) for images whose size is known and divided
by the stride. It computes what `refimpl.keras.Involution` computes by default, with the same
variables in the same order. It is timed, and not something to use.
"""

from typing import Any

import keras
import tensorflow as tf

from conformance.implementations.operator.published import apply
from refimpl.keras import Involution


class PublishedInvolution(keras.layers.Layer):  # type: ignore[misc]
    """The published layer with the sizes of one of ours."""

    def __init__(self, ours: Any) -> None:
        super().__init__(name=ours.name)
        self.hidden = ours.channel // ours.reduction_ratio
        self.groups, self.size, self.stride = ours.group_number, ours.kernel_size, ours.stride
        self.return_kernel = ours.return_kernel

    def build(self, input_shape: Any) -> None:
        """Create all variables."""
        _, height, width, channels = input_shape
        self.grid = height // self.stride, width // self.stride
        self.pool = keras.layers.AveragePooling2D(self.stride, padding="same")
        self.generator = keras.Sequential(
            [
                keras.layers.Conv2D(self.hidden, 1),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.Conv2D(self.size**2 * self.groups, 1),
            ]
        )
        self.generator.build((None, *self.grid, channels))
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Give the output, and the kernel where the layer in whose place it is does."""
        pooled = self.pool(x) if self.stride > 1 else x
        made = self.generator(pooled, training=training)
        taps = (self.size, self.size)
        kernel = tf.reshape(made, (-1, *self.grid, *taps, self.groups))
        options = {"stride": self.stride, "dilation": 1, "padding": "same"}
        output = apply(x, kernel, **options, group_layout="interleaved")
        output = tf.ensure_shape(output, (None, *self.grid, x.shape[3]))
        if not self.return_kernel:
            return output
        return output, tf.reshape(made, (-1, *self.grid, self.size**2, 1, self.groups))


def in_place(model: Any) -> Any:
    """Give a model like another, with the published layer where that has ours."""

    def other(layer: Any) -> Any:
        if isinstance(layer, Involution):
            return PublishedInvolution(layer)
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=other)
