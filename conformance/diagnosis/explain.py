"""Explains a failing operator by asking it: what it computes, when it is wrong, and where.

The fault is not recognised from a list. The map of the operator is read and formulas are fitted to
it; the condition under which it is wrong is learned by experiment. Both make a small program, which
must then foretell the answers to cases that took no part in finding it. An explanation that does
not is called a hint. Documented in docs/explanation.md.
"""

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from conformance.cases import operator as operator_cases
from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.claims.program import DiedError
from conformance.diagnosis import experiments
from conformance.diagnosis.answers import Question, Raised
from conformance.diagnosis.conditions import ALWAYS, Condition, separating
from conformance.diagnosis.expressions import Column
from conformance.diagnosis.fitting import fitted, wrong
from conformance.diagnosis.model import RIGHT, Model, Part, kinds_of, numbers_of
from conformance.diagnosis.readings import Reading, affordable, read
from conformance.diagnosis.reveal import reveal
from conformance.diagnosis.sentences import sentences

RESULTS = ("y", "dx", "dkernel")
# Cases that are asked to learn from, and fresh ones that an explanation must foretell.
_LEARNED, _FORETOLD = 90, 200
# Of what is foretold; below it an explanation is a hint.
_SURE = 0.95
# Maps that are read at a time, and how often what contradicts an explanation is learned from.
_READ, _ROUNDS = 7, 4
_MOST_VALUES = 1 << 19
# Seconds for which an explanation is tested at least.
_LEAST = 2.0
# Sizes whose thresholds are searched for, and the fields of a case that they are.
_SIZES = {
    "B": "batch", "H": "height", "W": "width", "G": "groups", "M": "members", "C": "members",
    "Ho": "height", "Wo": "width",
}  # fmt: skip
# Of sums: as many as float16 and TF32 hold.
_BITS = 11
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
    seconds: float = 0.0

    @property
    def certain(self) -> bool:
        """Whether enough was foretold, wrong answers among it."""
        return bool(self.asked and self.faulty) and self.foretold >= _SURE * self.asked

    def as_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return asdict(self) | {"certain": self.certain, "tested": self.tested}

    @property
    def tested(self) -> str:
        """How far the explanation was tested, in words."""
        if not self.asked:
            return "not tested: there was no time for it"
        how = "bit for bit" if self.exact else "right or wrong"
        said = f"foretold {self.foretold} of {self.asked} new answers, {how}"
        said += f"; {self.faulty} of them were wrong"
        return said if self.certain else f"a hint: it {said}"


@dataclass
class _Seen:
    """A case that was asked, its operands, and what came back for each result."""

    case: OperatorCase
    values: Mapping[str, Array]
    got: Mapping[str, Any]
    wrong: dict[str, bool] = field(default_factory=dict)

    @property
    def raised(self) -> str:
        """What was raised, in its class's word."""
        words = [str(one) for one in self.got.values() if isinstance(one, Raised)]
        return words[0] if words else ""


def explained(judged: Judged, failing: Any) -> Explanation | None:
    """Explain an implementation of any kind; nothing where it gives no answers any more."""
    if judged.host.given_up:
        return None
    with contextlib.suppress(DiedError):
        judged.host.anew()
        found: Explanation | None = judged.kind.explain(judged, failing)
        return found
    return None


