"""Measures the power of a run, from the records of its checks.

The cases that it asked are put to all known faults, cheap ones first. What none of them shows is
asked otherwise, to tell what was missed from what cannot be expressed in what is claimed; what can
is put to the dear cases, and to the checks of the run that ask in other ways, with its seed and in
a process of its own.
"""

import contextlib
import functools
import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any

from conformance.claims.capabilities import OFFERED, Capabilities, declared
from conformance.claims.formats import ACCUMULATORS, FORMATS
from conformance.claims.loading import Judged, load
from conformance.claims.program import DiedError
from conformance.diagnosis.answers import differing
from conformance.judging.record import Record
from conformance.judging.session import Session
from conformance.mutants.guarded import Guarded, guarded
from conformance.power.alike import Remembering
from conformance.power.figures import Generated, Power
from conformance.power.screening import Asked, screen
from conformance.worker.host import Host

# Generated faults that are put to a run: to its cases of so many products or elements, twice what
# the calls have that show them.
GENERATED, _MIDDLE = 50, 2**18
# Modules of faults that depend on the calls before, and of those that are about their process.
_IN_TURN, _APART = {"state", "history"}, "processes"
# Cases of so many products, or elements, are cheap; what is dearer than so many is not put to
# faults, so that fewer count as caught.
_CHEAP, _DEAREST = 2**13, 2**21
# Checks that look back on what was asked before: they stay the last.
_LAST = ("asked_again", "calls_at_once")
# Other cases, of so many products at most, tell what a claim has room for.
_SMALL = 2**15
_NUMBER = 60
# So many bounds may separate equal results of layers.
_ROOM = 8


def measure(session: Session, records: Sequence[Record]) -> Power:
    """Measure what the cases of a run would have caught.

    Parameters
    ----------
    session : Session
        Of the run; what it judged is not asked.
    records : sequence of Record
        What came of its checks.
    """
    start, kind = time.perf_counter(), session.judged.kind
    known = kind.known()
    runs = [_Run(session, records, known.right, known.mutants)]
    if known.further and any(kind.has(one, session.judged.capabilities) for one in kind.further):
        runs.append(_Run(session, records, *known.further, further=True))
    parts = [_counted(run) for run in runs]
    caught, missed, beyond = (tuple(itertools.chain(*some)) for some in zip(*parts, strict=True))
    return Power(
        caught,
        missed,
        beyond,
        runs[0].generated(GENERATED) if kind.guards else None,
        time.perf_counter() - start,
    )


def _counted(run: "_Run") -> tuple[list[str], list[str], list[str]]:
    """Name the faults that a run catches, those that it misses, and those beyond its claims."""
    mutants, single = run.mutants, run.single
    hosted = {name: run.judged(one) for name, one in mutants.items()}

    def put(names: Iterable[str], asked: Iterable[Asked], *, turns: bool = False) -> set[str]:
        faults = {name: hosted[name] for name in names}
        return screen(run.right, faults, asked, in_turn=turns or run.further)

    cheap, dear = run.by_size
    in_order = [one for one in run.asked if _size(one[0]) <= _CHEAP]
    caught = put(single, cheap) | put(run.in_turn, in_order, turns=True)
    left = [name for name in mutants if name not in caught]
    # What depends on one call alone is asked others that are claimed, until one shows it.
    other = [name for name in left if run.asks_of(mutants[name])]
    for name in other:
        hosted[name].host.anew()
    shown = put(other, run.others, turns=True)
    beyond = {name for name in other if name not in shown and not run.shows(hosted[name])}
    beyond |= {name for name in left if not run.has_room_for(mutants[name], hosted[name])}
    caught |= put([name for name in single if name in left and name not in beyond], dear)
    left = [name for name in left if name not in caught | beyond]
    # To start a process is dearer than what such a fault is asked in it.
    here = [one for one in left if one in single or run.further]
    caught |= {one for one in here if run.catches(hosted[one])}
    left = [name for name in left if name not in here]
    # What is judged is in a process of its own, and leaves a core free.
    with ThreadPoolExecutor(2) as pool:
        rejected = pool.map(lambda name: run.catches(run.apart(name)), left)
        caught |= {name for name, one in zip(left, rejected, strict=True) if one}
    return (
        [name for name in mutants if name in caught],
        [name for name in mutants if name not in caught | beyond],
        [name for name in mutants if name in beyond],
    )


