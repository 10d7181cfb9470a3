"""The involution layer: the published Keras example anew, for images of any size.

Kernel generation and operator in one Keras layer, with the example's call, variables and results.
It is not the paper's official layer, which orders channels and kernels otherwise, and it is no
reference: it shares no code with `refimpl.layer`.
"""

from typing import Any

import keras
from keras import ops

from refimpl.keras._arguments import Shape, positive
from refimpl.keras.operator import involution

__all__ = ["Involution"]


@keras.saving.register_keras_serializable(package="refimpl")
class Involution(keras.layers.Layer):  # type: ignore[misc]
    """Generate a kernel for each pixel from the pixel itself, and apply it to its neighbourhood.

    The kernel comes from average pooling by the stride (where that is above 1), a 1x1 convolution,
    batch normalisation, ReLU and a second 1x1 convolution. Groups are interleaved (GRP-3), the
    padding is "same" (GEO-7), channels come last whatever Keras's global image data format is.

    Parameters
    ----------
    channel : int
        Channels of the generator's hidden layer, times `reduction_ratio`. Need not be the input's.
    group_number : int
        Groups G; divides the channels C of the input (GRP-1).
    kernel_size : int
        Height and width K of the kernel.
    stride : int, default 1
        Pixels from one output to the next, on both axes. Need not divide the image.
    reduction_ratio : int, default 1
        The hidden layer has ``channel // reduction_ratio`` channels.
    name : str, optional
        Name of the layer.
    **kwargs
        Of `keras.layers.Layer`, as `dtype` and `trainable`.

    Raises
    ------
    ValueError
        An argument that is not a positive integer, ``channel // reduction_ratio`` of zero; when
        the layer is built, an input that is not of rank 4 (ERR-1), whose channels are unknown, or
        whose channels G does not divide (ERR-3).

    Notes
    -----
    The variables, in order: kernel (1, 1, C, R) and bias (R) of the first convolution with
    ``R = channel // reduction_ratio``; gamma, beta, moving mean and moving variance (R) of the
    normalisation (epsilon 1e-3, momentum 0.99); kernel (1, 1, R, K * K * G) and bias (K * K * G)
    of the second convolution, whose channel is ``tap * G + group``. ``get_weights()`` of the
    published layer can be given to ``set_weights()``.

    References
    ----------
    A. R. Gosthipaty, *Involutional neural networks*, Keras code examples, 2021. Li et al.,
    *Involution: Inverting the Inherence of Convolution for Visual Recognition*, CVPR 2021,
    arXiv 2103.06255.

    Examples
    --------
    >>> import numpy as np
    >>> from refimpl.keras import Involution
    >>> layer = Involution(channel=3, group_number=1, kernel_size=5, stride=2)
    >>> output, kernel = layer(np.ones((8, 31, 32, 3), "float32"))
    >>> output.shape, kernel.shape
    (TensorShape([8, 16, 16, 3]), TensorShape([8, 16, 16, 25, 1, 1]))
    """

    def __init__(
        self,
        channel: int,
        group_number: int,
        kernel_size: int,
        stride: int = 1,
        reduction_ratio: int = 1,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.channel = positive("channel", channel)
        self.group_number = positive("group_number", group_number)
        self.kernel_size = positive("kernel_size", kernel_size)
        self.stride = positive("stride", stride)
        self.reduction_ratio = positive("reduction_ratio", reduction_ratio)
        if self.channel < self.reduction_ratio:
            raise ValueError(
                "channel // reduction_ratio must be at least 1, "
                f"got channel = {channel} and reduction_ratio = {reduction_ratio}"
            )

    def build(self, input_shape: Shape) -> None:
        """Create all sublayers and variables; height and width may be unknown."""
        channels = self._channels(input_shape)
        # A sublayer computes in what the layer computes in, and images lie as the layer says.
        policy = {"dtype": self.dtype_policy}
        layout = policy | {"data_format": "channels_last"}
        self.pool = keras.layers.AveragePooling2D(
            self.stride, self.stride, padding="same", name="pool", **layout
        )
        hidden = self.channel // self.reduction_ratio
        self.reduce = Pointwise(hidden, 1, name="reduce", **layout)
        self.normalise = keras.layers.BatchNormalization(
            epsilon=1e-3, momentum=0.99, name="normalise", **policy
        )
        self.activate = keras.layers.ReLU(name="activate", **policy)
        entries = self.kernel_size**2 * self.group_number
        self.expand = Pointwise(entries, 1, name="expand", **layout)
        # Heights and widths stay open: the layer may be called at several.
        self.pool.build((None, None, None, channels))
        self.reduce.build((None, None, None, channels))
        for sublayer in (self.normalise, self.activate, self.expand):
            sublayer.build((None, None, None, hidden))
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Apply the layer.

        Parameters
        ----------
        x : tensor, shape (B, H, W, C)
            Input, of any number of pixels; cast to the layer's compute dtype.
        training : bool, optional
            Normalise by the batch's own statistics, and update the moving ones.

        Returns
        -------
        output : tensor, shape (B, Ho, Wo, C)
            ``Ho = ceil(H / stride)``, ``Wo = ceil(W / stride)``; of the layer's compute dtype.
        kernel : tensor, shape (B, Ho, Wo, K * K, 1, G)
            The generated kernels.
        """
        x = ops.cast(x, self.compute_dtype)
        kernel = self.generate_kernel(x, training=training)
        batch, height, width, _, _, groups = ops.shape(kernel)
        square = (batch, height, width, self.kernel_size, self.kernel_size, groups)
        output = involution(
            x,
            ops.reshape(kernel, square),
            stride=self.stride,
            padding="same",
            group_layout="interleaved",
        )
        return output, kernel

    def generate_kernel(self, x: Any, training: bool | None = None) -> Any:
        """Generate the kernels; to be overridden by other ways of generating them.

        Parameters
        ----------
        x : tensor, shape (B, H, W, C)
            Input, of the layer's compute dtype.
        training : bool, optional
            As for `call`.

        Returns
        -------
        kernel : tensor, shape (B, Ho, Wo, K * K, 1, G)
            Of the dtype of `x`.
        """
        # A stride of 1 has nothing to average, and pooling would cost a copy.
        pooled = self.pool(x) if self.stride > 1 else x
        hidden = self.activate(self.normalise(self.reduce(pooled), training=training))
        kernel = self.expand(hidden)
        grid = ops.shape(kernel)[:3]
        return ops.reshape(kernel, (*grid, self.kernel_size**2, 1, self.group_number))

    def compute_output_shape(self, input_shape: Shape) -> tuple[Shape, Shape]:
        """Return the shapes of output and kernel, None standing for what is unknown."""
        channels = self._channels(input_shape)
        batch, *sizes = input_shape[:3]
        grid = [None if size is None else -(-size // self.stride) for size in sizes]
        kernel = (batch, *grid, self.kernel_size**2, 1, self.group_number)
        return (batch, *grid, channels), kernel

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer."""
        names = ("channel", "group_number", "kernel_size", "stride", "reduction_ratio")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _channels(self, input_shape: Shape) -> int:
        """Check an input's shape and return its number of channels."""
        if len(input_shape) != 4:
            raise ValueError(
                f"x must have rank 4, shape (B, H, W, C) (ERR-1), got shape {tuple(input_shape)}"
            )
        channels = input_shape[3]
        if channels is None:
            raise ValueError(
                f"x must have a known number of channels C, got shape {tuple(input_shape)}"
            )
        if channels < 1 or channels % self.group_number:
            raise ValueError(
                f"group_number must divide the channels C of x (ERR-3), "
                f"got group_number = {self.group_number} and C = {channels}"
            )
        return channels


class Pointwise(keras.layers.Conv2D):  # type: ignore[misc]
    """A 1x1 convolution, its variables those of Conv2D, computed as the matrix product it is."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return ``inputs @ kernel[0, 0]``, channels last."""
        # Measured: given an empty batch, TensorFlow 2.21's convolution on the CPU (oneDNN) answers
        # with the number of channels of its input. This is also the faster of the two.
        return ops.tensordot(inputs, kernel[0, 0], 1)
