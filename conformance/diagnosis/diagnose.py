"""Compares a failing implementation with every known fault, and says what is known of it.

Its outcomes on the probes of its kind are compared with those of every mutant, and of every two
conventions at once. A fault that matches nothing known is located, if its kind can. This is no
verdict: what an implementation is due the judge decides.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from conformance.claims.loading import Judged
from conformance.claims.program import DiedError
from conformance.diagnosis.answers import Outcome, Probe, Raised, differing
from conformance.judging.record import Failure
from conformance.mutants import words
from conformance.words import listed
from conformance.worker.host import Host

Factory = Callable[[], Any]
# The same exact number rounded twice by each side, where a fault divides.
_ROUNDINGS = 4
# Bounds are those of a correct implementation; a faulty one computes with other magnitudes.
_ROOM = 8


@dataclass(frozen=True)
class Diagnosis:
    """What is known about a failing implementation.

    Attributes
    ----------
    matches : tuple of str
        Names of the mutants that give its outcomes, the first guess first; "A+B" is a combination.
    words : str
        The first guess in words, or that nothing known matches.
    details : tuple of str
        Where the fault is: lines, a drawing of a window among them.
    """

    matches: tuple[str, ...]
    words: str
    details: tuple[str, ...] = field(default=())

    @property
    def lines(self) -> list[str]:
        """The diagnosis as it is printed."""
        others = f" (or: {', '.join(self.matches[1:4])})" if self.matches[1:] else ""
        return [self.words + others, *(f"  {line}" for line in self.details)]


class Known(NamedTuple):
    """What a kind is compared with: a right implementation, the mutants, pairs of them.

    And what has further functions: one that is right, and mutants of it. No fault is compared with
    these; they tell what a run would have caught.
    """

    right: Factory
    mutants: Mapping[str, Factory]
    pairs: Callable[[], Iterator[tuple[str, Factory]]]
    further: tuple[Factory, Mapping[str, Factory]] | None = None


@dataclass(frozen=True)
class _Asked:
    """A probe, what the implementation answered, and what is right."""

    judged: Judged
    probe: Probe
    outcome: Outcome

    def ask(self, factory: Factory) -> Outcome:
        """Put the probe to a candidate, here."""
        return self.probe.ask(replace(self.judged, host=Host(factory)))

    @property
    def size(self) -> int:
        """Elements of the outcome."""
        return sum(map(np.size, self.outcome.values()))

    @functools.cached_property
    def limits(self) -> Mapping[str, Any]:
        """How far results that are one and the same may be apart."""
        kind, claimed = self.judged.kind, self.judged.capabilities
        return dict(kind.apart(self.probe.case, claimed, _ROOM))

    @functools.cached_property
    def wrong(self) -> set[str]:
        """The results, or "behaviour", that are wrong here."""
        known = self.judged.kind.known()
        return self.aspects(differing(self.outcome, self.ask(known.right), self.limits))

    def apart(self, factory: Factory, roundings: int) -> set[str]:
        """The results, or "behaviour", in which a candidate answers otherwise."""
        theirs = self.ask(factory)
        return self.aspects(differing(theirs, self.outcome, self.limits, roundings=roundings))

    def aspects(self, names: set[str]) -> set[str]:
        results = self.judged.kind.first_order
        return {name if name in results else "behaviour" for name in names}


def diagnose(judged: Judged, failing: Any = None) -> Diagnosis:
    """Compare an implementation with every known fault.

    Parameters
    ----------
    judged : Judged
        The implementation and what it claims.
    failing : Case, optional
        A case that it fails; it becomes one of the probes.
    """
    kind = judged.kind
    asked = list(_reproducible(judged, kind.probes(judged.capabilities, failing)))
    if judged.host.given_up:
        return Diagnosis((), "it gives no answer, again and again: see the failing case", ())
    wrong = set().union(*(one.wrong for one in asked))
    if not wrong:
        details = kind.where(judged, failing, brief=False)
        return Diagnosis((), "no probe shows the fault: see the failing case", details)
    # What shows the fault first, cheap before dear: most candidates end there.
    asked.sort(key=lambda one: (not one.wrong, one.probe.dear, one.size))
    fits = _fitting(kind.known(), asked, wrong)
    if not fits:
        # A fault is not hidden by an arithmetic that was forgotten to be declared.
        exact = [one for one in asked if one.probe.case.dtype == judged.capabilities.first_dtype]
        wrong_there = set().union(*(one.wrong for one in exact))
        fits = _fitting(kind.known(), exact, wrong_there) if wrong_there else {}
        elsewhere = " (in other formats more is wrong: perhaps the accumulator is not declared)"
    else:
        elsewhere = ""
    seen = _seen(asked, wrong)
    if not fits:
        details = (*seen, *kind.where(judged, failing, brief=False))
        return Diagnosis((), "matches no known fault; what is known of it:", details)
    # Who errs nowhere else before who errs where the implementation is right.
    matches = sorted(fits, key=lambda name: len(fits[name]))
    details = (*seen, *kind.where(judged, failing, brief=True))
    said = _sentence(kind, matches[0], fits[matches[0]]) + elsewhere
    return Diagnosis(tuple(matches), said, details)


def beyond(judged: Judged, failures: Sequence[Failure]) -> Diagnosis:
    """Say of an implementation that fails none but further functions which of these it fails.

    They are not compared with known faults, nor explained.
    """
    kind = judged.kind
    by_clause = {kind.rules.raises[name]: name for name in kind.further}
    found = {
        kind.function_of(one.result) if one.result else by_clause.get(one.clause)
        for one in failures
    }
    names = [name for name in kind.further if name in found] or list(kind.further)
    several = len(names) > 1
    refuses = all(one.refusal for one in failures)
    what = ("raise" if several else "raises") if refuses else "are wrong" if several else "is wrong"
    said = f"{listed(names)} {what}; nothing that was asked of forward and backward does"
    if not refuses:
        said = said.removesuffix("does") + "is"
    return Diagnosis((), said, ("faults of this kind are not explained: see the failing case",))


def _fitting(known: Known, asked: list[_Asked], wrong: set[str]) -> dict[str, set[str]]:
    """Find the candidates that fit, single ones first, and what each gets wrong beyond."""
    for candidates, roundings in (
        (known.mutants.items, 0),
        (known.mutants.items, _ROUNDINGS),
        (known.pairs, _ROUNDINGS),
    ):
        fits = {
            name: fit
            for name, factory in candidates()
            if (fit := _fit(factory, asked, wrong, roundings)) is not None
        }
        if fits:
            return fits
    return {}


def _fit(factory: Factory, asked: list[_Asked], wrong: set[str], roundings: int) -> set[str] | None:
    """Name the aspects in which a candidate errs and the implementation does not.

    None if they differ in an aspect in which the implementation is wrong.
    """
    beyond: set[str] = set()
    for one in asked:
        apart = one.apart(factory, roundings)
        if apart & wrong:
            return None
        beyond |= apart
    return beyond


def _reproducible(judged: Judged, probes: list[Probe]) -> Iterator[_Asked]:
    """Ask twice, and drop what varies: the probes of behaviour say so on their own."""
    for probe in probes:
        outcome = _anew(judged, probe)
        if probe.behavioural or not differing(outcome, _anew(judged, probe)):
            yield _Asked(judged, probe, outcome)


def _anew(judged: Judged, probe: Probe) -> Outcome:
    """Ask anew what is made by a class or a factory: as the candidates are."""
    with contextlib.suppress(DiedError):
        judged.host.anew()
    return probe.ask(judged)


def _seen(asked: list[_Asked], wrong: set[str]) -> Iterator[str]:
    """Say which results are wrong on how many probes, and what was raised."""
    counts = {name: sum(name in one.wrong for one in asked) for name in sorted(wrong)}
    yield (
        "wrong: "
        + ", ".join(f"{n} in {count}" for n, count in counts.items())
        + (f" of {len(asked)} probes")
    )
    for one in asked:
        raised = [r for r in one.outcome.values() if isinstance(r, Raised)]
        if raised and one.wrong:
            yield f"{raised[0]}"[:200] + f", case {one.probe.name}"
            return


def _sentence(kind: Any, match: str, beyond: set[str]) -> str:
    parts = match.split("+")
    said = " and ".join(f"{words(kind.known().mutants[name])} [{name}]" for name in parts)
    right = f", but {', '.join(sorted(beyond))} right" if beyond else ""
    return f"matches: {said}{right}"