class _Explainer:
    """Asks an implementation within a time, and keeps what it answered."""

    def __init__(self, judged: Judged, failing: OperatorCase | None, seconds: float) -> None:
        self.judged, self.claimed = judged, judged.capabilities
        self.start = time.perf_counter()
        self.seconds = seconds
        self.dtype = failing.dtype if failing else self.claimed.first_dtype
        if failing is not None and failing.recipe not in experiments.FINITE:
            failing = failing.changed(recipe="integers")
        self.failing = failing
        self.rng = random.Random(20261124)
        self.seen: list[_Seen] = []
        self.readings: dict[tuple[str, str], Reading] = {}
        self.right = Model()

    def left(self, share: float) -> bool:
        """Whether less than a share of the time is spent."""
        return time.perf_counter() - self.start < share * self.seconds

    def cases(self, *, fresh: bool = False) -> Iterable[OperatorCase]:
        """Draw cases, from everywhere and near the failing one in turn."""
        rng = random.Random(77) if fresh else self.rng
        anywhere = experiments.drawn(self.claimed, self.dtype, rng)
        if self.failing is None:
            return anywhere
        near = experiments.near(self.failing, self.claimed, rng)
        return itertools.chain.from_iterable(zip(near, anywhere, near, strict=False))

    def ask(self, case: OperatorCase) -> _Seen:
        """Ask a case, and compare with what is right."""
        question = Question(self.judged, case, self.values)
        values = question.values
        got = question.ask(values)
        due = self.right(case, values)
        found = _Seen(case, values, got)
        found.wrong = {name: not _same(got.get(name), due[name]) for name in RESULTS}
        return found

    def values(self, case: OperatorCase, bits: int) -> Mapping[str, Array]:
        """Operands so short that no arithmetic is too narrow for them: what is wrong is the map."""
        made: Mapping[str, Array] = self.judged.kind.values(case, min(bits, _BITS))
        return made

    def learn(self, number: int, share: float) -> None:
        """Ask cases to learn from."""
        if self.failing is not None and _askable(self.failing):
            self.seen.append(self.ask(self.failing))
        for case in itertools.islice(self.cases(), number):
            if not self.left(share):
                return
            self.seen.append(self.ask(case))

    def read(self, case: OperatorCase, result: str) -> Reading:
        """Read a map, once."""
        plain = case.changed(recipe="integers", seed=0)
        key = plain.token, result
        if key not in self.readings:
            self.readings[key] = read(self.judged, plain, result)
        return self.readings[key]


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
    asking = _Explainer(judged, failing, seconds)
    asking.learn(_LEARNED, 0.3)
    faulty = {name for one in asking.seen for name in RESULTS if one.wrong[name]}
    if not faulty:
        return _of_arithmetic(judged, asking)
    raising = [one for one in asking.seen if one.raised]
    if raising and all(one.raised for one in asking.seen if any(one.wrong.values())):
        return _of_exceptions(asking, raising)
    parts = _parts(asking, sorted(faulty, key=RESULTS.index))
    when = _conditions(asking, sorted(faulty, key=RESULTS.index), parts)
    return _tested(asking, parts, when)


def _parts(asking: _Explainer, faulty: Sequence[str]) -> dict[str, Part]:
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
    asking: _Explainer, result: str, readings: Sequence[Reading], before: Sequence[Part]
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
    found = _learned(asking, result, matters=lambda one: not _as_foretold(one, model, result))
    return replace(part, when=found[0]) if found else None


def _readings(asking: _Explainer, result: str, part: Part | None) -> list[Reading]:
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
    asking: _Explainer, result: str, part: Part, among: Sequence[_Seen] | None = None
) -> list[_Seen]:
    """Give what was seen and is not as a part says."""
    model = Model({result: part})
    return [
        one
        for one in (asking.seen if among is None else among)
        if not one.raised and not _as_foretold(one, model, result)
    ]


def _columns(cases: Sequence[OperatorCase]) -> dict[str, Column]:
    """The attributes of cases, as columns."""
    rows = [{**numbers_of(one), **kinds_of(one), "values": one.recipe} for one in cases]
    for row in rows:
        del row["same"]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _learned(
    asking: _Explainer,
    result: str,
    is_wrong: Callable[[_Seen], bool] | None = None,
    matters: Callable[[_Seen], bool] | None = None,
) -> list[Condition]:
    """Learn when a result is wrong, asking what tells the conditions that are left apart.

    A case that is right matters only where `matters` says so.
    """
    label = is_wrong or (lambda one: one.wrong[result])
    found: list[Condition] = []
    for _ in range(24):
        cared = [one for one in asking.seen if matters is None or label(one) or matters(one)]
        columns = _columns([one.case for one in cared])
        wrong_ = np.array([label(one) for one in cared])
        found = separating(columns, wrong_)
        if not found or not asking.left(0.68):
            return found
        if _bisected(asking, found[0], cared, wrong_):
            continue
        if len(found) < 2:
            return found
        fresh = list(itertools.islice(asking.cases(), 150))
        votes = np.array([one(_columns(fresh)) for one in found])
        split = np.flatnonzero(votes.any(0) & ~votes.all(0))
        # Cases on which the simplest two differ, or on which opinions are most divided.
        first = [n for n in split if votes[0, n] != votes[1, n]]
        divided = sorted(split, key=lambda n: abs(votes[:, n].mean() - 0.5))
        asked = list(dict.fromkeys([*first[:6], *divided[:6]]))
        if not asked:
            return found
        for n in asked:
            if asking.left(0.7):
                asking.seen.append(asking.ask(fresh[n]))
    return found


