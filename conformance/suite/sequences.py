"""Calls in turn: state machines whose every answer is that of a call that stands alone.

A machine is a state, what was asked and answered before, and a list of steps. Each course takes
every step once, in an order that is drawn: what is rare in pairs of calls is not left to luck, and
the order is. They are drawn as cases are, so that the seed and the name of the check repeat them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from conformance.cases.case import Array
from conformance.cases.views import transposed
from conformance.judging.checks import check
from conformance.judging.judge import Judge

SIZES = ("small", "network")
# Steps of a course of functions that there may be or not, whose operands are twice as many.
_FEW = 10
Values = dict[str, Array]


@check("FWD-5", "LAY-17", "GRD-11", size=SIZES)
def values_in_turn(judge: Judge, draw: Any, size: str) -> None:
    """Operands that agree in all but a little, in new memory and in that of the call before."""
    case = draw_case(judge, draw, size)
    values, at = judge.values(case), draw(st.integers(0, 2**20))
    _ValuesInTurn(judge, case, values, at).take(draw)


@check("FWD-5", "LAY-17", "GRD-11", size=SIZES)
def calls_in_turn(judge: Judge, draw: Any, size: str) -> None:
    """A call, and again after each of what may come between: the same bits, if so claimed."""
    case = draw_case(judge, draw, size)
    modes = judge.kind.modes(judge.claimed)
    _CallsInTurn(judge, case.changed(**draw(st.sampled_from(modes)))).take(draw)


def draw_case(judge: Judge, draw: Any, size: str) -> Any:
    """Draw a case of any geometry on a small image, or one of a shape that networks have."""
    if size == "small":
        return draw(judge.cases())
    pools: tuple[Any, ...] = (range(999), (2, 1), (2, 1), (13, 6))
    seed, batch, groups, side = (draw(st.sampled_from(pool)) for pool in pools)
    if judge.claimed.compiles:
        batch, groups, side = 2, 2, 13
    wide = judge.plain(batch=batch, groups=groups, members=16, seed=seed)
    return judge.enlarged(wide, (side, 13))


class _Machine(ABC):
    """A state, and steps that are all taken, in an order that is drawn."""

    judge: Judge

    @abstractmethod
    def steps(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Give the steps with their words."""

    def take(self, draw: Any) -> None:
        """Take every step."""
        __tracebackhide__ = True
        for words, step in draw(st.permutations(list(self.steps())))[: self.most]:
            self.step(words, step)

    @property
    def most(self) -> int | None:
        """How many steps are taken: all, but for a few of functions that there may be or not."""
        return _FEW if self.judge.further else None

    @abstractmethod
    def step(self, words: str, step: Callable[[], Any]) -> None:
        """Take one step."""


