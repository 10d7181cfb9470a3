"""Explains what is wrong only where calls are made at once, in threads of one process.

Two or three calls are made at once, or one alone: calls of the same shapes or of others, with the
same values or others. What they have in common, where they are wrong, is what they share.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.claims.loading import Judged
from conformance.diagnosis.attributes import Row, yes
from conformance.diagnosis.observing import (
    Learned,
    Observed,
    attributes_of,
    counted,
    learn,
    put_to_test,
    results_of,
    shares,
    whens,
    with_chance,
)
from conformance.diagnosis.verdicts import RAISES, expected
from conformance.judging.ask import Answer, ask_together
from conformance.judging.examine import compare
from conformance.judging.kind import FUNCTIONS
from conformance.words import listed

_SEEN, _ROUNDS = 60, 3
# Two calls at once may both be right by chance: for each that is wrong so many.
_BY_CHANCE = 0.1
_SPARE = ((0, 0), (6, 5), (20, 22))

Asked = Sequence[tuple[Any, Mapping[str, Array]]]


def explain_together(
    judged: Judged,
    failing: Any,  # noqa: ARG001
    start: float,
    seconds: float,
) -> Learned | None:
    """Find which calls are wrong when they are made at once.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        Not looked at: the calls are plain ones.
    start, seconds : float
        When the explainer began, and how long it has.
    """
    if not judged.capabilities.thread_safe:
        return None
    stop = shares(start, seconds)
    rules, seen = learn(_observed(judged, 1), _SEEN, stop(0.5))
    wrong = [one for one in seen if one.labels]
    if not wrong or any(one.row["calls at once"] == 1 for one in wrong):
        # What is wrong alone is another matter.
        return None
    sure, rules = rules, with_chance(rules, seen, _BY_CHANCE)
    fresh = put_to_test(_observed(judged, 2), stop(0.9))
    foretold = [rules.foretells(one) for one in fresh]
    labels = {label for one in wrong for label in one.labels}
    names = results_of(labels, judged.kind.first_order)
    return Learned(
        _what(names, wrong), (listed(names),) if names else (), whens(rules, seen),
        *counted(foretold, fresh), granting=sure.conditions != rules.conditions,
    )  # fmt: skip


def _observed(judged: Judged, seed: int) -> Iterator[Observed]:
    """Make calls at once, over and over; labels are the results that are wrong in any of them."""
    rng, kind, claimed = random.Random(seed), judged.kind, judged.capabilities
    while True:
        case = kind.enlarged(kind.plain(claimed), rng.choice(_SPARE), claimed)
        case = case.changed(seed=rng.randrange(1000))
        cases = [case, *(_beside(judged, case, rng) for _ in range(rng.choice((0, 1, 1, 2))))]
        asked = [(one, kind.values(one, kind.bits(one, claimed))) for one in cases]
        function = rng.choice([name for name in FUNCTIONS if kind.has(name, claimed)])
        answers = ask_together(judged, asked, function, _ROUNDS)
        labels = set[str]()
        for (one, values), given in zip(asked, answers, strict=False):
            labels |= _wrong(judged, one, values, given)
        row: Row = {"function": function, "calls at once": len(cases)} | _common(asked)
        yield Observed(row, frozenset(labels), answers, attributes_of(case))


def _beside(judged: Judged, case: Any, rng: random.Random) -> Any:
    """Give a call that is made at the same time: of the same shapes or not, on other values."""
    way = rng.random()
    other = case.changed(seed=rng.randrange(1000))
    if way < 0.2:
        return case
    if way < 0.6:
        return other
    changed = other.changed(dtype=rng.choice(judged.capabilities.dtypes))
    if way < 0.8:
        changed = judged.kind.enlarged(other, (rng.randrange(4), 1), judged.capabilities)
    return changed if judged.kind.askable(changed, judged.capabilities) else other


def _common(asked: Asked) -> Row:
    """Say what any two of the calls have in common."""
    pairs = [
        (_formats(one), _formats(other), not np.array_equal(one["x"], other["x"]))
        for (_, one), (_, other) in itertools.combinations(asked, 2)
    ]
    alike: Mapping[str, Callable[[Any, Any], bool]] = {
        "the same shapes": lambda one, other: [s for s, _ in one] == [s for s, _ in other],
        "the same shapes and format": lambda one, other: one == other,
    }
    row: Row = {"two calls at once have other values": yes(any(other for *_, other in pairs))}
    for words, same in alike.items():
        row[f"two calls at once have {words}"] = yes(any(same(*both) for *both, _ in pairs))
        row[f"two calls at once have {words}, and other values"] = yes(
            any(same(*both) and other for *both, other in pairs)
        )
    return row


def _formats(values: Mapping[str, Array]) -> list[tuple[tuple[int, ...], Any]]:
    return [(array.shape, array.dtype) for array in values.values()]


def _wrong(
    judged: Judged, case: Any, values: Mapping[str, Array], answers: Sequence[Answer]
) -> set[str]:
    """Give the results that are wrong in any of the answers to a case."""
    due, format_ = expected(judged, case, values), judged.capabilities.arithmetic(case.dtype).result
    labels = {RAISES for answer in answers if answer.raised or answer.died}
    return labels | {
        name
        for answer in answers
        for name, array in answer.results.items()
        if compare(array, due[name], format_)[1] is not None
    }


def _what(names: Sequence[str], wrong: Sequence[Observed]) -> tuple[str, ...]:
    said = []
    if names:
        verb = "is" if len(names) == 1 else "are"
        said.append(
            f"{listed(names)} {verb} wrong where calls are made at once, in threads of one "
            "process; one after the other the same calls are right"
        )
    raised = (answer.raised for one in wrong for given in one.about for answer in given)
    first = next((words for words in raised if words), "")
    return (*said, f"raises {first[:160]}") if first else tuple(said)
