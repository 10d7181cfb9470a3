"""What is given in the place of an answer that depends on the calls before: a table.

Each line says what comes, of the calls before and the call: an earlier answer, the answer to an
operand or the options of an earlier call, a sum of answers, zeros. Which line gives what came is
found here, and whether it gives right answers too; when it does so, `history` learns.
"""

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.bounds.expected import Expected
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.diagnosis.courses import BUT, KEYS, Past, Step, known
from conformance.diagnosis.observing import Observed, results_of
from conformance.diagnosis.verdicts import expected
from conformance.diagnosis.workspaces import workspaces
from conformance.judging.examine import compare

# Wrong calls that a line has to give before it is held against more.
_CHECKED = 8
# Of the keys so many are those of a part of an answer too.
_WHOLE = 6
# What is alike in calls whose answers are added up.
_ADDED = ("its shapes", "its shapes and format", "any kind")
# Options that leave the shapes as they are.
_FREE = ("group_layout",)
# Calls on which what is given instead is tried, and the share of them that it must give.
_SAMPLE, _MOSTLY = 100, 0.95

# What may come in the place of an answer: from the calls before, the call, and a judge of cases.
Foreign = Callable[[Judged, Past, Step], Mapping[str, Expected] | None]


def _answer(*where: Any) -> Foreign:
    def give(judged: Judged, past: Past, now: Step) -> Mapping[str, Expected] | None:
        one = known(past, now, now.function, *where)
        return expected(judged, one.case, one.values) if one else None

    return give


def _operand(name: str, *where: Any) -> Foreign:
    def give(judged: Judged, past: Past, now: Step) -> Mapping[str, Expected] | None:
        one = known(past, now, *where)
        if one is None or name not in one.operands:
            return None
        if one.values[name].shape != now.values[name].shape:
            return None
        foreign = one.values[name].astype(now.values[name].dtype)
        return expected(judged, now.case, {**now.values, name: foreign})

    return give


def _weights(*where: Any) -> Foreign:
    def give(judged: Judged, past: Past, now: Step) -> Mapping[str, Expected] | None:
        one = known(past, now, *where)
        # An operator has one, its kernel.
        names = [name for name in now.values if name not in {"x", "dy"}]
        if one is None or "kernel" in names:
            return None
        made = {name: one.values.get(name, now.values[name]) for name in names}
        if any(made[name].shape != now.values[name].shape for name in names):
            return None
        dtype = now.values["x"].dtype
        made = {name: array.astype(dtype) for name, array in made.items()}
        return expected(judged, now.case, {**now.values, **made})

    return give


def _options(*where: Any) -> Foreign:
    def give(judged: Judged, past: Past, now: Step) -> Mapping[str, Expected] | None:
        one = known(past, now, *where)
        if one is None or one.shapes != now.shapes:
            return None
        return expected(judged, one.case.changed(dtype=now.case.dtype), now.values)

    return give


def _option(name: str, *where: Any) -> Foreign:
    def give(judged: Judged, past: Past, now: Step) -> Mapping[str, Expected] | None:
        one = known(past, now, *where)
        part = getattr(one.case, one.case.part) if one else None
        if not hasattr(part, name):
            return None
        return expected(judged, now.case.changed(**{name: getattr(part, name)}), now.values)

    return give


def _added(judged: Judged, past: Past, now: Step) -> Mapping[str, Expected] | None:
    """The sum of this answer and the one before, as values that may be rounded once more."""
    own = [one for one in past if one.function == now.function]
    if not own:
        return None
    return _summed(judged, [own[-1], now])


def _summed(judged: Judged, steps: Sequence[Step]) -> Mapping[str, Expected]:
    """Add the answers of calls to that of the last one, each rounded to the format of that."""
    now = steps[-1]
    unit = float(FORMATS[now.case.dtype].unit_roundoff)
    own, total = dict(expected(judged, now.case, now.values)), dict[str, Expected]()
    for step in steps:
        kept = own if step is now else expected(judged, step.case, step.values)
        for name, due in own.items():
            # What has another shape was not kept for it.
            if due.value.shape == kept[name].value.shape:
                before = total.get(name, Expected(0 * due.value, 0 * due.bound))
                value = before.value + kept[name].value
                # What is kept is rounded, and so is the sum.
                rounded = unit * (np.abs(kept[name].value) + 2 * np.abs(value))
                total[name] = Expected(value, before.bound + kept[name].bound + rounded)
    return total


