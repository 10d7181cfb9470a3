"""What one check may ask of an implementation: the cases that are claimed, as time allows.

Nothing is asked here.
"""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any
from unittest import SkipTest

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from conformance.cases.case import Array
from conformance.claims.loading import Judged
from conformance.judging.record import Record


class NotClaimedError(SkipTest):
    """A check is about something that the implementation does not claim."""


class Scope:
    """The cases of an implementation's kind that are claimed.

    Parameters
    ----------
    judged : Judged
        The implementation.
    record : Record
        Of the check.
    seed : int
        Of the run.
    share : float
        Seconds for a long list of cases.
    one_in : int
        Of such a list one in so many is asked.
    beside : Executor, optional
        Makes the operands of the next case of a list while one is asked.

    Attributes
    ----------
    further : bool
        It asks the functions that an implementation may have or not, and not those that it has:
        its cases are the same, with the operands of these.
    """

    further = False

    def __init__(
        self,
        judged: Judged,
        record: Record,
        seed: int,
        share: float,
        one_in: int,
        beside: Executor | None,
    ) -> None:
        self._beside = beside
        # By the identity of a case that is listed.
        self._ahead: dict[int, Future[dict[str, Array]]] = {}
        self.judged, self.kind, self.claimed = judged, judged.kind, judged.capabilities
        self.record, self.seed, self._share, self._one_in = record, seed, share, one_in
        self._drawing: dict[tuple[Any, ...], SearchStrategy[Any]] = {}

    # What the implementation claims.

    def claim(self, entry: str, *wanted: str) -> tuple[str, ...]:
        """Those of the wanted values that are claimed; the check is not claimed if none is."""
        __tracebackhide__ = True
        claimed = getattr(self.claimed, entry)
        common = tuple(value for value in wanted if value in claimed)
        if not common:
            raise NotClaimedError(
                f"not claimed: {entry} {', '.join(wanted)} (claimed: {', '.join(claimed)})"
            )
        return common

    def claim_flag(self, entry: str) -> None:
        """Mark the check as not claimed unless the flag is claimed."""
        __tracebackhide__ = True
        if not getattr(self.claimed, entry):
            raise NotClaimedError(f"not claimed: {entry}")

    def claim_case(self, case: Any) -> None:
        """Mark the check as not claimed unless the case is."""
        __tracebackhide__ = True
        if lacking := self.kind.unclaimed(case, self.claimed):
            raise NotClaimedError(f"not claimed: {lacking}")

    def claimed_of(self, cases: Iterable[Any]) -> Iterator[Any]:
        """Give those of some cases that are claimed; the check is not claimed if none is."""
        lacking = found = ""
        for case in cases:
            if lacking := self.kind.unclaimed(case, self.claimed):
                continue
            found = "some"
            yield case
        if not found:
            raise NotClaimedError(f"not claimed: {lacking}")

    def claim_isolation(self, why: str) -> None:
        """Mark the check as not asked in the process of the judge."""
        __tracebackhide__ = True
        if not self.judged.host.isolated:
            raise NotClaimedError(f"not asked in the judge's own process: {why}")

    # The cases of its kind.

    def cases(self, **wanted: Any) -> SearchStrategy[Any]:
        """Give what draws cases that are claimed; the kind says what can be wanted."""
        if self.further and self.claimed.compiles:
            # Each function is compiled for each new call; chapter GRD has a few geometries of them.
            return st.just(self._plain_of(**wanted))
        key = tuple(wanted.items())
        if key not in self._drawing:
            # Made once for all draws: to make it takes longer than to draw from it.
            drawn = self.kind.draw(self.claimed, **wanted)
            self._drawing[key] = drawn.map(self.kind.beyond) if self.further else drawn
        return self._drawing[key]

    def _plain_of(self, **wanted: Any) -> Any:
        """Give a plain case of a wanted format and recipe, and of an empty batch."""
        changes = {name: wanted[name] for name in ("dtype", "recipe") if name in wanted}
        return self.plain(**changes, **({"batch": 0} if wanted.get("batches") == (0,) else {}))

    def enlarged(self, case: Any, spare: tuple[int, int]) -> Any:
        """Give a case on the smallest image that fits it, and so many pixels more, as claimed."""
        return self.kind.enlarged(case, spare, self.claimed)

    def plain(self, **changes: Any) -> Any:
        """Give a case of moderate sizes in the plainest geometry that is claimed, with changes."""
        case = self.kind.plain(self.claimed, **changes)
        return self.kind.beyond(case) if self.further else case

    def values(self, case: Any) -> dict[str, Array]:
        """Make the operands of a case."""
        ahead = self._ahead.pop(id(case), None)
        return self._made(case) if ahead is None else ahead.result()

    def _made(self, case: Any) -> dict[str, Array]:
        made: dict[str, Array] = self.kind.values(case, self.kind.bits(case, self.claimed))
        return made

    def as_time_allows(self, cases: Iterable[Any]) -> Iterator[Any]:
        """Give the cases of a long list, as many as the profile and its share of time allow."""
        cases = list(cases)
        if not cases:
            raise NotClaimedError("not claimed: whatever it asks")
        listed = cases[self.seed % self._one_in :: self._one_in] or cases[:1]
        stop = time.perf_counter() + self._share
        for number, case in enumerate(listed):
            if number and time.perf_counter() > stop:
                self.record.cut_short = f"{number} of {len(listed)} cases"
                return
            if self._beside is not None and number + 1 < len(listed):
                # While this one is asked, after the comparison of the one before.
                following = listed[number + 1]
                self._ahead[id(following)] = self._beside.submit(self._made, following)
            yield case
