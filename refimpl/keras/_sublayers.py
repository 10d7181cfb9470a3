"""The small layers that a kernel generator is made of, channels last, and a convolution's options.

Each layer differs from Keras's own in one point that was measured: how it rounds, what it does with
an empty batch, or which variance it remembers. None is for use outside this package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import keras
from keras import ops

from refimpl.keras._arguments import Pair, wide
from refimpl.keras._shapes import Shape, pooled_grid

_PACKAGE = "refimpl"
# What a variable can be given, and the part of Keras that reads it and writes it.
_KINDS: dict[str, Any] = {
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}
_PARTS = {f"{v}_{kind}": part for kind, part in _KINDS.items() for v in ("kernel", "bias")}


@dataclass(frozen=True, kw_only=True)
class ConvolutionOptions:
    """How kernel and bias of a convolution begin, are penalised and are held, as for Conv2D.

    A subclass adds options of its own; names, defaults and configuration are those of its fields.
    """

    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None
    kernel_constraint: Any = None
    bias_constraint: Any = None

    def __post_init__(self) -> None:
        """Replace names and configurations by the objects that they stand for."""
        self._set({name: part.get(getattr(self, name)) for name, part in _PARTS.items()})

    @classmethod
    def split(cls, keywords: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Divide the keywords of a constructor into these options and the rest."""
        names = {field.name for field in fields(cls)}
        own = {name: value for name, value in keywords.items() if name in names}
        return own, {name: value for name, value in keywords.items() if name not in names}

    def of(self, variable: str) -> dict[str, Any]:
        """Return what `add_weight` is given for "kernel" or "bias"."""
        return {kind: getattr(self, f"{variable}_{kind}") for kind in _KINDS}

    def anew(self) -> dict[str, Any]:
        """Return the options of one more convolution, which draws numbers of its own."""
        return {name: _fresh(getattr(self, name)) for name in _PARTS}

    def get_config(self) -> dict[str, Any]:
        """Return the options as a layer's configuration keeps them."""
        written = {name: part.serialize(getattr(self, name)) for name, part in _PARTS.items()}
        return vars(self) | written

    def _set(self, values: Mapping[str, Any]) -> None:
        # The one way around `frozen`, for __post_init__ alone.
        vars(self).update(values)


