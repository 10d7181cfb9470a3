"""Names the fault of a failing implementation, or says where it is.

Its outcomes on the probes are compared with those of every mutant, and of every two conventions at
once. A fault that matches nothing known is localised from the impulse certificate.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.answers import Outcome, Probe, answer, differing
from conformance.capabilities import Capabilities
from conformance.cases import Case, certificate
from conformance.implementation import Implementation, Judged
from conformance.implementations.numpy_unfold import Unfold
from conformance.impulses import Meetings, meetings
from conformance.mutants import CONVENTIONS, MUTANTS, words
from conformance.picture import localise
from conformance.probes import probes
from conformance.recipes import DECIDES, operands

Factory = Callable[[], Implementation]
# The same exact number rounded twice by each side, where a fault divides.
_ROUNDINGS = 4


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


@dataclass(frozen=True)
class _Asked:
    """A probe, what the implementation answered, and the aspects in which that is wrong."""

    probe: Probe
    outcome: Outcome

    @functools.cached_property
    def wrong(self) -> set[str]:
        return differing(self.outcome, _right(self.probe))


def diagnose(judged: Judged, failing: Case | None = None) -> Diagnosis:
    """Compare an implementation with every known fault.

    Parameters
    ----------
    judged : Judged
        The implementation and what it claims.
    failing : Case, optional
        A case that it fails; it becomes one of the probes.
    """
    asked = [
        _Asked(*one)
        for one in _reproducible(judged.implementation, probes(judged.capabilities, failing))
    ]
    wrong = set().union(*(one.wrong for one in asked))
    if not wrong:
        details = localised(judged, failing, brief=False)
        return Diagnosis((), "no probe shows the fault: see the failing case", details)
    # What shows the fault first, small before large: most candidates end there.
    asked.sort(key=lambda one: (not one.wrong, sum(map(np.size, one.outcome.values()))))
    fits = _fitting(asked, wrong)
    if not fits:
        details = localised(judged, failing, brief=False)
        return Diagnosis((), "matches no known fault; what is known of it:", details)
    # Who errs nowhere else before who errs where the implementation is right.
    matches = sorted(fits, key=lambda name: len(fits[name]))
    details = localised(judged, failing, brief=True)
    return Diagnosis(tuple(matches), _sentence(matches[0], fits[matches[0]]), details)


def _fitting(asked: list[_Asked], wrong: set[str]) -> dict[str, set[str]]:
    """Find the candidates that fit, single ones first, and what each gets wrong beyond."""
    for candidates, roundings in (
        (MUTANTS.items, 0),
        (MUTANTS.items, _ROUNDINGS),
        (_combinations, _ROUNDINGS),
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
        apart = differing(one.probe.ask(factory()), one.outcome, roundings=roundings)
        if apart & wrong:
            return None
        beyond |= apart
    return beyond


def _sentence(match: str, beyond: set[str]) -> str:
    right = f", but {', '.join(sorted(beyond))} right" if beyond else ""
    return f"matches: {_in_words(match)}{right}"


@functools.cache
def _right(probe: Probe) -> Outcome:
    return probe.ask(Unfold())


def _reproducible(
    implementation: Implementation, asked: list[Probe]
) -> list[tuple[Probe, Outcome]]:
    """Ask twice, and drop what varies: the probes of behaviour say so on their own."""
    answered = [(probe, probe.ask(implementation)) for probe in asked]
    return [
        (probe, outcome)
        for probe, outcome in answered
        if probe.behavioural or not differing(outcome, probe.ask(implementation))
    ]


def _combinations() -> Iterator[tuple[str, Factory]]:
    for one, other in itertools.combinations(CONVENTIONS, 2):
        yield f"{one}+{other}", type("Both", (CONVENTIONS[one], CONVENTIONS[other]), {})


def _in_words(match: str) -> str:
    parts = match.split("+")
    return " and ".join(f"{words(MUTANTS[name])} [{name}]" for name in parts)


def localised(judged: Judged, failing: Case | None, *, brief: bool) -> tuple[str, ...]:
    """Read off the impulse certificate where an implementation is wrong; smallest case first."""
    return tuple(_localised(judged, _certificates(judged.capabilities, failing, brief=brief)))


def _localised(judged: Judged, cases: Iterator[Case]) -> Iterator[str]:
    for case in cases:
        values = operands(case)
        got = answer(judged.implementation, values, case.options)
        due = answer(Unfold(), values, case.options)
        for result in DECIDES[case.recipe]:
            if _form(got[result]) != _form(due[result]):
                yield f"{result} {_form(got[result])}; due was: {_form(due[result])}"
                yield f"case {case.token}"
                return
            lines = localise(
                case, result, _meetings(case, result, got), _meetings(case, result, due)
            )
            if lines:
                yield from lines
                yield f"case {case.token}"
                return
    yield "every product of the impulse certificate is right:"
    yield "look at sums, formats, sizes, special values and what is remembered from call to call"


def _certificates(claimed: Capabilities, failing: Case | None, *, brief: bool) -> Iterator[Case]:
    for recipe in DECIDES:
        if failing is not None and _few_entries(failing):
            yield replace(failing, recipe=recipe, batch=1)
        yield from certificate(claimed, claimed.first_dtype, recipe, brief=True)
    if not brief:
        for recipe in DECIDES:
            yield from certificate(claimed, claimed.first_dtype, recipe)


def _few_entries(case: Case) -> bool:
    """Tell whether one sample for each entry is affordable."""
    return case.height * case.width * case.channels <= 512 and case.grid[0] * case.grid[1] <= 256


def _meetings(case: Case, result: str, outcome: Outcome) -> Meetings:
    return meetings(case, result, outcome[result])


def _form(result: Any) -> str:
    return result if isinstance(result, str) else f"has shape {result.shape} and is {result.dtype}"
