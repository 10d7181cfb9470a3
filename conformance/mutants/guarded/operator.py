"""Operators with faults behind guards."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import Array, Call, Unfold
from conformance.mutants import planted
from conformance.mutants.guarded import (
    Allowed,
    Guard,
    Guarded,
    anything,
    at_least,
    divides,
    of_format,
)
from conformance.mutants.operator import arithmetic, conventions, gradients, padding, taps

FAULTS: Mapping[str, type[Unfold]] = planted(padding, conventions, taps, gradients, arithmetic)
_CALL = Unfold().call


@dataclass
class Moment:
    """What a guard can see: a call, its operands, and what came before."""

    call: Call
    operands: tuple[Array, ...]
    number: int = 0
    before: Call | None = None
    dtype_before: Any = None

    @property
    def x(self) -> Array:
        """The image."""
        return self.operands[-2]

    @property
    def kernel(self) -> Array:
        """The kernel."""
        return self.operands[-1]


def _members(call: Call) -> int:
    return call.channels // call.groups


def _drawn(rng: random.Random, family: str) -> Guard:
    """Draw a guard of a family."""
    pick = rng.choice
    if family == "size":
        name, of, numbers = pick(
            (
                ("height", lambda c: c.size[0], (12, 16, 24, 28, 40)),
                ("width", lambda c: c.size[1], (12, 16, 24, 28, 40)),
                ("channels", lambda c: c.channels, (16, 24, 32, 64)),
                ("groups", lambda c: c.groups, (4, 8)),
                ("members", _members, (8, 16)),
                ("batch", lambda c: c.batch, (4, 8, 16)),
                ("outputs", lambda c: c.batch * c.grid[0] * c.grid[1], (256, 500, 1024, 3000)),
                ("taps", lambda c: c.taps[0] * c.taps[1], (16, 25, 49)),
                ("products", _products, (2**15, 2**17, 2**19, 2**20)),
            )
        )
        return at_least(name, pick(numbers), of)
    if family == "divisible":
        name, of, numbers = pick(
            (
                ("channels", lambda c: c.channels, (8, 16, 32)),
                ("members", _members, (4, 8, 16)),
                ("groups", lambda c: c.groups, (2, 4, 8)),
                ("width", lambda c: c.size[1], (7, 8, 14, 16)),
                ("height", lambda c: c.size[0], (7, 8)),
                ("outputs a row", lambda c: c.grid[1], (4, 7, 8)),
                ("outputs", lambda c: c.grid[0] * c.grid[1], (16, 49, 64)),
                ("batch", lambda c: c.batch, (4, 8)),
            )
        )
        return divides(name, pick(numbers), of)
    if family == "format":
        return of_format(rng)
    return pick({"option": _OPTIONS, "value": _VALUES, "history": _histories(rng)}[family])


def _products(call: Call) -> int:
    return int(np.prod(call.kernel[:5])) * call.channels


_OPTIONS = (
    Guard("option", "stride 1", lambda m: m.call.stride == (1, 1)),
    Guard("option", "stride 2", lambda m: m.call.stride == (2, 2)),
    Guard("option", "strides", lambda m: max(m.call.stride) > 1),
    Guard("option", "dilated", lambda m: max(m.call.dilation) > 1),
    Guard("option", "not dilated", lambda m: m.call.dilation == (1, 1)),
    Guard("option", "same", lambda m: m.call.padding == "same"),
    Guard("option", "integer padding", lambda m: isinstance(m.call.padding, int)),
    Guard("option", "explicit padding", lambda m: isinstance(m.call.padding, tuple)),
    Guard("option", "valid", lambda m: m.call.padding == "valid"),
    Guard("option", "blocked", lambda m: m.call.group_layout == "blocked"),
    Guard("option", "interleaved", lambda m: m.call.group_layout == "interleaved"),
    Guard("option", "square image", lambda m: m.call.size[0] == m.call.size[1]),
    Guard("option", "square kernel", lambda m: m.call.taps[0] == m.call.taps[1]),
    Guard("option", "kernel 3", lambda m: m.call.taps == (3, 3)),
    Guard("option", "kernel 5", lambda m: m.call.taps == (5, 5)),
    Guard("option", "kernel 7", lambda m: m.call.taps == (7, 7)),
    Guard("option", "one channel a group", lambda m: _members(m.call) == 1),
    Guard("option", "one group", lambda m: m.call.groups == 1),
    Guard("option", "16 channels a group", lambda m: _members(m.call) == 16),
)
_VALUES = (
    Guard("value", "x all zero", lambda m: not m.x.any()),
    Guard("value", "kernel all zero", lambda m: not m.kernel.any()),
    Guard("value", "first operand all zero", lambda m: not m.operands[0].any()),
    Guard("value", "x of one number", lambda m: bool((m.x == m.x.flat[0]).all())),
    Guard("value", "kernel of one number", lambda m: bool((m.kernel == m.kernel.flat[0]).all())),
    Guard(
        "value",
        "equal kernels in all pixels",
        lambda m: bool((m.kernel == m.kernel[:, :1, :1]).all()),
    ),
    Guard(
        "value",
        "equal images",
        lambda m: len(m.x) > 1 and bool((m.x == m.x[:1]).all()),
    ),
    Guard("value", "x mostly zero", lambda m: bool((m.x == 0).mean() > 0.8)),
    Guard("value", "kernel mostly zero", lambda m: bool((m.kernel == 0).mean() > 0.8)),
    Guard("value", "x of integers", lambda m: bool((m.x == np.trunc(m.x)).all())),
    Guard("value", "x not of integers", lambda m: bool((m.x != np.trunc(m.x)).any())),
    Guard("value", "x beyond 1000", lambda m: bool((np.abs(m.x) > 1000).any())),
    Guard("value", "x of ones", lambda m: bool((m.x == 1).all())),
    Guard("value", "some zeros in the kernel", lambda m: bool((m.kernel == 0).any())),
)


def _histories(rng: random.Random) -> tuple[Guard, ...]:
    n = rng.choice((2, 3, 5, 8, 13, 20))
    return (
        Guard("history", f"every call of number {n}", lambda m: m.number % n == 0),
        Guard("history", f"from call {n} on", lambda m: m.number >= n),
        Guard("history", "the same call as before", lambda m: m.call == m.before),
        Guard(
            "history",
            "another format than before",
            lambda m: m.dtype_before not in (None, m.x.dtype),
        ),
        Guard(
            "history",
            "a smaller image than before",
            lambda m: m.before is not None and m.before.size > m.call.size,
        ),
    )


class GuardedOperator(Guarded):
    """A right operator with a fault behind guards."""

    capabilities: ClassVar[dict[str, Any]] = Unfold.capabilities
    faults = FAULTS

    def __init__(self, guards: tuple[Guard, ...], fault: str) -> None:
        super().__init__(guards, fault)
        self._before: Call | None = None
        self._dtype: Any = None

    @classmethod
    def both(cls, fault: str) -> tuple[Any, Any]:
        return Shifted(), FAULTS[fault]()

    @classmethod
    def drawn(cls, rng: random.Random, family: str) -> Guard:
        return _drawn(rng, family)

    @classmethod
    def call_behind(
        cls, guards: tuple[Guard, ...], rng: random.Random, allowed: Allowed = anything
    ) -> Any:
        return _call_behind(guards, rng, allowed)

    def differs(self, call: Any) -> bool:
        return _differs(self, *call)

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        """Give y."""
        y: Array = self._at((x, kernel), options).forward(x, kernel, **options)
        return y

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        """Give dx and dkernel."""
        dx, dkernel = self._at((dy, x, kernel), options).backward(dy, x, kernel, **options)
        return dx, dkernel

    def _at(self, operands: tuple[Array, ...], options: Mapping[str, Any]) -> Any:
        x, kernel = operands[-2:]
        call = _CALL(x.shape, kernel.shape, **options)
        self._calls += 1
        moment = Moment(call, operands, self._calls, self._before, self._dtype)
        self._before, self._dtype = call, x.dtype
        return self.chosen(moment) if x.size and kernel.size else self.right


def _call_behind(guards: tuple[Guard, ...], rng: random.Random, allowed: Allowed) -> Any:
    """Draw calls until one satisfies the guards; give its operands and options."""
    of_shapes = [guard for guard in guards if guard.family != "value"]
    for _ in range(3000):
        call = _some_call(rng)
        dtype = rng.choice((np.float32, np.float32, np.float64, np.float16, ml_dtypes.bfloat16))
        empty = np.zeros(0, dtype)
        if call is None or not all(g.holds(Moment(call, (empty, empty))) for g in of_shapes):
            continue
        if not allowed(call, np.dtype(dtype).name):
            continue
        operands = _some_values(call, np.dtype(dtype), rng)
        dy, x, kernel = operands
        moments = (Moment(call, (x, kernel)), Moment(call, (dy, x, kernel)))
        if any(all(guard.holds(moment) for guard in guards) for moment in moments):
            names = ("stride", "dilation", "padding", "group_layout")
            return operands, {name: getattr(call, name) for name in names}
    return None


def _some_call(rng: random.Random) -> Call | None:
    pick = rng.choice
    side = pick((7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64))
    size = (side, side) if rng.random() < 0.6 else (rng.randrange(5, 50), rng.randrange(5, 50))
    groups, members = pick((1, 1, 2, 3, 4, 8, 16, 32)), pick((1, 1, 2, 3, 4, 8, 16, 16, 32, 64))
    k = pick((1, 3, 3, 5, 5, 7, 7, 9, 11))
    kernel = (k, k) if rng.random() < 0.8 else (rng.randrange(1, 8), rng.randrange(1, 8))
    stride = pick(((1, 1), (1, 1), (2, 2), (rng.randrange(1, 4), rng.randrange(1, 4))))
    dilation = pick(((1, 1), (1, 1), (2, 2), (rng.randrange(1, 4), rng.randrange(1, 4))))
    some = (rng.randrange(4), rng.randrange(4))
    padding = pick(
        ("same", "same", "valid", (kernel[0] - 1) // 2 * dilation[0], (some, some[::-1]))
    )
    grid = tuple(_outputs(size[a], kernel[a], stride[a], dilation[a], padding, a) for a in (0, 1))
    call = Call(
        pick((1, 2, 3, 4, 8, 16, 32)), size, groups * members, (grid[0], grid[1]), kernel, groups,
        stride, dilation, padding, pick(("blocked", "interleaved")),
    )  # fmt: skip
    return call if min(grid) > 0 and call.channels <= 256 and _products(call) <= 2**22 else None


def _outputs(n: int, k: int, s: int, d: int, padding: Any, axis: int) -> int:
    if padding == "same":
        return -(-n // s)
    sides = padding[axis] if isinstance(padding, tuple) else (padding, padding)
    total = 0 if padding == "valid" else sum(sides)
    return (n + total - (k - 1) * d - 1) // s + 1


def _some_values(call: Call, dtype: np.dtype[Any], rng: random.Random) -> tuple[Array, ...]:
    numbers, real = np.random.default_rng(rng.randrange(2**32)), rng.random() < 0.5
    operands = []
    for shape in ((call.batch, *call.grid, call.channels), call.image, call.kernel):
        values = numbers.standard_normal(shape)
        if not real:
            values = np.round(values * 3) + 0.0
            values = np.where(values == 0, 1.0, values)
        operands.append(values)
    which = rng.randrange(3)
    array = operands[which]
    operands[which] = rng.choice(
        (
            array, array, array, array,
            array * 0, array * 0 + 1, np.where(numbers.random(array.shape) < 0.1, array, 0),
            np.broadcast_to(array[:, :1, :1], array.shape),
            np.broadcast_to(array[:1], array.shape), array * 2048,
        )
    )  # fmt: skip
    with np.errstate(over="ignore"):
        return tuple(np.ascontiguousarray(a).astype(dtype) for a in operands)


def _differs(one: GuardedOperator, operands: tuple[Array, ...], options: Mapping[str, Any]) -> bool:
    """Tell whether a result is further from the right one than any order of its sums is."""
    dy, x, kernel = operands
    right, size = Shifted(), tuple(np.abs(a) for a in operands)
    got = (one.forward(x, kernel, **options), *one.backward(dy, x, kernel, **options))
    due = (right.forward(x, kernel, **options), *right.backward(dy, x, kernel, **options))
    most = (right.forward(*size[1:], **options), *right.backward(*size, **options))
    terms = max(kernel.shape[3] * kernel.shape[4], x.shape[3] // kernel.shape[5]) + 2
    narrow = {"float32": 24, "float64": 53, "float16": 11, "bfloat16": 8}[x.dtype.name]
    wide = max(narrow, 24)
    for result, value, magnitude in zip(got, due, most, strict=True):
        if result.dtype != value.dtype or result.shape != value.shape:
            return True
        a, b, m = (one.astype(np.float64) for one in (result, value, magnitude))
        with np.errstate(all="ignore"):
            allowed = 2 * terms * 2.0**-wide * m + 2 * 2.0**-narrow * np.abs(b)
            if (np.abs(a - b) > allowed).any() or (np.isfinite(a) != np.isfinite(b)).any():
                return True
    return False