def _fresh(value: Any) -> Any:
    """Return an initializer that draws anew: each draws the same values at each call (Keras 3)."""
    known = isinstance(value, keras.initializers.Initializer)
    config = value.get_config() if known else {}
    return value.from_config(config) if config.get("seed", 0) is None else value


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Pool(keras.layers.Layer):  # type: ignore[misc]
    """Mean over windows as large as the stride; ``pooling`` is "same", "valid" or "none"."""

    def __init__(self, strides: Pair, pooling: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.strides: Pair = (strides[0], strides[1])
        self.pooling = pooling
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        """Return the means, summed wide and rounded once."""
        # A stride of 1 has nothing to average, and pooling would cost a copy.
        if self.pooling == "none" or self.strides == (1, 1):
            return inputs
        x = ops.cast(inputs, wide(self.compute_dtype))
        # Measured: on PyTorch, Keras 3.15 counts pixels beyond the border into the mean.
        if self.pooling == "same" and keras.backend.backend() == "torch":
            means = _inside_means(x, self.strides)
        else:
            means = ops.average_pool(x, self.strides, self.strides, self.pooling, "channels_last")
        return ops.cast(means, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (B, Ho, Wo, C)."""
        batch, *sizes, channels = input_shape
        return (batch, *pooled_grid(sizes, self.strides, self.pooling), channels)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer."""
        return {**super().get_config(), "strides": self.strides, "pooling": self.pooling}


def _inside_means(x: Any, strides: Pair) -> Any:
    """Average over "same" windows, over the pixels inside the image alone; sizes are known."""
    batch, *sizes, channels = x.shape
    grid, margins, counts = [], [], []
    for size, stride in zip(sizes, strides, strict=True):
        outputs = -(-size // stride)
        before = (outputs * stride - size) // 2
        starts = [i * stride - before for i in range(outputs)]
        grid += [outputs, stride]
        margins.append((before, outputs * stride - size - before))
        counts.append([min(start + stride, size) - max(start, 0) for start in starts])
    padded = ops.pad(x, ((0, 0), *margins, (0, 0)))
    sums = ops.sum(ops.reshape(padded, (batch, *grid, channels)), axis=(2, 4))
    pixels = ops.outer(*(ops.convert_to_tensor(count, dtype=x.dtype) for count in counts))
    return sums / pixels[None, :, :, None]


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Pointwise(keras.layers.Layer):  # type: ignore[misc]
    """A 1x1 convolution, its variables those of Conv2D, computed as the matrix product it is.

    Measured: given an empty batch, TensorFlow 2.21's convolution on the CPU (oneDNN) answers with
    the number of channels of its input. This is also the faster of the two.
    """

    def __init__(self, filters: int, *, use_bias: bool = True, **kwargs: Any) -> None:
        options, kwargs = ConvolutionOptions.split(kwargs)
        super().__init__(**kwargs)
        self.filters, self.use_bias = filters, use_bias
        self.options = ConvolutionOptions(**options)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        """Create kernel (1, 1, C, filters) and bias (filters)."""
        shape = (1, 1, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, **self.options.of("kernel"))
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), autocast=False, **self.options.of("bias")
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Return ``inputs @ kernel[0, 0] + bias``."""
        product = ops.tensordot(inputs, self.kernel[0, 0], 1)
        if self.bias is None:
            return product
        # Measured: the derivative of a bias added in float16 is summed in float16 by TensorFlow,
        # and stops growing at 2048.
        sums = wide(self.compute_dtype)
        total = ops.add(ops.cast(product, sums), ops.cast(self.bias, sums))
        return ops.cast(total, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the input with the channels exchanged."""
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer."""
        own = {"filters": self.filters, "use_bias": self.use_bias}
        return {**super().get_config(), **own, **self.options.get_config()}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class Normalisation(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras's batch normalisation, with a choice of the variance that is remembered.

    The batch's variance is the mean squared distance from the mean on every backend: the mean of
    squares minus the square of the mean, which Keras takes on some, cancels. No mask is heeded.
    """

    def __init__(self, *, unbiased_moving_variance: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.unbiased_moving_variance = unbiased_moving_variance

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Normalise by the batch's statistics in training, else by the moving ones."""
        sums = wide(self.compute_dtype)
        x = ops.cast(inputs, sums)
        if training and self.trainable:
            mean = ops.mean(x, axis=(0, 1, 2))
            variance = ops.mean(ops.square(x - mean), axis=(0, 1, 2))
            self._remember(self.moving_mean, mean)
            self._remember(self.moving_variance, self._remembered_variance(x, variance))
        else:
            mean, variance = (ops.cast(v, sums) for v in (self.moving_mean, self.moving_variance))
        scale = ops.cast(self.gamma, sums) / ops.sqrt(variance + self.epsilon)
        return ops.cast((x - mean) * scale + ops.cast(self.beta, sums), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer."""
        own = {"unbiased_moving_variance": self.unbiased_moving_variance}
        return {**super().get_config(), **own}

    def _remember(self, moving: Any, batch: Any) -> None:
        old = ops.cast(moving, batch.dtype) * self.momentum
        moving.assign(ops.cast(old + batch * (1.0 - self.momentum), moving.dtype))

    def _remembered_variance(self, x: Any, variance: Any) -> Any:
        """Return the batch's variance as it enters the moving one, times n / (n - 1) if asked."""
        if not self.unbiased_moving_variance:
            return variance
        batch, height, width, channels = ops.shape(x)
        pixels = batch * height * width
        if isinstance(pixels, int):
            if pixels < 2:
                raise ValueError(
                    "unbiased_moving_variance=True needs more than one pixel in the training "
                    f"batch, got x of shape {tuple(x.shape)} after pooling"
                )
            return variance * pixels / (pixels - 1)
        # What is unknown when traced is refused at run time: no slice starts before the first.
        variance = ops.slice(variance, [ops.minimum(pixels - 2, 0)], [channels])
        return variance * ops.cast(pixels, x.dtype) / ops.cast(pixels - 1, x.dtype)
