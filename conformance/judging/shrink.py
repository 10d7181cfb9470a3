"""Makes a failing case small: changes one thing after another while the same clause is broken.

It stops when nothing simpler fails, or when its time is over. What only shows after other calls is
left as it is.
"""

import contextlib
import time
from typing import Any

from conformance.claims.loading import Judged
from conformance.judging.ask import NotRunError
from conformance.judging.judge import ConformanceError, Judge, NotClaimedError
from conformance.judging.record import Failure, Record

# Failures that are tried for one that shows in its case alone.
_TRIED = 6


def smallest(judged: Judged, failures: list[Failure], seconds: float = 2.0) -> Failure | None:
    """Give the failure that shows most, its case made small.

    Wrong values come before refusals, exact ones before bounded ones, small cases before large.
    What does not fail alone, on an implementation made anew, is shown again by its check.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failures : list of Failure
        All that were found.
    seconds : float
        How long to look for a smaller case.
    """
    if not failures:
        return None
    kind, stop = judged.kind, time.perf_counter() + seconds

    def order(failure: Failure) -> tuple[Any, ...]:
        behaviour = failure.tier == "behaviour" and not failure.refusal
        case = kind.case.parse(failure.token)
        usual = case.dtype == judged.capabilities.first_dtype
        return failure.refusal, behaviour, failure.tier == "bound", not usual, kind.weight(case)

    ordered = sorted(failures, key=order)
    for failure in ordered[:_TRIED]:
        found = _again(judged, kind.case.parse(failure.token), failure)
        if found is not None:
            return _made_small(judged, found, stop)
        if time.perf_counter() > stop:
            break
    return ordered[0].in_its_check


def _made_small(judged: Judged, best: Failure, stop: float) -> Failure:
    found: Failure | None = best
    while found is not None and time.perf_counter() < stop:
        best, found = found, _smaller(judged, found, stop)
    return best


def _smaller(judged: Judged, failure: Failure, stop: float) -> Failure | None:
    """Give the failure of the first simpler case that breaks the same clause, if there is one."""
    kind = judged.kind
    case = kind.case.parse(failure.token)
    for simpler in kind.simpler(case):
        if time.perf_counter() > stop:
            return None
        if kind.weight(simpler) < kind.weight(case):
            found = _again(judged, simpler, failure)
            if found is not None:
                return found
    return None


def _again(judged: Judged, case: Any, failure: Failure) -> Failure | None:
    """Give the failure of a case that breaks the same clause in the same way, if it does."""
    wanted = (failure.clause, failure.result, failure.refusal)
    for one in failures_of(judged, case, failure.check):
        if (one.clause, one.result, one.refusal) == wanted:
            return one
    return None


def failures_of(judged: Judged, case: Any, check: str) -> list[Failure]:
    """What is wrong with one case, on an implementation made anew."""
    record = Record(judged.name, check, ())
    with contextlib.suppress(ConformanceError, NotClaimedError, NotRunError):
        Judge(_anew(judged), record).check(case)
    return record.failures


def _anew(judged: Judged) -> Judged:
    return Judged(judged.name, judged.make(), judged.capabilities, judged.kind, judged.make)