class _Run:
    """What a run asked, and what can be asked within its claims.

    Of faults of forward and backward, or of those of further functions (`further`).
    """

    def __init__(
        self,
        session: Session,
        records: Sequence[Record],
        right: Any,
        mutants: Mapping[str, Any],
        *,
        further: bool = False,
    ) -> None:
        self._session, self._records = session, records
        self._kind, self.mutants, self.further = session.judged.kind, mutants, further
        self.right = self.judged(right)

    @property
    def single(self) -> list[str]:
        """Faults that a call may show which stands alone."""
        # What leaves something behind in its process shows in no case.
        return [name for name, one in self.mutants.items() if self._stands_alone(one)]

    @property
    def in_turn(self) -> list[str]:
        """Faults that depend on the calls before."""
        listed = (n for n, one in self.mutants.items() if not self._stands_alone(one))
        return [name for name in listed if _module(self.mutants[name]) != _APART]

    def _stands_alone(self, mutant: Any) -> bool:
        if self.further:
            return not mutant.needs
        return _module(mutant) not in {*_IN_TURN, _APART}

    def judged(self, make: Any) -> Judged:
        """Give a fault, in this process, with what is claimed as far as it concerns the fault."""
        host = Host(make)
        own = self._kind.implied(host.capabilities, host.offers)
        claimed = within(self._session.judged.capabilities, own)
        return Judged("conformance.mutants", host, claimed, self._kind)

    @functools.cached_property
    def asked(self) -> list[Asked]:
        """The cases of the run in order, each once."""
        parse = self._kind.case.parse
        every = dict.fromkeys(tuple(one) for record in self._records for one in record.asked)
        listed = [(parse(token), tuple(results)) for token, *results in every]
        return [one for one in listed if _size(one[0]) <= _DEAREST]

    @property
    def by_size(self) -> tuple[list[Asked], list[Asked]]:
        """The cases of the run, small ones first: cheap ones, and dear ones."""
        ordered = sorted(self.asked, key=lambda one: _size(one[0]))
        cheap = [one for one in ordered if _size(one[0]) <= _CHEAP]
        return cheap, ordered[len(cheap) :]

    def apart(self, name: str) -> Judged:
        """Give a fault in a process of its own."""
        place = "conformance.mutants" + (".layer" if self._kind.name == "layer" else "")
        claimed = self.judged(self.mutants[name]).capabilities
        return load(f"{place}:{name}", self._kind, claimed)

    def catches(self, judged: Judged) -> bool:
        """Tell whether checks of the run that ask in other ways reject a fault."""
        session = Session(
            judged,
            self._session.profile,
            seed=self._session.seed,
            to_the_end=True,
            further_alone=self.further,
        )
        by_name = {check.name: check for check in self._session.checks}
        ran = [one for one in self._records if one.outcome == "passed" and one.otherwise]
        if self.further:
            ran = [one for one in ran if self._kind.rules.further in one.clauses]
        ran.sort(key=lambda one: (one.check in _LAST, one.seconds))
        try:
            return any(session.run(by_name[one.check]).failures for one in ran)
        finally:
            session.close()

    def asks_of(self, mutant: Any) -> bool:
        """Tell whether a call of its own is looked for that shows a fault."""
        return self._stands_alone(mutant) or getattr(mutant, "needs", "") == "geometry"

    def has_room_for(self, mutant: Any, fault: Judged) -> bool:
        """Tell whether a fault that depends on more than one call has what it needs claimed."""
        needs = "" if self.asks_of(mutant) else getattr(mutant, "needs", "")
        return all(getattr(fault.capabilities, one, True) for one in needs.split())

    def shows(self, fault: Judged) -> bool:
        """Tell whether a probe that is claimed shows a fault: none is of further functions."""
        if self.further:
            return False
        for probe, right in self._answered:
            if self._kind.unclaimed(probe.case, fault.capabilities):
                continue
            limits = self._kind.apart(probe.case, fault.capabilities, _ROOM)
            with contextlib.suppress(DiedError):
                fault.host.anew()
                if differing(probe.ask(fault), right, limits):
                    return True
        fault.host.anew()
        return False

    @functools.cached_property
    def _answered(self) -> list[tuple[Any, Any]]:
        """Probes that are claimed, and what is right, quick ones first."""
        found = []
        for probe in self._kind.probes(self.right.capabilities, None):
            self.right.host.anew()
            start = time.perf_counter()
            right = probe.ask(self.right)
            found.append((time.perf_counter() - start, probe, right))
        return [(probe, right) for _, probe, right in sorted(found, key=lambda one: one[0])]

    @property
    def others(self) -> list[Asked]:
        """Small cases of many kinds that are claimed."""
        listed = self._kind.networks(self.right.capabilities, self._session.seed + 1)
        if self.further:
            beyond = (self._kind.beyond(case) for case in listed)
            listed = [*self._plain_of_further(), *(case for case in beyond if case is not None)]
        small = sorted((case for case in listed if _size(case) <= _SMALL), key=_size)
        return [(case, ()) for case in small[:: max(1, len(small) // _NUMBER)]]

    def _plain_of_further(self) -> Iterator[Any]:
        """Give a plain case of each format and each recipe that further functions have."""
        claimed = self.right.capabilities
        for dtype, recipe in itertools.product(claimed.dtypes, self._kind.recipes):
            for batch in (2, 0):
                plain = self._kind.plain(claimed, dtype=dtype, recipe=recipe, batch=batch)
                case = self._kind.beyond(plain)
                if case is not None and not self._kind.unclaimed(case, claimed):
                    yield case

    def generated(self, number: int) -> Generated:
        """Put the run to faults behind guards that can be expressed in its claims."""
        claimed = self.right.capabilities
        made: list[Guarded] = guarded(
            self._session.seed,
            number,
            layer=self._kind.name == "layer",
            allowed=lambda call, dtype: self._kind.allows(call, dtype, claimed),
        )
        # Most calls are handed to what is right, by all of them: it is asked once.
        shared = Remembering(made[0].right) if made else None
        for one in made:
            one.right = shared
        faults = {
            str(place): self.right_with(lambda one=one: one) for place, one in enumerate(made)
        }
        asked = [one for one in self.asked if _size(one[0]) <= _MIDDLE]
        return Generated(len(made), len(screen(self.right, faults, asked, in_turn=True)))

    def right_with(self, make: Any) -> Judged:
        """Give an implementation that claims what the right one does."""
        return replace(self.right, host=Host(make))


def within(claimed: Capabilities, own: Any) -> Capabilities:
    """Give a claim as a fault can meet it, but for its fault.

    Flags that the fault's own implementation lacks are left out: it validates nothing. Arithmetic
    that is finer than a careful implementation's is replaced by it.
    """
    theirs = declared(own, type(claimed))
    flags = {name: getattr(claimed, name) and getattr(theirs, name) for name in _flags(claimed)}
    formats = {}
    for name in claimed.dtypes:
        careful, accumulator = FORMATS[name].careful, claimed.arithmetic(name).accumulator.name
        coarser = ACCUMULATORS[accumulator].bits < ACCUMULATORS[careful].bits
        formats[name] = accumulator if coarser else careful
    return replace(claimed, **flags, accumulator=formats, result=None)


def _flags(claimed: Capabilities) -> list[str]:
    """Name what is claimed or is not, and what may be offered."""
    values = ((one.name, getattr(claimed, one.name)) for one in fields(claimed))
    return [n for n, one in values if (isinstance(one, bool) or one == OFFERED) and n != "compiles"]


def _module(mutant: Any) -> str:
    return str(mutant.__module__.rpartition(".")[2])


def _size(case: Any) -> int:
    """Elements of the operands of a case, all samples of an impulse counted; or its products."""
    elements = sum(math.prod(shape[1:]) for shape in case.shapes.values()) * case.samples
    return int(max(elements, getattr(case, "products", 0)))
