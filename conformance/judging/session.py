"""Runs checks on one implementation, within a time, and keeps what came of each.

Where the first call of a geometry is dear, because it is traced or compiled, the session notices
and keeps to few geometries; a check that draws cases stops drawing when its share of the time is
spent, and its record says so. What was not reached is recorded as not run.
"""

import os
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conformance.cases.shapes import Shape
from conformance.claims.loading import Judged
from conformance.judging.ask import NotRunError
from conformance.judging.checks import Check, checks_of, checks_of_shapes
from conformance.judging.failing import ConformanceError, LeftError
from conformance.judging.interruption import Interruption
from conformance.judging.judge import Judge
from conformance.judging.record import Record
from conformance.judging.scope import NotClaimedError
from conformance.judging.waivers import Waiver, Waivers

# A first call is dear if it takes so long, and so many times what a repeated one takes; geometries
# are if so many of the calls that are watched are.
_DEAR_SECONDS, _DEAR_TIMES, _DEAR_CALLS = 0.05, 10, 3
_WATCHED = 8
# After so many calls without an answer nothing more is asked under a clause.
_DEATHS = 3
# What a check of a long list of cases may take of the time that is left, but for that part of the
# budget which belongs to the checks that come after all of them.
_LONG, _LAST = 0.2, 0.1
# The least number of cases that a drawn check draws, whatever the time.
_LEAST = 2
# Of functions that there may be or not it draws no more than so many: the first that is drawn is
# the smallest that there is, and each asks more than one of forward and backward does.
_FURTHER = 2


@dataclass(frozen=True)
class Profile:
    """How hard it is tried.

    Attributes
    ----------
    examples : int
        Drawn cases of each check.
    seed : int or None
        The same cases in each run; None: new ones.
    budget : float
        Seconds for one implementation.
    one_in : int
        Of a long list of cases one in so many is asked, from the seed on.
    full_size : bool
        Whether checks are among them whose cases are as large as real ones.
    exact : bool
        Whether they are those of the exact tier alone.
    shapes : tuple of Shape
        Of somebody's own network: each is judged at its full size, after all else.
    """

    examples: int
    seed: int | None = None
    budget: float = 120.0
    one_in: int = 1
    full_size: bool = False
    exact: bool = False
    shapes: tuple[Shape, ...] = ()

    def checks(self, chapters: Iterable[str]) -> list[Check]:
        """List its checks that decide clauses of some chapters, in order."""
        listed = checks_of(chapters, full_size=self.full_size)
        named = checks_of_shapes(chapters, self.shapes, reals=not self.exact)
        return [*(one for one in listed if one.exact or not self.exact), *named]


PROFILES = {
    "default": Profile(10),
    "ci": Profile(5, seed=0, budget=600.0, one_in=8),
    "nightly": Profile(500, budget=36_000.0, full_size=True),
    "network": Profile(10, budget=3_600.0, full_size=True),
    "survey": Profile(3, budget=600.0, one_in=8),
    "quick": Profile(5, one_in=8, exact=True),
}


class _EnoughError(BaseException):
    """Ends the drawing at once; an ordinary exception Hypothesis would look into."""


class _DearError(Exception):
    """It was found that geometries are dear."""


def fresh_seed() -> int:
    """Draw a seed for a run that was given none: each such run asks other cases."""
    return random.SystemRandom().randrange(2**32)


