"""RedNet, the paper's residual networks of involutions, from our layer in its official convention.

The official architecture: ResNet's bottlenecks with a 7x7 involution where ResNet has its 3x3
convolution, and a 3x3 involution in the stem. For training anew; no trained weights come with it.
"""

from typing import Any

import keras

from refimpl.keras._arguments import positive
from refimpl.keras._shapes import Shape
from refimpl.keras.layer import Involution

__all__ = ["rednet_classifier"]

# Bottlenecks in each of the four stages.
BLOCKS = {
    26: (1, 2, 4, 1),
    38: (2, 3, 5, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
EXPANSION = 4


def rednet_classifier(
    depth: int,
    input_shape: Shape = (None, None, 3),
    classes: int = 1000,
    name: str | None = None,
) -> Any:
    """Build a RedNet with its classification head, not yet compiled.

    Parameters
    ----------
    depth : int
        26, 38, 50, 101 or 152.
    input_shape : (int or None, int or None, int), default (None, None, 3)
        Height, width and channels; None is any size. Sizes that are no multiples of 32 are
        accepted: where a stride does not divide, the last window of the pooling is smaller.
    classes : int, default 1000
        Number of logits.
    name : str, optional
        Name of the model, ``rednet_<depth>`` by default.

    Returns
    -------
    keras.Model
        From images (B, H, W, C) to logits (B, classes). With the defaults it has 9.23 million
        trainable parameters at depth 26 and 15.54 million at depth 50.

    Raises
    ------
    ValueError
        A depth that is none of these, an unknown number of channels, a number of classes that is
        not positive.

    Notes
    -----
    Initial weights are the official ones: normal with the variance of He et al. by outgoing
    connections, and a zero scale in the last normalisation of every block.

    References
    ----------
    Li et al., *Involution: Inverting the Inherence of Convolution for Visual Recognition*,
    CVPR 2021, arXiv 2103.06255.
    """
    if depth not in BLOCKS:
        raise ValueError(f"depth must be one of {', '.join(map(str, BLOCKS))}, got {depth!r}")
    if len(input_shape) != 3 or input_shape[2] is None:
        raise ValueError(
            f"input_shape must be (height, width, channels), channels known, got {input_shape}"
        )
    classes = positive("classes", classes)
    inputs = keras.Input(input_shape, name="images")
    x = _stem(inputs)
    for stage, blocks in enumerate(BLOCKS[depth], start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _bottleneck(x, 64 * 2 ** (stage - 1), stride, f"stage_{stage}_block_{block}")
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="average")(x)
    head = keras.layers.Dense(
        classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name="logits"
    )
    return keras.Model(inputs, head(x), name=name or f"rednet_{depth}")


def _stem(x: Any) -> Any:
    """Quarter the image: convolution, involution, convolution, pooling."""
    x = _activated(_convolved(x, 32, 3, 2, "stem_1"), "stem_1")
    x = _activated(_involved(x, 3, 1, "stem_2"), "stem_2")
    x = _activated(_convolved(x, 64, 3, 1, "stem_3"), "stem_3")
    # Zeros around the image change no maximum, since ReLU has left nothing below them.
    x = keras.layers.ZeroPadding2D(1, data_format="channels_last", name="stem_pad")(x)
    return keras.layers.MaxPooling2D(3, 2, data_format="channels_last", name="stem_pool")(x)


def _bottleneck(x: Any, channels: int, stride: int, name: str) -> Any:
    """Reduce, involve, expand, and add what came in."""
    wide = channels * EXPANSION
    shortcut = x
    if stride > 1 or x.shape[-1] != wide:
        shortcut = _convolved(x, wide, 1, stride, f"{name}_shortcut")
        shortcut = _normalised(shortcut, f"{name}_shortcut")
    x = _activated(_convolved(x, channels, 1, 1, f"{name}_reduce"), f"{name}_reduce")
    x = _activated(_involved(x, 7, stride, name), f"{name}_involution")
    x = _convolved(x, wide, 1, 1, f"{name}_expand")
    # The block begins as the identity.
    x = _normalised(x, f"{name}_expand", "zeros")
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _involved(x: Any, kernel_size: int, stride: int, name: str) -> Any:
    # Where the stride divides, pooling is the official one; elsewhere the official layer fails.
    return Involution.official(
        x.shape[-1],
        kernel_size=kernel_size,
        stride=stride,
        pooling="same",
        kernel_initializer=_he(),
        name=f"{name}_involution",
    )(x)


def _convolved(x: Any, filters: int, kernel_size: int, stride: int, name: str) -> Any:
    """Convolve with PyTorch's padding, the same on both sides, which Keras's "same" is not."""
    if kernel_size > 1:
        margin = (kernel_size - 1) // 2
        x = keras.layers.ZeroPadding2D(margin, data_format="channels_last", name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        stride,
        use_bias=False,
        kernel_initializer=_he(),
        data_format="channels_last",
        name=f"{name}_conv",
    )(x)


def _activated(x: Any, name: str) -> Any:
    return keras.layers.ReLU(name=f"{name}_relu")(_normalised(x, name))


def _normalised(x: Any, name: str, gamma: str = "ones") -> Any:
    return keras.layers.BatchNormalization(
        epsilon=1e-5, momentum=0.9, gamma_initializer=gamma, name=f"{name}_norm"
    )(x)


def _he() -> Any:
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