def _bisected(
    asking: _Explainer, condition: Condition, cared: Sequence[_Seen], wrong_: Any
) -> bool:
    """Ask the case in the middle between right and wrong of a threshold; false if none is left."""
    for name, field_ in _SIZES.items():
        limit = condition.thresholds.get(name)
        if limit is None:
            continue
        below = [numbers_of(one.case)[name] for one in cared]
        before = max((n for n in below if n < limit), default=limit)
        if limit - before < 2:
            continue
        off = [one for one, is_wrong in zip(cared, wrong_, strict=True) if is_wrong]
        starts = off or list(cared)
        start = min(starts, key=lambda one: abs(numbers_of(one.case)[name] - limit))
        for middle in ((before + limit) // 2, before + 1, limit - 1):
            case = start.case.changed(**{field_: middle}).large_enough
            told = numbers_of(case)[name]
            if before < told < limit and not operator_cases.unclaimed(case, asking.claimed):
                asking.seen.append(asking.ask(case))
                return True
    return False


def _conditions(
    asking: _Explainer, faulty: Sequence[str], parts: Mapping[str, Part]
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
            same = next((one for one in faulty if one in found and _alike(asking, one, result)), "")
            learned = [found[same]] if same else _learned(asking, result)
            if learned:
                found[result] = learned[0]
    return found


def _alike(asking: _Explainer, one: str, other: str) -> bool:
    return all(seen.wrong[one] == seen.wrong[other] for seen in asking.seen)


def _simulated(asking: _Explainer, model: Model, result: str) -> Condition:
    """Give the condition under which a model is wrong; nothing needs to be asked for it."""
    cases, off = [], []
    stop = time.perf_counter() + 0.08 * asking.seconds
    for case in itertools.islice(asking.cases(), 300):
        if time.perf_counter() > stop:
            break
        if case.products > 1 << 14:
            continue
        values = Question(asking.judged, case, asking.values).values
        due, got = asking.right(case, values)[result], model(case, values)[result]
        cases.append(case)
        off.append(not np.array_equal(due, got))
    wrong_ = np.array(off)
    if not wrong_.any():
        return ALWAYS
    found = separating(_columns(cases), wrong_)
    return found[0] if found else Condition(ALWAYS.formula, -1.0)


def _tested(
    asking: _Explainer, parts: Mapping[str, Part], when: Mapping[str, Condition]
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
        time.perf_counter() - asking.start,
    )  # fmt: skip


def _foretold(
    one: _Seen, model: Model, parts: Mapping[str, Part], when: Mapping[str, Condition]
) -> bool:
    """Tell whether every result of a fresh case is as foretold."""
    columns = _columns([one.case])
    for name in RESULTS:
        if name in parts or name not in when:
            if not _as_foretold(one, model, name):
                return False
        elif bool(when[name](columns)[0]) != one.wrong[name]:
            return False
    return True


def _of_arithmetic(judged: Judged, asking: _Explainer) -> Explanation | None:
    """Explain an operator whose map is right and whose numbers are not."""
    found = reveal(judged, asking.dtype)
    if not found.words:
        return None
    return Explanation(
        tuple(found.words), (), (f"operands are {asking.dtype}",), found.foretold, found.asked,
        found.asked, True, time.perf_counter() - asking.start,
    )  # fmt: skip


def _of_exceptions(asking: _Explainer, raising: Sequence[_Seen]) -> Explanation:
    """Explain an operator that raises where it should answer."""
    found = _learned(asking, "y", lambda one: bool(one.raised))
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
        foretold += bool(found[0](_columns([case]))[0]) == bool(one.raised)
    return Explanation(
        (most[:160],), ("no result is given",), (str(found[0]),) if found else (),
        foretold, asked, off, False, time.perf_counter() - asking.start,
    )  # fmt: skip


def _same(got: Any, due: Array, size: Callable[[], Array] | None = None) -> bool:
    """Compare a result with what is foretold: by value, but for roundings where it divides.

    `size` gives the sums of the magnitudes.
    """
    if not isinstance(got, np.ndarray) or got.shape != due.shape:
        return False
    numbers = got.astype(np.float64)
    if np.array_equal(numbers, due):
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = due.astype(got.dtype)
        if np.array_equal(rounded, got):
            return True
        if size is None or not np.isfinite(numbers).all():
            return False
        unit = FORMATS[got.dtype.name].unit_roundoff if got.dtype.name in FORMATS else 0.0
        return bool((np.abs(numbers - due) <= 8 * unit * size()).all())


def _as_foretold(one: _Seen, model: Model, name: str) -> bool:
    """Compare a result with what a model says."""
    part = model.parts.get(name, RIGHT)
    divides = any(slot.inverse for slot in part.slots)

    def size() -> Array:
        magnitudes = {name: np.abs(array) for name, array in one.values.items()}
        return np.abs(model(one.case, magnitudes)[name])

    got = one.got.get(name)
    return _same(got, model(one.case, one.values)[name], size if divides else None)


def _askable(case: OperatorCase) -> bool:
    return case.products <= _MOST_VALUES
