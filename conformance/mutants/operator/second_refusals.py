"""Forward mode and second derivatives that answer what is no call, where forward refuses it.

They validate as chapter ERR asks, but for one function's operands (GRD-11).
"""

from typing import Any

import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Twice

Three = tuple[Array, Array, Array]
_FORMATS = ("float16", "bfloat16", "float32", "float64")


class _Validating(Twice):
    """Right, and it refuses what chapter ERR lists."""

    capabilities: dict[str, Any] = {**Twice.capabilities, "validates": True}  # noqa: RUF012

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        _demand(self, x, kernel, None, options)
        return super().forward(x, kernel, **options)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        _demand(self, x, kernel, dy, options)
        return super().backward(dy, x, kernel, **options)

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        _demand(self, x, kernel, None, options)
        _alike((x, tx), (kernel, tkernel))
        return super().jvp(x, kernel, tx, tkernel, **options)

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        _demand(self, x, kernel, dy, options)
        _alike((x, ddx), (kernel, ddkernel))
        return super().double_backward(ddx, ddkernel, dy, x, kernel, **options)


class TangentsBroadcast(_Validating):
    """Forward mode takes tangents that do not fit, and stretches or cuts them."""

    needs = "jvp validates"

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        tangents = (_stretched(tx, x), _stretched(tkernel, kernel))
        return super().jvp(x, kernel, *tangents, **options)


class TangentsCast(_Validating):
    """Forward mode casts tangents of another dtype to that of their operands."""

    needs = "jvp validates"

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        tangents = (_cast(tx, x), _cast(tkernel, kernel))
        return super().jvp(x, kernel, *tangents, **options)


class SecondGradientsBroadcast(_Validating):
    """Second derivatives take a dy, ddx or ddkernel that does not fit, and stretch or cut it."""

    needs = "double_backward validates"

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        _demand(self, x, kernel, None, options)
        y = np.empty((*x.shape[:1], *kernel.shape[1:3], *x.shape[3:]), x.dtype)
        ddx, ddkernel = _stretched(ddx, x), _stretched(ddkernel, kernel)
        return super().double_backward(ddx, ddkernel, _stretched(dy, y), x, kernel, **options)


class ForwardModeOfUnknownLayouts(_Validating):
    """Forward mode takes every layout that it does not know for an interleaved one."""

    needs = "jvp validates"

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        if options.get("group_layout", "blocked") != "blocked":
            options["group_layout"] = "interleaved"
        return super().jvp(x, kernel, tx, tkernel, **options)


def _stretched(array: Array, like: Array) -> Array:
    """Give as much of an array as fits, and zeros for what it lacks."""
    if array.dtype != like.dtype or array.shape == like.shape:
        return array
    found = np.zeros_like(like)
    shape = (*(1,) * (like.ndim - array.ndim), *array.shape)
    room = tuple(slice(min(pair)) for pair in zip(shape, like.shape, strict=True))
    found[room] = array.reshape(shape)[room]
    return found


def _cast(array: Array, like: Array) -> Array:
    with np.errstate(all="ignore"):
        real = array.real if array.dtype.kind == "c" else array
        return real if array.shape != like.shape else real.astype(like.dtype)


def _alike(*pairs: tuple[Array, Array]) -> None:
    for operand, other in pairs:
        if other.shape != operand.shape:
            raise ValueError(f"of shape {other.shape}, and not {operand.shape}")
        if other.dtype != operand.dtype:
            raise TypeError(f"of dtype {other.dtype}, and not {operand.dtype}")


def _demand(
    operator: Twice, x: Array, kernel: Array, dy: Array | None, options: dict[str, Any]
) -> None:
    """Refuse what chapter ERR lists."""
    if (x.ndim, kernel.ndim) != (4, 6) or not (x.size or len(x) == 0) or 0 in kernel.shape[1:]:
        raise ValueError("rank or a length of zero")
    if 0 in x.shape[1:] or x.shape[3] % kernel.shape[5] or len(x) != len(kernel):
        raise ValueError("groups or batch")
    if x.dtype.name not in _FORMATS or {kernel.dtype, x.dtype if dy is None else dy.dtype} != {
        x.dtype
    }:
        raise TypeError("dtypes")
    for name in ("stride", "dilation"):
        _demand_pair(options.get(name, 1))
    _demand_padding(options.get("padding", "same"))
    if options.get("group_layout", "blocked") not in {"blocked", "interleaved"}:
        raise ValueError("layout")
    call = operator.call(x.shape, kernel.shape, **options)
    for axis in (0, 1):
        reach, size, stride = operator.reach(call, axis), call.size[axis], call.stride[axis]
        outputs = -(-size // stride)
        if call.padding != "same":
            padded = 2 * call.padding if isinstance(call.padding, int) else 0
            padded = sum(call.padding[axis]) if isinstance(call.padding, tuple) else padded
            outputs = (size + padded - reach - 1) // stride + 1
        if outputs < 1 or outputs != call.grid[axis]:
            raise ValueError("grid")
    if dy is not None and dy.shape != (len(x), *call.grid, x.shape[3]):
        raise ValueError("dy")


def _demand_pair(value: Any) -> None:
    pair = value if isinstance(value, tuple) else (value, value)
    if len(pair) != 2 or not all(isinstance(one, int) for one in pair):
        raise TypeError("no pair of integers")
    if min(pair) < 1:
        raise ValueError("below 1")


def _demand_padding(padding: Any) -> None:
    if isinstance(padding, str):
        if padding not in {"same", "valid"}:
            raise ValueError("unknown word")
        return
    sides = padding if isinstance(padding, tuple) else ((padding,) * 2,) * 2
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in sides):
        raise TypeError("no pairs")
    if not all(isinstance(one, int) for pair in sides for one in pair):
        raise TypeError("no integers")
    if min(one for pair in sides for one in pair) < 0:
        raise ValueError("negative")
