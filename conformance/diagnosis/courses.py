"""Courses: calls in turn on an implementation made anew, and what each call has behind it.

What may stand behind a call that is wrong is a line of `COUNTED`, `EARLIER` or `BEFORE`: a count of
calls, something about any earlier call, something about the one just before. Nothing is learned
here.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.claims.loading import Judged
from conformance.diagnosis.attributes import Row, yes
from conformance.diagnosis.experiments import other_values
from conformance.diagnosis.starting import on_integers
from conformance.diagnosis.verdicts import Verdict, expected, verdict
from conformance.judging.kind import FUNCTIONS

Values = Mapping[str, Array]
# Of a case that is called often.
_MOST_SAMPLES = 64
# What is added to a seed that none of those drawn has; the values stay of their kind.
_OTHER_VALUES = 504
# Wrong courses near which others are drawn.
_NEAR = 40
# Of calls that are counted so many values are enough.
_FEW_VALUES = 3
# A recipe of kinds of which it is specified what special values give.
_SPECIALS = "specials"
# Of so few pixels along an axis values do not show where they come from.
_TINY = 2


@dataclass(frozen=True)
class Step:
    """One call of a course."""

    case: Any
    function: str
    values: Values
    change: str = ""
    again: bool = False
    # Calls of one number lie in the same memory.
    place: int = 0

    @property
    def shapes(self) -> tuple[Any, ...]:
        """What a cache of plans may take for the whole call."""
        return tuple((name, one.shape) for name, one in self.values.items())

    @property
    def formats(self) -> tuple[Any, ...]:
        """The shapes, and the format."""
        return self.case.dtype, *self.shapes

    @property
    def options(self) -> Any:
        """All of the call but its values."""
        return self.case.changed(seed=0, recipe="")

    @property
    def geometry(self) -> Any:
        """All of the call but its values and its format."""
        return self.case.changed(seed=0, recipe="", dtype="")

    def repeats(self, other: "Step") -> bool:
        """Whether it is the same call as another one, values and all."""
        one, before = ((step.function, step.case, step.change) for step in (self, other))
        return one == before

    @property
    def operands(self) -> Values:
        """What this function is given."""
        forward = {name: one for name, one in self.values.items() if name != "dy"}
        return dict(self.values) if self.function == "backward" else forward


def _same(one: Step, other: Step, *, but: Callable[[Array], Any]) -> bool:
    return all(but(array) == but(other.values[name]) for name, array in one.operands.items())


def _sums(array: Array) -> Any:
    return float(np.nan_to_num(array.astype(np.float64)).sum())


def _begin(array: Array) -> Any:
    return array.tobytes()[:1024]


def _bytes(array: Array) -> Any:
    return array.tobytes()


def _alike(one: Step, now: Step) -> bool:
    return one.formats == now.formats


def _wide(step: Step) -> int:
    return int(next(iter(step.values.values())).dtype.itemsize)


Past = Sequence[Step]
COUNTED: Mapping[str, Callable[[Past, Step], int]] = {
    "number of the call": lambda past, _: len(past) + 1,
    "number of the call among those of its function": lambda past, now: (
        1 + sum(one.function == now.function for one in past)
    ),
    "number of the call among those of its function and shapes": lambda past, now: (
        1 + sum(one.function == now.function and _alike(one, now) for one in past)
    ),
    "number of the call among those of its shapes": lambda past, now: (
        1 + sum(_alike(one, now) for one in past)
    ),
}


def _groups(step: Step) -> Any:
    part = getattr(step.case, step.case.part)
    return getattr(part, "groups", 0)


# What a call may be known again by.
KEYS: Mapping[str, Callable[[Step], Any]] = {
    "its shapes": lambda step: step.shapes,
    "its shapes and format": lambda step: step.formats,
    "the shape and format of its image": lambda step: (
        step.values["x"].shape, step.values["x"].dtype),
    "the memory in which it lies": lambda step: (step.place, step.formats),
    "its channels and groups": lambda step: (step.values["x"].shape[-1], _groups(step)),
    "any kind": lambda _: 0,
    "its shapes and options": lambda step: step.options,
    "the same sums of its operands": lambda step: (
        step.options, *map(_sums, step.operands.values())),
    "the same first kilobytes of its operands": lambda step: (
        step.options, *map(_begin, step.operands.values())),
}  # fmt: skip


# Options as a call mostly has them.
_USUAL = {"dilation": (1, 1), "stride": (1, 1), "padding": "same", "group_layout": "blocked"}


def _but(name: str) -> Callable[[Step], Any]:
    """Give what knows a call by its shapes and options but for one of these."""

    def key(step: Step) -> Any:
        part = getattr(step.case, step.case.part)
        # What has no such option is like no other call.
        has = hasattr(part, name)
        return (step.shapes, step.geometry.changed(**{name: _USUAL[name]})) if has else step

    return key


# What may be forgotten of a key: one option.
BUT = {f"its shapes and options, whatever its {name}": _but(name) for name in _USUAL}
_KNOWN = {**KEYS, **BUT}


def known(past: Past, now: Step, function: str, key: str, which: int) -> Step | None:
    """Give the first (0) or the last (-1) earlier call of a function, or of any, that is alike."""
    of = _KNOWN[key]
    alike = [one for one in past if function in ("", one.function) and of(one) == of(now)]
    return alike[which] if alike else None


# Of any earlier call of the same function.
EARLIER: Mapping[str, Callable[[Step, Step], bool]] = {
    "there was an earlier call of its shapes": lambda one, now: one.shapes == now.shapes,
    "there was an earlier call of its shapes and format": _alike,
    "there was an earlier call of its shapes and options": lambda one, now: (
        one.options == now.options
    ),
    "there was an earlier call of its shapes with other values": lambda one, now: (
        _alike(one, now) and not _same(one, now, but=_bytes)
    ),
    "there was an earlier call of the same sums of operands, otherwise other values": (
        lambda one, now: (
            one.options == now.options
            and _same(one, now, but=_sums)
            and not _same(one, now, but=_bytes)
        )
    ),
    "there was an earlier call of the same first kilobytes, otherwise other values": (
        lambda one, now: (
            one.options == now.options
            and _same(one, now, but=_begin)
            and not _same(one, now, but=_bytes)
        )
    ),
    "there was an earlier call of other shapes": lambda one, now: one.shapes != now.shapes,
    "there was an earlier call on a larger image": lambda one, now: _size(one) > _size(now),
}
# Of the call just before, and of the one before of the same function.
BEFORE: Mapping[str, Callable[[Step, Step], bool]] = {
    "was the same call, values aside": lambda one, now: one.options == now.options,
    "was of the same shapes": _alike,
    "was in another format": lambda one, now: one.case.dtype != now.case.dtype,
    "was in a narrower format": lambda one, now: _wide(one) < _wide(now),
    "was on a larger image": lambda one, now: (
        (one.case.height, one.case.width) > (now.case.height, now.case.width)
    ),
    "was on a larger call": lambda one, now: _size(one) > _size(now),
    "was on NaN": lambda one, _: one.change == "NaN",
    "was on NaN of its shapes": lambda one, now: one.change == "NaN" and one.shapes == now.shapes,
    "was of no samples": lambda one, _: one.case.batch == 0,
    "was of another function": lambda one, now: one.function != now.function,
    "lay in the same memory": lambda one, now: now.again and _alike(one, now),
    "was of its shapes with other values": lambda one, now: (
        _alike(one, now) and not _same(one, now, but=_bytes)
    ),
    "was the same call, values and format aside": lambda one, now: one.geometry == now.geometry,
}


def _size(step: Step) -> int:
    return int(step.values["x"].size)


def behind(past: Past, now: Step) -> Row:
    """Give the attributes of a call that come from the calls before it."""
    row: Row = {name: count(past, now) for name, count in COUNTED.items()}
    own = [one for one in past if one.function == now.function]
    other = [one for one in past if one.function != now.function]
    row |= {name: yes(any(holds(one, now) for one in own)) for name, holds in EARLIER.items()}
    for name, one in (
        ("the call before", past[-1] if past else None),
        ("the call of its function before", own[-1] if own else None),
        ("the first call", past[0] if past else None),
    ):
        row |= {
            f"{name} {words}": yes(one is not None and holds(one, now))
            for words, holds in BEFORE.items()
        }
    row["there are samples"] = yes(now.case.batch)
    row["its own image is NaN"] = yes(now.change == "NaN")
    row["there was a call of the other function, of its shapes"] = yes(
        any(_alike(one, now) for one in other)
    )
    return row | _differences(past, now)


def _differences(past: Past, now: Step) -> Row:
    """Say in what the first and the last call that are alike differ from a call."""
    row: Row = {}
    functions = {"": "", "forward": "forward "}
    for key, (which, ordinal), (function, word) in itertools.product(
        list(KEYS)[:2], ((0, "first"), (-1, "last")), functions.items()
    ):
        one = known(past, now, function, key, which)
        said = f"the {ordinal} {word}call of {key} had"
        row[f"{said} other options"] = yes(one and one.options != now.options)
        for name, array in now.operands.items():
            there = one.values.get(name) if one else None
            apart = there is not None and not np.array_equal(there, array, equal_nan=True)
            row[f"{said} another {name}"] = yes(apart)
            begins = there is not None and apart and array.size and there.flat[0] == array.flat[0]
            row[f"{said} the same first entry of another {name}"] = yes(begins)
        if "dy" not in now.operands and "dy" in now.values:
            row[f"{said} another dy"] = yes(False)
            row[f"{said} the same first entry of another dy"] = yes(False)
    return row


def _turned_at_the_end(array: Array) -> Array:
    flat = array.copy().reshape(-1)
    first = min(1024 // array.itemsize, flat.size // 2)
    flat[first:] = flat[first:][::-1].copy()
    return flat.reshape(array.shape)


def _negated_at_the_end(array: Array) -> Array:
    flat = array.copy().reshape(-1)
    first = min(1024 // array.itemsize, flat.size // 2)
    flat[first:] = -flat[first:]
    return flat.reshape(array.shape)


# What is changed about the values: so that they agree with others in all but a little.
CHANGES: Mapping[str, Callable[[Array], Array]] = {
    "": lambda array: array,
    "in another order": lambda array: np.flip(array).copy(),
    "but for its end": _turned_at_the_end,
    "but for signs at its end": _negated_at_the_end,
    "NaN": lambda array: np.full_like(array, np.nan),
}


_CHANGED = ("x", "dy", "kernel")


class Courses:
    """Draws courses about a case, and makes their calls.

    Parameters
    ----------
    judged : Judged
        The implementation.
    case : Case
        What fails, or a plain case.
    seed : int
        Of what is drawn.
    """

    def __init__(self, judged: Judged, case: Any, seed: int) -> None:
        self.judged, self.case, self.rng = judged, case, random.Random(seed)
        # Courses in which something was wrong, near which others are drawn.
        self.wrong: list[list[Step]] = []
        self.cases = variants(judged, usable(judged, case))
        # What NaN make of a layer's results is unspecified.
        self.changes = [one for one in CHANGES if one != "NaN" or _SPECIALS in judged.kind.recipes]
        self._known: dict[Any, tuple[Values, Any]] = {}

    def drawn(self, length: int, functions: Sequence[str] = FUNCTIONS) -> Iterator[Step]:
        """Draw the steps of a course: few cases, so that calls meet their like."""
        rng = self.rng
        if self.wrong and rng.random() < 0.5:
            yield from self._near(rng.choice(self.wrong))
            return
        some = rng.sample(self.cases, min(len(self.cases), rng.choice((1, 2, 3))))
        chosen = rng.choice((functions, functions[:1], functions[1:] or functions))
        step: Step | None = None
        for _ in range(length):
            if step is not None and rng.random() < 0.3:
                again = rng.random() < 0.5
                case = step.case.changed(seed=self._seed())
            else:
                case, again = rng.choice(some).changed(seed=self._seed()), False
            change = "" if rng.random() < 0.7 else rng.choice(self.changes)
            step = self.step(case, rng.choice(chosen), change, again=again)
            yield step

    def counting(self, length: int, some: Sequence[Any]) -> list[Step]:
        """Draw the steps of a course of few cases and values, of both functions."""
        rng = self.rng
        return [
            self.step(other_values(rng.choice(some), rng.randrange(_FEW_VALUES)), function)
            for function in rng.choices(FUNCTIONS, k=length)
        ]

    def _seed(self) -> int:
        """Give a seed of few, so that values come again, or of many, so that they do not.

        Every other one makes values of the kind that the case has.
        """
        number = self.rng.randrange(self.rng.choice((2, 40)))
        return number if self.rng.random() < 0.5 else other_values(self.case, number).seed

    def _near(self, course: Sequence[Step]) -> list[Step]:
        """Give a course in which something was wrong, with one call more, less or otherwise."""
        rng, steps = self.rng, list(course)
        at, way = rng.randrange(len(steps)), rng.randrange(4)
        one = steps[at]
        if way == 0 and len(steps) > 1:
            del steps[at]
        elif way == 1:
            steps.insert(at, rng.choice(steps))
        elif way == 2:
            case = one.case.changed(seed=self._seed())
            steps[at] = self.step(case, one.function, one.change, again=one.again)
        else:
            case = rng.choice(self.cases).changed(seed=self._seed())
            steps[at] = self.step(case, one.function, one.change)
        return steps

    def step(self, case: Any, function: str, change: str = "", *, again: bool = False) -> Step:
        """Make a step."""
        return Step(case, function, self._made(case, change)[0], change, again)

    def otherwise(self, seed: int) -> "Courses":
        """Give courses drawn otherwise, some near those in which something was wrong.

        On other values: a rare fault is to be among them, and what was asked is not asked again.
        """
        found = Courses(self.judged, self.case, seed)
        for course in self.rng.sample(self.wrong, min(_NEAR, len(self.wrong))):
            changed = (one.case.changed(seed=one.case.seed + _OTHER_VALUES) for one in course)
            found.wrong.append(
                [
                    found.step(case, one.function, one.change, again=one.again)
                    for case, one in zip(changed, course, strict=True)
                ]
            )
        return found

    def _made(self, case: Any, change: str) -> tuple[Values, Any]:
        key = case.token, change
        if key not in self._known:
            kind = self.judged.kind
            values = kind.values(case, kind.bits(case, self.judged.capabilities))
            if change:
                known = (name for name in _CHANGED if name in values)
                changed = {name: CHANGES[change](values[name]) for name in known}
                values = values | (changed if change != "NaN" else {"x": changed["x"]})
            self._known[key] = values, expected(self.judged, case, values)
        return self._known[key]

    def walk(self, steps: Iterator[Step]) -> Iterator[tuple[list[Step], Step, Verdict]]:
        """Make the calls on an implementation made anew; give each with what came before."""
        self.judged.host.anew()
        past: list[Step] = []
        for drawn in steps:
            due = self._made(drawn.case, drawn.change)[1]
            alike = bool(past) and drawn.again and _alike(past[-1], drawn)
            step = replace(drawn, place=past[-1].place if alike else len(past) + 1)
            found = verdict(
                self.judged, step.case, step.values, step.function, due, again=step.again
            )
            yield past, step, found
            past.append(step)


def usable(judged: Judged, case: Any) -> Any:
    """Give a case whose batch can be changed, and on which values show where they come from."""
    recipes = judged.kind.recipes
    if recipes[case.recipe].certifies and "integers" in recipes:
        few = on_integers(case)
        # It has as many samples as impulses: of many calls fewer have to do.
        case = few.changed(batch=min(few.batch, _MOST_SAMPLES))
    if case.batch == 0:
        one, two = case.changed(batch=1), case.changed(batch=2)
        case = one if judged.kind.askable(one, judged.capabilities) else two
    # Multiples: what depends on a size at least so large, or on a divisor of it, still does.
    high, wide = (
        size if size > _TINY else (_TINY + 1) * size for size in (case.height, case.width)
    )
    large = case.changed(height=high, width=wide)
    return large if judged.kind.askable(large, judged.capabilities) else case


def variants(judged: Judged, case: Any) -> list[Any]:
    """Give the case, and cases that differ in one thing that state may depend on."""
    kind, claimed = judged.kind, judged.capabilities
    part = getattr(case, case.part)
    names = {one.name for one in fields(part)}
    found = [case, case.changed(batch=max(1, case.batch) + 1), kind.enlarged(case, (5, 4), claimed)]
    found += [case.changed(dtype=name) for name in claimed.dtypes if name != case.dtype][:2]
    # Where the case is as small as can be, what is wrong is right on less.
    found += [kind.plain(claimed).changed(dtype=case.dtype)]
    if "group_layout" in names:
        found += [case.changed(group_layout=one) for one in ("blocked", "interleaved")]
    if "padding" in names:
        found += [case.changed(padding=one) for one in (((1, 0), (2, 0)), ((0, 1), (0, 2)))]
        if hasattr(part, "axes"):
            # As large a padded image, with the image elsewhere in it.
            both = [(axis.before, axis.after) for axis in part.axes(case.size)]
            moved = tuple((before + (after > 0), after - (after > 0)) for before, after in both)
            found += [case.changed(padding=one) for one in (tuple(both), moved)]
    if "dilation" in names and np.prod(part.taps) > 1:
        found += [case.changed(dilation=one) for one in ((2, 2), (1, 2))]
    if getattr(claimed, "empty_batch", False):
        found.append(case.changed(batch=0))
    found = [getattr(one, "large_enough", one) for one in found]
    unique = dict.fromkeys(one for one in found if kind.askable(one, claimed))
    if getattr(claimed, "compiles", False):
        return list(unique)[:3]
    return list(unique)


def repeated(courses: Courses, case: Any, function: str, number: int) -> Iterator[Step]:
    """The same call with few values, so many times."""
    steps = [courses.step(other_values(case, seed), function) for seed in range(_FEW_VALUES)]
    return itertools.islice(itertools.cycle(steps), number)
