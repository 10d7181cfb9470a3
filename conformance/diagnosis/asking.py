"""Asks an operator what tells explanations apart, and learns when it is wrong.

Every answer is kept with the case it was to, so that nothing is asked twice. What an explanation
makes of the answers is not known here.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.cases import operator as operator_cases
from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.diagnosis import experiments
from conformance.diagnosis.answers import Question, Raised
from conformance.diagnosis.conditions import Condition, separating
from conformance.diagnosis.expressions import Column
from conformance.diagnosis.model import RIGHT, Model, kinds_of, numbers_of
from conformance.diagnosis.readings import Reading, read

RESULTS = ("y", "dx", "dkernel")
_MOST_VALUES = 1 << 19
# Sizes whose thresholds are searched for, and the fields of a case that they are.
_SIZES = {
    "B": "batch", "H": "height", "W": "width", "G": "groups", "M": "members", "C": "members",
    "Ho": "height", "Wo": "width",
}  # fmt: skip
# Of sums: as many as float16 and TF32 hold.
_BITS = 11


@dataclass
class Seen:
    """A case that was asked, its operands, and what came back for each result."""

    case: Any
    values: Mapping[str, Array]
    got: Mapping[str, Any]
    wrong: dict[str, bool] = field(default_factory=dict)

    @property
    def raised(self) -> str:
        """What was raised, in its class's word."""
        words = [str(one) for one in self.got.values() if isinstance(one, Raised)]
        return words[0] if words else ""


class Asking:
    """Asks an implementation within a time, and keeps what it answered."""

    sizes: Mapping[str, str] = _SIZES

    def __init__(self, judged: Judged, failing: OperatorCase | None, seconds: float) -> None:
        self.judged, self.claimed = judged, judged.capabilities
        self.start = time.perf_counter()
        self.seconds = seconds
        self.dtype = failing.dtype if failing else self.claimed.first_dtype
        if failing is not None and failing.recipe not in experiments.FINITE:
            failing = failing.changed(recipe="integers")
        self.failing = failing
        self.rng = random.Random(20261124)
        self.seen: list[Any] = []
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

    def ask(self, case: OperatorCase) -> Seen:
        """Ask a case, and compare with what is right."""
        question = Question(self.judged, case, self.values)
        values = question.values
        got = question.ask(values)
        due = self.right(case, values)
        found = Seen(case, values, got)
        found.wrong = {name: not same(got.get(name), due[name]) for name in RESULTS}
        return found

    def values(self, case: OperatorCase, bits: int) -> Mapping[str, Array]:
        """Operands so short that no arithmetic is too narrow for them: what is wrong is the map."""
        made: Mapping[str, Array] = self.judged.kind.values(case, min(bits, _BITS))
        return made

    def learn(self, number: int, share: float) -> None:
        """Ask cases to learn from."""
        if self.failing is not None and self.failing.products <= _MOST_VALUES:
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

    def columns(self, seen: Sequence[Seen]) -> dict[str, Column]:
        """The attributes of what was asked, as columns."""
        return columns_of([one.case for one in seen])

    def number_of(self, case: Any, name: str) -> int:
        """One of the numbers of a case."""
        return numbers_of(case)[name]

    def resized(self, case: Any, name: str, number: int) -> Any:
        """Give a case of another size, if it is claimed."""
        found = case.changed(**{name: number}).large_enough
        return None if operator_cases.unclaimed(found, self.claimed) else found


def columns_of(cases: Sequence[OperatorCase]) -> dict[str, Column]:
    """The attributes of cases, as columns."""
    rows = [{**numbers_of(one), **kinds_of(one), "values": one.recipe} for one in cases]
    for row in rows:
        del row["same"]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def learned(
    asking: Asking,
    result: str,
    is_wrong: Callable[[Any], bool] | None = None,
    matters: Callable[[Any], bool] | None = None,
) -> list[Condition]:
    """Learn when a result is wrong, asking what tells the conditions that are left apart.

    A case that is right matters only where `matters` says so.
    """
    label = is_wrong or (lambda one: one.wrong[result])
    found: list[Condition] = []
    for _ in range(24):
        cared = [one for one in asking.seen if matters is None or label(one) or matters(one)]
        columns = asking.columns(cared)
        wrong_ = np.array([label(one) for one in cared])
        found = separating(columns, wrong_)
        if not found or not asking.left(0.68):
            return found
        if _bisected(asking, found[0], cared, wrong_):
            continue
        if len(found) < 2:
            return found
        fresh = list(itertools.islice(asking.cases(), 150))
        drawn = [Seen(one, Question(asking.judged, one, asking.values).values, {}) for one in fresh]
        told = asking.columns(drawn)
        votes = np.array([one(told) for one in found])
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


def _bisected(asking: Asking, condition: Condition, cared: Sequence[Seen], wrong_: Any) -> bool:
    """Ask the case in the middle between right and wrong of a threshold; false if none is left."""
    for name, field_ in asking.sizes.items():
        limit = condition.thresholds.get(name)
        if limit is None:
            continue
        below = [asking.number_of(one.case, name) for one in cared]
        before = max((n for n in below if n < limit), default=limit)
        if limit - before < 2:
            continue
        off = [one for one, is_wrong in zip(cared, wrong_, strict=True) if is_wrong]
        starts = off or list(cared)
        start = min(starts, key=lambda one: abs(asking.number_of(one.case, name) - limit))
        for middle in ((before + limit) // 2, before + 1, limit - 1):
            case = asking.resized(start.case, field_, middle)
            if case is not None and before < asking.number_of(case, name) < limit:
                asking.seen.append(asking.ask(case))
                return True
    return False


def same(got: Any, due: Array, size: Callable[[], Array] | None = None) -> bool:
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


def as_foretold(one: Seen, model: Model, name: str) -> bool:
    """Compare a result with what a model says."""
    part = model.parts.get(name, RIGHT)
    divides = any(slot.over is not None for slot in part.slots)

    def size() -> Array:
        magnitudes = {name: np.abs(array) for name, array in one.values.items()}
        return np.abs(model(one.case, magnitudes, (name,))[name])

    got = one.got.get(name)
    due = model(one.case, one.values, (name,))[name]
    return same(got, due, size if divides else None)
