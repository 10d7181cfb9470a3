"""What was right once stays right: asked again at the end, and from several threads at once."""

import math
from typing import Any

from conformance.judging.checks import check
from conformance.judging.judge import Judge

# Cases that are asked again, of no more than so many elements; and how often at once.
_CASES, _ELEMENTS, _ROUNDS = 12, 1 << 15, 6


@check("FWD-5", "LAY-17", "GRD-11")
def asked_again(judge: Judge) -> None:
    """Cases that passed before, in another order, among them the first and the last."""
    for case in reversed(_earlier(judge)):
        judge.check(case, blame=judge.record.clauses[:1])


@check("FWD-8", "LAY-17", "GRD-11")
def calls_at_once(judge: Judge) -> None:
    """Calls from several threads, on other values and other shapes, are what single calls are."""
    judge.claim_flag("thread_safe")
    judge.claim_flag("memory")
    case, wide = judge.plain(), _wide(judge)
    with_values = [case.changed(seed=seed) for seed in (1, 2, 3)]
    earlier = [one for one in _earlier(judge) if judge.kind.recipe_of(one).exact][:4]
    asked = [with_values, [case, *earlier], wide]
    if judge.further:
        # Each call of theirs is dearer: other values and other shapes are asked in one.
        asked = [[case, *wide[:2]]]
    for cases in asked:
        for one in cases:
            # What is wrong when it is asked alone is another matter.
            judge.check(one)
        judge.check_together(cases, _ROUNDS >> judge.further, judge.record.clauses[:1])


def _earlier(judge: Judge) -> list[Any]:
    """Some of the cases that passed, evenly spread; a plain one if there are none."""
    affordable = [
        case
        for case in judge.passed
        if judge.kind.is_beyond(case) == judge.further
        and sum(math.prod(shape) for shape in case.shapes.values()) <= _ELEMENTS
        and not judge.kind.unclaimed(case, judge.claimed)
    ]
    step = max(1, len(affordable) // _CASES)
    return [*affordable[::step][:_CASES], *affordable[-1:]] or [judge.plain()]


def _wide(judge: Judge) -> list[Any]:
    """Large enough that calls overlap in time."""
    case = judge.enlarged(judge.plain(), (20, 22))
    return [case.changed(seed=seed) for seed in (1, 2, 3)]
