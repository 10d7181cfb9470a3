"""The default kernel generator: pool, reduce, normalise, activate, expand, channels last.

It knows nothing of taps and groups: it maps the channels of an image to a number of kernel entries.
Any Keras layer that does the same can take its place. Its options are the fields of one dataclass:
`refimpl.keras.Involution` documents them and hands them on as they come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import keras
import numpy as np
from keras import ops

from refimpl.keras._arguments import Pair, choice, pair, plain, positive, real
from refimpl.keras._shapes import Shape
from refimpl.keras._sublayers import ConvolutionOptions, Normalisation, Pointwise, Pool

__all__ = ["GeneratorKeywords", "GeneratorOptions", "KernelGenerator"]


@dataclass(frozen=True, kw_only=True)
class GeneratorOptions(ConvolutionOptions):
    """What a generator can be told, checked; `Involution` documents each option."""

    pooling: str = "same"
    reduce_bias: bool = True
    expand_bias: bool = True
    normalise: bool = True
    epsilon: float = 1e-3
    momentum: float = 0.99
    unbiased_moving_variance: bool = False

    def __post_init__(self) -> None:
        """Bring every option into its one normal form."""
        checked = {
            "pooling": choice("pooling", self.pooling, ("same", "valid", "none")),
            "epsilon": real("epsilon", self.epsilon),
            "momentum": real("momentum", self.momentum, most=1),
        }
        switches = ("reduce_bias", "expand_bias", "normalise", "unbiased_moving_variance")
        self._set(checked | {name: bool(getattr(self, name)) for name in switches})
        super().__post_init__()


class GeneratorKeywords(TypedDict, total=False):
    """The same options, and those of every Keras layer, as editors and type checkers read them."""

    pooling: str
    reduce_bias: bool
    expand_bias: bool
    normalise: bool
    epsilon: float
    momentum: float
    unbiased_moving_variance: bool
    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any

    dtype: Any
    trainable: bool
    activity_regularizer: Any
    autocast: bool


@keras.saving.register_keras_serializable(package="refimpl")
class KernelGenerator(keras.layers.Layer):  # type: ignore[misc]
    """Average pooling, 1x1 convolution, batch normalisation, ReLU, 1x1 convolution.

    Parameters
    ----------
    entries : int
        Kernel entries Kh * Kw * G of each output pixel.
    hidden : int
        Channels R between the two convolutions.
    stride : int or (int, int), default 1
        Window and step of the pooling, (vertical, horizontal).
    name : str, optional
        Name of the layer.
    **keywords
        The other parameters of `Involution`, `pooling` to `bias_constraint`, and those of
        `keras.layers.Layer`.

    Raises
    ------
    ValueError
        An argument out of its range, or a batch of one pixel where the variance must be unbiased.
    """

    def __init__(
        self,
        entries: int,
        hidden: int,
        *,
        stride: int | Pair = 1,
        name: str | None = None,
        **keywords: Unpack[GeneratorKeywords],
    ) -> None:
        own, rest = GeneratorOptions.split(keywords)
        super().__init__(name=name, **rest)
        self.entries, self.hidden = positive("entries", entries), positive("hidden", hidden)
        self.stride = plain(stride)
        self.options = options = GeneratorOptions(**own)

        # A sublayer computes in what the layer computes in, and is frozen with it.
        common = {"dtype": self.dtype_policy, "trainable": self.trainable}
        self.pool = Pool(pair("stride", stride), options.pooling, name="pool", **common)
        self.reduce = Pointwise(
            self.hidden, use_bias=options.reduce_bias, name="reduce", **options.anew(), **common
        )
        self.normalise = None
        if options.normalise:
            self.normalise = Normalisation(
                epsilon=options.epsilon,
                momentum=options.momentum,
                unbiased_moving_variance=options.unbiased_moving_variance,
                name="normalise",
                **common,
            )
        self.activate = keras.layers.ReLU(name="activate", **common)
        self.expand = Pointwise(
            self.entries, use_bias=options.expand_bias, name="expand", **options.anew(), **common
        )
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        """Create all variables; height and width stay open, for images of several sizes."""
        shape: Shape = (None, None, None, input_shape[-1])
        for sublayer in (self.pool, self.reduce, self.normalise, self.activate, self.expand):
            if sublayer is not None:
                sublayer.build(shape)
                shape = sublayer.compute_output_shape(shape)
        self.built = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Generate the kernels.

        Parameters
        ----------
        x : tensor, shape (B, H, W, C)
            Input, of the layer's compute dtype.
        training : bool, optional
            Normalise by the batch's own statistics, and update the moving ones.

        Returns
        -------
        tensor, shape (B, Ho, Wo, entries)
            Of the layer's compute dtype.
        """
        hidden = self.reduce(self.pool(x))
        if self.normalise is not None:
            hidden = self.normalise(hidden, training=training)
        return self.expand(self.activate(hidden))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (B, Ho, Wo, entries), None standing for what is unknown."""
        return (*self.pool.compute_output_shape(input_shape)[:3], self.entries)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer."""
        own = {"entries": self.entries, "hidden": self.hidden, "stride": self.stride}
        return {**super().get_config(), **own, **self.options.get_config()}

    def get_parameters(self) -> dict[str, Any]:
        """Return the variables of a built generator by name, as `Involution.get_parameters`."""
        return {
            name: ops.convert_to_numpy(variable).reshape(_shape(variable))
            for name, variable in self._named().items()
        }

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set the variables of a built generator by name, all or none.

        Raises
        ------
        ValueError
            A name that is missing or unknown, a wrong shape.
        """
        named = self._named()
        if set(parameters) != set(named):
            raise ValueError(
                f"parameters must be {', '.join(named)}, got {', '.join(map(str, parameters))}"
            )
        arrays = {name: np.asarray(value) for name, value in parameters.items()}
        for name, variable in named.items():
            if arrays[name].shape != _shape(variable):
                raise ValueError(
                    f"{name} must be of shape {_shape(variable)}, got {arrays[name].shape}"
                )
        for name, variable in named.items():
            variable.assign(arrays[name].reshape(tuple(variable.shape)))

    def _named(self) -> dict[str, Any]:
        statistics = ("gamma", "beta", "moving_mean", "moving_variance")
        named = {
            "reduce_kernel": self.reduce.kernel,
            "reduce_bias": self.reduce.bias,
            **{name: getattr(self.normalise, name, None) for name in statistics},
            "expand_kernel": self.expand.kernel,
            "expand_bias": self.expand.bias,
        }
        return {name: variable for name, variable in named.items() if variable is not None}


def _shape(variable: Any) -> tuple[int, ...]:
    """Return a variable's shape, a convolution's kernel being a matrix."""
    return tuple(variable.shape)[-2:]
