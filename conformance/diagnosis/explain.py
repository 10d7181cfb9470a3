"""Explains a failing operator by asking it: what it computes, when it is wrong, and where.

The fault is not recognised from a list. The map of the operator is read and formulas are fitted to
it; the condition under which it is wrong is learned by experiment. Both make a small program, which
must then foretell the answers to cases that took no part in finding it. An explanation that does
not is called a hint. Documented in docs/explanation.md.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.diagnosis.answers import Raised
from conformance.diagnosis.asking import (
    RESULTS,
    Asking,
    Seen,
    columns_of,
    patience,
)
from conformance.diagnosis.compared import as_foretold
from conformance.diagnosis.conditions import ALWAYS, Condition, nearly
from conformance.diagnosis.explanation import Explanation, Turn, settled, worth
from conformance.diagnosis.laws import suspected
from conformance.diagnosis.learning import learned
from conformance.diagnosis.model import Model, Part
from conformance.diagnosis.numbers import explain_numbers
from conformance.diagnosis.observing import FEWEST, SELDOM, SURE, Learned
from conformance.diagnosis.parts import contradicting, found_parts
from conformance.diagnosis.sentences import sentences
from conformance.diagnosis.simulated import DIFFERS, Simulated
from conformance.words import listed

# Cases that are asked to learn from, and fresh ones that an explanation must foretell.
_LEARNED, _FORETOLD = 90, 200
# Seconds for which an explanation is tested at least.
_LEAST = 2.0
# Wrong cases on which laws are tried, and products of one of them at most.
_TRIED, _FEW = 3, 4000
# Significand bits of a format that is wide.
_WIDE = 24
# Of the time so much is spent to learn when a program that was found is not right.
_SIMULATING = 0.15
# So few exact answers are wrong of an arithmetic.
_RARE = 0.05


def explain(
    judged: Judged, failing: OperatorCase | None = None, seconds: float | None = None
) -> Explanation | None:
    """Find what an operator computes instead of what it should.

    Parameters
    ----------
    judged : Judged
        The implementation and what it claims.
    failing : OperatorCase, optional
        A case that it fails, made small.
    seconds : float, optional
        How long to ask, `patience` by default; it says what it had by then.

    Returns
    -------
    Explanation or None
        None where nothing that is asked here is wrong.
    """
    asking = Asking(judged, failing, patience("operator") if seconds is None else seconds)
    asking.parts_refusals = True
    # Where real numbers fail, integers say whether the map is right.
    asking.learn(_LEARNED if asking.exact else _LEARNED // 3, 0.3)
    if _of_no_integers(asking) and asking.rescaled():
        asking.learn(_LEARNED, 0.5)
    if not _faulty(asking) or (not asking.refused and _by_chance(asking, failing)):
        if asking.refused:
            return of_exceptions(asking, asking.refused)
        if _faulty(asking) or not asking.rescaled():
            return _without_a_map(asking, failing)
        # It takes large numbers, or no integers, to be wrong: no arithmetic minds a power of two.
        asking.learn(_LEARNED, 0.5)
    elif (found := _of_law(asking)) is not None:
        return found
    elif not asking.exact:
        asking.learn(_LEARNED, 0.4)
    return settled(asking, _Turns(asking))


def _of_no_integers(asking: Asking) -> bool:
    """Tell whether answers are wrong, and only where x is not of integers."""
    off = [one for one in asking.seen if any(one.wrong.values())]
    return bool(off) and all(one.row["x is of integers"] == "no" for one in off)


def _by_chance(asking: Asking, failing: OperatorCase | None) -> bool:
    """Tell whether real numbers fail, and those that are exact hardly ever: no map does that."""
    if failing is None or asking.judged.kind.recipes[failing.recipe].exact:
        return False
    off = sum(any(one.wrong.values()) for one in asking.seen)
    return off < _RARE * len(asking.seen)


def _without_a_map(asking: Asking, failing: OperatorCase | None) -> Explanation | None:
    """Explain by an arithmetic what is right on small integers; or by what larger ones show."""
    found = of_numbers(asking.judged, failing or asking.plain, 0.7 * asking.seconds)
    if found is not None:
        # It began before numbers were asked.
        found = replace(found, seconds=time.perf_counter() - asking.start)
    if failing is None or (found is not None and found.certain) or not asking.left(0.9):
        return found
    # Larger numbers, or no integers, perhaps: those of the failing case have more bits.
    asking.scaled = True
    asking.begin()
    asking.learn(_LEARNED, 0.3)
    if not _faulty(asking):
        return found
    other = settled(asking, _Turns(asking))
    return other if found is None or worth(other) >= worth(found) else found


def _of_law(asking: Asking) -> Explanation | None:
    """Explain by what is done to an operand, if that gives the answers of a few wrong cases."""
    for name in RESULTS:
        every = sorted((s for s in asking.seen if s.wrong[name]), key=lambda s: s.case.products)
        # Of large ones alone the smallest.
        off = [one for one in every if one.case.products <= _FEW] or every[:1]
        # In wide formats few roundings hide what a law says.
        off.sort(key=lambda one: (FORMATS[one.case.dtype].bits < _WIDE, -one.case.products))
        off = off[:_TRIED]
        laws = [suspected(one.case, one.values, one.got, name) for one in off]
        if laws and set.intersection(*laws):
            failing, seconds = asking.failing or off[0].case, 0.6 * asking.seconds
            found = explain_numbers(
                asking.judged, failing, time.perf_counter(), seconds, laws_alone=True
            )
            if found is not None and found.learned.certain:
                return told(found.learned, asking.start)
    return None


class _Turns:
    """Explains what was seen, and tests it on cases of the turn; it begins with the last parts."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.parts: dict[str, Part] = {}

    def __call__(self, turn: Turn) -> tuple[Explanation, list[Seen]]:
        asking, faulty = self.asking, _faulty(self.asking)
        parts = found_parts(asking, faulty, self.parts)
        when = _conditions(asking, faulty, parts)
        for result in [name for name in faulty if name in parts]:
            # What is contradicted gives way to a condition that is not.
            if contradicting(asking, result, parts[result]) and (found := learned(asking, result)):
                del parts[result]
                when[result] = found[0]
        self.parts = parts
        return _tested(asking, parts, when, turn)


