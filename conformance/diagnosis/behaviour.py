"""Explains what no map and no arithmetic explains: state, memory, exceptions, manners.

It tries the explanations in turn, beginning with the one that the failing check points to, until
one of them has foretold enough. Each is a module of its own, and knows no kind.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from conformance.claims.loading import Judged
from conformance.diagnosis.conduct import explain_conduct, explain_keeping
from conformance.diagnosis.courses import Courses, usable
from conformance.diagnosis.experiments import other_values
from conformance.diagnosis.history import explain_history
from conformance.diagnosis.observing import Learned
from conformance.diagnosis.putting import explain_putting
from conformance.diagnosis.refusing import explain_refusals
from conformance.diagnosis.together import explain_together
from conformance.diagnosis.verdicts import verdict
from conformance.judging.kind import FUNCTIONS

Explain = Callable[[Judged, Any, float, float], Learned | None]
# Checks that ask how a call is put, what it keeps, and what comes before it.
_PUT = ("views", "pages", "defaults", "an_integer", "forked_child", "memory_is")
_KEEP = ("nothing_is_kept",)
_AT_ONCE = ("calls_at_once",)
_REFUSE = ("rejected", "mixed_dtypes", "misfits")
_TURN = (
    "calls_in_turn", "values_in_turn", "calls_leave_no_trace", "asked_again",
    "backward_needs", "shapes_do_not", "operands_are_read", "sizes_in_turn", "bilinear",
)  # fmt: skip
# Seconds in which a case is asked over and over.
_PATIENCE = 2.0
# Recipes of values that shortcuts look for.
_SPECIAL = ("constant", "equal", "one", "zero", "repeated", "sparse", "one-hot")


def remembers(judged: Judged, failing: Any) -> bool:
    """Tell whether the answer to one case, asked over and over, is now right and now wrong."""
    case = usable(judged, failing)
    courses = Courses(judged, case, 0)
    labels: dict[tuple[str, str], set[frozenset[str]]] = {}
    stop = time.perf_counter() + _PATIENCE
    for functions in (FUNCTIONS, FUNCTIONS[::-1]):
        # Made as they are asked: what is due to a large call takes its time.
        steps = (
            courses.step(other_values(one, number), function)
            for one in (case, *courses.cases[:3], case)
            for number in (0, 1, 0)
            for function in functions
        )
        for _, step, found in courses.walk(steps):
            labels.setdefault((step.function, step.case.token), set()).add(found.labels)
            if time.perf_counter() > stop:
                break
    return any(len(seen) > 1 for seen in labels.values())


def alone(judged: Judged, failing: Any) -> frozenset[str]:
    """Give what is wrong with a case on an implementation made anew."""
    judged.host.anew()
    kind = judged.kind
    values = kind.values(failing, kind.bits(failing, judged.capabilities))
    return frozenset().union(*(verdict(judged, failing, values, f).labels for f in FUNCTIONS))


def special_values(judged: Judged, failing: Any) -> tuple[Any, frozenset[str]] | None:
    """Give a case of special values that is wrong, where the case as it is made is right."""
    kind = judged.kind
    for recipe, seed in itertools.product(_SPECIAL, range(3)):
        if recipe in kind.recipes:
            case = failing.changed(recipe=recipe, seed=seed)
            if labels := alone(judged, case):
                return case, labels
    return None


def explain_behaviour(
    judged: Judged,
    failing: Any,
    check: str,
    start: float,
    seconds: float,
    *,
    remembered: bool = False,
    right_alone: bool = False,
) -> Learned | None:
    """Find what a call depends on besides its operands, or does besides answering.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What fails, or a plain case.
    check : str
        Name of the check that found it; empty if none did.
    start, seconds : float
        When the explainer began, and how long it has.
    remembered : bool
        One case was seen to be right and wrong in turn.
    right_alone : bool
        The failing case is right on an implementation made anew.

    Returns
    -------
    Learned or None
        The first that foretold enough, else the one that foretold most.
    """
    best: Learned | None = None
    for explain in _in_turn(check, remembered=remembered, right_alone=right_alone):
        if best is not None and time.perf_counter() > start + seconds:
            break
        found = explain(judged, failing, start, seconds)
        if found is not None and found.certain:
            return found
        if found is not None and (best is None or found.caught > best.caught):
            best = found
    return best


def _in_turn(check: str, *, remembered: bool, right_alone: bool) -> Iterator[Explain]:
    """Give the explanations in the order in which they are tried."""
    usual: list[Explain] = [explain_conduct, explain_putting, explain_history]
    first: Explain | None = None
    for names, one in (
        (_PUT, explain_putting), (_TURN, explain_history), (_KEEP, explain_keeping),
        (_AT_ONCE, explain_together), (_REFUSE, explain_refusals),
    ):  # fmt: skip
        if check.startswith(names):
            first = one
    # What is now right and now wrong depends on what came before, whichever check met it.
    if remembered or (right_alone and first is None):
        first = explain_history
    if first is not None:
        yield first
    yield from (one for one in usual if one is not first)
