"""Finds which step of a layer is another one, and which derivative, from what was seen.

The forward pass is found first, then the moving statistics, then the gradients: these are held
against the derivative of the forward pass that was found, not of the one that is due. Whether it is
true is not tested here.
"""

import contextlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.cases.case import Array, Floats
from conformance.cases.layer import LayerCase
from conformance.diagnosis.conditions import ALWAYS, Condition
from conformance.diagnosis.fitting import fitted
from conformance.diagnosis.guesses import guesses
from conformance.diagnosis.layers import gradients as steps
from conformance.diagnosis.layers.alternatives import Alternative, Numbers, all_of
from conformance.diagnosis.layers.asking import LayerAsking, SeenLayer, numbers_of
from conformance.diagnosis.layers.kernels import (
    operator_case,
    operator_gradients,
    operators,
)
from conformance.diagnosis.layers.model import FORWARD, LayerModel, Run
from conformance.diagnosis.layers.moving import moving
from conformance.diagnosis.layers.readings import read_gradient, read_numbers, read_operator
from conformance.diagnosis.learning import learned
from conformance.diagnosis.model import RIGHT, Part
from conformance.diagnosis.parts import various
from conformance.diagnosis.readings import Reading
from conformance.diagnosis.sentences import of_part
from refimpl.layer import STATISTICS

# Wrong cases that alternatives are held against, and alternatives that are put together.
_HELD, _PAIRED = 24, 110
# Wrong and right cases whose operator is read at a time.
_READ_OFF, _READ_RIGHT = 6, 3
# How often what contradicts formulas of the operator is read.
_ROUNDS = 3
# Forward passes that are alike whose gradients are looked for.
_TRIED = 5
# Beginnings of gradients: of the forward pass that was found, of its values, of the due one.
CONSISTENT, VALUES, APART = "consistent", "values", "apart"


@dataclass(frozen=True)
class Found:
    """What a layer computes, as far as it was found.

    Attributes
    ----------
    forward, moving, backward : tuple of Alternative
        What stands in the place of due steps; None where nothing was found that fits.
    gradients : str
        What the gradients are the derivatives of.
    when : Condition
        In which cases.
    """

    forward: tuple[Alternative, ...] | None = ()
    moving: tuple[Alternative, ...] | None = ()
    backward: tuple[Alternative, ...] | None = ()
    gradients: str = CONSISTENT
    when: Condition = ALWAYS

    @property
    def whole(self) -> bool:
        """Whether it tells what every result is."""
        return None not in (self.forward, self.moving, self.backward)

    @property
    def nothing(self) -> bool:
        """Whether it is the due layer."""
        return not (self.forward or self.moving or self.backward) and self.gradients != VALUES

    def tells(self, name: str) -> bool:
        """Whether it tells what a result is."""
        part = self.backward if name.startswith("d") else self.forward
        return (self.moving if name in STATISTICS else part) is not None

    def foretold(self, one: SeenLayer) -> dict[str, Floats]:
        """Foretell what was seen; NaN for all that does not go with its configuration."""
        try:
            return self(one.case, one.values)
        except ValueError:
            return {name: np.full(due.value.shape, np.nan) for name, due in one.due.items()}

    def __call__(self, case: LayerCase, values: Mapping[str, Array]) -> dict[str, Floats]:
        """Foretell every result, whatever the case."""
        steps = all_of([*(self.forward or ()), *(self.moving or ())])
        if self.gradients != CONSISTENT:
            steps = {name: step for name, step in steps.items() if not name.endswith("'")}
        steps |= all_of(self.backward or ())
        model = LayerModel(steps)
        run = model.forward(case, values)
        found = {"y": run.y, "kernel": run.kernel, **model.moving(run)}
        if self.gradients == APART:
            apart = LayerModel(all_of(self.backward or ()))
            return found | apart.backward(apart.forward(case, values))
        return found | model.backward(run)