def _faulty(asking: Asking) -> list[str]:
    return [name for name in RESULTS if any(one.wrong[name] for one in asking.seen)]


def _conditions(
    asking: Asking, faulty: Sequence[str], parts: Mapping[str, Part]
) -> dict[str, Condition]:
    """Say when each result is wrong: what its part foretells, or what was learned."""
    found: dict[str, Condition] = {}
    for result in faulty:
        if result in parts and parts[result].when is not ALWAYS:
            # It says itself when it is in force.
            found[result] = DIFFERS
        elif result in parts:
            as_before = [one for one in found if parts.get(one) == parts[result]]
            if as_before:
                found[result] = found[as_before[0]]
            else:
                model = Model({result: parts[result]})
                seconds = _SIMULATING * asking.seconds
                found[result] = Simulated(asking, model, result, seconds).when()
        else:
            alike = next(
                (one for one in faulty if one in found and _alike(asking, one, result)), ""
            )
            conditions = (
                [found[alike]] if alike else learned(asking, result) or _nearly(asking, result)
            )
            if conditions:
                found[result] = conditions[0]
    return found


def _nearly(asking: Asking, result: str) -> list[Condition]:
    """Give what holds wherever a result is wrong, and hardly elsewhere: some is right by chance."""
    cared = [one for one in asking.seen if one.wrong[result] or not one.empty]
    wrong_ = np.array([one.wrong[result] for one in cared])
    found = nearly(asking.columns(cared), wrong_, SELDOM) if wrong_.any() else None
    return [] if found is None else [found]


def _alike(asking: Asking, one: str, other: str) -> bool:
    return all(seen.wrong[one] == seen.wrong[other] for seen in asking.seen)


def _tested(
    asking: Asking, parts: Mapping[str, Part], when: Mapping[str, Condition], turn: Turn
) -> tuple[Explanation, list[Seen]]:
    """Put an explanation to cases that took no part in finding it, and give these."""
    model, known = Model(parts), {one.case for one in asking.seen}
    faulty = [name for name in RESULTS if any(one.wrong[name] for one in asking.seen)]
    exact = all(name in parts for name in faulty)
    # A harmless refusal does not hide what is wrong besides.
    refuses = _refusals(asking)
    foretold = asked = off = caught = 0
    fresh = list[Seen]()
    # What was found late is tested all the same.
    stop = max(asking.start + asking.seconds, time.perf_counter() + _LEAST)
    for case in itertools.islice(asking.cases(fresh=turn.number), 4 * _FORETOLD):
        # Where a fault is rare more are asked, until enough of them are wrong.
        if (asked >= _FORETOLD and off >= FEWEST) or time.perf_counter() > stop:
            break
        if case in known:
            continue
        one = asking.ask(case)
        fresh.append(one)
        asked += 1
        if one.raised or (refuses and refuses[0](columns_of([one]))[0]):
            right = bool(refuses) and bool(one.raised)
        else:
            right = _foretold(one, model, parts, when)
        wrong_ = bool(one.raised) or any(one.wrong.values())
        off, foretold, caught = off + wrong_, foretold + right, caught + (wrong_ and right)
        if turn.enough(asked - foretold):
            break
    said = sentences(parts, _held(when, parts, fresh), faulty, asking.seen)
    besides = _besides(asking, refuses)
    found = Explanation(
        said.what + besides, said.where, said.when, foretold, asked, off, exact,
        seconds=time.perf_counter() - asking.start, caught=caught,
    )  # fmt: skip
    return found, fresh


