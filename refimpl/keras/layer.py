"""The involution layer: kernel generation and operator in one Keras layer, for any size of image.

By default it is the published Keras example anew: its call, its variables, its results. What public
layers disagree on is an option each, and `Involution.official` names the paper's own choice. It is
no reference: it shares no code with `refimpl.layer`.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Self, Unpack

import keras
from keras import ops

from refimpl.keras._arguments import Padding, Pair, check_options, choice, pair, plain, positive
from refimpl.keras._shapes import LayerShapes, Shape
from refimpl.keras.generator import GeneratorKeywords, GeneratorOptions, KernelGenerator
from refimpl.keras.operator import involution

__all__ = ["Involution"]

ORDERS = ("tap_major", "group_major")
FORMATS = ("channels_last", "channels_first")
# What a configuration keeps, beside the options of the default generator.
ARGUMENTS = (
    "channel", "group_number", "kernel_size", "stride", "reduction_ratio", "dilation", "padding",
    "group_layout", "kernel_order", "return_kernel", "data_format",
)  # fmt: skip


@keras.saving.register_keras_serializable(package="refimpl")
class Involution(keras.layers.Layer):  # type: ignore[misc]
    """Generate a kernel for each pixel from the pixel itself, and apply it to its neighbourhood.

    The kernel comes from average pooling by the stride (where that is above 1), a 1x1 convolution,
    batch normalisation, ReLU and a second 1x1 convolution, or from a layer that is given.

    Parameters
    ----------
    channel : int
        Channels of the generator's hidden layer, times `reduction_ratio`. Need not be the input's.
    group_number : int
        Groups G; divides the channels C of the input (GRP-1).
    kernel_size : int or (int, int)
        Height Kh and width Kw of the kernel.
    stride : int or (int, int), default 1
        Pixels from one output to the next, (vertical, horizontal). Need not divide the image.
    reduction_ratio : int, default 1
        The hidden layer has R = ``channel // reduction_ratio`` channels.
    name : str, optional
        Name of the layer.
    dilation : int or (int, int), default 1
        Pixels from one tap to the next, (vertical, horizontal).
    padding : "same", "valid", int or ((top, bottom), (left, right)), default "same"
        Zero padding in pixels; ``"same"`` is TensorFlow's rule (GEO-7).
    group_layout : "interleaved" or "blocked", default "interleaved"
        Channel c uses group ``c % G`` (GRP-3) or ``c // (C // G)`` (GRP-2).
    kernel_order : "tap_major" or "group_major", default "tap_major"
        The generator's channel is ``tap * G + group``, or ``group * Kh * Kw + tap``.
    return_kernel : bool, default True
        Return (output, kernel) rather than the output alone.
    data_format : "channels_last", "channels_first" or None, default "channels_last"
        Layout of input and output; None is ``keras.config.image_data_format()``.
    kernel_generator : keras.layers.Layer, optional
        Maps the input, channels last, (B, H, W, C) to (B, Ho, Wo, Kh * Kw * G) in `kernel_order`,
        in place of the default generator, which the other parameters are about.
    **keywords
        The other parameters, and those of `keras.layers.Layer`, as `dtype` and `trainable`.

    Other Parameters
    ----------------
    pooling : "same", "valid" or "none", default "same"
        ``ceil(n / stride)`` windows laid out by TensorFlow's rule, each the mean of its pixels
        inside the image; ``floor(n / stride)`` windows; or no pooling.
    reduce_bias, expand_bias, normalise : bool, default True
        Whether the generator has the first bias, the second, and the batch normalisation.
    epsilon : float, default 1e-3
        Added to the variance by which the normalisation divides.
    momentum : float, default 0.99
        Weight of the old moving statistic; one minus what PyTorch calls momentum.
    unbiased_moving_variance : bool, default False
        The moving variance learns the batch's variance times ``n / (n - 1)``, as in PyTorch.
    kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, \
