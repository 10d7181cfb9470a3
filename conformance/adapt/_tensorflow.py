"""TensorFlow: arrays to tensors and back; gradients by tapes, forward mode by an accumulator.

Eagerly, in a graph or through XLA.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from conformance.adapt._adapter import ONE_FORWARD_MODE, Adapter
from conformance.adapt._arrays import Array, copied
from conformance.adapt._form import Form, Operations


def to_tensorflow(array: Array, *, device: str | None = None) -> Any:
    """See `conformance.adapt.to_tensorflow`."""
    with _on(device):
        return tf.convert_to_tensor(copied(array))


def from_tensorflow(tensor: Any) -> Array:
    """See `conformance.adapt.from_tensorflow`."""
    if not isinstance(tensor, tf.IndexedSlices) and not tf.is_tensor(tensor):
        raise TypeError(f"expected a tf.Tensor, got {type(tensor).__name__}: {tensor!r:.80}")
    return np.array(tf.convert_to_tensor(tensor).numpy())


class OfTensorFlow(Operations):
    """TensorFlow's; sizes may be unknown when they are traced."""

    def transposed(self, tensor: Any, axes: Sequence[int]) -> Any:
        """See `Operations`."""
        return tf.transpose(tensor, axes)

    def reshaped(self, tensor: Any, shape: Sequence[Any]) -> Any:
        """See `Operations`."""
        return tf.reshape(tensor, shape)

    def stacked(self, tensors: Sequence[Any]) -> Any:
        """See `Operations`."""
        return tf.stack(tensors)

    def shape(self, tensor: Any) -> tuple[Any, ...]:
        """See `Operations`."""
        open_sizes = tf.shape(tensor)
        return tuple(open_sizes[n] if size is None else size for n, size in enumerate(tensor.shape))


class TensorFlowAdapter(Adapter):
    """See `conformance.adapt.tensorflow`."""

    operations = OfTensorFlow()
    tensor = "tf.Tensor"

    def __init__(
        self,
        function: Callable[..., Any],
        mode: str,
        device: str | None,
        open_sizes: bool,
        capabilities: Mapping[str, Any] | None,
        form: Form | None = None,
    ) -> None:
        if mode not in {"eager", "graph", "xla"}:
            raise ValueError(f"mode must be 'eager', 'graph' or 'xla', got {mode!r}")
        self.mode, self.device, self.open_sizes = mode, device, open_sizes
        of = device or ("GPU" if tf.config.list_physical_devices("GPU") else "CPU")
        versions = f"TensorFlow {tf.__version__}"
        if "keras" in sys.modules:
            versions += f", Keras {sys.modules['keras'].__version__}"
        environment = f"{versions}, {of}, {mode}"
        super().__init__(function, environment, mode != "eager", of, capabilities, form)

    def to_tensor(self, array: Array) -> Any:
        """Give an array to TensorFlow."""
        return to_tensorflow(array, device=self.device)

    def to_array(self, tensor: Any) -> Array:
        """Give a result to NumPy."""
        return from_tensorflow(tensor)

    def is_tensor(self, result: Any) -> bool:
        """Tell whether a result is a tensor of TensorFlow's."""
        return bool(tf.is_tensor(result))

    def _value_and_gradients(
        self, options: Mapping[str, Any], dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch((x, kernel))
            y = self._value(options, x, kernel)
        return (y, *tape.gradient(y, (x, kernel), output_gradients=dy))

    def _value_and_tangent(
        self, options: Mapping[str, Any], x: Any, kernel: Any, tx: Any, tkernel: Any
    ) -> tuple[Any, Any]:
        forward_mode = tf.autodiff.ForwardAccumulator((x, kernel), (tx, tkernel))
        with ONE_FORWARD_MODE, forward_mode as accumulator:
            y = self._value(options, x, kernel)
            return y, accumulator.jvp(y)

    def _second_gradients(
        self, options: Mapping[str, Any], ddx: Any, ddkernel: Any, dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, ...]:
        with tf.GradientTape() as outer:
            outer.watch((dy, x, kernel))
            with tf.GradientTape() as inner:
                inner.watch((x, kernel))
                y = self._value(options, x, kernel)
            first = inner.gradient(y, (x, kernel), output_gradients=dy)
            # Sparse gradients, such as those of `tf.gather`, are made dense on the tape.
            first = [None if one is None else tf.convert_to_tensor(one) for one in first]
        pairs = [
            (one, dd) for one, dd in zip(first, (ddx, ddkernel), strict=True) if one is not None
        ]
        if not pairs:
            return (*first, None, None, None)
        sources, given = zip(*pairs, strict=True)
        return (*first, *outer.gradient(sources, (dy, x, kernel), output_gradients=given))

    def _run(self, body: Callable[..., Any], options: Mapping[str, Any], *tensors: Any) -> Any:
        called: Any = partial(body, options)
        with _on(self.device):
            if self.mode != "eager":
                specs = [self._spec(tensor) for tensor in tensors]
                made_for = body.__name__, options, specs
                called = self._program(made_for, lambda: self._graph(partial(body, options), specs))
            return called(*tensors)

    def _graph(self, called: Callable[..., Any], specs: list[Any]) -> Any:
        function = tf.function(called, jit_compile=self.mode == "xla")
        return function.get_concrete_function(*specs)

    def _spec(self, tensor: Any) -> Any:
        """Leave batch, height and width open, if so asked."""
        known = tensor.shape[3 if self.open_sizes else 0 :]
        return tf.TensorSpec((*[None] * (len(tensor.shape) - len(known)), *known), tensor.dtype)


def _on(device: str | None) -> Any:
    return nullcontext() if device is None else tf.device(device)
