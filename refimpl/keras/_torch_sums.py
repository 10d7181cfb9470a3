"""The three sums as a function of PyTorch's autograd. Imported on that backend alone."""

import functools
from typing import Any

import torch

from refimpl.keras._derivative import BACK, rounded
from refimpl.keras._sums import Sums


class Summed(torch.autograd.Function):  # type: ignore[misc]
    """One of the sums; `torch.func` asks for a context of its own and for `jvp`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(sums: Sums, name: str, first: Any, second: Any) -> Any:
        return rounded(sums, name, first, second)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:  # noqa: ARG004
        ctx.give, ctx.name = functools.partial(Summed.apply, inputs[0]), inputs[1]
        ctx.save_for_backward(*inputs[2:])
        ctx.save_for_forward(*inputs[2:])

    @staticmethod
    def backward(ctx: Any, back: Any) -> Any:
        return None, None, *BACK[ctx.name](ctx.give, back, *ctx.saved_tensors)

    @staticmethod
    def jvp(ctx: Any, _sums: Any, _name: Any, first: Any, second: Any) -> Any:
        one, other = ctx.saved_tensors
        return ctx.give(ctx.name, first, other) + ctx.give(ctx.name, one, second)
