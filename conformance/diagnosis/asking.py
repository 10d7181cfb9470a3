"""Asks an operator what tells explanations apart, and keeps what it answered.

Every answer is kept with the case it was to, so that nothing is asked twice. What an explanation
makes of the answers is not known here.
"""

import itertools
import math
import random
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from conformance.cases import operator as operator_cases
from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.cases.operator_recipes import OPERANDS
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.diagnosis import experiments
from conformance.diagnosis.answers import Question, Raised
from conformance.diagnosis.compared import WHOLE, off_places, same
from conformance.diagnosis.conditions import Condition
from conformance.diagnosis.expressions import Column
from conformance.diagnosis.model import (
    Model,
    attributes_of,
    holds,
    of_sizes,
)
from conformance.diagnosis.places import numbers_of
from conformance.diagnosis.readings import Reading, read
from conformance.diagnosis.starting import least, on_integers
from refimpl import involution

RESULTS = ("y", "dx", "dkernel")
# Sizes whose thresholds are searched for, and the fields of a case that they are.
_SIZES = {
    "B": "batch", "H": "height", "W": "width", "G": "groups", "M": "members", "C": "channels",
    "Ho": "height", "Wo": "width",
}  # fmt: skip
# Of sums: as many as float16 and TF32 hold.
_BITS = 11
# Of the cases so many are in another format or of no samples; of these so many are of no samples.
_OTHERS, _EMPTY = 0.2, 0.25
# By what x is scaled, by the seed, where it takes other numbers to fail; from which range on.
_SCALES, _WIDE = {5: 2.0**-6, 6: 2.0**11, 7: 2.0**-3}, 100
# By what x is scaled in any case: to numbers that are no integers, with as few bits.
_DYADIC = {5: 2.0**-6}
# Of every other sparse operand so many zeros are left.
_ZEROS = 0.2
# Of the time so much is spent to make a case of impulses small.
_LEAST = 0.1
# Of eight seeds so many are not scaled, where it is known by what to scale.
_UNSCALED = 2


# Cases that conditions are told apart by: drawn, and beside so many wrong ones.
DRAWN, _BESIDE = 60, 5
# Cases of other sizes that are drawn to tell conditions apart, and the conditions.
_RESIZED, _RIVALS = 150, 8
# Wrong cases that are asked of the other axis, too.
_TURNED = 12
_RESIZABLE = ("batch", "height", "width", "groups", "members")
# Up to so many products the model without parts says what is due.
_SMALL = 1 << 12
_RIGHT = Model()
# How much slower than alone a machine that is shared is taken to be, at most.
_SLOWEST, _SPUN = 3.0, 0.04
# How many seconds of its own an implementation of each kind is asked, on a machine that is idle.
SECONDS = {"operator": 9.0, "layer": 30.0}


def patience(kind: str) -> float:
    """Give the seconds of the clock; where others use the machine too, it takes more of them."""
    return SECONDS[kind] * slowness()


def slowness() -> float:
    """Tell how many seconds of the clock a second of the processor takes just now: 1 to 3."""
    start, used = time.perf_counter(), time.thread_time()
    while time.thread_time() - used < _SPUN:
        pass
    spent = time.thread_time() - used
    return min(_SLOWEST, max(1.0, (time.perf_counter() - start) / spent))


@dataclass(eq=False)
class Seen:
    """A case that was asked, its operands, and what came back for each result."""

    case: Any
    values: Mapping[str, Array]
    got: Mapping[str, Any]
    wrong: dict[str, bool] = field(default_factory=dict)
    # Of large results, along each axis where they are wrong.
    places_off: dict[str, list[Array]] = field(default_factory=dict)

    @cached_property
    def row(self) -> dict[str, Any]:
        """All that a condition may speak of."""
        return attributes_of(self.case, self.values)

    @property
    def arrays(self) -> list[Array]:
        """The results that are arrays."""
        return [one for one in self.got.values() if isinstance(one, np.ndarray)]

    @property
    def empty(self) -> bool:
        """Whether the results have no entries: they are right whatever it computes."""
        return bool(self.arrays) and not any(one.size for one in self.got.values())

    @property
    def raised(self) -> str:
        """What was raised, in its class's word."""
        words = [str(one) for one in self.got.values() if isinstance(one, Raised)]
        return words[0] if words else ""


