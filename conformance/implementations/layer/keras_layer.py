"""Adapter to `refimpl.keras.Involution` as a whole layer: eagerly, in a graph, through XLA."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

from refimpl.keras import Involution

Array = npt.NDArray[Any]
_OPTIONS = (
    "stride", "dilation", "padding", "group_layout", "pooling", "kernel_order", "reduce_bias",
    "expand_bias", "normalise", "epsilon", "momentum", "unbiased_moving_variance",
)  # fmt: skip
STATISTICS = ("moving_mean", "moving_variance")
# A suite draws configurations without end, and each keeps its layer and its graphs: more than the
# default profile compiles are not kept.
_MOST_LAYERS = 256


class KerasLayerAdapter:
    """The seam of the layer for `Involution`.

    Parameters
    ----------
    mode : "eager", "graph" or "xla"
        In the latter two a layer is traced once for each configuration, dtype and training mode,
        batch, height and width being unknown.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.capabilities: dict[str, Any] = {"compiles": mode != "eager"}
        device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
        self.environment = f"{versions}, {device}, {mode}"
        self._layers: dict[str, _Layer] = {}

    def forward(
        self, x: Array, parameters: Mapping[str, Array], config: Any, *, training: bool = False
    ) -> tuple[Array, Array, dict[str, Array]]:
        """Return y, the kernel and the moving statistics."""
        layer = self._layer(x, config)
        layer.keras.set_parameters(parameters)
        y, kernel = layer.forward[training](tf.convert_to_tensor(x))
        batch, height, width, _, _, groups = kernel.shape
        kernel = kernel.numpy().reshape(batch, height, width, *layer.taps, groups)
        after = layer.keras.get_parameters()
        moving = {name: after[name] for name in STATISTICS if name in after}
        return y.numpy(), kernel, moving

    def backward(
        self,
        dy: Array,
        x: Array,
        parameters: Mapping[str, Array],
        config: Any,
        *,
        training: bool = False,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dx and the gradient of each parameter."""
        layer = self._layer(x, config)
        layer.keras.set_parameters(parameters)
        dx, gradients = layer.backward[training](*map(tf.convert_to_tensor, (dy, x)))
        # A 1x1 convolution's kernel is (1, 1, C, R) there.
        shapes = {name: array.shape for name, array in parameters.items()}
        found = {name: one.numpy().reshape(shapes[name]) for name, one in gradients.items()}
        return dx.numpy(), found

    def _layer(self, x: Array, config: Any) -> "_Layer":
        key = repr((config, x.shape[3:], x.dtype))
        if key not in self._layers:
            if len(self._layers) >= _MOST_LAYERS:
                del self._layers[next(iter(self._layers))]
            self._layers[key] = _Layer(x, config, self.mode)
        return self._layers[key]


class _Layer:
    """One built layer and its two passes, each for inference and training."""

    def __init__(self, x: Array, config: Any, mode: str) -> None:
        options = {name: getattr(config, name) for name in _OPTIONS}
        size = config.kernel_size
        self.taps = size if isinstance(size, tuple) else (size, size)
        self.keras = Involution(
            config.reduced_channels, config.groups, size, dtype=x.dtype.name, **options
        )
        self.keras.build((None, None, None, *x.shape[3:]))
        image = tf.TensorSpec((None, None, None, *x.shape[3:]), x.dtype)
        self.forward = {
            training: _traced(self._forward(training), mode, image) for training in (False, True)
        }
        self.backward = {
            training: _traced(self._backward(training), mode, image, image)
            for training in (False, True)
        }

    def _forward(self, training: bool) -> Callable[..., Any]:
        return lambda x: self.keras(x, training=training)

    def _backward(self, training: bool) -> Callable[..., Any]:
        def backward(dy: Any, x: Any) -> Any:
            variables = self._variables()
            with tf.GradientTape() as tape:
                tape.watch(x)
                y, _ = self.keras(x, training=training)
            sources = x, variables
            return tape.gradient(y, sources, output_gradients=dy)

        return backward

    def _variables(self) -> dict[str, Any]:
        """The trainable variables by the names of LAY-1."""
        reduce, normalise, expand = self.keras.reduce, self.keras.normalise, self.keras.expand
        named = {
            "reduce_kernel": reduce.kernel,
            "reduce_bias": reduce.bias,
            "gamma": getattr(normalise, "gamma", None),
            "beta": getattr(normalise, "beta", None),
            "expand_kernel": expand.kernel,
            "expand_bias": expand.bias,
        }
        return {name: one.value for name, one in named.items() if one is not None}


def _traced(body: Callable[..., Any], mode: str, *specs: Any) -> Callable[..., Any]:
    """Trace where the mode says so, once for all sizes, when it is first called."""
    if mode == "eager":
        return body
    return tf.function(body, input_signature=specs, jit_compile=mode == "xla")  # type: ignore[no-any-return]


eager, graph, xla = (KerasLayerAdapter(mode) for mode in ("eager", "graph", "xla"))
