"""Explains a failing operator by asking it: what it computes, when it is wrong, and where.

The fault is not recognised from a list. The map of the operator is read and formulas are fitted to
it; the condition under which it is wrong is learned by experiment. Both make a small program, which
must then foretell the answers to cases that took no part in finding it. An explanation that does
not is called a hint. Documented in docs/explanation.md.
"""

import contextlib
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from conformance.cases.operator import OperatorCase
from conformance.claims.loading import Judged
from conformance.claims.program import DiedError
from conformance.diagnosis.answers import Question
from conformance.diagnosis.asking import RESULTS, Asking, Seen, as_foretold, columns_of, learned
from conformance.diagnosis.conditions import ALWAYS, Condition, separating
from conformance.diagnosis.fitting import fitted, wrong
from conformance.diagnosis.model import Model, Part
from conformance.diagnosis.readings import Reading, affordable
from conformance.diagnosis.reveal import reveal
from conformance.diagnosis.sentences import sentences

# Cases that are asked to learn from, and fresh ones that an explanation must foretell.
_LEARNED, _FORETOLD = 90, 200
# Of what is foretold; below it an explanation is a hint.
_SURE = 0.95
# Maps that are read at a time, and how often what contradicts an explanation is learned from.
_READ, _ROUNDS = 7, 4
# Seconds for which an explanation is tested at least.
_LEAST = 2.0
# Products of maps that are read first; pixels of an axis on which a reading tells much.
_FEW, _WIDE = 4000, 4


@dataclass(frozen=True)
class Explanation:
    """What is wrong, where and when, and how far that was tested.

    Attributes
    ----------
    what, where, when : tuple of str
        Sentences; empty where nothing was found.
    foretold, asked : int
        Of so many fresh answers so many were foretold.
    faulty : int
        Of the fresh answers so many were wrong.
    exact : bool
        Answers were foretold bit for bit, not only whether they are right.
    arithmetic : bool
        It is about sums: what is foretold are sums, right and wrong ones.
    bounded : bool
        Answers that round were foretold: within their bound, not bit for bit.
    seconds : float
        How long it took.
    """

    what: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    foretold: int = 0
    asked: int = 0
    faulty: int = 0
    exact: bool = False
    arithmetic: bool = False
    bounded: bool = False
    seconds: float = 0.0

    @property
    def certain(self) -> bool:
        """Whether enough was foretold, wrong answers among it."""
        # What `reveal` calls a hint in part is no certainty as a whole.
        telling = self.faulty or (self.arithmetic and not any("hint:" in one for one in self.what))
        return bool(self.asked and telling) and self.foretold >= _SURE * self.asked

    def as_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return asdict(self) | {"certain": self.certain, "tested": self.tested}

    @property
    def tested(self) -> str:
        """How far the explanation was tested, in words."""
        if not self.asked:
            return "not tested: there was no time for it"
        exactly = "within their bounds" if self.bounded else "bit for bit"
        how = exactly if self.exact else "right or wrong"
        what = "sums" if self.arithmetic else "answers"
        said = f"foretold {self.foretold:,} of {self.asked:,} new {what}, {how}"
        said += "" if self.arithmetic else f"; {self.faulty} of them were wrong"
        return said if self.certain else f"a hint: it {said}"


def explained(judged: Judged, failing: Any) -> Explanation | None:
    """Explain an implementation of any kind; nothing where it gives no answers any more."""
    if judged.host.given_up:
        return None
    with contextlib.suppress(DiedError):
        judged.host.anew()
        found: Explanation | None = judged.kind.explain(judged, failing)
        return found
    return None