kernel_constraint, bias_constraint
        Of the generator's two convolutions, as for `keras.layers.Conv2D`.

    Raises
    ------
    TypeError
        An option that is no integer or pair, a `kernel_generator` that is no layer.
    ValueError
        An argument out of its range, ``channel // reduction_ratio`` of zero; when the layer is
        built or called, an input that is not of rank 4 (ERR-1), whose channels are unknown or not
        divided by G (ERR-3), generated kernels of another grid than the operator's output (ERR-4)
        or of another number than Kh * Kw * G.

    Notes
    -----
    The variables, in order: kernel (1, 1, C, R) and bias (R) of the first convolution; gamma, beta,
    moving mean and moving variance (R); kernel (1, 1, R, Kh * Kw * G) and bias (Kh * Kw * G) of the
    second convolution. ``get_weights()`` of the published layer can be given to ``set_weights()``.

    A mask is passed on where every image comes out as large as it went in; no number changes.

    References
    ----------
    A. R. Gosthipaty, *Involutional neural networks*, Keras code examples, 2021. Li et al.,
    *Involution: Inverting the Inherence of Convolution for Visual Recognition*, CVPR 2021.

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
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        reduction_ratio: int = 1,
        name: str | None = None,
        *,
        dilation: int | Pair = 1,
        padding: Padding = "same",
        group_layout: str = "interleaved",
        kernel_order: str = "tap_major",
        return_kernel: bool = True,
        data_format: str | None = "channels_last",
        kernel_generator: Any = None,
        **keywords: Unpack[GeneratorKeywords],
    ) -> None:
        generation, rest = GeneratorOptions.split(keywords)
        super().__init__(name=name, **rest)
        self.channel = positive("channel", channel)
        self.group_number = positive("group_number", group_number)
        self.reduction_ratio = positive("reduction_ratio", reduction_ratio)
        if self.channel < self.reduction_ratio:
            raise ValueError(
                "channel // reduction_ratio must be at least 1, "
                f"got channel = {channel} and reduction_ratio = {reduction_ratio}"
            )
        self._taps = pair("kernel_size", kernel_size)
        check_options(stride, dilation, padding, group_layout)
        self.kernel_size, self.stride = plain(kernel_size), plain(stride)
        self.dilation, self.padding = plain(dilation), plain(padding)
        self.group_layout = group_layout
        self.kernel_order = choice("kernel_order", kernel_order, ORDERS)
        self.return_kernel = bool(return_kernel)
        layout = keras.config.image_data_format() if data_format is None else data_format
        self.data_format = choice("data_format", layout, FORMATS)
        self.supports_masking = True
        self._generates = kernel_generator is None
        if self._generates:
            kernel_generator = self._default_generator(generation)
        elif not isinstance(kernel_generator, keras.layers.Layer):
            raise TypeError(
                f"kernel_generator must be a keras.layers.Layer, got {kernel_generator!r}"
            )
        self.generator = kernel_generator
        # A layer that was made frozen has a generator that normalises as in inference.
        if not self.trainable:
            self.generator.trainable = False

    def _default_generator(self, options: Mapping[str, Any]) -> KernelGenerator:
        return KernelGenerator(
            self._shapes.entries,
            self.channel // self.reduction_ratio,
            stride=self.stride,
            name="generator",
            dtype=self.dtype_policy,
            **options,
        )

    @classmethod
    def official(
        cls,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        *,
        group_channels: int = 16,
        reduction_ratio: int = 4,
        **kwargs: Any,
    ) -> Self:
        """Make the layer of the paper's official PyTorch code.

        Parameters
        ----------
        channels : int
            Channels of the input.
        kernel_size : int
            Height and width of the kernel, odd.
        stride : int, default 1
            Divides the image, or the layer refuses it (ERR-4), as the official one does.
        group_channels : int, default 16
            Channels that share a kernel; divides `channels`.
        reduction_ratio : int, default 4
            The hidden layer has ``channels // reduction_ratio`` channels.
        **kwargs
            Of `Involution`; they win.

        Returns
        -------
        Involution
            Blocked groups, group-major kernels, padding ``(kernel_size - 1) // 2``, pooling
            without the last windows that the border cuts, no first bias, epsilon 1e-5, momentum
            0.9, an unbiased moving variance, and the output alone.

        Raises
        ------
        ValueError
            A `group_channels` that does not divide `channels`.
        """
        groups, rest = divmod(
            positive("channels", channels), positive("group_channels", group_channels)
        )
        if rest:
            raise ValueError(
                f"group_channels must divide channels, got {group_channels} and {channels}"
            )
        official = {
            "padding": (positive("kernel_size", kernel_size) - 1) // 2,
            "group_layout": "blocked",
            "kernel_order": "group_major",
            "pooling": "valid",
            "reduce_bias": False,
            "epsilon": 1e-5,
            "momentum": 0.9,
            "unbiased_moving_variance": True,
            "return_kernel": False,
        }
        return cls(channels, groups, kernel_size, stride, reduction_ratio, **{**official, **kwargs})

    reduce = property(lambda self: self.generator.reduce, doc="The first convolution.")
    normalise = property(lambda self: self.generator.normalise, doc="The normalisation, or None.")
    expand = property(lambda self: self.generator.expand, doc="The second convolution.")

    def build(self, input_shape: Shape) -> None:
        """Create all variables; height and width may be unknown."""
        image = self._shapes.image(input_shape)
        if self._generates:
            self.generator.build((None, None, None, image[3]))
        else:
            # A call, since only that builds every kind of layer.
            x = keras.KerasTensor(image, dtype=self.compute_dtype)
            self._shapes.check_generated(tuple(self.generator(x).shape), image)
        axis = 1 if self._shapes.first else 3
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={axis: image[3]})
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Apply the layer.

        Parameters
        ----------
        x : tensor, shape (B, H, W, C), or (B, C, H, W) if `data_format` is "channels_first"
            Input, of any number of pixels; cast to the layer's compute dtype.
        training : bool, optional
            Normalise by the batch's own statistics, and update the moving ones.

        Returns
        -------
        output : tensor, shape (B, Ho, Wo, C) or (B, C, Ho, Wo)
            Of the layer's compute dtype.
        kernel : tensor, shape (B, Ho, Wo, Kh * Kw, 1, G)
            The generated kernels, taps row by row, channels last always; if `return_kernel`.
        """
        x, first = ops.cast(x, self.compute_dtype), self._shapes.first
        if first:
            x = ops.transpose(x, (0, 2, 3, 1))
        kernel = self.generate_kernel(x, training=training)
        grid, groups = ops.shape(kernel)[:3], kernel.shape[5]
        output = involution(
            x,
            ops.reshape(kernel, (*grid, *self._taps, groups)),
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding,
            group_layout=self.group_layout,
        )
        if first:
            output = ops.transpose(output, (0, 3, 1, 2))
        return (output, kernel) if self.return_kernel else output

    def generate_kernel(self, x: Any, training: bool | None = None) -> Any:
        """Generate the kernels of `call`; a subclass may do so in another way.

        `x` is channels last and of the layer's compute dtype, and so are the kernels.
        """
        takes = "training" in inspect.signature(self.generator.call).parameters
        made = self.generator(x, training=training) if takes else self.generator(x)
        self._shapes.check_generated(tuple(made.shape), tuple(x.shape))
        made = ops.cast(made, self.compute_dtype)
        grid, taps = ops.shape(made)[:3], self._taps[0] * self._taps[1]
        if self.kernel_order == "tap_major":
            return ops.reshape(made, (*grid, taps, 1, self.group_number))
        made = ops.reshape(made, (*grid, 1, self.group_number, taps))
        return ops.transpose(made, (0, 1, 2, 5, 3, 4))

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return the shape of the output, or of output and kernel; None is what is unknown."""
        image = self._shapes.image(input_shape)
        output, kernel = self._shapes.results(image)
        if self._generates:
            self._shapes.check_generated(self.generator.compute_output_shape(image), image)
        return (output, kernel) if self.return_kernel else output

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:  # noqa: ARG002
        """Pass a mask on where every image comes out as large as it went in."""
        mask = previous_mask if self._shapes.keeps_size() else None
        # The mask of an image that lies channels first does not fit the kernels.
        return (mask, None if self._shapes.first else mask) if self.return_kernel else mask

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer."""
        own = {name: getattr(self, name) for name in ARGUMENTS}
        if self._generates:
            made = {**self.generator.options.get_config(), "kernel_generator": None}
        else:
            made = {"kernel_generator": keras.saving.serialize_keras_object(self.generator)}
        return {**super().get_config(), **own, **made}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from what `get_config` returned."""
        given = keras.saving.deserialize_keras_object(config.get("kernel_generator"))
        return super().from_config({**config, "kernel_generator": given})

    def get_parameters(self) -> dict[str, Any]:
        """Return the default generator's parameters by name (see `refimpl.keras.weights`).

        Returns
        -------
        dict of str to numpy.ndarray
            In the dtype of the variables.
        """
        return self._built_generator().get_parameters()

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set the default generator's parameters, all of them, by name.

        Parameters
        ----------
        parameters : mapping of str to array
            What `get_parameters` returns, or `refimpl.keras.weights.parameters_from_official`.

        Raises
        ------
        ValueError
            A name that is missing or unknown, a wrong shape, a layer that is not built or has a
            generator of another kind.
        """
        self._built_generator().set_parameters(parameters)

    def _built_generator(self) -> KernelGenerator:
        if not isinstance(self.generator, KernelGenerator) or not self.generator.built:
            raise ValueError(
                f"layer {self.name!r} must be built and have the default generator for its "
                "parameters to have names"
            )
        return self.generator

    @property
    def _shapes(self) -> LayerShapes:
        options = check_options(self.stride, self.dilation, self.padding, self.group_layout)
        first = self.data_format == "channels_first"
        return LayerShapes(self._taps, self.group_number, options, first)
