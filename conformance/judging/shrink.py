"""Makes a failing case small: changes one thing after another while the same clause is broken.

It stops when nothing simpler fails, after so many tries, or when its time is over. What only shows
after other calls is left as it is.
"""

import contextlib
import time
from dataclasses import replace
from typing import Any

from conformance.claims.loading import Judged
from conformance.claims.program import DiedError
from conformance.judging.ask import NotRunError
from conformance.judging.failing import ConformanceError
from conformance.judging.judge import Judge
from conformance.judging.record import Failure, Record
from conformance.judging.scope import NotClaimedError

# Failures that are tried for one that shows in its case alone, and cases that are tried in all.
_FIRST, _TRIES = 6, 120


def smallest(judged: Judged, failures: list[Failure], seconds: float = 8.0) -> Failure | None:
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
        How long to look for a smaller case at most.
    """
    if not failures:
        return None
    kind, trying = judged.kind, _Trying(judged, seconds)
    # What is built on forward and backward may be wrong because they are.
    first = [one for one in failures if not kind.is_beyond(kind.case.parse(one.token))]
    failures = first or failures

    # Where nearly everything is refused, that it refuses is what shows most.
    refuses = sum(one.refusal for one in failures) > 0.8 * len(failures)

    def order(failure: Failure) -> tuple[Any, ...]:
        behaviour = failure.tier == "behaviour" and not failure.refusal
        case = kind.case.parse(failure.token)
        usual = case.dtype == judged.capabilities.first_dtype
        return (
            failure.refusal != refuses,
            behaviour,
            failure.tier == "bound",
            not usual,
            kind.weight(case),
        )

    ordered = sorted(failures, key=order)
    if seconds <= 0:
        return ordered[0]
    for failure in ordered[:_FIRST]:
        if found := trying.again(kind.case.parse(failure.token), failure):
            return trying.smaller(found)
    return ordered[0].in_its_check


class _Trying:
    """Tries cases as long as there are tries and time left."""

    def __init__(self, judged: Judged, seconds: float) -> None:
        self.judged, self.stop, self.left = judged, time.perf_counter() + seconds, _TRIES

    def again(self, case: Any, failure: Failure) -> Failure | None:
        """Give the failure of a case that breaks the same clause in the same way, if it does."""
        self.left -= 1
        if self.left < 0 or time.perf_counter() > self.stop or self.judged.host.given_up:
            return None
        wanted = (failure.clause, failure.result, failure.refusal, failure.died)
        for one in failures_of(self.judged, case, failure.check):
            if (one.clause, one.result, one.refusal, one.died) == wanted:
                return replace(one, rerun=failure.rerun)
        return None

    def smaller(self, failure: Failure) -> Failure:
        """Go from simpler case to simpler case that fails in the same way."""
        kind = self.judged.kind
        while True:
            case = kind.case.parse(failure.token)
            simpler = (one for one in kind.simpler(case) if kind.weight(one) < kind.weight(case))
            found = next(filter(None, (self.again(one, failure) for one in simpler)), None)
            if found is None:
                return failure
            failure = found


def failures_of(judged: Judged, case: Any, check: str) -> list[Failure]:
    """What is wrong with one case, on an implementation made anew."""
    record = Record(judged.name, check, ())
    with contextlib.suppress(ConformanceError, NotClaimedError, NotRunError, DiedError):
        judged.host.anew()
        Judge(judged, record).check(case)
    return record.failures
