"""The experiments of the explainer: where it starts, what it moves, reads, and when it doubts."""

import itertools
from typing import Any

import numpy as np
import pytest

from conformance.cases.operator import OperatorCase
from conformance.cases.operator_recipes import STRUCTURE
from conformance.claims.loading import load
from conformance.diagnosis.asking import Asking
from conformance.diagnosis.attributes import VALUES
from conformance.diagnosis.behaviour import alone, remembers
from conformance.diagnosis.courses import Courses, usable
from conformance.diagnosis.experiments import around
from conformance.diagnosis.explain import explain
from conformance.diagnosis.explanation import Explanation, Turn, settled
from conformance.diagnosis.fitting import fitted, wrong
from conformance.diagnosis.history import explain_history
from conformance.diagnosis.model import Part
from conformance.diagnosis.observing import Learned, Observed, learned_rules, with_chance
from conformance.diagnosis.readings import affordable, read
from conformance.diagnosis.starting import least, on_integers
from conformance.diagnosis.telling import telling_values
from conformance.implementations.operator.numpy_unfold import Call, Entry, Place, Unfold
from conformance.kinds import LAYER, OPERATOR

CLAIMED = load(Unfold, OPERATOR).capabilities
WIDE = OperatorCase("float64", "normal", 3, 8, 9, 75).changed(
    members=32, kernel_shape=(3, 3), stride=(2, 1), padding=1
)


class WideBatchesTakeTheFirstGroup(Unfold):
    """The kernel of the first group, from 24 columns on where four divides the batch."""

    def entry(self, call: Call, at: Place) -> Entry:
        found = super().entry(call, at)
        guarded = call.size[1] >= 24 and call.batch % 4 == 0
        return found._replace(g=found.g * (not guarded))


