"""The two image classifiers of the published Keras example, layer for layer, for any image size.

A convolutional network and the same network with involution in its place. Small ones, for a study
of the operator; they are no competitive classifiers. After A. R. Gosthipaty, *Involutional neural
networks*, Keras code examples, 2021.
"""

from typing import Any

import keras

from refimpl.keras._arguments import positive
from refimpl.keras._shapes import Shape
from refimpl.keras.layer import Involution

__all__ = ["convolutional_classifier", "involutional_classifier"]


def convolutional_classifier(
    input_shape: Shape = (32, 32, 3), classes: int = 10, name: str = "convolution"
) -> Any:
    """Build the example's convolutional network, not yet compiled.

    Three 3x3 convolutions to 32, 64 and 64 channels, ReLU after each and 2x2 max pooling after the
    first two, then dense layers of 64 units and of one logit for each class.

    Parameters
    ----------
    input_shape : (int, int, int), default (32, 32, 3)
        Height, width and channels; height and width of at least 4.
    classes : int, default 10
        Number of logits.
    name : str, default "convolution"
        Name of the model.

    Returns
    -------
    keras.Model
        From images (B, H, W, C) to logits (B, classes); 319,178 parameters by default.

    Raises
    ------
    ValueError
        A size that is unknown or too small, a number of classes that is not positive.

    Examples
    --------
    >>> from refimpl.keras.models import convolutional_classifier
    >>> convolutional_classifier().count_params()
    319178
    """

    def convolve(x: Any, number: int) -> Any:
        filters = 32 if number == 1 else 64
        return keras.layers.Conv2D(
            filters, 3, padding="same", data_format="channels_last", name=f"conv_{number}"
        )(x)

    return _classifier(convolve, input_shape, classes, name)


def involutional_classifier(
    input_shape: Shape = (32, 32, 3), classes: int = 10, name: str = "involution"
) -> Any:
    """Build the example's involutional network, not yet compiled.

    The network of `convolutional_classifier` with an involution in place of each convolution,
    `inv_1` to `inv_3`, of one group, 3x3 kernels and one hidden channel.

    Parameters
    ----------
    input_shape, classes, name
        As for `convolutional_classifier`; the name is "involution" by default.

    Returns
    -------
    keras.Model
        From images (B, H, W, C) to logits (B, classes); by default 13,080 parameters, of which 6
        are the moving statistics of the normalisations and are not trained.

    Raises
    ------
    ValueError
        As `convolutional_classifier` does.

    Examples
    --------
    >>> from refimpl.keras.models import involutional_classifier
    >>> involutional_classifier().count_params()
    13080
    """

    def involve(x: Any, number: int) -> Any:
        # `channel` of 3 at any number of input channels: it only decides that one is hidden.
        output, _kernel = Involution(
            channel=3, group_number=1, kernel_size=3, reduction_ratio=2, name=f"inv_{number}"
        )(x)
        return output

    return _classifier(involve, input_shape, classes, name)


def _classifier(mix: Any, input_shape: Shape, classes: int, name: str) -> Any:
    """Build the network around its three spatial layers, ``mix(x, number)``."""
    shape = _checked(input_shape)
    classes = positive("classes", classes)
    x = inputs = keras.Input(shape, name="images")
    for number in (1, 2, 3):
        x = keras.layers.ReLU(name=f"relu_{number}")(mix(x, number))
        if number < 3:
            x = keras.layers.MaxPooling2D(2, data_format="channels_last", name=f"pool_{number}")(x)
    x = keras.layers.Flatten(data_format="channels_last", name="flatten")(x)
    x = keras.layers.Dense(64, activation="relu", name="dense")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, name="logits")(x), name=name)


def _checked(input_shape: Shape) -> tuple[int, ...]:
    """Return the shape in plain integers: the dense layer needs to know it."""
    sizes = tuple(input_shape)
    if len(sizes) != 3:
        raise ValueError(f"input_shape must be (height, width, channels), got {sizes}")
    height, width, channels = (
        positive(f"{axis} of input_shape", size)
        for axis, size in zip(("height", "width", "channels"), sizes, strict=True)
    )
    if min(height, width) < 4:
        raise ValueError(
            f"input_shape must have a height and width of at least 4, two poolings, got {sizes}"
        )
    return height, width, channels
