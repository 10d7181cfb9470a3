"""Explains what answers where it must raise: which wrong calls of which functions, and when.

Calls with one thing wrong are put to it, on cases of several sizes. What is answered always or
never says so by itself; what is now answered and now refused has a condition, which is learned.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.claims.loading import Judged
from conformance.claims.program import CannotCarryError
from conformance.diagnosis.observing import (
    Learned,
    Observed,
    Rules,
    attributes_of,
    counted,
    learned_rules,
    put_to_test,
    shares,
    until,
)
from conformance.judging.ask import ask_faulty
from conformance.judging.kind import FUNCTIONS
from conformance.words import listed

ANSWERED = "is answered"
# Calls of each fault and function to learn from. Of those to test by, this share of the faults that
# are refused is passed over.
_EACH, _PASSED_OVER = 6, 0.4
# Faults that are named one by one.
_NAMED = 6

# A fault by its words, and the function that is called.
Key = tuple[str, str]


def explain_refusals(
    judged: Judged,
    failing: Any,  # noqa: ARG001
    start: float,
    seconds: float,
) -> Learned | None:
    """Find which wrong calls are answered.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        Not looked at: the calls are plain ones.
    start, seconds : float
        When the explainer began, and how long it has.
    """
    if not judged.capabilities.validates:
        return None
    stop = shares(start, seconds)
    seen = list(until(_observed(judged, 1), 100_000, stop(0.5)))
    answered = {_key(one) for one in seen if one.labels}
    if not answered:
        return None
    found = {key: _when([one for one in seen if _key(one) == key]) for key in answered}
    fresh = put_to_test(_observed(judged, 2, answered), stop(0.9))
    foretold = [_foretold(one, found) for one in fresh]
    return Learned(
        _what(seen, answered), (), _whens(seen, found),
        *counted(foretold, fresh),
    )  # fmt: skip


def _observed(judged: Judged, seed: int, often: set[Key] | None = None) -> Iterator[Observed]:
    """Put one wrong call after the other: each fault to each function, on one case after another.

    Parameters
    ----------
    judged : Judged
        The implementation.
    seed : int
        Of sizes and values.
    often : set of (str, str), optional
        What is asked again and again, for ever. Left out, everything is asked so often as is needed
        to learn from.
    """
    rng, kind, claimed = random.Random(seed), judged.kind, judged.capabilities
    plain = kind.plain(claimed)
    rounds: Iterator[int] = iter(range(_EACH)) if often is None else itertools.count()
    for number in rounds:
        case = _another(judged, plain, rng) if number or often is not None else plain
        values = kind.values(case, kind.bits(case, claimed))
        for function in FUNCTIONS:
            if not kind.has(function, claimed):
                continue
            for fault, operands, options in kind.wrong_calls(function, case, values):
                key = fault.words, function
                if often is not None and key not in often and rng.random() < _PASSED_OVER:
                    continue
                try:
                    answer = ask_faulty(judged, function, case, operands, options)
                except CannotCarryError:
                    continue
                row = {"function": function, "fault": fault.words} | attributes_of(case, values)
                labels = frozenset() if answer.raised or answer.died else frozenset({ANSWERED})
                yield Observed(row, labels, (case, fault))


def _another(judged: Judged, plain: Any, rng: random.Random) -> Any:
    """Give a plain case of other sizes and of another format."""
    kind, claimed = judged.kind, judged.capabilities
    case = kind.enlarged(plain, (rng.randrange(6), rng.randrange(6)), claimed)
    case = case.changed(batch=rng.randint(1, 4), seed=rng.randrange(1000))
    other = case.changed(dtype=rng.choice(claimed.dtypes))
    return other if kind.askable(other, claimed) else case


def _key(one: Observed) -> Key:
    return str(one.row["fault"]), str(one.row["function"])


def _when(own: Sequence[Observed]) -> Rules | None:
    """Say when one fault of a call of one function is answered; None: always."""
    return None if all(one.labels for one in own) else learned_rules(own)


def _foretold(one: Observed, found: Mapping[Key, Rules | None]) -> bool:
    if _key(one) not in found:
        return not one.labels
    rules = found[_key(one)]
    return bool(one.labels) if rules is None else rules.foretells(one)


def _what(seen: Sequence[Observed], answered: set[Key]) -> tuple[str, ...]:
    """Say which faults are answered, each once, and how many are refused."""
    faults = {one.about[1].words: one.about[1] for one in seen}
    wrong = [words for words in faults if any(words == fault for fault, _ in answered)]
    refused = len(faults) - len(wrong)
    if not refused:
        return (f"checks nothing: each of the {len(faults)} wrong calls is answered",)
    clauses = listed(list(dict.fromkeys(faults[words].clause for words in wrong)))
    named = "; ".join(wrong[:_NAMED])
    more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    besides = f"the other {refused} of {len(faults)} wrong calls are refused"
    return f"answers where it must raise ({clauses}): {named}{more}", besides


def _whens(seen: Sequence[Observed], found: Mapping[Key, Rules | None]) -> tuple[str, ...]:
    """Say of which functions, and under which conditions."""
    functions = Counter(function for _, function in found)
    lines = [f"in calls of {listed(list(functions))}"]
    for (words, function), rules in found.items():
        if rules is not None:
            known = rules.conditions.get(ANSWERED)
            when = str(known.condition) if known else "no simple condition was found"
            lines.append(f"{words}, {function}: {when}")
    off = sum(bool(one.labels) for one in seen)
    return (*lines, f"answered in {off} of {len(seen)} wrong calls that were observed")
