"""The published layer, in our own words but with its structure, as a stand-in for the original.

Static sizes that the stride divides, patches, two Reshape layers' worth of fixed shapes: what
`refimpl.keras.Involution` must agree with. It is a test's opponent, not something to use.
"""

from typing import Any

import keras
import tensorflow as tf


class PublishedInvolution(keras.layers.Layer):  # type: ignore[misc]
    """The layer of A. R. Gosthipaty's Keras example (2021), returning (output, kernel)."""

    def __init__(
        self, channel: int, group_number: int, kernel_size: int, stride: int, reduction_ratio: int
    ) -> None:
        super().__init__()
        self.hidden = channel // reduction_ratio
        self.groups, self.size, self.stride = group_number, kernel_size, stride

    def build(self, input_shape: Any) -> None:
        _, height, width, channels = input_shape
        self.grid = height // self.stride, width // self.stride
        self.members = channels // self.groups
        self.pool = keras.layers.AveragePooling2D(self.stride, self.stride, padding="same")
        self.generator = keras.Sequential(
            [
                keras.layers.Conv2D(self.hidden, 1),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.Conv2D(self.size**2 * self.groups, 1),
            ]
        )
        self.generator.build((None, *self.grid, channels))

    def call(self, x: Any) -> Any:
        pooled = self.pool(x) if self.stride > 1 else x
        taps = self.size**2
        kernel = tf.reshape(self.generator(pooled), (-1, *self.grid, taps, 1, self.groups))
        window, step = [1, self.size, self.size, 1], [1, self.stride, self.stride, 1]
        patches = tf.image.extract_patches(x, window, step, [1, 1, 1, 1], "SAME")
        patches = tf.reshape(patches, (-1, *self.grid, taps, self.members, self.groups))
        output = tf.reduce_sum(kernel * patches, axis=3)
        return tf.reshape(output, (-1, *self.grid, self.members * self.groups)), kernel