class _ValuesInTurn(_Machine):
    """The state is the operands of the first call, which each step changes a little."""

    def __init__(self, judge: Judge, case: Any, values: Values, at: int) -> None:
        self.judge, self.case, self.values, self.at = judge, case, values, at
        judge.check(case, values=values)

    def steps(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        kinds = self.judge.kind.operands_of(self.values)
        for words, change in _CHANGES.items():
            for number, names in enumerate(kinds):
                if change is _negated and "moving_variance" in names:
                    # A variance cannot be negative.
                    continue
                again = (number + self.at) % 2 == 0
                where = ", in the same memory" if again else ""
                said = f"{', '.join(names[:3])} {words}{where}"
                yield said, partial(self._changed, change, names, again=again)
        yield "the first operands again", partial(self._ask, self.values)
        other = self.judge.values(self.case.changed(seed=self.case.seed + 1))
        yield "other operands", partial(self._ask, other)

    def step(self, words: str, step: Callable[[], Any]) -> None:
        __tracebackhide__ = True
        self.words = words
        step()

    def _changed(self, change: Any, names: tuple[str, ...], *, again: bool) -> None:
        __tracebackhide__ = True
        changed = {name: change(self.values[name], self.at) for name in names}
        if again:
            # So that the operands of the call before are those that are changed.
            self.judge.run(self.case, self.values, again=True)
        self._ask(self.values | changed, again=again)

    def _ask(self, values: Values, *, again: bool = False) -> None:
        __tracebackhide__ = True
        self.judge.check(self.case, values=values, again=again, course=self.words)


def _turned(array: Array, _: int) -> Array:
    return np.flip(array).copy()


def _exchanged(array: Array, at: int) -> Array:
    """Exchange two entries that are not the first, if there are so many."""
    flat = array.copy().reshape(-1)
    if flat.size > 2:
        one, other = 1 + at % (flat.size - 1), 1 + (at // 7) % (flat.size - 1)
        flat[[one, other]] = flat[[other, one]]
    return flat.reshape(array.shape)


def _negated(array: Array, at: int) -> Array:
    """Negate one entry that is not zero, if there is one."""
    flat = array.copy().reshape(-1)
    there = np.flatnonzero(flat)
    if there.size:
        one = there[at % there.size]
        flat[one] = -flat[one]
    return flat.reshape(array.shape)


def _turned_at_the_end(array: Array, _: int) -> Array:
    """Turn what comes after the first kilobyte, or the second half of what is shorter."""
    flat = array.copy().reshape(-1)
    first = min(1024 // array.itemsize, flat.size // 2)
    flat[first:] = flat[first:][::-1].copy()
    return flat.reshape(array.shape)


_CHANGES: dict[str, Callable[[Array, int], Array]] = {
    "of the same values in another order": _turned,
    "of the same sum": _exchanged,
    "but for one value": _negated,
    "of the same first kilobyte": _turned_at_the_end,
}


class _CallsInTurn(_Machine):
    """The state is a call and its answer; after each step it is asked again."""

    def __init__(self, judge: Judge, case: Any) -> None:
        self.judge, self.case, self.values = judge, case, judge.values(case)
        judge.overwritten.clear()
        self.first = judge.check(case, values=self.values)

    def steps(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        judge, case, run = self.judge, self.case, self.judge.run
        claimed, kind = judge.claimed, judge.kind
        yield "other values", partial(run, case, judge.values(case.changed(seed=1000)))
        yield "forward alone", partial(run, case, functions=("forward",))
        if claimed.backward:
            yield "backward alone", partial(run, case, functions=("backward",))
        nan = self.values | {"x": np.full_like(self.values["x"], np.nan)}
        yield "an image of NaN", partial(run, case, nan)
        if claimed.memory:
            seen = {name: transposed(array) for name, array in self.values.items()}
            yield "operands in another order in memory", partial(run, case, seen)
        if claimed.validates:
            yield "a call that it refuses", self._refused
        for mode in kind.modes(claimed):
            said = ", ".join(f"{name}={value}" for name, value in mode.items())
            yield f"another call {said}".rstrip(), partial(run, judge.plain(seed=case.seed, **mode))
        others = {
            "no samples": case.changed(batch=0),
            "one sample": case.changed(batch=1),
            "a larger call": judge.enlarged(
                judge.plain(batch=case.batch + 1, members=9), (case.height + 3, case.width + 4)
            ),
            **{name: case.changed(dtype=name) for name in claimed.dtypes if name != case.dtype},
        }
        # Each is traced or compiled, where that is dear.
        for words, other in list(others.items())[: 1 if claimed.compiles else None]:
            if kind.askable(other, claimed):
                yield words, partial(run, other)

    def step(self, words: str, step: Callable[[], Any]) -> None:
        __tracebackhide__ = True
        judge = self.judge
        step()
        changed = ", ".join(dict.fromkeys(judge.overwritten))
        judge.expect(self.case, not changed, f"{changed} was overwritten by a later call")
        course, blame = f"again, after {words}", judge.record.clauses[:1]
        again = judge.run(self.case, self.values)
        if judge.claimed.deterministic:
            differ = [n for n, one in self.first.items() if again[n].tobytes() != one.tobytes()]
            judge.expect(self.case, not differ, f"{course}: {', '.join(differ)} differs")
        else:
            got = {name: again[name] for name in self.first}
            judge.compare(self.case, self.values, got, blame=blame, course=course)

    def _refused(self) -> None:
        __tracebackhide__ = True
        judge, kind = self.judge, self.judge.kind
        wrong = self.values | {"x": self.values["x"][0]}
        judge.refuses(self.case, "forward", *kind.arguments("forward", self.case, wrong))
