"""Finds options of a call that an implementation does not look at, and explains it without them.

Code that was written for one network has one padding, one order of groups, no dilation, and seldom
says so. Whatever else is wrong with it is hidden by what it never had. Here each option is given
the value that the code seems to have, and the answers must stay the same bits. What it does then is
explained within what it would claim if it declared that. Nothing is known of faults here.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from conformance.cases.operator import OperatorCase, unclaimed
from conformance.claims.capabilities import HALF, Capabilities, written
from conformance.claims.loading import Judged
from conformance.diagnosis import experiments
from conformance.diagnosis.answers import Raised, differing
from conformance.diagnosis.asking import Asking
from conformance.diagnosis.explanation import Explanation
from conformance.judging.record import Failure
from conformance.judging.shrink import smallest
from conformance.words import listed

# Calls that must be answered alike before an option is taken to be ignored, and fresh ones after.
_FEW, _FRESH = 4, 40
# Of the answers so many are wrong where what is due is another one.
_WRONG = 0.9
# Cases that are drawn for these, most of which the other option gives another size.
_DRAWN = 4000
# Cases by which it is told which value the code has.
_CHOSEN = 12
# What has raised so often before it answered one pair will hardly answer any.
_RAISING = 100
# How the cases differ in size: as they are drawn, of more channels, of more pixels.
_LARGER: Sequence[Callable[[OperatorCase], OperatorCase]] = (
    lambda case: case,
    lambda case: case.changed(members=16 * case.geometry.members),
    lambda case: case,
    lambda case: case.changed(height=case.height + 24, width=case.width + 24),
)
# Seconds to make small what fails within what is declared.
_SHRINKING = 2.0


class Value(NamedTuple):
    """A value of an option: as a case has it, as a declaration has it."""

    own: Any
    declared: Any


# By the option of a call: the entry of a declaration, and the values that code of one kind has.
_OPTIONS: Mapping[str, tuple[str, Sequence[Value]]] = {
    "dilation": ("dilations", [Value((1, 1), ((1, 1),))]),
    "padding": ("paddings", [Value(one, (one,)) for one in ("same", HALF, "valid")]),
    "group_layout": ("group_layouts", [Value(o, (o,)) for o in ("blocked", "interleaved")]),
}


@dataclass(frozen=True)
class Ignored:
    """Options that make no difference, with the values that the code has.

    Attributes
    ----------
    values : mapping of str to Value
        By option.
    asked, wrong : int
        Fresh calls with another value that were answered alike; of these so many wrongly.
    """

    values: Mapping[str, Value]
    asked: int
    wrong: int

    @property
    def entries(self) -> dict[str, Any]:
        """The entries of a declaration that says so."""
        return {_OPTIONS[name][0]: one.declared for name, one in self.values.items()}

    def within(self, claimed: Capabilities) -> Capabilities:
        """Give the claims of code that says so."""
        return replace(claimed, **self.entries)

    @property
    def lines(self) -> tuple[str, ...]:
        """What it is in words, and what can be declared."""
        had = listed([f"{name} {_said(one.own)}" for name, one in self.values.items()])
        return (
            f"ignores {listed(list(self.values))}: it answers as for {had}, whatever is asked",
            f"  if it has no other, it declares {written(self.entries)}",
        )


def _said(value: Any) -> str:
    return "1" if value == (1, 1) else str(value)


def ignored(judged: Judged, seconds: float) -> Ignored | None:
    """Find the options that an operator does not look at; None where there are none.

    Parameters
    ----------
    judged : Judged
        The implementation and what it claims.
    seconds : float
        How long to ask.
    """
    looking = _Looking(judged, seconds)
    found: dict[str, Value] = {}
    for option, (entry, values) in _OPTIONS.items():
        fits = [one for one in values if set(one.declared) <= _claimed(judged, entry)]
        # What claims a single value is asked for no other.
        if fits and looking.alike({option: fits[0]}, _FEW, 1) is not None:
            found[option] = fits[0]
    if not found:
        return None
    for option in found:
        found = looking.chosen(found, option)
    told = looking.alike(found, _FRESH, 2)
    # Who looks at the option is right now and then: who remembers the answer to an earlier call.
    if told is None or told[1] < _WRONG * told[0]:
        return None
    return Ignored(found, *told)


def _claimed(judged: Judged, entry: str) -> set[Any]:
    claimed = getattr(judged.capabilities, entry)
    if entry == "dilations":
        return {(1, 1)} if claimed != ((1, 1),) else set()
    kinds = {*claimed} | ({HALF} if "explicit" in claimed else set())
    return kinds if len(kinds) > 1 else set()


class _Looking:
    """Asks calls with one value of an option and with another."""

    def __init__(self, judged: Judged, seconds: float) -> None:
        self.judged, self.stop = judged, time.perf_counter() + seconds
        self.asking = Asking(judged, None, seconds)

    def _drawn(self, seed: int) -> Iterator[OperatorCase]:
        claimed, rng = self.judged.capabilities, random.Random(f"ignored {seed}")
        drawn = experiments.drawn(claimed, claimed.first_dtype, rng, small=True)
        for number, case in enumerate(itertools.islice(drawn, _DRAWN)):
            # Code may look at an option on large images alone, or with many channels.
            larger = _LARGER[number % len(_LARGER)](case)
            yield case if unclaimed(larger, claimed) else larger

    def _pairs(
        self, values: Mapping[str, Value], seed: int
    ) -> Iterator[tuple[OperatorCase, OperatorCase]]:
        """Give calls with other values than these, and those with these, of the same sizes."""
        claimed = self.judged.capabilities
        for number, drawn in enumerate(self._drawn(seed)):
            other, case = _with(drawn, values), drawn
            if "padding" in values and "explicit" in claimed.paddings and min(other.grid) > 0:
                case = case.changed(padding=_on_one_side(case, other, before=number % 2 == 0))
            fits = other.grid == case.grid and other != case
            if fits and not unclaimed(case, claimed) and not unclaimed(other, claimed):
                yield case, other

    def alike(self, values: Mapping[str, Value], number: int, seed: int) -> tuple[int, int] | None:
        """Count calls that are answered as those with these values; None if one is not.

        Right answers to the two calls differ, so that who looks at the option is found out.
        """
        asked = wrong = raised = 0
        for case, other in self._pairs(values, seed):
            if time.perf_counter() > self.stop or (not asked and raised > _RAISING):
                break
            operands = self.asking.values(case, 8)
            if not differing(self.asking.right(case, operands), self.asking.right(other, operands)):
                continue
            # What is remembered of a call of these sizes is not asked for before.
            self.judged.host.anew()
            one, same = self.asking.ask(case), self.asking.ask(other)
            if any(isinstance(got, Raised) for got in (*one.got.values(), *same.got.values())):
                raised += 1
                continue
            if differing(dict(one.got), dict(same.got)):
                return None
            asked, wrong = asked + 1, wrong + any(one.wrong.values())
            if asked == number:
                break
        return (asked, wrong) if asked >= min(number, _FEW) else None

    def chosen(self, found: dict[str, Value], option: str) -> dict[str, Value]:
        """Take of an option that value with which most answers are right."""
        entry, values = _OPTIONS[option]
        counts: dict[Value, int] = {}
        for value in values:
            if not set(value.declared) <= _claimed(self.judged, entry):
                continue
            own = (_with(case, found | {option: value}) for case in self._drawn(3))
            cases = itertools.islice((case for case in own if min(case.grid) > 0), _CHOSEN)
            counts[value] = sum(not any(self.asking.ask(one).wrong.values()) for one in cases)
        return found | {option: max(counts, key=lambda value: counts[value])}


def _with(case: OperatorCase, values: Mapping[str, Value]) -> OperatorCase:
    return case.changed(**{name: one.own for name, one in values.items()})


def _on_one_side(case: OperatorCase, other: OperatorCase, *, before: bool) -> Any:
    """Give a padding that makes a call as large as another one, all on one side of each axis."""
    sides = []
    for own, axis in zip(case.geometry.dilation, other.geometry.axes(other.size), strict=True):
        reach = (axis.taps - 1) * (own - axis.dilation)
        total = max(0, axis.before + axis.after + reach)
        sides.append((total, 0) if before else (0, total))
    return tuple(sides)


def explain_within(
    judged: Judged,
    found: Ignored,
    failures: Sequence[Failure],
    explained: Callable[[Judged, Any, str], Explanation | None],
) -> Explanation:
    """Explain an implementation that ignores options, within what it has.

    Parameters
    ----------
    judged : Judged
        The implementation and what it claims.
    found : Ignored
        What it does not look at.
    failures : sequence of Failure
        All that it fails.
    explained : callable
        Explains a case that an implementation fails, which a check met.
    """
    start, kind = time.perf_counter(), judged.kind
    less = replace(judged, capabilities=found.within(judged.capabilities))
    own = [one for one in failures if kind.askable(kind.case.parse(one.token), less.capabilities)]
    first = smallest(less, own, _SHRINKING)
    inner = explained(less, kind.case.parse(first.token), first.check) if first else None
    wherever = "wherever the answer to another value is another"
    if inner is None or not inner.certain:
        hint = inner.what[:4] if inner is not None and inner.asked else ()
        more: tuple[str, ...] = ("the answers to these values are right, as far as was asked",)
        if own:
            more = (f"something else is wrong too{'; a hint:' * bool(hint)}", *hint)
        return Explanation(
            (*found.lines, *more), (), (wherever,), found.asked, found.asked, found.wrong,
            exact=True, seconds=time.perf_counter() - start,
        )  # fmt: skip
    return replace(
        inner,
        what=(*found.lines, "and, where these are as declared:", *inner.what),
        when=(f"what it ignores: {wherever}", *inner.when),
        foretold=inner.foretold + found.asked,
        asked=inner.asked + found.asked,
        faulty=inner.faulty + found.wrong,
        caught=None if inner.caught is None else inner.caught + found.wrong,
        seconds=time.perf_counter() - start,
    )
