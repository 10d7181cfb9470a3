"""PyTorch: arrays to tensors and back, and a function's derivatives by autograd, both ways."""

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal

import ml_dtypes
import numpy as np
import torch
from torch.autograd import forward_ad

from conformance.adapt._adapter import ONE_FORWARD_MODE, Adapter
from conformance.adapt._arrays import Array, copied, is_plain
from conformance.adapt._form import Form, Operations

# A suite compiles geometries without end. By default PyTorch compiles eight forms of a function
# and runs all others eagerly: what was not asked for would be judged.
_FORMS = 1 << 20


def to_torch(
    array: Array,
    *,
    requires_grad: bool = False,
    device: str = "cpu",
    order: Literal["C", "K"] = "C",
) -> Any:
    """See `conformance.adapt.to_torch`."""
    memory = array if is_plain(array) else copied(array, order)
    if memory.dtype == ml_dtypes.bfloat16:
        # Bits are passed on: NumPy and PyTorch know nothing of each other's bfloat16.
        tensor = torch.from_numpy(memory.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(memory)
    return tensor.to(device).requires_grad_(requires_grad)


def from_torch(tensor: Any, *, copy: bool = True) -> Array:
    """See `conformance.adapt.from_torch`."""
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"expected a torch.Tensor, got {type(tensor).__name__}: {tensor!r:.80}")
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        array: Array = tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    else:
        array = tensor.numpy()
    return copied(array) if copy else array


class OfTorch(Operations):
    """PyTorch's."""

    def transposed(self, tensor: Any, axes: Sequence[int]) -> Any:
        """See `Operations`."""
        return tensor.permute(*axes)

    def reshaped(self, tensor: Any, shape: Sequence[Any]) -> Any:
        """See `Operations`."""
        return tensor.reshape(*shape)

    def stacked(self, tensors: Sequence[Any]) -> Any:
        """See `Operations`."""
        return torch.stack(list(tensors))


class TorchAdapter(Adapter):
    """See `conformance.adapt.torch`."""

    operations = OfTorch()
    tensor = "torch.Tensor"

    def __init__(
        self,
        function: Callable[..., Any],
        device: str,
        compiled: bool,
        order: Literal["C", "K"],
        capabilities: Mapping[str, Any] | None,
        form: Form | None = None,
    ) -> None:
        self.device, self.compiled, self.order = device, compiled, order
        of = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
        mode = "compiled" if compiled else "eager"
        environment = f"PyTorch {torch.__version__}, {of}, {mode}"
        if compiled:
            # What `torch.compile` makes knows neither forward mode nor second derivatives.
            neither = {"jvp": False, "double_backward": False}
            capabilities = {**neither, **(capabilities or {})}
        super().__init__(function, environment, compiled, device, capabilities, form)

    def to_tensor(self, array: Array) -> Any:
        """Give an array to PyTorch."""
        return to_torch(array, device=self.device, order=self.order)

    def to_array(self, tensor: Any) -> Array:
        """Give a result to NumPy in its own memory: the judge sees with whom it is shared."""
        return from_torch(tensor, copy=False)

    def is_tensor(self, result: Any) -> bool:
        """Tell whether a result is a tensor of PyTorch's."""
        return isinstance(result, torch.Tensor)

    def _value(self, options: Mapping[str, Any], x: Any, kernel: Any) -> Any:
        y = super()._value(options, x, kernel)
        if y.device != x.device:
            raise TypeError(
                f"the operands are on {x.device}, and y is on {y.device}: nothing is known of what "
                "runs elsewhere than it is said to"
            )
        return y

    def _value_and_gradients(
        self, options: Mapping[str, Any], dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, Any, Any]:
        x, kernel = (tensor.detach().requires_grad_() for tensor in (x, kernel))
        y = self._value(options, x, kernel)
        if not y.requires_grad:
            return y, None, None
        return (y.detach(), *torch.autograd.grad(y, (x, kernel), dy, allow_unused=True))

    def _value_and_tangent(
        self, options: Mapping[str, Any], x: Any, kernel: Any, tx: Any, tkernel: Any
    ) -> tuple[Any, Any]:
        _load_forward_mode()
        with ONE_FORWARD_MODE, forward_ad.dual_level():
            y = self._value(
                options, forward_ad.make_dual(x, tx), forward_ad.make_dual(kernel, tkernel)
            )
            return tuple(forward_ad.unpack_dual(y))

    def _second_gradients(
        self, options: Mapping[str, Any], ddx: Any, ddkernel: Any, dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, ...]:
        leaves = [tensor.detach().requires_grad_() for tensor in (dy, x, kernel)]
        y = self._value(options, *leaves[1:])
        if not y.requires_grad:
            return (None,) * 5
        first = torch.autograd.grad(y, leaves[1:], leaves[0], allow_unused=True, create_graph=True)
        pairs = [
            (one, dd)
            for one, dd in zip(first, (ddx, ddkernel), strict=True)
            if one is not None and one.requires_grad
        ]
        if not pairs:
            return (*first, None, None, None)
        outputs, given = zip(*pairs, strict=True)
        return (*first, *torch.autograd.grad(outputs, leaves, given, allow_unused=True))

    def _bound(self, options: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
        # The function alone is compiled: autograd goes through what comes of it.
        bound = super()._bound(options)
        if not self.compiled:
            return bound
        made: Callable[[Any, Any], Any] = self._program(
            options, lambda: torch.compile(bound, dynamic=True)
        )
        return made

    def _run(self, body: Callable[..., Any], options: Mapping[str, Any], *tensors: Any) -> Any:
        limits = torch._dynamo.config.patch(_limits()) if self.compiled else nullcontext()
        with limits:
            return body(options, *tensors)


@functools.cache
def _load_forward_mode() -> None:
    """Load what the first dual number would load; PyTorch warns there of its own TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._decomp.decompositions_for_jvp")


def _limits() -> dict[str, int]:
    """How many forms of a function are compiled, by the names of this PyTorch."""
    name = "recompile" if hasattr(torch._dynamo.config, "recompile_limit") else "cache_size"
    return {f"{name}_limit": _FORMS, f"accumulated_{name}_limit": _FORMS}
