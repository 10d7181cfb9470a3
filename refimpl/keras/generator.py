"""The default kernel generator: pool, reduce, normalise, activate, expand, channels last.

It knows nothing of taps and groups: it maps the channels of an image to a number of kernel entries.
Any Keras layer that does the same can take its place.
"""

from typing import Any

import keras

from refimpl.keras._arguments import Pair, choice, pair, plain, positive, real
from refimpl.keras._shapes import Shape
from refimpl.keras._sublayers import Normalisation, Pointwise, Pool

__all__ = ["KernelGenerator"]

POOLINGS = ("same", "valid", "none")


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
    pooling : "same", "valid" or "none", default "same"
        ``ceil(n / stride)`` windows laid out by TensorFlow's rule, each the mean of its pixels
        inside the image; ``floor(n / stride)`` windows; or no pooling.
    reduce_bias, expand_bias : bool, default True
        Whether the first and the second convolution have a bias.
    normalise : bool, default True
        Whether there is a batch normalisation.
    epsilon : float, default 1e-3
        Added to the variance by which the normalisation divides.
    momentum : float, default 0.99
        Weight of the old moving statistic.
    unbiased_moving_variance : bool, default False
        The moving variance learns the batch's variance times ``n / (n - 1)``, as in PyTorch.
    kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, \
kernel_constraint, bias_constraint
        Of both convolutions, as for `keras.layers.Conv2D`.
    **kwargs
        Of `keras.layers.Layer`.

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
        pooling: str = "same",
        reduce_bias: bool = True,
        expand_bias: bool = True,
        normalise: bool = True,
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        unbiased_moving_variance: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entries, self.hidden = positive("entries", entries), positive("hidden", hidden)
        self.stride, self.pooling = plain(stride), choice("pooling", pooling, POOLINGS)
        self.epsilon, self.momentum = real("epsilon", epsilon), real("momentum", momentum, most=1)
        self.unbiased_moving_variance = bool(unbiased_moving_variance)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

        # A sublayer computes in what the layer computes in, and is frozen with it.
        common = {"dtype": self.dtype_policy, "trainable": self.trainable}
        self.pool = Pool(pair("stride", stride), self.pooling, name="pool", **common)
        self.reduce = self._pointwise("reduce", self.hidden, reduce_bias)
        self.normalise = None
        if normalise:
            self.normalise = Normalisation(
                epsilon=self.epsilon,
                momentum=self.momentum,
                unbiased_moving_variance=self.unbiased_moving_variance,
                name="normalise",
                **common,
            )
        self.activate = keras.layers.ReLU(name="activate", **common)
        self.expand = self._pointwise("expand", self.entries, expand_bias)
        self.supports_masking = True

    def _pointwise(self, name: str, filters: int, use_bias: bool) -> Pointwise:
        return Pointwise(
            filters,
            use_bias=bool(use_bias),
            kernel_initializer=_fresh(self.kernel_initializer),
            bias_initializer=_fresh(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            name=name,
            dtype=self.dtype_policy,
            trainable=self.trainable,
        )

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
        return {
            **super().get_config(),
            "entries": self.entries,
            "hidden": self.hidden,
            "stride": self.stride,
            "pooling": self.pooling,
            "reduce_bias": self.reduce.use_bias,
            "expand_bias": self.expand.use_bias,
            "normalise": self.normalise is not None,
            "epsilon": self.epsilon,
            "momentum": self.momentum,
            "unbiased_moving_variance": self.unbiased_moving_variance,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


def _fresh(initializer: Any) -> Any:
    """Return an initializer that draws anew: each draws the same values at each call (Keras 3)."""
    known = isinstance(initializer, keras.initializers.Initializer)
    config = initializer.get_config() if known else {}
    return initializer.from_config(config) if config.get("seed", 0) is None else initializer