def _accumulated(of: Callable[[Step], Any], *, since: bool) -> Foreign:
    """The sum of this answer and those before of its function that are alike.

    All of them, or `since` another call, which clears what was added up.
    """

    def give(judged: Judged, past: Past, now: Step) -> Mapping[str, Expected] | None:
        alike = [one.function == now.function and of(one) == of(now) for one in past]
        last = max((n for n, is_alike in enumerate(alike) if not is_alike), default=-1)
        first = last + 1 if since else 0
        own = [past[n] for n in range(first, len(past)) if alike[n]]
        return _summed(judged, [*own, now]) if own else None

    return give


def _zero(judged: Judged, past: Past, now: Step) -> Mapping[str, Expected] | None:  # noqa: ARG001
    due = expected(judged, now.case, now.values)
    return {name: Expected(one.value * 0, one.bound * 0) for name, one in due.items()}


def _table() -> Iterator[tuple[str, Foreign]]:
    for number, key in enumerate(KEYS):
        for which, ordinal in ((0, "first"), (-1, "last")):
            yield f"it is the answer of the {ordinal} call of {key}", _answer(key, which)
            if number >= _WHOLE:
                continue
            for function, word in (("", ""), ("forward", "forward "), ("backward", "backward ")):
                where, said = (function, key, which), f"of the {ordinal} {word}call of {key}"
                for name in ("kernel", "x", "dy"):
                    yield f"it is computed with {name} {said}", _operand(name, *where)
                yield f"it is computed with the weights {said}", _weights(*where)
                yield f"it is computed with the options {said}", _options(*where)
                for name in _FREE:
                    yield f"it is computed with the {name} {said}", _option(name, *where)
    yield "the answer of the call before is added to it", _added
    for key, (since, calls) in itertools.product(
        _ADDED, ((False, "all calls before"), (True, "the calls just before"))
    ):
        words = f"the answers of {calls} of its function, of {key}, are added to it"
        yield words, _accumulated(KEYS[key], since=since)
    for key, (which, ordinal) in itertools.product(BUT, ((0, "first"), (-1, "last"))):
        for function, word in (("", ""), ("forward", "forward "), ("backward", "backward ")):
            words = f"it is computed with the options of the {ordinal} {word}call of {key}"
            yield words, _options(function, key, which)
    yield "zeros are given", _zero
    yield from workspaces()


# What may be given in the place of an answer, the simplest first.
INSTEAD: Mapping[str, Foreign] = dict(_table())


def instead_of(judged: Judged, seen: Sequence[Observed], stop: float) -> tuple[str, bool]:
    """Find what is given in the place of the answer in every wrong call; and in right ones.

    What is given in all of them is a program that needs no condition.
    """
    wrong = [one for one in seen if wrong_values(judged, one)]
    values = {name for one in wrong for name in wrong_values(judged, one)}
    few = wrong[:_CHECKED]
    found = [
        words
        for words in INSTEAD
        if few and time.perf_counter() < stop and all(gives(judged, one, words) for one in few)
    ]
    # Of those that give the wrong answers the one that gives most of all.
    sample = [*wrong[-_SAMPLE:], *[one for one in seen if not one.labels][-_SAMPLE:]]
    best, least = "", len(sample) + 1
    for words in found:
        misses = 0
        for one in sample:
            if time.perf_counter() > stop:
                # What was not held against all of them is not said to hold alone.
                return best or words, False
            misses += not computes(judged, one, words, values)
            if misses > least or (misses == least and not _finer(words, best)):
                # It gives less than another one does, or no more.
                break
        else:
            # Of two that give as much the one that knows a call by more.
            best, least = words, misses
    return best, bool(best) and least <= (1 - _MOSTLY) * len(sample)


def _finer(words: str, other: str) -> bool:
    """Tell whether a line of the table is another one with more of a key."""
    return words.startswith(other) and words != other


def wrong_values(judged: Judged, one: Observed) -> list[str]:
    """Name the results whose values are wrong."""
    return results_of(one.labels, judged.kind.first_order)


def gives(judged: Judged, one: Observed, words: str) -> bool:
    """Tell whether the wrong values of a call are what a line of the table says."""
    return computes(judged, one, words, wrong_values(judged, one))


def computes(judged: Judged, one: Observed, words: str, names: Collection[str]) -> bool:
    """Tell whether values of these names are what a line of the table says; others the due ones.

    Of right calls too: a program says more than what is given where something is wrong.
    """
    past, step, found = one.about
    results = found.answer.results
    foreign = INSTEAD[words](judged, past, step) or found.due
    format_ = judged.capabilities.arithmetic(step.case.dtype).result
    return bool(results) and all(
        name in foreign
        and foreign[name].value.shape == array.shape
        and compare(array, (foreign if name in names else found.due)[name], format_)[1] is None
        for name, array in results.items()
    )