class Session:
    """Judges one implementation.

    Parameters
    ----------
    judged : Judged
        The implementation.
    profile : Profile
        How hard it is tried.
    seed : int, optional
        In the place of the profile's; what is drawn depends on it and on the check's name alone.
    budget : float, optional
        Seconds, in the place of the profile's.
    until_failure : bool
        Whether to judge no further after the first failure.
    to_the_end : bool
        Whether the checks that the budget does not reach are run too, with the fewest cases.
    waivers : iterable of Waiver
        Those of this implementation and of others.
    further_alone : bool
        Whether a check asks none but the functions that there may be or not.
    """

    def __init__(
        self,
        judged: Judged,
        profile: Profile = PROFILES["default"],
        *,
        seed: int | None = None,
        budget: float | None = None,
        until_failure: bool = False,
        to_the_end: bool = False,
        waivers: Iterable[Waiver] = (),
        further_alone: bool = False,
    ) -> None:
        self.profile, self.until_failure = profile, until_failure
        self.further_alone = further_alone
        self.to_the_end = to_the_end
        seed = profile.seed if seed is None else seed
        self.seed = fresh_seed() if seed is None else seed
        self.budget = profile.budget if budget is None else budget
        self.spent, self.failed = 0.0, False
        self.judged = self._given = judged
        self._watched = self._dear = 0
        self._interruption = Interruption()
        self._pool: ThreadPoolExecutor | None = None
        self._passed: list[Any] = []
        self._offers: dict[tuple[str, str], str] = {}
        self._deaths: Counter[str] = Counter()
        own = (one for one in waivers if one.clause[:3] in judged.kind.chapters)
        self.waivers = Waivers(
            [one for one in own if one.implementation in ("", judged.name)], judged.kind.case.parse
        )

    @property
    def economises(self) -> bool:
        """Whether it was found, and not declared, that geometries are dear."""
        return self.judged is not self._given

    @property
    def checks(self) -> list[Check]:
        """All checks that are for implementations of the kind, in order."""
        return self.profile.checks(self._given.kind.chapters)

    @property
    def implied(self) -> list[Check]:
        """The checks that there are for its kind, of which a quick profile has some."""
        return replace(self.profile, exact=False).checks(self._given.kind.chapters)

    def run(self, check: Check) -> Record:
        """Run one check; what it raises is in the record."""
        whole = check.of(self._given.kind.chapters)
        clauses = self._given.kind.clauses(check, self._given.capabilities)
        if not clauses:
            lacking = self._given.kind.unclaimed_of(check, self._given.capabilities)
            reason = f"not claimed: {lacking}"
            return Record(self._given.name, check.name, whole, "not claimed", reason)
        if reason := self._stopped(clauses[0]):
            return self.not_run(check, reason)
        record = Record(self._given.name, check.name, clauses)
        record.unclaimed = tuple(number for number in whole if number not in clauses)
        start = time.perf_counter()
        end = start + self.budget - self.spent

        def late() -> str:
            self._interruption.raise_what_was_dropped()
            return self._spent if time.perf_counter() > end and not self.to_the_end else ""

        try:
            with self._interruption.noted():
                try:
                    self._run(check, self._judge(record, self._watch, late))
                except _DearError:
                    # From the beginning, with the few geometries that it now keeps to.
                    self._run(check, self._judge(record, None, late))
        except LeftError as left:
            record.ended = str(left)
        except NotClaimedError as unclaimed:
            # What was judged before the check came to something unclaimed remains judged.
            if not record.judged:
                record.outcome, record.reason = "not claimed", str(unclaimed)
        except NotRunError as error:
            record.outcome, record.reason = "not run", str(error)
        except MemoryError as error:
            # Of the judge: what is judged has its own. Claims may ask for the absurd.
            record.outcome, record.reason = "not run", f"the judge has no memory for it: {error}"
        if record.failures:
            record.outcome, self.failed = "failed", True
        elif record.waived:
            record.outcome, record.reason = "waived", record.waived[0].words
        elif record.outcome == "passed" and record.tolerated and not record.judged:
            record.outcome, record.reason = "refused", "it refused whatever it was asked, and may"
        elif record.outcome == "passed" and not record.judged:
            # No check passes by having asked nothing.
            record.outcome, record.reason = "not run", "it judged nothing"
        self._deaths[clauses[0]] += sum(one.died for one in (*record.failures, *record.waived))
        record.refused = list(dict.fromkeys(record.refused))
        record.seconds = time.perf_counter() - start
        self.spent += record.seconds
        return record

    def close(self) -> None:
        """Let what is judged end, as far as it is a process; it is started again if it is asked."""
        self.judged.host.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None

    def _beside(self) -> ThreadPoolExecutor | None:
        """Give what compares answers beside; what runs in this process would wait for its turn."""
        apart = self._given.host.isolated and (os.cpu_count() or 1) > 1
        if apart and self._pool is None:
            self._pool = ThreadPoolExecutor(1)
        return self._pool

    def lacking(self, clause: str, records: Iterable[Record]) -> str:
        """Say why a clause was not judged in full; nothing if it was.

        Each check that decides it must have come to its end. Some clauses are blamed by whatever
        check meets what is wrong: of those each check that was selected.
        """
        kind, done = self._given.kind, {record.check: record for record in records}
        deciding = {check.name for check in self.implied if clause in check.clauses}
        if not deciding <= done.keys():
            return "not all checks that decide it were selected"
        for name in done if clause in kind.rules.clauses else deciding:
            record = done[name]
            if record.outcome == "not run":
                return f"{name} was not run"
            if record.cut_short or record.ended or record.failures:
                return f"{name} did not come to its end"
        return ""

    def _judge(self, record: Record, watch: Any, late: Callable[[], str]) -> Judge:
        share = _LONG * max(0.0, (1 - _LAST) * self.budget - self.spent)
        some = self.profile.one_in
        return Judge(
            self.judged, record, self.seed, watch, late, self._passed, share, some, self.waivers,
            self._beside(), self._offers,
        )  # fmt: skip

    def not_run(self, check: Check, reason: str) -> Record:
        """Give the record of a check that is not run."""
        clauses = check.of(self._given.kind.chapters)
        return Record(self._given.name, check.name, clauses, "not run", reason)

    def _stopped(self, clause: str) -> str:
        if self.until_failure and self.failed:
            return "it has failed before"
        if self._deaths[clause] >= _DEATHS:
            return f"it gave no answer {self._deaths[clause]} times under {clause}"
        return self._spent if self.spent >= self.budget and not self.to_the_end else ""

    @property
    def _spent(self) -> str:
        return f"not reached within the budget of {self.budget:g} seconds"

    def _run(self, check: Check, judge: Judge) -> None:
        try:
            try:
                if not self.further_alone:
                    self._run_for(check, judge)
                if judge.kind.rules.further in judge.record.clauses:
                    self._run_for(check, judge.beyond())
            except KeyboardInterrupt:
                raise
            except BaseException:
                # What the last answer breaks weighs more than why no more was asked.
                judge.settle()
                raise
            judge.settle()
        except ConformanceError:
            assert judge.record.failures

    def _run_for(self, check: Check, judge: Judge) -> None:
        """Run a check for the functions that a judge asks."""
        if check.drawn:
            self._draw(check, judge)
        else:
            check.function(judge, **check.parameters)
        judge.settle()

    def _draw(self, check: Check, judge: Judge) -> None:
        """Repeat a check on drawn cases; the first failure ends it."""
        stop, drawn = time.perf_counter() + self._time_for_one(), 0
        examples = max(_LEAST, self.profile.examples // judge.kind.share)
        if judge.further:
            examples = min(examples, _FURTHER)

        def example(data: Any) -> None:
            nonlocal drawn
            drawn += 1
            try:
                check.function(judge, data.draw, **check.parameters)
            except LeftError as left:
                # The next example may be another matter; the rest of this one is not asked.
                judge.record.ended = str(left)
            except (ConformanceError, NotClaimedError, NotRunError, _DearError) as error:
                raise _EnoughError from error
            # After what was drawn, not before: an example that draws less would look like chance.
            if _LEAST <= drawn < examples and time.perf_counter() > stop:
                judge.record.cut_short = f"{drawn} of {examples} cases"
                raise _EnoughError

        try:
            self._drawing(example, examples, f"{check.name}{' further' * judge.further}")()
        except _EnoughError as enough:
            if isinstance(enough.__cause__, ConformanceError):
                assert judge.record.failures
            elif enough.__cause__ is not None:
                raise enough.__cause__ from None

    def _drawing(self, example: Callable[..., None], examples: int, name: str) -> Any:
        drawing = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            derandomize=False,
            print_blob=False,
        )
        seed = zlib.crc32(f"{self.seed} {name}".encode())
        return hypothesis.seed(seed)(drawing(given(data=st.data())(example)))

    def _time_for_one(self) -> float:
        """Seconds for one check, so that the others get theirs."""
        return max(1.0, 4 * (self.budget - self.spent) / len(self.checks))

    def _watch(self, ask_again: Callable[[], Any], seconds: float) -> None:
        """Learn from the first few calls whether the first one of a geometry is dear."""
        if self._watched >= _WATCHED or self.judged.capabilities.compiles:
            return
        self._watched += 1
        if seconds < _DEAR_SECONDS:
            return
        again = []
        for _ in range(2):
            start = time.perf_counter()
            ask_again()
            again.append(time.perf_counter() - start)
        self._dear += seconds > _DEAR_TIMES * min(again)
        # The very first call loads what is loaded lazily, whoever it is; one may be chance.
        if self._dear >= _DEAR_CALLS:
            claimed = replace(self.judged.capabilities, compiles=True)
            self.judged = replace(self.judged, capabilities=claimed)
            raise _DearError
