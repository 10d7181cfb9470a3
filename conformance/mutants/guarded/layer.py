"""Layers with faults behind guards."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from conformance.implementations.layer.numpy_layer import NumpyLayer
from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import Array, Unfold
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
from conformance.mutants.layer import generator, gradients, statistics

FAULTS: Mapping[str, type[NumpyLayer]] = planted(generator, statistics, gradients)
# A result that is off by so much of its largest entry is wrong, and not rounded.
_SEEN = {2: 2.0**-5, 4: 2.0**-9, 8: 2.0**-9}


@dataclass(frozen=True)
class Config:
    """A configuration as `numpy_layer` reads it."""

    kernel_size: Any
    groups: int
    reduced_channels: int
    stride: Any = 1
    dilation: Any = 1
    padding: Any = "same"
    pooling: str = "same"
    group_layout: str = "blocked"
    kernel_order: str = "tap_major"
    reduce_bias: bool = True
    expand_bias: bool = True
    normalise: bool = True
    epsilon: float = 1e-3
    momentum: float = 0.99
    unbiased_moving_variance: bool = False


@dataclass(frozen=True)
class Call:
    """Sizes, configuration and mode of one call."""

    batch: int
    size: tuple[int, int]
    channels: int
    config: Any
    training: bool

    def pair(self, name: str) -> tuple[int, int]:
        """Give a field of the configuration for both axes."""
        value = getattr(self.config, name)
        return value if isinstance(value, tuple) else (value, value)

    @property
    def grid(self) -> tuple[int, int]:
        """(Ho, Wo), whichever rule it is that both grids agree on."""
        one, other = (
            n // s if self.config.pooling == "valid" else -(-n // s)
            for n, s in zip(self.size, self.pair("stride"), strict=True)
        )
        return one, other

    @property
    def members(self) -> int:
        """Channels of a group."""
        return int(self.channels // self.config.groups)

    @property
    def pixels(self) -> int:
        """Pixels of the batch that statistics are taken of."""
        return self.batch * math.prod(self.grid)

    @property
    def products(self) -> int:
        """Products of the operator."""
        return self.pixels * math.prod(self.pair("kernel_size")) * self.channels


@dataclass
class Moment:
    """What a guard can see: a call, its operands, and what came before."""

    call: Call
    x: Array
    parameters: Mapping[str, Array]
    number: int = 0
    before: Call | None = None
    dtype_before: Any = None

    def has(self, name: str) -> bool:
        """Tell whether there is a parameter, with values."""
        return name in self.parameters and bool(self.parameters[name].size)


_SIZES = (
    ("height", lambda c: c.size[0], (9, 12, 14, 20), (7, 8)),
    ("width", lambda c: c.size[1], (9, 12, 14, 20), (7, 8)),
    ("channels", lambda c: c.channels, (8, 16, 32, 48), (8, 16, 32)),
    ("groups", lambda c: c.config.groups, (3, 4, 8), (2, 4, 8)),
    ("members", lambda c: c.members, (4, 8, 16), (4, 8, 16)),
    ("batch", lambda c: c.batch, (3, 4, 8), (2, 4, 8)),
    ("reduced channels", lambda c: c.config.reduced_channels, (4, 8, 16), (2, 4, 8)),
    ("pixels", lambda c: c.pixels, (64, 256, 1000), (16, 49, 64)),
    ("taps", lambda c: math.prod(c.pair("kernel_size")), (9, 25, 49), (2, 5)),
    ("products", lambda c: c.products, (2**13, 2**15, 2**17), (64, 128)),
)


def _option(words: str, name: str, value: Any) -> Guard:
    return Guard("option", words, lambda m: getattr(m.call.config, name) == value)


_OPTIONS = (
    Guard("option", "training", lambda m: m.call.training),
    Guard("option", "inference", lambda m: not m.call.training),
    Guard("option", "stride 1", lambda m: m.call.pair("stride") == (1, 1)),
    Guard("option", "stride 2", lambda m: m.call.pair("stride") == (2, 2)),
    Guard("option", "strides", lambda m: max(m.call.pair("stride")) > 1),
    Guard("option", "dilated", lambda m: max(m.call.pair("dilation")) > 1),
    Guard("option", "kernel 3", lambda m: m.call.pair("kernel_size") == (3, 3)),
    Guard("option", "kernel 5", lambda m: m.call.pair("kernel_size") == (5, 5)),
    Guard("option", "kernel 7", lambda m: m.call.pair("kernel_size") == (7, 7)),
    Guard("option", "square image", lambda m: m.call.size[0] == m.call.size[1]),
    Guard("option", "one group", lambda m: m.call.config.groups == 1),
    Guard("option", "one channel a group", lambda m: m.call.members == 1),
    Guard("option", "16 channels a group", lambda m: m.call.members == 16),
    _option("blocked", "group_layout", "blocked"),
    _option("interleaved", "group_layout", "interleaved"),
    _option("tap-major", "kernel_order", "tap_major"),
    _option("group-major", "kernel_order", "group_major"),
    _option("valid pooling", "pooling", "valid"),
    _option("no normalisation", "normalise", False),
    _option("normalised", "normalise", True),
    _option("no bias of the reduction", "reduce_bias", False),
    _option("no bias of the expansion", "expand_bias", False),
    _option("unbiased moving variance", "unbiased_moving_variance", True),
    Guard("option", "a small epsilon", lambda m: m.call.config.epsilon < 1e-4),
    Guard("option", "a momentum below 0.95", lambda m: m.call.config.momentum < 0.95),
)
_VALUES = (
    Guard("value", "x beyond 16", lambda m: bool((np.abs(m.x) > 16).any())),
    Guard("value", "x mostly zero", lambda m: bool((m.x == 0).mean() > 0.8)),
    Guard("value", "x without zeros", lambda m: bool((m.x != 0).all())),
    Guard("value", "x of integers", lambda m: bool((m.x == np.trunc(m.x)).all())),
    Guard(
        "value",
        "a gamma of zero",
        lambda m: m.has("gamma") and bool((m.parameters["gamma"] == 0).any()),
    ),
    Guard(
        "value",
        "a negative gamma",
        lambda m: m.has("gamma") and bool((m.parameters["gamma"] < 0).any()),
    ),
    Guard(
        "value",
        "a moving variance below 0.01",
        lambda m: m.has("gamma") and bool((m.parameters["moving_variance"] < 0.01).any()),
    ),
    Guard(
        "value",
        "a moving variance beyond 100",
        lambda m: m.has("gamma") and bool((m.parameters["moving_variance"] > 100).any()),
    ),
    Guard(
        "value",
        "weights beyond 3",
        lambda m: bool((np.abs(m.parameters["reduce_kernel"]) > 3).any()),
    ),
)


def _histories(rng: random.Random) -> tuple[Guard, ...]:
    n = rng.choice((2, 3, 5, 8, 13, 20))
    return (
        Guard("history", f"every call of number {n}", lambda m: m.number % n == 0),
        Guard("history", f"from call {n} on", lambda m: m.number >= n),
        Guard("history", "the same call as before", lambda m: m.call == m.before),
        Guard(
            "history",
            "another mode than before",
            lambda m: m.before is not None and m.before.training != m.call.training,
        ),
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


def _anew(made: NumpyLayer) -> NumpyLayer:
    """Give the layer an operator that is fast enough for networks, if it has the plain one."""
    if type(made.operator) is Unfold:
        made.operator = Shifted()
    return made


class GuardedLayer(Guarded):
    """A right layer with a fault behind guards."""

    capabilities: ClassVar[dict[str, Any]] = NumpyLayer.capabilities
    faults = FAULTS

    def __init__(self, guards: tuple[Guard, ...], fault: str) -> None:
        super().__init__(guards, fault)
        self._before: Call | None = None
        self._dtype: Any = None

    @classmethod
    def both(cls, fault: str) -> tuple[Any, Any]:
        return _anew(NumpyLayer()), _anew(FAULTS[fault]())

    @classmethod
    def drawn(cls, rng: random.Random, family: str) -> Guard:
        if family in {"size", "divisible"}:
            name, of, sizes, divisors = rng.choice(_SIZES)
            if family == "size":
                return at_least(name, rng.choice(sizes), of)
            return divides(name, rng.choice(divisors), of)
        if family == "format":
            return of_format(rng)
        return rng.choice(
            {"option": _OPTIONS, "value": _VALUES, "history": _histories(rng)}[family]
        )

    @classmethod
    def call_behind(
        cls, guards: tuple[Guard, ...], rng: random.Random, allowed: Allowed = anything
    ) -> Any:
        of_shapes = [guard for guard in guards if guard.family != "value"]
        for _ in range(3000):
            call = _some_call(rng)
            dtype = rng.choice((np.float32, np.float32, np.float64, np.float16, ml_dtypes.bfloat16))
            empty = np.zeros(0, dtype)
            if call is None or not all(g.holds(Moment(call, empty, {})) for g in of_shapes):
                continue
            if not allowed(call, np.dtype(dtype).name):
                continue
            dy, x, parameters = _some_values(call, np.dtype(dtype), rng)
            if all(guard.holds(Moment(call, x, parameters)) for guard in guards):
                return call, dy, x, parameters
        return None

    def differs(self, call: Any) -> bool:
        asked, dy, x, parameters = call
        mode = {"training": asked.training}
        try:
            got = _results(self, dy, x, parameters, asked.config, mode)
        except Exception:
            return True
        due = _results(self.right, dy, x, parameters, asked.config, mode)
        if set(got) != set(due):
            return True
        for name, value in due.items():
            wide, other = value.astype(np.float64), got[name].astype(np.float64)
            if wide.shape != other.shape or (np.isfinite(wide) != np.isfinite(other)).any():
                return True
            largest = np.abs(wide[np.isfinite(wide)]).max(initial=0.0)
            with np.errstate(invalid="ignore"):
                apart = np.abs(wide - other)
            if (apart > _SEEN[x.dtype.itemsize] * largest).any():
                return True
        return False

    def forward(
        self, x: Array, parameters: Mapping[str, Array], config: Any, *, training: bool = False
    ) -> Any:
        """Give y, the kernel and the moving statistics."""
        chosen = self._at(x, parameters, config, training)
        return chosen.forward(x, parameters, config, training=training)

    def backward(
        self,
        dy: Array,
        x: Array,
        parameters: Mapping[str, Array],
        config: Any,
        *,
        training: bool = False,
    ) -> Any:
        """Give dx and the gradients of the parameters."""
        chosen = self._at(x, parameters, config, training)
        return chosen.backward(dy, x, parameters, config, training=training)

    def _at(self, x: Array, parameters: Mapping[str, Array], config: Any, training: bool) -> Any:
        call = Call(x.shape[0], (x.shape[1], x.shape[2]), x.shape[3], config, training)
        self._calls += 1
        moment = Moment(call, x, parameters, self._calls, self._before, self._dtype)
        self._before, self._dtype = call, x.dtype
        return self.chosen(moment) if x.size else self.right


def _results(
    one: Any, dy: Array, x: Array, parameters: Any, config: Any, mode: dict[str, bool]
) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        y, kernel, moving = one.forward(x, parameters, config, **mode)
        dx, found = one.backward(dy, x, parameters, config, **mode)
    return {"y": y, "kernel": kernel, **moving, "dx": dx, **{f"d{n}": a for n, a in found.items()}}


def _some_call(rng: random.Random) -> Call | None:
    pick = rng.choice
    side = pick((5, 7, 8, 9, 12, 14, 16, 20, 24))
    size = (side, side) if rng.random() < 0.6 else (rng.randrange(3, 25), rng.randrange(3, 25))
    groups, members = pick((1, 1, 2, 3, 4, 8)), pick((1, 2, 3, 4, 8, 16, 16))
    k, stride = pick((1, 3, 3, 5, 7, 7)), pick((1, 1, 2, 2, 3, (2, 1)))
    kernel = k if rng.random() < 0.8 else (rng.randrange(1, 6), rng.randrange(1, 6))
    pooling = pick(("same", "same", "same", "valid", "none"))
    config = Config(
        kernel, groups, pick((1, 2, 3, 4, 8, 16)), 1 if pooling == "none" else stride,
        pick((1, 1, 1, 2)), "same", pooling, pick(("blocked", "interleaved")),
        pick(("tap_major", "group_major")), rng.random() < 0.7, rng.random() < 0.7,
        rng.random() < 0.8, pick((1e-3, 1e-5)), pick((0.99, 0.9, 0.5)), rng.random() < 0.3,
    )  # fmt: skip
    batch, training = pick((1, 2, 3, 4, 8, 16)), rng.random() < 0.5
    call = Call(batch, size, groups * members, config, training)
    # With a valid pooling both grids agree where the stride divides the size.
    steps = zip(size, call.pair("stride"), strict=True)
    if pooling == "valid" and any(n % s for n, s in steps):
        return None
    return call if call.channels <= 128 and call.products <= 2**20 and call.pixels > 1 else None


def _some_values(
    call: Call, dtype: np.dtype[Any], rng: random.Random
) -> tuple[Array, Array, dict[str, Array]]:
    numbers, config = np.random.default_rng(rng.randrange(2**32)), call.config
    entries = math.prod(call.pair("kernel_size")) * config.groups
    reduced = (config.reduced_channels,)
    shapes: dict[str, tuple[int, ...]] = {
        "reduce_kernel": (call.channels, *reduced),
        **({"reduce_bias": reduced} if config.reduce_bias else {}),
        **dict.fromkeys(
            ("gamma", "beta", "moving_mean", "moving_variance") if config.normalise else (), reduced
        ),
        "expand_kernel": (*reduced, entries),
        **({"expand_bias": (entries,)} if config.expand_bias else {}),
    }
    values = {name: numbers.standard_normal(shape) for name, shape in shapes.items()}
    values["reduce_kernel"] /= np.sqrt(call.channels)
    values["expand_kernel"] /= np.sqrt(config.reduced_channels)
    x = numbers.standard_normal((call.batch, *call.size, call.channels))
    dy = numbers.standard_normal((call.batch, *call.grid, call.channels))
    if config.normalise:
        values["moving_variance"] = numbers.uniform(0.5, 2, reduced)
    kind = rng.randrange(8)
    if kind == 0:
        x = x * 16
        values["reduce_kernel"] *= 8
    elif kind == 1:
        x = np.where(numbers.random(x.shape) < 0.1, x, 0)
    elif kind == 2:
        x = np.round(x * 3)
    elif config.normalise and kind == 3:
        values["gamma"][::2] = 0
    elif config.normalise and kind in {4, 5}:
        values["moving_variance"] *= 1024.0 if kind == 4 else 1 / 1024
    return dy.astype(dtype), x.astype(dtype), {n: a.astype(dtype) for n, a in values.items()}
