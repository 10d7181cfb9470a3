"""Finds by which formulas each wrong result is computed: maps are read, and formulas fitted.

What contradicts a part that was found is read too, and fitted again. Whether the parts foretell new
answers is another matter: `explain` asks that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance.cases.operator import OperatorCase, unclaimed
from conformance.diagnosis.asking import Asking, Seen
from conformance.diagnosis.compared import as_foretold
from conformance.diagnosis.conditions import ALWAYS
from conformance.diagnosis.constants import constant_part
from conformance.diagnosis.fitting import fitted, wrong
from conformance.diagnosis.guesses import guesses
from conformance.diagnosis.learning import learned
from conformance.diagnosis.mirror import on_both_axes
from conformance.diagnosis.model import Model, Part
from conformance.diagnosis.places import kinds_of, numbers_of
from conformance.diagnosis.readings import Reading, affordable

# Maps that are read at a time, and how often what contradicts an explanation is learned from.
_READ, _ROUNDS = 7, 4
# In so many rounds what wrong cases contradict is read before all is fitted, which takes long.
_EARLY = 2
# Until these shares of the time formulas are fitted to wrong cases, and to all.
_FITTED, _WHOLE = 0.4, 0.6
# So many wrong ones are enough where reading takes long.
_ENOUGH = 3
# Of so many cases those are read that differ most.
_AMONG = 40
# Up to this cost of a part nothing simpler is looked for.
_SIMPLE = 3.0
# Products of maps that are read first; pixels of an axis on which a reading tells much.
_FEW, _WIDE = 4000, 4


def found_parts(
    asking: Asking, faulty: Sequence[str], last: Mapping[str, Part] | None = None
) -> dict[str, Part]:
    """Find how each wrong result is computed, learning from what contradicts it.

    Parameters
    ----------
    asking : Asking
        What was asked.
    faulty : sequence of str
        Results that are wrong.
    last : mapping of str to Part, optional
        What was found when less had been asked: often its gate alone was not right.
    """
    parts: dict[str, Part] = {}
    for result in faulty:
        # What was found for another result may hold for this one: no map needs to be read.
        known = (part for part in parts.values() if not contradicting(asking, result, part))
        if (part := next(known, None)) is not None:
            parts[result] = part
            continue
        own = (last or {}).get(result)
        if own is not None and (part := _of_others(asking, result, [own])) is not None:
            parts[result] = part
            continue
        before = [one for name, one in parts.items() if name != result]
        part = _constant(asking, result) or _found(asking, result, before, own)
        if part is None or contradicting(asking, result, part):
            part = _guessed(asking, result) or part
        if part is not None:
            parts[result] = part
    for result in faulty:
        own = parts.get(result)
        if own is not None and not contradicting(asking, result, own):
            continue
        # Its own map could not be read; that of a result that was read later may give its answers.
        others = dict.fromkeys(part for part in parts.values() if part != own)
        part = _of_others(asking, result, list(others))
        if part is not None:
            parts[result] = part
    return parts


def _constant(asking: Asking, result: str) -> Part | None:
    """Give a part that adds a constant and is right besides, where that is so."""
    part = constant_part(asking, result, lambda one: contradicting(asking, result, one))
    if part is None or not contradicting(asking, result, part):
        return part
    return _gated(asking, result, part)


def _guessed(asking: Asking, result: str) -> Part | None:
    """Give a program of the table that gives the wrong answers, behind its own gate."""
    off = [one for one in asking.seen if one.wrong[result] and not one.raised]
    off.sort(key=lambda one: one.case.products)
    for part in guesses():
        if not asking.left(0.66):
            break
        model = Model({result: part})
        if not off or not all(as_foretold(one, model, result) for one in off):
            continue
        if not contradicting(asking, result, part):
            return part
        if (gated := _gated(asking, result, part)) is not None:
            return gated
    return None


def _of_others(asking: Asking, result: str, others: Sequence[Part]) -> Part | None:
    """Give the part of another result that holds for this one, as it is or with its own gate."""
    for part in others:
        if not contradicting(asking, result, part):
            return part
    ungated = (_gated(asking, result, replace(one, when=ALWAYS)) for one in others)
    return next((one for one in ungated if one is not None), None)


def _found(
    asking: Asking, result: str, before: Sequence[Part], last: Part | None = None
) -> Part | None:
    """Read maps and fit them, then those of the cases that contradict, until none does."""
    told, best, part = 0, None, last
    for turn in range(_ROUNDS):
        readings = _readings(asking, result, part)
        if len(readings) == told or not any(map(wrong, readings)):
            # Nothing new: what was fitted would be fitted again.
            break
        told = len(readings)
        whole = [one for one in readings if one.complete and not one.raised]
        if len(whole) < 2 or not any(map(wrong, whole)):
            break
        part, agrees = _fitted(asking, result, whole, before, first=turn < _EARLY)
        best = part
        if part is None or agrees or not asking.left(0.6):
            break
    return best


def _completed(asking: Asking, result: str, part: Part) -> Part:
    """Give the part on both axes, where that agrees with all wrong ones.

    What has one fault on rows and another one on columns has more likely the same on both. What has
    none on one axis gets one only where something contradicts it.
    """

    def off(one: Part) -> list[Seen]:
        # Where it is right it may be so for a reason that is not known yet.
        return [seen for seen in contradicting(asking, result, one) if seen.wrong[result]]

    listed = sorted(on_both_axes(part), key=lambda one: one.cost)
    if not listed or (len(listed) < 2 and not off(part)):
        return part
    return next((both for both in listed if not off(both)), part)


def _fitted(
    asking: Asking,
    result: str,
    readings: Sequence[Reading],
    before: Sequence[Part],
    *,
    first: bool,
) -> tuple[Part | None, bool]:
    """Fit the wrong readings, confined by a condition, or all; tell whether nothing contradicts.

    What is behind a condition is simpler where it is wrong than everywhere. At `first` what wrong
    cases contradict is given as it is: to read these takes less time than to fit all.
    """
    off = [one for one in readings if wrong(one)]
    part = fitted(off, before, asking.until(_FITTED))
    part = None if part is None else _completed(asking, result, part)
    found: Part | None = None
    if part is not None:
        against = contradicting(asking, result, part)
        if not against:
            found = part
        elif not any(one.wrong[result] for one in against):
            found = _gated(asking, result, part)
        elif first:
            return part, False
        simple = found is not None and replace(found, when=ALWAYS).cost <= _SIMPLE
        if found is not None and (simple or not asking.left(0.5)):
            return found, True
    if len(off) == len(readings) or not asking.left(0.55):
        return found or part, found is not None
    whole = fitted(readings, before, asking.until(_FITTED if found else _WHOLE))
    whole = None if whole is None else _completed(asking, result, whole)
    if whole is not None and (found is None or whole.cost < found.cost):
        if not contradicting(asking, result, whole):
            return whole, True
        found = found or _gated(asking, result, whole)
    if found is not None:
        return found, True
    return part or whole, False


def _gated(asking: Asking, result: str, part: Part) -> Part | None:
    """Confine a part to the cases in which it holds, where in all others it is right."""
    model = Model({result: part})
    if any(one.wrong[result] for one in contradicting(asking, result, part)):
        return None

    known: dict[int, bool] = {}

    def differs(one: Seen) -> bool:
        if id(one) not in known:
            known[id(one)] = not as_foretold(one, model, result)
        return known[id(one)]

    # A part that wrong cases contradict is not the right one, wherever it is confined to.
    found = learned(
        asking, result, matters=differs,
        ends=lambda one: one.wrong[result] and not one.raised and differs(one),
    )  # fmt: skip
    return replace(part, when=found[0]) if found else None


def _readings(asking: Asking, result: str, part: Part | None) -> list[Reading]:
    """Read maps where the result is wrong, and some where it is right."""
    small = sorted(
        (
            one
            for one in asking.seen
            # Numbers are read digit by digit where the format is narrow.
            if one.case.dtype == asking.dtype and affordable(one.case) and one.case.batch
        ),
        key=lambda one: (one.case.products > _FEW, one.case.token),
    )
    # On a wide image a wrong pixel is a pixel, and not one that is missing.
    telling = sorted(
        (one for one in small if min(one.case.grid) > 1 and one.case.geometry.taps > 1),
        key=lambda one: min(one.case.size) < _WIDE,
    )
    rest = [one for one in small if one not in telling]
    chosen = contradicting(asking, result, part, telling + rest) if part else []
    # Which map it is shows where it is wrong.
    chosen = sorted(chosen, key=lambda one: not one.wrong[result])[:_READ]
    if part and not chosen:
        # What contradicts is in another format, or too large to be read: a case of its geometry is.
        against = [one.case for one in contradicting(asking, result, part) if one.case.batch]
        return _read(asking, result, [_affordable(asking, case) for case in against[:_READ]])
    for kind in (True, False):
        own = [one for one in telling + rest if one.wrong[result] is kind and not one.raised]
        chosen += various(own, _READ if kind else _READ // 2)
    return _read(asking, result, [one.case for one in chosen])


def various(
    seen: Sequence[Any], most: int, of: Callable[[Any], OperatorCase] = lambda one: one.case
) -> list[Any]:
    """Choose so many cases that differ in as many numbers and kinds as can be, the first first.

    Parameters
    ----------
    seen : sequence
        What was asked.
    most : int
        How many to choose.
    of : callable
        Gives the operator's case of each.
    """
    few = list(seen[:_AMONG])
    if len(few) <= most:
        return few
    rows = [tuple({**numbers_of(of(one)), **kinds_of(of(one))}.values()) for one in few]
    chosen = [0]
    apart = [_apart(row, rows[0]) for row in rows]
    while len(chosen) < most:
        chosen.append(max(range(len(few)), key=lambda n: (apart[n], -n)))
        apart = [
            min(old, _apart(row, rows[chosen[-1]])) for old, row in zip(apart, rows, strict=True)
        ]
    return [few[n] for n in chosen]


def _apart(one: Sequence[object], other: Sequence[object]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _read(asking: Asking, result: str, cases: Sequence[OperatorCase]) -> list[Reading]:
    """Read the maps of cases, as time allows, beside those that have been read."""
    readings = [one for (_, name), one in asking.readings.items() if name == result]
    for case in cases:
        enough = sum(map(wrong, readings)) >= _ENOUGH and not asking.left(0.42)
        if enough or not asking.left(0.5) or not affordable(case):
            break
        found = asking.read(case, result)
        if found not in readings:
            readings.append(found)
    return readings


def _affordable(asking: Asking, case: OperatorCase) -> OperatorCase:
    """Give a case of the same window in the usual format, of one group if it were too large."""
    case = case.changed(dtype=asking.dtype)
    small = case.changed(batch=1, groups=1, members=1)
    return case if affordable(case) or unclaimed(small, asking.claimed) else small


def contradicting(
    asking: Asking, result: str, part: Part, among: Sequence[Seen] | None = None
) -> list[Seen]:
    """Give what was seen and is not as a part says."""
    model = Model({result: part})
    return [
        one
        for one in (asking.seen if among is None else among)
        if not one.raised and not as_foretold(one, model, result)
    ]
