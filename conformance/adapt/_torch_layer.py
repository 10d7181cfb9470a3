"""The operator within a layer of PyTorch's, judged alone: the kernel is given, not generated."""

import copy
import difflib
from collections.abc import Callable, Mapping
from typing import Any

import torch

from conformance.adapt._form import Form
from conformance.adapt._torch import TorchAdapter


class _Given(torch.nn.Module):  # type: ignore[misc]
    """Stands where a kernel was generated, and gives one."""

    def __init__(self, kernel: Any) -> None:
        super().__init__()
        self.kernel, self.asked = kernel, False

    def forward(self, *_: Any) -> Any:
        self.asked = True
        return self.kernel


def adapted(
    make: Callable[..., Any],
    generator: str,
    form: Form,
    device: str,
    capabilities: Mapping[str, Any] | None,
) -> TorchAdapter:
    """See `conformance.adapt.torch_layer`."""

    def function(x: Any, kernel: Any, **options: Any) -> Any:
        # Another for each call: calls at once must not exchange their kernels.
        made = isinstance(make, torch.nn.Module)
        module: Any = copy.deepcopy(make) if made else make(**options)
        given = _Given(kernel)
        _replace(module, generator, given)
        y = module.to(x.device, x.dtype).eval()(x)
        if not given.asked:
            raise ValueError(f"the layer never asked {generator} for a kernel")
        return y

    return TorchAdapter(function, device, False, "C", capabilities, form)


def _replace(module: Any, name: str, other: Any) -> None:
    known = dict(module.named_modules())
    if not name or name not in known:
        near = difflib.get_close_matches(name, filter(None, known), 1)
        instead = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)[2:]}"
        raise ValueError(f"{type(module).__name__} has no submodule {name!r}{instead}")
    parent, _, own = name.rpartition(".")
    setattr(known[parent], own, other)