class Search:
    """Finds what fits everything that was seen."""

    def __init__(self, asking: LayerAsking) -> None:
        self.asking = asking
        # Of no samples there are no statistics.
        answered = [one for one in asking.seen if not one.raised and one.case.batch]
        answered.sort(key=lambda one: (numbers_of(one.case)["products"], one.case.token))
        self.off = [one for one in answered if any(one.wrong.values())]
        self.right = [one for one in answered if not any(one.wrong.values())][:_HELD]
        self.numbers = Numbers()

    def run(self) -> Found:
        """Find the forward pass, the moving statistics, the gradients and the condition."""
        if not self.off:
            return Found(None, None, None, APART)
        self.numbers = read_numbers(self.asking, self.off[0].case)
        names = tuple(name for name in FORWARD if name in self.off[0].due)
        fits = self._forward(names)
        if not fits:
            # Gradients of a forward pass that is not known are right, or not known.
            unknown = any(self._wrong(one, _gradients) for one in self.off)
            still = any(self._wrong(one, _moving) for one in self.off)
            return self._confined(
                Found(None, None if still else (), None if unknown else (), APART)
            )
        # What is alike in the forward pass may differ in what is derived of it.
        found = [self._completed(forward) for forward in fits[:_TRIED]]
        return self._confined(next((one for one in found if one.whole), found[0]))

    def _completed(self, forward: tuple[Alternative, ...]) -> Found:
        """Find the moving statistics and the gradients that go with a forward pass."""
        found = Found(forward=forward)
        found = replace(found, moving=self._moving(found))
        return self._backward(found)

    def _wrong(self, one: SeenLayer, names: Any) -> bool:
        return any(one.wrong[name] for name in names(one))

    def _fits(self, found: Found, seen: Sequence[SeenLayer], names: Any) -> bool:
        """Whether results of all cases are as foretold."""
        told = 0
        for one in seen:
            with contextlib.suppress(ValueError):
                foretold = found(one.case, one.values)
                if all(one.near(name, foretold[name]) for name in names(one)):
                    told += _finite(foretold, names(one))
                    continue
            # Steps may not even go together.
            return False
        # What is NaN foretells nothing.
        return 2 * told >= len(seen)

    def _forward(self, names: Sequence[str]) -> list[tuple[Alternative, ...]]:
        """List the forward passes that fit, the likeliest first."""

        def of(one: SeenLayer) -> list[str]:
            return [name for name in names if name in one.due]

        off = [one for one in self.off if self._wrong(one, of)]
        if not off:
            return [()]
        found = self._single(off, of)
        if not found and not any(one.wrong.get("kernel") for one in off):
            self._read_operator(off, of)
            found = self._single(off, of)
        return found or self._pair(off, of)

    def _single(self, off: Sequence[SeenLayer], names: Any) -> list[tuple[Alternative, ...]]:
        """Give the alternatives that fit; those first that right cases contradict least."""
        fits = [
            (one,)
            for one in steps.forward(self.numbers)
            if self._fits_forward((one,), _sample(off), names)
        ]
        against = [
            sum(not self._fits_forward(chosen, [one], names) for one in self.right)
            for chosen in fits
        ]
        ordered = sorted(zip(against, fits, strict=True), key=lambda one: (one[0], one[1][0].cost))
        return [chosen for count, chosen in ordered if count == ordered[0][0]]

    def _pair(self, off: Sequence[SeenLayer], names: Any) -> list[tuple[Alternative, ...]]:
        """Give the first two alternatives that fit together."""
        listed = steps.forward(self.numbers)[:_PAIRED]
        for chosen in itertools.combinations(listed, 2):
            if not self.asking.left(0.45):
                return []
            if chosen[0].slots & chosen[1].slots:
                continue
            if self._fits_forward(chosen, _sample(off), names):
                return [chosen]
        return []

    def _fits_forward(
        self, chosen: Sequence[Alternative], seen: Sequence[SeenLayer], names: Any
    ) -> bool:
        model, told = LayerModel(all_of(chosen)), 0
        for one in seen:
            with contextlib.suppress(ValueError):
                run = model.forward(one.case, one.values)
                if all(one.near(name, run.values[name]) for name in names(one)):
                    told += _finite(run.values, names(one))
                    continue
            return False
        return 2 * told >= len(seen)

    def _read_operator(self, off: Sequence[SeenLayer], names: Any) -> None:
        """Fit formulas to which pixel each tap meets: the kernel is right."""
        readings = list[Reading]()
        chosen = [*_telling(off, _READ_OFF), *_telling(self.right, _READ_RIGHT)]
        for _ in range(_ROUNDS):
            for one in chosen:
                reading = read_operator(self.asking, one.case)
                known = (other.case for other in readings)
                if reading is not None and reading.case not in known:
                    readings.append(reading)
            part = fitted(readings) if readings else None
            if part is None or part == RIGHT:
                return
            words = "; ".join(of_part(part))
            self.numbers = replace(self.numbers, operators=((words, part),))
            found = next(operators(self.numbers, fixed=False))
            # What contradicts it is read too.
            chosen = [
                one for one in [*off, *self.right] if not self._fits_forward((found,), [one], names)
            ][:_READ_OFF]
            if not chosen or not self.asking.left(0.5):
                return

    def _moving(self, found: Found) -> tuple[Alternative, ...] | None:
        off = [one for one in self.off if not self._fits(found, [one], _moving)]
        if not off:
            return ()
        fits = [one for one in moving(self.numbers) if self._fits_moving(found, one, _sample(off))]
        if not fits:
            return None

        def contradicted(one: Alternative) -> tuple[int, float]:
            right = sum(not self._fits_moving(found, one, [seen]) for seen in self.right)
            return right, one.cost

        return (min(fits, key=contradicted),)

    def _fits_moving(self, found: Found, one: Alternative, seen: Sequence[SeenLayer]) -> bool:
        model = LayerModel(all_of([*(found.forward or ()), one]))
        for case in seen:
            with contextlib.suppress(ValueError):
                moved = model.moving(model.forward(case.case, case.values))
                if all(case.near(name, moved[name]) for name in moved):
                    continue
            return False
        return True

    def _backward(self, found: Found) -> Found:
        """Find the gradients: of this forward pass, of its values, or of the due one."""
        ways = [found]
        if found.forward:
            ways += [replace(found, gradients=way) for way in (VALUES, APART)]
        for way in ways:
            # Of statistics of one pixel nothing flows back: all are asked, not the smallest alone.
            if self._fits(way, self.off, _gradients):
                return way
        for way in ways:
            leaves = self._leaves(way)
            if leaves is not None:
                return replace(way, backward=leaves)
            single = self._one_derivative(way, steps.backward(self.numbers))
            if single is not None:
                return single
        read = [one for one in (self._read_gradients(found),) if one is not None]
        # Where no map can be read, programs of the operator are tried as they are.
        for listed in (read, _guessed("dx"), _guessed("dkernel")):
            single = self._one_derivative(found, listed) if listed else None
            if single is not None:
                return single
        return replace(found, backward=None)

    def _read_gradients(self, found: Found) -> Alternative | None:
        """Fit formulas to which outputs and pixels meet in the operator's gradients."""
        off = [one for one in self.off if not self._fits(found, [one], _gradients)]
        chosen = [*_telling(off, _READ_OFF), *_telling(self.right, _READ_RIGHT)]
        readings: dict[str, list[Reading]] = {"dx": [], "dkernel": []}
        made: Alternative | None = None
        for _ in range(_ROUNDS):
            parts = dict[str, Part]()
            for name, known in readings.items():
                read = (read_gradient(self.asking, one.case, name) for one in chosen)
                known += [one for one in read if one is not None and len(one.columns["n"])]
                part = fitted(known, tuple(parts.values())) if known else None
                if part is not None and part != RIGHT:
                    parts[name] = part
            if not parts:
                break
            words = "; ".join(
                f"{name}: {line}" for name, part in parts.items() for line in of_part(part)
            )
            made = operator_gradients(parts, words)
            now = replace(found, backward=(made,))
            # What contradicts it is read too.
            against = [
                one for one in (*off, *self.right) if not self._fits(now, [one], lambda _: ["dx"])
            ]
            chosen = _telling(against, _READ_OFF)
            if not chosen or not self.asking.left(0.5):
                break
        return made

    def _one_derivative(self, way: Found, listed: Sequence[Alternative]) -> Found | None:
        off = _sample([one for one in self.off if not self._fits(way, [one], _gradients)])
        fits, near = [], []
        for one in listed:
            if len(listed) > 1 and not self.asking.left(0.55):
                break
            now = replace(way, backward=(one,))
            if self._fits(now, off, _gradients):
                fits.append(now)
            elif self._fits(now, off, lambda _: ["dx"]):
                near.append(now)
        if fits:

            def contradicted(now: Found) -> tuple[int, float]:
                right = sum(not self._fits(now, [one], _gradients) for one in self.right)
                return right, sum(one.cost for one in now.backward or ())

            return min(fits, key=contradicted)
        for now in near:
            leaves = self._leaves(now)
            if leaves is not None:
                return replace(now, backward=(*(now.backward or ()), *leaves))
        return None

    def _leaves(self, way: Found) -> tuple[Alternative, ...] | None:
        """Find how each wrong gradient of a parameter is summed, if that is all that is wrong."""
        off = _sample(self.off)
        try:
            foretold = [way(one.case, one.values) for one in off]
        except ValueError:
            return None
        wrong = dict.fromkeys(
            name
            for one, values in zip(off, foretold, strict=True)
            for name, value in values.items()
            if name.startswith("d") and not one.near(name, value)
        )
        if "dx" in wrong:
            return None
        chosen = []
        for name in wrong:
            affected = [one for one in off if name in one.due and not self._fits(
                way, [one], lambda _, name=name: [name])]  # fmt: skip
            fits: list[tuple[int, float, int, Alternative]] = []
            for one in steps.leaves(name):
                now = replace(way, backward=(*(way.backward or ()), one))
                if self._fits(now, affected, lambda _, name=name: [name]):
                    fits.append((self._against(now, name), one.cost, len(fits), one))
            if not fits:
                return None
            chosen.append(min(fits)[3])
        return tuple(chosen)

    def _against(self, now: Found, name: str) -> int:
        return sum(
            name in one.due and not self._fits(now, [one], lambda _: [name])
            for one in self.right
        )  # fmt: skip

    def _confined(self, found: Found) -> Found:
        """Confine it to the cases in which it holds, if it does not always."""
        if found.nothing:
            return found

        known: dict[int, bool] = {}

        def held(one: Any) -> bool:
            # It is asked again and again.
            if id(one) not in known:
                known[id(one)] = as_foretold(one, found)
            return known[id(one)]

        answered = [one for one in self.asking.seen if not one.raised and one.case.batch]
        if all(held(one) for one in answered):
            return found
        conditions = learned(
            self.asking, "", lambda one: any(one.wrong.values()), lambda one: not held(one)
        )
        return replace(found, when=conditions[0]) if conditions else found