class _Turned(Unfold):
    """What it is given turned round, in calls that a class says."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def turned(self) -> bool:
        raise NotImplementedError

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        self.calls.append((x.shape, kernel.shape, x.dtype, str(options)))
        return super().forward(x[::-1, ::-1] if self.turned() else x, kernel, **options)


class EveryFifthCall(_Turned):
    """Every fifth call."""

    def turned(self) -> bool:
        return len(self.calls) % 5 == 0


class AfterTheSameCall(_Turned):
    """Each call that is like the one before."""

    def turned(self) -> bool:
        return self.calls[-1:] == self.calls[-2:-1]


def test_the_least_case_lies_at_the_thresholds() -> None:
    judged = load(Unfold, OPERATOR)

    def fails(case: OperatorCase) -> bool:
        where = case.geometry
        return case.width >= 40 and where.members % 8 == 0 and where.stride != (1, 1)

    found = least(judged, WIDE.changed(width=75), fails, 5.0)
    assert (found.width, found.batch, found.height) == (40, 1, 1)
    assert (found.geometry.members, found.geometry.stride) == (8, (2, 1))
    assert (found.recipe, found.geometry.kernel_shape) == ("integers", (1, 1))
    assert fails(found)
    # Without time the case stays as it is.
    assert least(judged, WIDE, fails, 0.0) == WIDE


def test_the_least_case_of_a_layer() -> None:
    judged = load("refimpl.layer", LAYER)
    case = judged.kind.plain(judged.capabilities, batch=4).changed(height=12, width=10)
    found = least(judged, case, lambda one: one.height >= 7 and one.batch >= 2, 5.0)
    assert (found.batch, found.height, found.width) == (2, 7, 1)


def test_impulses_become_integers_of_as_many_samples() -> None:
    case = OperatorCase("float32", "impulse-x", height=3, width=4).changed(groups=2)
    assert on_integers(case).batch == case.samples == 24
    assert Asking(load(Unfold, OPERATOR), case, 1.0).failing == on_integers(case)
    assert usable(load(Unfold, OPERATOR), case).batch == 24


def test_each_attribute_is_moved_by_itself() -> None:
    case = OperatorCase("float32", "integers", 0, 8, 9, 24).changed(members=8)
    moved = list(around(case, CLAIMED))
    assert {23, 25, 48} <= {one.width for one in moved}
    assert {7, 9, 12, 16} <= {one.batch for one in moved}
    assert {one.dtype for one in moved} == set(CLAIMED.dtypes)
    for one in moved:
        same = [
            one.batch == 8,
            one.size == (9, 24),
            one.dtype == "float32",
            one.geometry == case.geometry,
        ]
        few = case.products / 2 <= one.products <= 2 * case.products
        assert sum(same) >= 3 or few, one.token


@pytest.mark.parametrize("result", ["y", "dx", "dkernel"])
def test_of_many_labels_some_are_read(result: str) -> None:
    case = OperatorCase("float32", "integers", 0, 1, 6, 7).changed(
        groups=12, members=8, kernel_shape=(4, 4), padding="same"
    )
    assert affordable(case)
    right = read(load(Unfold, OPERATOR), case, result)
    assert 2 <= len(right.labels) <= 64
    assert not wrong(right)
    assert fitted([right]) == Part()
    changed = {name: column.copy() for name, column in right.columns.items()}
    changed["Ph"][0] += 1
    right.columns = changed
    assert wrong(right)


def test_a_fault_behind_a_condition_is_given_with_its_condition() -> None:
    judged = load(WideBatchesTakeTheFirstGroup, OPERATOR)
    start = WIDE.changed(recipe="integers", groups=2, members=2, dtype="float32")
    failing = least(judged, start, lambda one: {"y"} <= alone(judged, one), 3.0)
    found = explain(judged, failing, 4.0)
    assert found is not None
    assert found.certain
    assert found.exact
    assert found.foretold == found.asked
    said = " ".join(found.what)
    assert "reads group of the kernel 0" in said
    assert "W >= 24" in said
    assert "B % 4 = 0" in said


def test_what_fresh_cases_contradict_is_learned_from() -> None:
    asking = Asking(load(Unfold, OPERATOR), None, 1e6)
    case = OperatorCase("float32", "integers")
    turns = []

    def explained(turn: Turn) -> tuple[Explanation, list[Any]]:
        turns.append(len(asking.seen))
        fresh = [asking.ask(case.changed(seed=turn.number))]
        what = (f"turn {turn.number}",)
        return Explanation(what, foretold=8 + turn.number, asked=10, faulty=9), fresh

    assert settled(asking, explained).foretold == 10
    # The second turn knows the fresh case of the first one.
    assert turns == [0, 1]


def test_few_wrong_answers_are_no_test() -> None:
    assert not Explanation(foretold=200, asked=200, faulty=1).certain
    assert Explanation(foretold=200, asked=200, faulty=5).certain
    assert Explanation(foretold=4, asked=4, faulty=2).certain


def test_calls_that_are_counted() -> None:
    judged = load(EveryFifthCall, OPERATOR)
    assert remembers(judged, OperatorCase("float32", "integers", 0, 3, 4, 5))
    found = explain_history(judged, OperatorCase("float32", "integers", 0, 3, 4, 5), 0.0, 0.0)
    assert found is not None
    assert found.caught == found.faulty or not found.certain


def test_a_call_like_the_one_before_is_not_taken_for_a_count() -> None:
    judged = load(AfterTheSameCall, OPERATOR)
    case = OperatorCase("float32", "integers", 0, 3, 4, 5)
    found = explain_history(judged, case, 0.0, 0.0)
    assert found is not None
    assert not (found.certain and any("number of the call >= 2" in one for one in found.when))


def test_sizes_of_courses_stay_multiples() -> None:
    judged = load(Unfold, OPERATOR)
    case = OperatorCase("float32", "integers", 0, 2, 1, 35)
    assert usable(judged, case).size == (3, 35)
    some = Courses(judged, case, 0).cases
    assert some[0].width == 35
    assert len(list(itertools.islice(some, 3))) == 3


def test_what_need_not_show_is_no_evidence() -> None:
    """Of 60 calls from B = 4 on those of one product are right: they say nothing."""
    seen = [
        Observed(
            {"B": batch, "Kh": taps},
            frozenset({"y"} if batch >= 4 and taps > 1 else ()),
            moot=frozenset({"y"} if taps == 1 else ()),
        )
        for batch, taps in itertools.product(range(1, 11), range(1, 7))
    ]
    rules = learned_rules(seen)
    assert str(rules.conditions["y"].condition) == "B >= 4"
    assert all(map(rules.foretells, seen))
    # Without that knowledge the taps are part of the condition.
    plain = learned_rules([one._replace(moot=frozenset()) for one in seen])
    assert "Kh" in str(plain.conditions["y"].condition)


def test_what_chance_hides_gets_its_condition() -> None:
    every = itertools.product(range(1, 11), range(1, 11))
    seen = [
        Observed({"B": b, "H": h}, frozenset({"y"} if b >= 5 and (b * 7 + h * 3) % 8 else ()))
        for b, h in every
    ]
    rules = learned_rules(seen)
    assert rules.unknown == {"y"}
    found = with_chance(rules, seen, 0.3)
    assert str(found.conditions["y"].condition) == "B >= 5"
    assert not found.unknown
    # What grants chance is certain only if it foretold everything.
    learned = Learned((), (), (), 238, 240, 90, 90, granting=True)
    assert not learned.certain
    assert learned._replace(foretold=240).certain
    assert learned._replace(granting=False).certain


def test_no_condition_is_fitted_to_what_is_right_by_chance() -> None:
    """One call of the format is right by chance: three parts tell it from the others."""
    seen = [
        Observed(
            {"dtype": ("float32", "float16")[n % 2], "top": n % 5, "left": n % 7},
            frozenset() if n % 2 or n == 20 else frozenset({"y"}),
        )
        for n in range(140)
    ]
    exact = learned_rules(seen)
    assert str(exact.conditions["y"].condition) != "dtype is float32"
    assert str(with_chance(exact, seen, 0.1).conditions["y"].condition) == "dtype is float32"


def test_a_special_operand_is_asked_with_every_other_structure() -> None:
    """A condition was "x is one everywhere" where "x is constant" was true: 1 was all it saw."""
    case = OPERATOR.case.parse("dtype=float32,recipe=one,seed=3,members=8,height=2,width=2")
    others = [one for one in around(case, CLAIMED) if one.recipe not in {"one", "integers"}]
    assert not [one.recipe for one in others if one.recipe.startswith("second")]
    assert {one.recipe for one in others} >= {"zero", "constant", "sparse", "equal", "repeated"}
    assert {one.seed % 3 for one in others if one.recipe in STRUCTURE} == {0}
    asking = Asking(load(Unfold, OPERATOR), case, 1.0)
    constants = [asking.values(one, 2)["x"] for one in others if one.recipe == "constant"]
    assert {float(array.flat[0]) for array in constants} == {1.0, -1.0}
    assert all((array == array.flat[0]).all() for array in constants)


def test_values_are_tried_once_where_time_is_over() -> None:
    """A call of a million products was tried on every kind of values, in every format."""
    asked: list[Any] = []

    class Counts(Unfold):
        def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
            asked.append(x.dtype)
            return super().forward(x, kernel, **options)

    case = OPERATOR.case.parse("dtype=float32,recipe=normal,height=6,width=6,kernel_shape=2x2")
    found = telling_values(load(Counts, OPERATOR), case, 0.0)
    assert list(found.shares) == [("normal", "float32")]
    # An answer may be asked for twice, of memory that is not zero.
    assert len(asked) <= 2


def test_zero_but_for_one_index_is_told_from_many_zeros() -> None:
    holds = VALUES["{} is zero but for one index of an axis"]
    array = np.zeros((2, 4, 5, 3))
    array[:, 2] = 1
    assert holds(array)
    array[0, 0, 0, 0] = 1
    assert not holds(array)
    assert not holds(np.ones((2, 4, 5, 3)))