def explain(
    judged: Judged, failing: OperatorCase | None = None, seconds: float = 10.0
) -> Explanation | None:
    """Find what an operator computes instead of what it should.

    Parameters
    ----------
    judged : Judged
        The implementation and what it claims.
    failing : OperatorCase, optional
        A case that it fails, made small.
    seconds : float
        How long to ask; it says what it had by then.

    Returns
    -------
    Explanation or None
        None where nothing that is asked here is wrong.
    """
    asking = Asking(judged, failing, seconds)
    asking.learn(_LEARNED, 0.3)
    faulty = {name for one in asking.seen for name in RESULTS if one.wrong[name]}
    if not faulty:
        return _of_arithmetic(judged, asking)
    raising = [one for one in asking.seen if one.raised]
    if raising and all(one.raised for one in asking.seen if any(one.wrong.values())):
        return of_exceptions(asking, raising)
    parts = _parts(asking, sorted(faulty, key=RESULTS.index))
    when = _conditions(asking, sorted(faulty, key=RESULTS.index), parts)
    return _tested(asking, parts, when)


def _parts(asking: Asking, faulty: Sequence[str]) -> dict[str, Part]:
    """Find how each wrong result is computed, learning from what contradicts it."""
    parts: dict[str, Part] = {}
    for result in faulty:
        # What was found for another result may hold for this one: no map needs to be read.
        known = (part for part in parts.values() if not _contradicting(asking, result, part))
        if (part := next(known, None)) is not None:
            parts[result] = part
            continue
        for _ in range(_ROUNDS):
            readings = _readings(asking, result, parts.get(result))
            if not readings or not any(map(wrong, readings)):
                break
            whole = [one for one in readings if one.complete and not one.raised]
            if len(whole) < 2 or not any(map(wrong, whole)):
                break
            before = [part for name, part in parts.items() if name != result]
            part = _fitted(asking, result, whole, before)
            if part is None:
                parts.pop(result, None)
                break
            parts[result] = part
            if not _contradicting(asking, result, part) or not asking.left(0.6):
                break
    return parts


def _fitted(
    asking: Asking, result: str, readings: Sequence[Reading], before: Sequence[Part]
) -> Part | None:
    """Fit all readings; else the wrong ones, in the cases to which a condition confines them."""
    part = fitted(readings, before)
    if part is not None:
        return part
    off = [one for one in readings if wrong(one)]
    if len(off) == len(readings) or not asking.left(0.6):
        return None
    part = fitted(off, before)
    if part is None:
        return None
    model = Model({result: part})
    found = learned(asking, result, matters=lambda one: not as_foretold(one, model, result))
    return replace(part, when=found[0]) if found else None