class Asking:
    """Asks an implementation within a time, and keeps what it answered."""

    sizes: Mapping[str, str] = _SIZES
    # What raises is kept apart.
    parts_refusals = False

    def __init__(self, judged: Judged, failing: OperatorCase | None, seconds: float) -> None:
        self.judged, self.claimed = judged, judged.capabilities
        self.start = self.since = time.perf_counter()
        self.seconds = seconds
        self.dtype = failing.dtype if failing else self.claimed.first_dtype
        # Where it takes other numbers to fail, integers may be too small, or no integers at all.
        self.scaled, self.scale = False, 1.0
        recipe = "" if failing is None else failing.recipe
        finite = failing is None or recipe in experiments.FINITE
        # A case of impulses has a sample for each.
        self.impulses = bool(recipe) and self.judged.kind.recipes[recipe].certifies
        self.exact = finite or self.impulses
        if failing is not None and not finite:
            exact = recipe.removesuffix("-real")
            special = exact in experiments.FINITE
            failing = failing.changed(recipe=exact) if special else on_integers(failing)
            self.exact = special
        self.failing = failing
        self.rng = random.Random(20261124)
        # What was asked: what was answered, and what raised instead.
        self.seen: list[Any] = []
        self.refused: list[Any] = []
        self.readings: dict[tuple[str, str], Reading] = {}

    def right(
        self, case: OperatorCase, values: Mapping[str, Array], results: Sequence[str] = RESULTS
    ) -> dict[str, Array]:
        """Give what is due: of operands as short as these every sum is exact."""
        if case.products <= _SMALL:
            # The threads of the oracle wait for each other on a machine that is shared.
            return _RIGHT(case, values, results)
        options, due = case.geometry.options, dict[str, Array]()
        if "y" in results:
            due["y"] = involution.forward(values["x"], values["kernel"], **options)
        if {"dx", "dkernel"} & set(results):
            operands = values["dy"], values["x"], values["kernel"]
            due["dx"], due["dkernel"] = involution.backward(*operands, **options)
        return due

    @property
    def plain(self) -> OperatorCase:
        """A plain case on real numbers."""
        return operator_cases.plain_case(self.claimed, dtype=self.dtype, recipe="normal")

    def until(self, share: float) -> float:
        """Give when a share of the time is spent, since a turn was begun, as the clock counts."""
        return self.since + share * (self.start + self.seconds - self.since)

    def left(self, share: float) -> bool:
        """Whether less than a share of the time is spent, since a turn was begun."""
        return time.perf_counter() < self.until(share)

    def begin(self) -> None:
        """Begin a turn: shares are of the time that is left."""
        self.since = time.perf_counter()

    def late(self, share: float) -> bool:
        """Whether a share of the whole time is spent."""
        return time.perf_counter() - self.start >= share * self.seconds

    def cases(self, *, fresh: int = 0) -> Iterable[OperatorCase]:
        """Draw cases, from everywhere and near the failing one in turn; `fresh` ones by number."""
        rng = random.Random(76 + fresh) if fresh else self.rng
        anywhere = experiments.drawn(self.claimed, self.dtype, rng)
        if self.failing is None:
            return anywhere
        near = experiments.near(self.failing, self.claimed, rng)
        both = itertools.chain.from_iterable(zip(near, anywhere, near, strict=False))
        return (self._otherwise(case, rng) for case in both)

    def _otherwise(self, case: OperatorCase, rng: random.Random) -> OperatorCase:
        """Change the format of some cases, and ask for no samples now and then."""
        if self.claimed.compiles or rng.random() > _OTHERS:
            return case
        if self.claimed.empty_batch and rng.random() < _EMPTY:
            return case.changed(batch=0)
        return case.changed(dtype=rng.choice(self.claimed.dtypes))

    def ask(self, case: OperatorCase) -> Seen:
        """Ask a case, and compare with what is right."""
        question = Question(self.judged, case, self.values)
        values = question.values
        got = question.ask(values)
        due = self.right(case, values)
        found = Seen(case, values, got)
        found.wrong = {name: not same(got.get(name), due[name]) for name in RESULTS}
        if case.products > WHOLE:
            found.places_off = {
                name: off_places(got[name], due[name]) for name in RESULTS if found.wrong[name]
            }
        return found

    def outlined(self, case: OperatorCase) -> Seen:
        """Give a case with all that conditions may speak of; nothing is asked, or kept besides."""
        found = Seen(case, Question(self.judged, case, self.values).values, {})
        if found.row:
            found.values = {}
        return found

    def values(self, case: OperatorCase, bits: int) -> Mapping[str, Array]:
        """Operands so short that no arithmetic is too narrow for them: what is wrong is the map."""
        made: Mapping[str, Array] = self.judged.kind.values(case, min(bits, _BITS))
        if case.recipe == "constant" and case.seed % 2:
            # The greatest of short integers is often one, which is special itself.
            made = {name: -array for name, array in made.items()}
        if case.recipe == "sparse" and case.seed // len(OPERANDS) % 2:
            made = _denser(made, OPERANDS[case.seed % len(OPERANDS)], case.seed)
        scale = (_SCALES if self.scaled else _DYADIC).get(case.seed % 8, 1.0)
        if self.scale != 1:
            # Most are as it takes them to be wrong.
            scale = self.scale if case.seed % 8 >= _UNSCALED else 1.0
        if scale == 1 or (scale > 1 and FORMATS[case.dtype].largest_exponent < _WIDE):
            return made
        # By a power of two: all sums stay exact.
        return {**made, "x": made["x"] * made["x"].dtype.type(scale)}

    def rescaled(self) -> bool:
        """Tell whether the failing case is wrong where x is scaled; then it is from now on."""
        if self.failing is None:
            return False
        for self.scale in dict.fromkeys(_SCALES.values()):
            one = self.ask(self.failing.changed(seed=_UNSCALED))
            # What is not finite is no map, but an arithmetic that ends.
            finite = all(np.isfinite(got.astype(np.float64)).all() for got in one.arrays)
            if any(one.wrong.values()) and finite and not one.raised:
                self.failing = one.case
                self.note(one)
                return True
        self.scale = 1.0
        return False

    def note(self, one: Seen) -> None:
        """Keep what was asked."""
        apart = self.parts_refusals and one.raised
        (self.refused if apart else self.seen).append(one)

    def learn(self, number: int, share: float) -> None:
        """Ask cases to learn from: the failing one, those around it, and others."""
        if self.failing is not None and not self.seen:
            if self.impulses:
                # It has as many samples as impulses, and need not.
                self.failing = least(self.judged, self.failing, self._fails, _LEAST * self.seconds)
            self.note(self.ask(self.failing))
            self._around(0.5 * share)
            before = self.failing
            self._turn_to_values()
            if self.failing != before:
                self._around(0.8 * share)
        for case in itertools.islice(self.cases(), number):
            if not self.left(share):
                return
            self.note(self.ask(case))
        for case in self.turned([one for one in self.seen if any(one.wrong.values())]):
            if not self.left(share):
                return
            self.note(self.ask(case))

    def turned(self, wrong: Sequence[Any]) -> list[Any]:
        """Give wrong cases with rows and columns exchanged.

        The failing case may be so small on one axis that nothing near it shows what is there.
        """
        known = {one.case for one in self.seen}
        cases = dict.fromkeys(experiments.turned(one.case) for one in wrong)
        claimed = (one for one in cases if not operator_cases.unclaimed(one, self.claimed))
        return [one for one in claimed if one not in known][:_TURNED]

    def beside(self, wrong: Sequence[Any]) -> list[Any]:
        """Give cases beside wrong ones: of those most parts of a condition hold."""
        found = list[OperatorCase]()
        for one in self.rng.sample(list(wrong), min(_BESIDE, len(wrong))):
            listed = list(experiments.around(one.case, self.claimed))
            found += self.rng.sample(listed, min(len(listed), DRAWN // _BESIDE))
        known = {one.case for one in self.seen}
        return [case for case in found if case not in known]

    def between(self, found: Sequence[Condition], wrong: Sequence[Any]) -> list[Any]:
        """Give cases of other sizes on which the simplest condition and another one differ."""
        # The sizes that the conditions speak of.
        said = set(re.findall("[A-Z][a-z]?", " ".join(map(str, found))))
        names = sorted({field_ for name, field_ in _SIZES.items() if name in said}) or _RESIZABLE
        rng, drawn, rows = self.rng, list[OperatorCase](), list[dict[str, Any]]()
        for _ in range(_RESIZED if wrong else 0):
            one = rng.choice(list(wrong))
            case = one.case
            for name in rng.sample(names, min(2, len(names))):
                own = getattr(case, name) if hasattr(case, name) else getattr(case.geometry, name)
                size = rng.choice((rng.randint(1, 2 * own + 4), own * rng.randint(1, 3)))
                case = _of_size(case, name, size)
            case = case.large_enough
            few = case.products <= max(_SMALL, 2 * one.case.products)
            if few and not operator_cases.unclaimed(case, self.claimed):
                drawn.append(case)
                rows.append({**one.row, **of_sizes(case)})
        if not rows:
            return []
        told = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        chosen = list[OperatorCase]()
        simplest = found[0](told)
        for other in found[1:]:
            apart = np.flatnonzero(other(told) != simplest)
            # One of each kind: on which the other one holds, and on which it does not.
            chosen += [drawn[n] for n in apart[:1]] + [drawn[n] for n in apart[-1:]]
        return list(dict.fromkeys(chosen))[:_RIVALS]

    def without(self, condition: Condition, part: int, wrong: Sequence[Any]) -> list[Any]:
        """Give cases in which all parts of a condition hold but one.

        Other sizes and options are tried first, then other values.

        Parameters
        ----------
        condition : Condition
            Parts that are joined by "and".
        part : int
            Which of them does not hold.
        wrong : sequence of Seen
            Cases in which all of them do.
        """
        found = list[OperatorCase]()
        for one in self.rng.sample(list(wrong), min(_BESIDE, len(wrong))):
            near = experiments.near(one.case, self.claimed, self.rng)
            sized = ((case, {**one.row, **of_sizes(case)}) for case in near)
            valued = (
                (case, attributes_of(case, Question(self.judged, case, self.values).values))
                for case in experiments.valued(one.case, self.rng)
            )
            for case, row in itertools.chain(itertools.islice(sized, _RESIZED), valued):
                truths = [holds(other, row) for other in condition.parts]
                if not truths[part] and sum(truths) == len(truths) - 1:
                    found.append(case)
                    break
        return found

    def _fails(self, case: OperatorCase) -> bool:
        return any(self.ask(case).wrong.values())

    def _around(self, share: float) -> None:
        """Ask what lies around the failing case."""
        for case in experiments.around(self.failing, self.claimed) if self.failing else ():
            if not self.left(share):
                break
            self.note(self.ask(case))

    def _turn_to_values(self) -> None:
        """Start from special values, if integers are right where those are wrong.

        The failing case may be so small that its integers are special: one pixel is like all.
        """
        if self.failing is None or self.failing.recipe != "integers":
            return
        for one in [one for one in self.seen if one.case.recipe != "integers"]:
            if not any(one.wrong.values()) or one.raised:
                continue
            plain = self.ask(one.case.changed(recipe="integers"))
            self.note(plain)
            if any(plain.wrong.values()):
                return
            self.failing = one.case
            return

    def read(self, case: OperatorCase, result: str) -> Reading:
        """Read a map, once."""
        plain = case.changed(recipe="integers", seed=0)
        key = plain.token, result
        if key not in self.readings:
            self.readings[key] = read(self.judged, plain, result, self.scale)
        return self.readings[key]

    def columns(self, seen: Sequence[Seen]) -> dict[str, Column]:
        """The attributes of what was asked, as columns."""
        return columns_of(seen)

    def number_of(self, case: Any, name: str) -> int:
        """One of the numbers of a case."""
        return numbers_of(case)[name]

    def resized(self, case: Any, name: str, number: int) -> Any:
        """Give a case of another size, if it is claimed."""
        found = _of_size(case, name, number).large_enough
        return None if operator_cases.unclaimed(found, self.claimed) else found


def _denser(made: Mapping[str, Array], name: str, seed: int) -> dict[str, Array]:
    """Give operands of which one has few zeros in the place of many."""
    flat, rng = made[name].reshape(-1).copy(), np.random.default_rng(seed)
    zeros, numbers = np.flatnonzero(flat == 0), flat[flat != 0]
    if len(numbers):
        some = zeros[rng.random(len(zeros)) > _ZEROS]
        flat[some] = rng.choice(numbers, len(some))
    return {**made, name: flat.reshape(made[name].shape)}


def _of_size(case: OperatorCase, name: str, number: int) -> OperatorCase:
    """Change a size; of channels as many groups are kept as divide them."""
    if name != "channels":
        return case.changed(**{name: number})
    groups = math.gcd(case.geometry.groups, number)
    return case.changed(groups=groups, members=number // groups)


def columns_of(seen: Sequence[Seen]) -> dict[str, Column]:
    """The attributes of cases and of their values, as columns."""
    rows = [one.row for one in seen]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
