"""What has to come before a call so that it is wrong, and the implementation with it put before.

A fault that needs other calls before it is two things: what has to come before, and what is wrong
then. Calls that bring it about are looked for in a table; with them before each call, what is wrong
is steady, and is explained as if it were alone. That the calls before are remembered by their
values, so that an answer is stale, is for `history` to say; nothing is explained here.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.diagnosis.answers import Question
from conformance.diagnosis.verdicts import expected, verdict
from conformance.judging.ask import call_of
from conformance.judging.kind import FUNCTIONS
from conformance.worker.host import Call, Reply

# Calls after which a count shows.
_COUNTED = 26
# Pixels along each axis of an image that has to be claimed where larger ones are to come before.
_LARGE = 97
# How often what comes before must bring it about.
_TRIES = 2


@dataclass(frozen=True)
class Prelude:
    """Calls that come before a call.

    Attributes
    ----------
    words : str
        What they are.
    calls : callable
        Gives them, of the call that is to come.
    once : bool
        They come before the first call only: what they bring about stays.
    counts : bool
        It is their number that matters.
    """

    words: str
    calls: Callable[[Call], Sequence[Call]]
    once: bool = False
    counts: bool = False


class Prepared:
    """A host that is made anew before each call, and makes other calls first.

    Parameters
    ----------
    host : Host or Program
        Who is asked.
    prelude : Prelude
        What comes first.
    """

    def __init__(self, host: Any, prelude: Prelude) -> None:
        self._host, self._prelude, self._begun = host, prelude, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def anew(self) -> None:
        """Begin anew."""
        self._host.anew()
        self._begun = False

    def call(self, call: Call) -> Reply:
        """Make the calls that come first, and this one."""
        if not (self._begun and self._prelude.once):
            self._host.anew()
            for one in self._prelude.calls(call):
                self._host.call(one)
            self._begun = True
        reply: Reply = self._host.call(call)
        return reply


def prepared(judged: Judged, prelude: Prelude) -> Judged:
    """Give an implementation with calls put before each of its own."""
    host: Any = Prepared(judged.host, prelude)
    return replace(judged, host=host)


def prelude_of(judged: Judged, failing: Any, stop: float = float("inf")) -> Prelude | None:
    """Find calls after which a case is wrong that is right without, whatever values they have.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What is right or wrong, as the calls before it are.
    stop : float
        When to end, as `time.perf_counter` counts: to be made anew may take long.

    Returns
    -------
    Prelude or None
        None if nothing of the table brings it about, or if what comes back depends on their values.
    """
    for function in FUNCTIONS:
        if function == "backward" and not judged.capabilities.backward:
            continue
        if _wrong(judged, failing, function):
            # It is wrong without.
            continue
        for prelude in _table(judged, failing, function, stop):
            if time.perf_counter() > stop:
                return None
            other = prepared(judged, prelude)
            if all(_wrong(other, failing, function) for _ in range(_TRIES)):
                return prelude if _steady(judged, prelude, failing, function) else None
    return None


def _wrong(judged: Judged, case: Any, function: str) -> bool:
    """Tell whether a function of a case gives wrong values on an implementation made anew."""
    judged.host.anew()
    values = judged.kind.values(case, judged.kind.bits(case, judged.capabilities))
    found = verdict(judged, case, values, function)
    return bool(found.labels & set(judged.kind.first_order))


def _steady(judged: Judged, prelude: Prelude, case: Any, function: str) -> bool:
    """Tell whether the answer is the same when the calls before are on other values."""
    answers = []
    for seed in (0, 1):
        own = prepared(judged, replace(prelude, calls=_otherwise(prelude, seed)))
        answers.append(Question(own, case).ask(functions=(function,)))
    one, other = answers
    return all(
        isinstance(array, np.ndarray) and np.array_equal(array, other[name], equal_nan=True)
        for name, array in one.items()
    )


def _otherwise(prelude: Prelude, seed: int) -> Callable[[Call], Sequence[Call]]:
    def calls(call: Call) -> Sequence[Call]:
        return [_turned(one, seed) for one in prelude.calls(call)]

    return calls


def _turned(call: Call, places: int = 0) -> Call:
    """Give a call on other values: those of its operands, turned and rolled."""

    def turned(array: Array) -> Array:
        return np.roll(np.flip(array), places).copy() if array.size else array

    return replace(
        call, tensors={name: turned(array) for name, array in call.tensors.items()}, layouts={}
    )


def _cast(call: Call, dtype: str) -> Call:
    """Give a call on the same values in another format."""
    to = FORMATS[dtype].dtype
    with np.errstate(over="ignore", invalid="ignore"):
        tensors = {name: array.astype(to) for name, array in call.tensors.items()}
    return replace(call, tensors=tensors, layouts={})


def _otherwise_cast(call: Call, claimed: Any) -> Call:
    """Give a call on the same values in the first format that is not its own."""
    own = {array.dtype.name for array in call.tensors.values()}
    return _cast(call, next(one for one in claimed.dtypes if one not in own))


def _table(judged: Judged, failing: Any, function: str, stop: float) -> Iterator[Prelude]:
    """Give what may have to come before, the simplest first."""
    kind, claimed = judged.kind, judged.capabilities
    small = kind.plain(claimed).changed(dtype=failing.dtype)
    yield from _counts(judged, failing, small, function, stop)
    yield Prelude("a call of its shapes and options", lambda call: [_turned(call)])
    if len(claimed.dtypes) > 1:
        # Of the same shapes, so that it is about the format alone.
        yield Prelude("a call in another format", lambda call: [_otherwise_cast(call, claimed)])
    if kind.askable(kind.enlarged(small, (_LARGE, _LARGE), claimed), claimed):
        yield Prelude("a call on a larger image", _larger(judged, small))
    for name in FUNCTIONS:
        if name != function and claimed.backward:
            one = _call(judged, small, name)
            yield Prelude(f"a call of {name}", _always(one))


def _always(*calls: Call) -> Callable[[Call], Sequence[Call]]:
    return lambda _: calls


def _larger(judged: Judged, small: Any) -> Callable[[Call], Sequence[Call]]:
    """Give a call of as few pixels as are more in both directions, and more entries in all."""
    samples, _, _, channels = small.shapes["x"]
    made: dict[tuple[int, int], Call] = {}

    def calls(call: Call) -> Sequence[Call]:
        x = call.tensors["x"]
        wide = x.shape[2] + 1
        size = max(x.shape[1] + 1, x.size // (samples * wide * channels) + 1), wide
        if size not in made:
            large = judged.kind.enlarged(small, size, judged.capabilities)
            made[size] = _call(judged, large, "forward")
        return [made[size]]

    return calls


def _call(judged: Judged, case: Any, function: str) -> Call:
    kind = judged.kind
    values = kind.values(case, kind.bits(case, judged.capabilities))
    return call_of(judged, function, case, values, {})


def _counts(
    judged: Judged, failing: Any, small: Any, function: str, stop: float
) -> Iterator[Prelude]:
    """Give as many small calls as make the case wrong; once, if it is wrong from then on."""
    filler = _call(judged, small, "forward")
    values = judged.kind.values(failing, judged.kind.bits(failing, judged.capabilities))
    due = expected(judged, failing, values)
    wrong = set[int]()
    for first in (0, 1):
        # Odd calls are of the case, then even ones; the others are small.
        judged.host.anew()
        for number in range(1, _COUNTED + 1):
            if time.perf_counter() > stop:
                return
            if number % 2 == first:
                judged.host.call(filler)
                continue
            found = verdict(judged, failing, values, function, due)
            if found.labels & set(judged.kind.first_order):
                wrong.add(number)
    if not wrong:
        return
    least = min(wrong)
    calls = _always(*itertools.repeat(filler, least - 1))
    # A count does not mind which calls they were; what is about another image or format does.
    alike = Prelude(
        "", _always(*itertools.repeat(_turned(_call(judged, failing, function)), least - 1))
    )
    if not _wrong(prepared(judged, alike), failing, function):
        return
    later = set(range(least, _COUNTED + 1))
    if later <= wrong and least < _COUNTED:
        yield Prelude(f"{least - 1} calls", calls, once=True, counts=True)
    yield Prelude(f"{least - 1} calls", calls, counts=True)