def _readings(asking: Asking, result: str, part: Part | None) -> list[Reading]:
    """Read maps where the result is wrong, and some where it is right."""
    small = sorted(
        (one for one in asking.seen if affordable(one.case) and one.case.batch),
        key=lambda one: (one.case.products > _FEW, one.case.token),
    )
    # On a wide image a wrong pixel is a pixel, and not one that is missing.
    telling = sorted(
        (one for one in small if min(one.case.grid) > 1 and one.case.geometry.taps > 1),
        key=lambda one: min(one.case.size) < _WIDE,
    )
    rest = [one for one in small if one not in telling]
    chosen = _contradicting(asking, result, part, telling + rest)[:_READ] if part else []
    for kind in (True, False):
        own = [one for one in telling + rest if one.wrong[result] is kind and not one.raised]
        chosen += own[: _READ if kind else _READ // 2]
    readings = [one for (_, name), one in asking.readings.items() if name == result]
    for one in chosen:
        if not asking.left(0.5):
            break
        found = asking.read(one.case, result)
        if found not in readings:
            readings.append(found)
    return readings


def _contradicting(
    asking: Asking, result: str, part: Part, among: Sequence[Seen] | None = None
) -> list[Seen]:
    """Give what was seen and is not as a part says."""
    model = Model({result: part})
    return [
        one
        for one in (asking.seen if among is None else among)
        if not one.raised and not as_foretold(one, model, result)
    ]


def _conditions(
    asking: Asking, faulty: Sequence[str], parts: Mapping[str, Part]
) -> dict[str, Condition]:
    """Say when each result is wrong: what its part foretells, or what was learned."""
    found: dict[str, Condition] = {}
    for result in faulty:
        if result in parts:
            as_before = [one for one in found if parts.get(one) == parts[result]]
            if as_before and found[as_before[0]].cost >= 0:
                found[result] = found[as_before[0]]
            else:
                found[result] = _simulated(asking, Model({result: parts[result]}), result)
        else:
            alike = next(
                (one for one in faulty if one in found and _alike(asking, one, result)), ""
            )
            conditions = [found[alike]] if alike else learned(asking, result)
            if conditions:
                found[result] = conditions[0]
    return found


def _alike(asking: Asking, one: str, other: str) -> bool:
    return all(seen.wrong[one] == seen.wrong[other] for seen in asking.seen)


def _simulated(asking: Asking, model: Model, result: str) -> Condition:
    """Give the condition under which a model is wrong; nothing needs to be asked for it."""
    cases, off = [], []
    stop = time.perf_counter() + 0.08 * asking.seconds
    for case in itertools.islice(asking.cases(), 300):
        if time.perf_counter() > stop:
            break
        if case.products > 1 << 14:
            continue
        values = Question(asking.judged, case, asking.values).values
        due, got = (one(case, values, (result,))[result] for one in (asking.right, model))
        cases.append(case)
        off.append(not np.array_equal(due, got))
    wrong_ = np.array(off)
    if not wrong_.any():
        return ALWAYS
    found = separating(columns_of(cases), wrong_)
    return found[0] if found else Condition(ALWAYS.formula, -1.0)


def _tested(
    asking: Asking, parts: Mapping[str, Part], when: Mapping[str, Condition]
) -> Explanation:
    """Put an explanation to cases that took no part in finding it."""
    model, known = Model(parts), {one.case for one in asking.seen}
    faulty = [name for name in RESULTS if any(one.wrong[name] for one in asking.seen)]
    exact = all(name in parts for name in faulty)
    foretold = asked = off = 0
    # What was found late is tested all the same.
    stop = max(asking.start + asking.seconds, time.perf_counter() + _LEAST)
    for case in itertools.islice(asking.cases(fresh=True), 4 * _FORETOLD):
        if asked >= _FORETOLD or time.perf_counter() > stop:
            break
        if case in known:
            continue
        one = asking.ask(case)
        asked += 1
        off += any(one.wrong.values())
        foretold += _foretold(one, model, parts, when)
    said = sentences(parts, when, faulty, asking.seen)
    return Explanation(
        said.what, said.where, said.when, foretold, asked, off, exact,
        seconds=time.perf_counter() - asking.start,
    )  # fmt: skip


def _foretold(
    one: Seen, model: Model, parts: Mapping[str, Part], when: Mapping[str, Condition]
) -> bool:
    """Tell whether every result of a fresh case is as foretold."""
    columns = columns_of([one.case])
    for name in RESULTS:
        if name in parts or name not in when:
            if not as_foretold(one, model, name):
                return False
        elif bool(when[name](columns)[0]) != one.wrong[name]:
            return False
    return True


def _of_arithmetic(judged: Judged, asking: Asking) -> Explanation | None:
    """Explain an operator whose map is right and whose numbers are not."""
    found = reveal(judged, asking.dtype)
    if not found.words:
        return None
    return Explanation(
        tuple(found.words),
        when=(f"operands are {asking.dtype}",),
        foretold=found.foretold,
        asked=found.asked,
        exact=True,
        arithmetic=True,
        seconds=time.perf_counter() - asking.start,
    )


def of_exceptions(asking: Asking, raising: Sequence[Seen]) -> Explanation:
    """Explain an operator that raises where it should answer."""
    found = learned(asking, "y", lambda one: bool(one.raised))
    words: dict[str, int] = {}
    for one in raising:
        words[one.raised] = words.get(one.raised, 0) + 1
    most = max(words, key=lambda said: words[said])
    foretold = asked = off = 0
    for case in itertools.islice(asking.cases(fresh=True), _FORETOLD):
        if not asking.left(1.0) or not found:
            break
        one = asking.ask(case)
        asked += 1
        off += bool(one.raised)
        foretold += bool(found[0](asking.columns([one]))[0]) == bool(one.raised)
    return Explanation(
        (most[:160],), ("no result is given",), (str(found[0]),) if found else (),
        foretold, asked, off, seconds=time.perf_counter() - asking.start,
    )  # fmt: skip
