"""JAX: arrays there and back, and a function's derivatives by `jax.vjp` and `jax.jvp`."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

try:
    from jax import enable_x64
except ImportError:  # before 0.8
    from jax.experimental import enable_x64

from conformance.adapt._adapter import Adapter
from conformance.adapt._arrays import Array, copied
from conformance.adapt._form import Form, OfArrays


def to_jax(array: Array, *, device: str | None = None) -> Any:
    """See `conformance.adapt.to_jax`."""
    native = copied(array)
    result = jnp.array(native) if device is None else jax.device_put(native, _device(device))
    if result.dtype != native.dtype:
        raise TypeError(
            f"JAX would make {result.dtype} of {native.dtype}: call "
            'jax.config.update("jax_enable_x64", True) first'
        )
    return result


def from_jax(array: Any) -> Array:
    """See `conformance.adapt.from_jax`."""
    if not isinstance(array, jax.Array):
        raise TypeError(f"expected a jax.Array, got {type(array).__name__}: {array!r:.80}")
    return np.array(array)


class JaxAdapter(Adapter):
    """See `conformance.adapt.jax`."""

    operations = OfArrays(jnp)
    tensor = "jax.Array"

    def __init__(
        self,
        function: Callable[..., Any],
        jit: bool,
        device: str | None,
        capabilities: Mapping[str, Any] | None,
        form: Form | None = None,
    ) -> None:
        self.jit, self.device = jit, device
        mode = "jit" if jit else "eager"
        of = device or jax.default_backend()
        environment = f"JAX {jax.__version__}, {of}, {mode}"
        super().__init__(function, environment, True, of, capabilities, form)

    def to_tensor(self, array: Array) -> Any:
        """Give an array to JAX."""
        with _wide_enough(array):
            return to_jax(array, device=self.device)

    def to_array(self, tensor: Any) -> Array:
        """Give a result to NumPy."""
        return from_jax(tensor)

    def is_tensor(self, result: Any) -> bool:
        """Tell whether a result is an array of JAX's."""
        return isinstance(result, jax.Array)

    def _value_and_gradients(
        self, options: Mapping[str, Any], dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, Any, Any]:
        y, pull_back = jax.vjp(lambda *operands: self._value(options, *operands), x, kernel)
        return (y, *pull_back(dy))

    def _value_and_tangent(
        self, options: Mapping[str, Any], x: Any, kernel: Any, tx: Any, tkernel: Any
    ) -> tuple[Any, Any]:
        y, ty = jax.jvp(partial(self._value, options), (x, kernel), (tx, tkernel))
        return y, ty

    def _second_gradients(
        self, options: Mapping[str, Any], ddx: Any, ddkernel: Any, dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, ...]:
        def gradients(dy: Any, x: Any, kernel: Any) -> Any:
            return jax.vjp(partial(self._value, options), x, kernel)[1](dy)

        (dx, dkernel), pull_back = jax.vjp(gradients, dy, x, kernel)
        return (dx, dkernel, *pull_back((ddx, ddkernel)))

    def _run(self, body: Callable[..., Any], options: Mapping[str, Any], *tensors: Any) -> Any:
        called = partial(body, options)
        with _wide_enough(*tensors):
            if self.jit:
                called = self._program(
                    (body.__name__, options), lambda: jax.jit(partial(body, options))
                )
            return called(*tensors)


def _wide_enough(*operands: Any) -> Any:
    """Enable 64-bit numbers for operands that have them, and leave JAX as it is for others."""
    if not any(operand.dtype.itemsize == 8 for operand in operands):
        return nullcontext()
    return enable_x64(True)


def _device(name: str) -> Any:
    platform, _, index = name.partition(":")
    return jax.devices(platform)[int(index or 0)]
