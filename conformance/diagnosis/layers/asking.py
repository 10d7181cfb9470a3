"""Asks a layer, as an operator is asked: its cases, their attributes, and what is wrong.

What an explanation makes of the answers is not known here.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.bounds.expected import Expected
from conformance.cases import layer as layer_cases
from conformance.cases.case import Array, Floats
from conformance.cases.layer import LayerCase, NoSizeError
from conformance.claims.capabilities import LayerCapabilities, padding_kind, supports
from conformance.claims.loading import Judged
from conformance.diagnosis.answers import Question
from conformance.diagnosis.asking import Asking, Seen
from conformance.diagnosis.conditions import Condition
from conformance.diagnosis.expressions import Column

_RECIPES = ("normal", "normal", "faint", "still", "far", "sparse", "plain")
_SIZES = ("batch", "height", "width", "groups", "members", "reduced_channels")
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "group_layout": ("blocked", "interleaved"),
    "kernel_order": ("tap_major", "group_major"),
    "reduce_bias": (True, False),
    "expand_bias": (True, False),
    "normalise": (True, True, False),
    "epsilon": (1e-3, 1e-5, 0.25, 1e-7),
    "momentum": (0.99, 0.9, 0.5, 0.0),
    "unbiased_moving_variance": (True, False),
    "training": (True, False),
    "pooling": ("same", "valid", "none"),
    "recipe": (*_RECIPES, "integers"),
    "padding": ("same", "valid", 1),
}
_PAIRS = {"kernel_size": 7, "stride": 4, "dilation": 2}
_ROUND = (1, 2, 3, 4, 5, 7, 8, 9, 12, 14, 16, 20, 32)
# Products and pixels of a case that is asked in passing.
_MOST, _PIXELS = 1 << 14, 1 << 13
# So many cases are in another format.
_OTHERS = 0.12


@dataclass
class SeenLayer(Seen):
    """A case that was asked, and what each result was due."""

    due: Mapping[str, Expected] = field(default_factory=dict)
    # How far roundings may take a number: of the result, and of the largest one on the way to it.
    rounding: float = 0.0
    summing: float = 0.0

    def near(self, name: str, foretold: Floats) -> bool:
        """Compare a result with what was foretold, within what a layer may be from it.

        The bound of the due value, and for a larger value as much more as that is larger; where
        zero is due its own roundings, as many as the layer has steps.
        """
        with np.errstate(invalid="ignore"):
            own = self.rounding * np.abs(foretold)
        largest = np.abs(foretold[np.isfinite(foretold)]).max(initial=0.0)
        return _near(self.got.get(name), foretold, self.due[name], own + self.summing * largest)

    def off(self, name: str, foretold: Floats) -> bool:
        """Tell whether what is foretold is outside the bound of what is due."""
        return not _within(foretold, self.due[name])


class LayerAsking(Asking):
    """Asks a layer within a time, and keeps what it answered."""

    sizes: Mapping[str, str] = {
        "B": "batch", "H": "height", "W": "width", "G": "groups", "M": "members", "C": "members",
        "R": "reduced_channels", "Ho": "height", "Wo": "width", "pixels": "height",
        "products": "height", "Kh": "rows", "Kw": "columns", "taps": "columns",
    }  # fmt: skip

    def __init__(self, judged: Judged, failing: LayerCase | None, seconds: float) -> None:
        super().__init__(judged, None, seconds)
        self.near_to: LayerCase | None = failing
        if failing is not None:
            self.dtype = failing.dtype
            wide = failing.changed(dtype="float64")
            if failing.dtype != "float64" and "float64" in self.claimed.dtypes:
                one = self.ask(wide)
                if any(one.wrong.values()):
                    # What is wrong in every format shows best in the widest.
                    self.dtype, self.near_to = "float64", wide

    def cases(self, *, fresh: int = 0) -> Iterable[Any]:
        """Draw cases, from everywhere and near the failing one in turn."""
        rng = random.Random(76 + fresh) if fresh else self.rng
        anywhere = drawn(self.claimed, self.dtype, rng)
        if self.near_to is None:
            return anywhere
        close = near(self.near_to, self.claimed, rng)
        return itertools.chain.from_iterable(zip(close, anywhere, close, strict=False))

    def ask(self, case: Any) -> SeenLayer:
        """Ask a case, and compare with what is due."""
        found = self.unasked(case)
        found.got, due = Question(self.judged, case, self.values).ask(found.values), found.due
        found.wrong = {name: not _matches(found.got.get(name), one) for name, one in due.items()}
        return found

    def outlined(self, case: Any) -> Seen:
        """Give a case with its operands; nothing is asked."""
        return Seen(case, self.values(case, 0), {})

    def unasked(self, case: Any) -> SeenLayer:
        """Give a case with what it is due, and ask nothing."""
        values = self.values(case, 0)
        with np.errstate(all="ignore"):
            due = dict(self.judged.kind.expected(case, values, self.claimed))
        if not self.claimed.returns_kernel:
            due.pop("kernel", None)
        arithmetic = self.claimed.arithmetic(case.dtype)
        steps = case.pixels + case.channels + case.config.reduced_channels + case.geometry.taps
        summing = steps * float(arithmetic.accumulator.unit_roundoff) * _amplified(case, values)
        rounding = float(arithmetic.result.unit_roundoff)
        return SeenLayer(case, values, {}, due=due, rounding=rounding, summing=summing)

    def values(self, case: Any, bits: int) -> Mapping[str, Array]:  # noqa: ARG002
        """The operands of the case."""
        kind = self.judged.kind
        made: Mapping[str, Array] = kind.values(case, kind.bits(case, self.claimed))
        return made

    def learn(self, number: int, share: float) -> None:
        """Ask cases to learn from; at first the failing one."""
        if self.near_to is not None and self.near_to.batch and not self.seen:
            self.note(self.ask(self.near_to))
            for case in around(self.near_to, self.claimed):
                if not self.left(0.6 * share):
                    break
                self.note(self.ask(case))
        super().learn(number, share)

    def columns(self, seen: Sequence[Seen]) -> dict[str, Column]:
        """The attributes of cases and of their values, as columns."""
        rows = [attributes_of(one.case, one.values) for one in seen]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def number_of(self, case: Any, name: str) -> int:
        """One of the numbers of a case."""
        return numbers_of(case)[name]

    def turned(self, wrong: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Give none: `cases` draws both axes alike."""
        return []

    def beside(self, wrong: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Give none: `cases` are near the failing one already."""
        return []

    def without(self, condition: Condition, part: int, wrong: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Give none: sizes of a layer depend on one another."""
        return []

    def between(self, found: Sequence[Condition], wrong: Sequence[Any]) -> list[Any]:  # noqa: ARG002
        """Give none, for the same reason."""
        return []

    def resized(self, case: Any, name: str, number: int) -> Any:
        """Give a case of another size, if there is one that is claimed."""
        taps = case.config.taps
        if name in {"rows", "columns"}:
            both = (number, taps[1]) if name == "rows" else (taps[0], number)
            return fitting(case.changed(kernel_size=both), self.claimed)
        return fitting(case.changed(**{name: number}), self.claimed)


def _matches(got: Any, due: Expected) -> bool:
    if not isinstance(got, np.ndarray) or got.shape != due.value.shape:
        return False
    return _within(got.astype(np.float64), due)


def _within(numbers: Floats, due: Expected) -> bool:
    with np.errstate(all="ignore"):
        near_ = np.abs(numbers - due.value) <= due.bound
        alike = (numbers == due.value) | (np.isnan(numbers) & np.isnan(due.value))
    return bool((near_ | alike | np.isinf(due.bound)).all())


def _amplified(case: LayerCase, values: Mapping[str, Array]) -> float:
    """Say how much larger what cancels may be than what is left: h - mean, over a small root."""
    if not case.config.normalise or not case.batch:
        return 1.0
    wide = {name: np.abs(values[name].astype(np.float64)) for name in values}
    hidden = wide["x"].max(initial=0.0) * wide["reduce_kernel"].sum(0).max(initial=0.0)
    largest = float(hidden * wide["gamma"].max(initial=0.0)) / max(case.config.epsilon, 1e-6) ** 0.5
    return max(1.0, largest) if np.isfinite(largest) else 1.0


def _near(got: Any, foretold: Floats, due: Expected, own: Floats) -> bool:
    if not isinstance(got, np.ndarray) or got.shape != foretold.shape:
        return False
    numbers = got.astype(np.float64)
    finite = np.isfinite(due.bound) & np.isfinite(due.value)
    most = np.abs(due.value[finite]).max(initial=0.0)
    share = due.bound[finite].max(initial=0.0)
    larger = np.abs(foretold[np.isfinite(foretold)]).max(initial=0.0) / most if most else 0.0
    allowed = due.bound + share * max(larger, 1.0) + own + 1e-12 * (not most)
    with np.errstate(all="ignore"):
        close = np.abs(numbers - foretold) <= allowed
        # What a layer makes of NaN is unspecified.
        alike = (numbers == foretold) | np.isnan(foretold)
    return bool((close | alike).all())


def numbers_of(case: LayerCase) -> dict[str, int]:
    """Give the numbers of a call: the atoms of conditions."""
    where, grid = case.geometry, case.grid
    return {
        "B": case.batch, "H": case.height, "W": case.width, "C": case.channels,
        "G": where.groups, "M": where.members, "R": case.config.reduced_channels,
        "Ho": grid[0], "Wo": grid[1], "Kh": where.kernel_shape[0], "Kw": where.kernel_shape[1],
        "sh": where.stride[0], "sw": where.stride[1],
        "dh": where.dilation[0], "dw": where.dilation[1],
        "pixels": case.pixels, "taps": where.taps,
        "products": case.pixels * where.taps * case.channels,
    }  # fmt: skip


def attributes_of(case: LayerCase, values: Mapping[str, Array]) -> dict[str, Any]:
    """Give what a condition may be about: numbers and words of a call and of its values."""
    config = case.config
    kinds = {
        "mode": "training" if case.training else "inference",
        "padding": padding_kind(config.padding),
        "dtype": case.dtype,
        "epsilon": f"{config.epsilon:g}" if config.normalise else "none",
        "momentum": f"{config.momentum:g}",
    }
    kinds |= {name: str(getattr(config, name)) for name in (
        "pooling", "group_layout", "kernel_order")}  # fmt: skip
    kinds |= {name: "yes" if getattr(config, name) else "no" for name in (
        "reduce_bias", "expand_bias", "normalise", "unbiased_moving_variance")}  # fmt: skip
    kinds["ragged"] = "yes" if _ragged(case) else "no"
    return numbers_of(case) | kinds | _of_values(values)


def _ragged(case: LayerCase) -> bool:
    strides = case.config.strides if case.config.pooling != "none" else (1, 1)
    sizes = (case.height, case.width)
    return any(size % stride for size, stride in zip(sizes, strides, strict=True))


def _of_values(values: Mapping[str, Array]) -> dict[str, str]:
    wide = {name: array.astype(np.float64) for name, array in values.items()}
    x, gamma = wide["x"], wide.get("gamma", np.ones(1))
    moving = wide.get("moving_variance", np.ones(1))
    told = {
        "x beyond 16": (np.abs(x) > 16).any(),
        "x mostly zero": bool(x.size) and (x == 0).mean() > 0.8,
        "zeros in x": (x == 0).any(),
        "x of integers": (x == np.trunc(x)).all(),
        "zeros in gamma": (gamma == 0).any(),
        "negative gamma": (gamma < 0).any(),
        "moving variance below 0.01": (moving < 0.01).any(),
        "moving variance beyond 100": (moving > 100).any(),
        "weights beyond 3": (np.abs(wide["reduce_kernel"]) > 3).any(),
    }
    return {name: "yes" if value else "no" for name, value in told.items()}


def drawn(claimed: LayerCapabilities, dtype: str, rng: random.Random) -> Iterator[LayerCase]:
    """Draw claimed cases, for ever."""
    while True:
        convention = rng.choice(claimed.conventions)
        recipe = rng.choice(_RECIPES)
        training = claimed.training and rng.random() < 0.5
        case = layer_cases.picked(
            lambda *pool: rng.choice(pool), claimed, LayerCase(dtype, recipe, training), convention
        ).changed(seed=rng.randrange(1000))
        if not case.config.normalise and rng.random() < 0.5:
            case = case.changed(recipe="integers")
        if not layer_cases.unclaimed(case, claimed):
            yield case


def near(case: LayerCase, claimed: LayerCapabilities, rng: random.Random) -> Iterator[LayerCase]:
    """Move one, two or three attributes of a case, for ever."""
    names = (*_SIZES, *_SIZES, *_CHOICES, *_PAIRS)
    while True:
        changed = case.changed(seed=rng.randrange(1000))
        for name in rng.sample(names, rng.choice((1, 1, 2, 2, 3))):
            if name in _CHOICES:
                changed = changed.changed(**{name: rng.choice(_CHOICES[name])})
            elif name in _PAIRS:
                one, other = (rng.randint(1, _PAIRS[name]) for _ in range(2))
                pair = (one, one if rng.random() < 0.5 else other)
                if not _supported(name, pair, claimed):
                    continue
                changed = changed.changed(**{name: pair})
            else:
                size = _own(changed, name)
                changed = changed.changed(**{name: _size(size, rng)})
        if not claimed.compiles and rng.random() < _OTHERS:
            changed = changed.changed(dtype=rng.choice(claimed.dtypes))
        fits = fitting(changed, claimed)
        if fits is not None and _cheap(fits, case):
            yield fits


def around(case: LayerCase, claimed: LayerCapabilities) -> Iterator[LayerCase]:
    """Move each attribute of a case by itself, to the values beside its own and to every kind.

    Formats are left to chance: in a narrow one the bounds tell little of another layer's gradients.
    """
    changes: list[dict[str, Any]] = []
    for name in _SIZES:
        own = _own(case, name)
        beside = (own - 1, own + 1, own + own // 2, 2 * own, 2 * own + 1)
        changes += [{name: n} for n in dict.fromkeys(beside) if 0 < n != own]
    for name, most in _PAIRS.items():
        pair = getattr(case.config, name)
        one, other = (pair, pair) if isinstance(pair, int) else pair
        moved = ((one + 1, other), (one, other + 1), (one - 1, other), (one, other - 1), (1, 1))
        for new in dict.fromkeys((*moved, (2, 2))):
            if min(new) > 0 and max(new) <= most and new != (one, other):
                changes += [{name: new}] if _supported(name, new, claimed) else []
    for name, values in _CHOICES.items():
        own = _own(case, name)
        changes += [{name: value} for value in dict.fromkeys(values) if value != own]
    for number, one in enumerate(changes):
        fits = fitting(case.changed(seed=number, **one), claimed)
        if fits is not None and _cheap(fits, case):
            yield fits


def _own(case: LayerCase, name: str) -> Any:
    """Give an attribute of a case, or else of its configuration; an empty batch has one too."""
    return getattr(case if hasattr(case, name) else case.config, name)


def _supported(name: str, pair: tuple[int, int], claimed: LayerCapabilities) -> bool:
    if name == "dilation":
        return True
    allowed = claimed.kernel_shapes if name == "kernel_size" else claimed.strides
    return supports(allowed, pair)


def _cheap(case: LayerCase, like: LayerCase) -> bool:
    """Tell whether a case takes little time; twice what the failing one takes is granted."""
    products, pixels = numbers_of(case)["products"], case.batch * case.height * case.width
    return (
        products <= max(_MOST, 2 * numbers_of(like)["products"])
        and pixels <= max(_PIXELS, 2 * like.batch * like.height * like.width)
    )  # fmt: skip


def fitting(case: LayerCase, claimed: LayerCapabilities) -> LayerCase | None:
    """Give the case on an image that both grids agree on; nothing where none is claimed."""
    if "any" not in claimed.conventions:
        case = layer_cases.conventional(case, claimed.conventions[0])
    try:
        fits = layer_cases.with_pixels(case, (case.height - 1, case.width - 1))
    except (NoSizeError, ValueError):
        # Where no size fits, perhaps one fits padding that keeps the size.
        try:
            same = case.changed(padding="same", pooling="same")
            fits = layer_cases.with_pixels(same, (case.height - 1, case.width - 1))
        except (NoSizeError, ValueError):
            return None
    if not fits.specified or layer_cases.unclaimed(fits, claimed):
        return None
    return fits


def _size(size: int, rng: random.Random) -> int:
    beside = (size - 1, size + 1, size // 2, size // 2 + 1, 2 * size, size + 4, size - 4)
    return max(1, rng.choice((rng.choice(beside), rng.choice(_ROUND))))