def _held(
    when: Mapping[str, Condition], parts: Mapping[str, Part], fresh: Sequence[Seen]
) -> dict[str, Condition]:
    """Say of no part when it is wrong, unless that is foretold too."""
    answered = [one for one in fresh if not one.raised]
    if not answered:
        return dict(when)
    columns, kept = columns_of(answered), dict(when)
    for name in [one for one in parts.keys() & when.keys() if not when[one].needed]:
        full = np.array([not one.empty for one in answered])
        alike = (when[name](columns) & full) == [one.wrong[name] for one in answered]
        if alike.mean() < SURE:
            kept[name] = DIFFERS
    return kept


def _refusals(asking: Asking) -> list[Condition]:
    """Learn when it raises; nothing where it never does."""
    if not any(one.raised for one in (*asking.seen, *asking.refused)):
        return []
    return learned(asking, "y", lambda one: bool(one.raised), refusals=True)


def _besides(asking: Asking, refuses: Sequence[Condition]) -> tuple[str, ...]:
    """Say that it raises besides, and when."""
    if not asking.refused:
        return ()
    when = f", where {refuses[0]}" if refuses else ""
    return (f"besides: {asking.refused[0].raised[:160]}{when}",)


def _foretold(
    one: Seen, model: Model, parts: Mapping[str, Part], when: Mapping[str, Condition]
) -> bool:
    """Tell whether every result of a fresh case is as foretold."""
    columns = columns_of([one])
    for name in RESULTS:
        if name in parts or name not in when:
            if not as_foretold(one, model, name):
                return False
        elif (bool(when[name](columns)[0]) and not one.empty) != one.wrong[name]:
            return False
    return True


def of_numbers(
    judged: Judged, failing: OperatorCase, seconds: float, *, laws_alone: bool = False
) -> Explanation | None:
    """Explain an operator whose map is right and whose numbers are not.

    Parameters
    ----------
    judged : Judged
        The implementation.
    failing : Case
        What fails.
    seconds : float
        How long to ask.
    laws_alone : bool
        Whether nothing is asked of sums.
    """
    start = time.perf_counter()
    found = explain_numbers(judged, failing, start, seconds, laws_alone=laws_alone)
    if found is None:
        return None
    own, sums = found
    when = own.when
    if sums is None:
        return told(own, start)
    share = f"foretold {own.foretold} of {own.asked} calls, right or wrong"
    lines = (f"{'' if own.certain else 'a hint: it '}{share}", *when[-1:])
    return Explanation(
        own.what, own.where, (*when[:-1], *lines), sums.foretold, sums.asked,
        exact=True, arithmetic=True, seconds=time.perf_counter() - start,
    )  # fmt: skip


def told(own: Learned, start: float) -> Explanation:
    """Give what was learned of behaviour or numbers as an explanation."""
    return Explanation(
        own.what, own.where, own.when, own.foretold, own.asked, own.faulty, own.exact,
        seconds=time.perf_counter() - start, caught=own.caught,
    )  # fmt: skip


def of_exceptions(asking: Asking, raising: Sequence[Seen]) -> Explanation:
    """Explain an operator that raises where it should answer."""
    found = _refusals(asking)
    words: dict[str, int] = {}
    for one in raising:
        words[one.raised] = words.get(one.raised, 0) + 1
    most = max(words, key=lambda said: words[said])
    foretold = asked = off = caught = 0
    for case in itertools.islice(asking.cases(fresh=1), _FORETOLD):
        if not asking.left(1.0) or not found:
            break
        one = asking.ask(case)
        raised = bool(one.raised)
        right = bool(found[0](asking.columns([one]))[0]) == raised
        asked, off = asked + 1, off + raised
        foretold, caught = foretold + right, caught + (raised and right)
    return Explanation(
        (most[:160], *_also(raising)), (_without(raising),), (str(found[0]),) if found else (),
        foretold, asked, off, seconds=time.perf_counter() - asking.start, caught=caught,
        raises=True,
    )  # fmt: skip


def _also(raising: Sequence[Seen]) -> list[str]:
    """Say how often what is given where another result is not is wrong."""
    given = [one for one in raising if isinstance(one.got.get("y"), np.ndarray)]
    off = sum(one.wrong["y"] for one in given)
    return [f"besides: y is wrong in {off} of the {len(given)} calls that give it"] if off else []


def _without(raising: Sequence[Seen]) -> str:
    """Say which functions give no result."""
    lost = {name for one in raising for name, got in one.got.items() if isinstance(got, Raised)}
    functions = {"forward": {"y"}, "backward": {"dx", "dkernel"}}
    silent = [name for name, results in functions.items() if results & lost]
    other = "; forward does" if silent == ["backward"] else ""
    return f"{listed(silent)} give{'s' * (len(silent) == 1)} no result{other}"