def _guessed(result: str) -> list[Alternative]:
    """Give gradients of the operator that one result differs in."""
    return [
        operator_gradients({result: part}, f"{result}: {'; '.join(of_part(part))}")
        for part in guesses()
    ]


def _finite(foretold: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Tell whether something of each result is a number."""
    return all(np.isfinite(foretold[name]).any() or not foretold[name].size for name in names)


def _sample(seen: Sequence[SeenLayer]) -> list[SeenLayer]:
    """Give some of many: the smallest, and as many of all sizes."""
    few = _HELD // 2
    rest = seen[few:]
    step = max(1, -(-len(rest) // (_HELD - few)))
    return [*seen[:few], *rest[::step]]


def _telling(seen: Sequence[SeenLayer], most: int) -> list[SeenLayer]:
    """Choose cases whose operator tells much: of several outputs and taps, and various ones."""
    own = sorted(seen, key=lambda one: min(one.case.grid) < 2 or one.case.geometry.taps < 2)
    return various(own, most, lambda one: operator_case(Run(one.case, {})))


def _gradients(one: SeenLayer) -> list[str]:
    return [name for name in one.due if name.startswith("d")]


def _moving(one: SeenLayer) -> list[str]:
    return [name for name in one.due if name in STATISTICS]


def as_foretold(one: SeenLayer, found: Found, *, refused: bool = False) -> bool:
    """Whether every result that is told of is as foretold, whatever the condition.

    `refused`: what is wrong must also be foretold to be wrong, however wide the bound.
    """
    foretold = found.foretold(one)
    told = [name for name in one.due if found.tells(name)]
    if not all(one.near(name, foretold[name]) for name in told):
        return False
    return not refused or all(one.off(name, foretold[name]) for name in told if one.wrong[name])
