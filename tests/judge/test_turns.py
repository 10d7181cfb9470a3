"""The explainer in turns: what a turn takes over, when it ends, and what its cases can show."""

import itertools
import random
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from conformance.bounds.expected import Expected
from conformance.claims.formats import FORMATS
from conformance.claims.loading import load
from conformance.diagnosis import experiments
from conformance.diagnosis.asking import Asking
from conformance.diagnosis.compared import as_foretold, off_places
from conformance.diagnosis.conditions import ALWAYS, Condition
from conformance.diagnosis.constants import constant_part
from conformance.diagnosis.experiments import FINITE
from conformance.diagnosis.explain import explain
from conformance.diagnosis.explanation import Explanation, Turn, settled
from conformance.diagnosis.expressions import Formula, atom, number
from conformance.diagnosis.fitting import fitted
from conformance.diagnosis.history import explain_history
from conformance.diagnosis.laws import LAWS, moot_of, obeys
from conformance.diagnosis.learning import learned
from conformance.diagnosis.model import Constant, Model, Part, Slot, sampled
from conformance.diagnosis.numbers import _Sense
from conformance.diagnosis.observing import Observed, learned_rules
from conformance.diagnosis.parts import found_parts
from conformance.diagnosis.preludes import Prelude, prepared
from conformance.diagnosis.readings import Reading, read
from conformance.diagnosis.starting import least
from conformance.diagnosis.states import _observed
from conformance.diagnosis.verdicts import verdict
from conformance.implementations.operator.numpy_unfold import Array, Call, Entry, Place, Unfold
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS

PLAIN = load(Unfold, OPERATOR)
CASE = OPERATOR.case.parse("dtype=float32,recipe=integers,batch=2,height=5,width=6,members=2")


class SixColumnsShiftTheRows(Unfold):
    """The kernel of the first output row for all, where the width is a multiple of six."""

    def entry(self, call: Call, at: Place) -> Entry:
        found = super().entry(call, at)
        return found._replace(i=found.i * (call.size[1] % 6 != 0))


def explanation(foretold: int) -> Explanation:
    return Explanation(foretold=foretold, asked=10, faulty=9)


# How turns follow one another.


def test_a_test_that_was_broken_off_is_no_result() -> None:
    """Four contradictions are learned from at once; the turn after it is tested to its end."""
    asking = Asking(PLAIN, None, 1e6)
    given = []

    def explained(turn: Turn) -> tuple[Explanation, list[Any]]:
        given.append(turn.number)
        broken = turn.number == 1 and turn.enough(4)
        # What was broken off looks better than what follows.
        found = explanation(10 if broken else 9)
        return replace(found, what=("first" if broken else "later",)), []

    asking.begin()
    found = settled(asking, explained)
    assert given[:2] == [1, 2]
    assert found.what == ("later",)


def test_what_is_found_again_stands_by_all_its_tests() -> None:
    """Asked a second time it foretells all ten; of the twenty one was not foretold."""
    asking = Asking(PLAIN, None, 1e6)

    def explained(turn: Turn) -> tuple[Explanation, list[Any]]:
        one = explanation(9 if turn.number == 1 else 10)
        when = ("C >= 3", f"wrong in {turn.number} of 5 cases")
        return replace(one, what=("y is wrong",), when=when, caught=9), []

    found = settled(asking, explained)
    # Nothing was learned from the first test, and there is no third.
    assert (found.foretold, found.asked, found.faulty) == (19, 20, 18)
    assert found.caught == 18


def test_the_last_turn_is_tested_to_its_end() -> None:
    late = Asking(PLAIN, None, 0.0)
    assert not Turn(1, late).enough(100)
    assert Turn(1, Asking(PLAIN, None, 1e6)).enough(4)
    assert not Turn(1, Asking(PLAIN, None, 1e6)).enough(3)


def test_a_turn_has_its_share_of_the_time_that_is_left() -> None:
    asking = Asking(PLAIN, None, 1000.0)
    asking.start -= 900
    asking.since = asking.start
    assert not asking.left(0.5)
    asking.begin()
    assert asking.left(0.5)
    asking.start, asking.since = 0.0, 900.0
    assert asking.until(0.5) == 950.0
    asking.start = time.perf_counter() - 900
    assert asking.late(0.85)
    assert not asking.late(0.95)


def test_a_part_that_was_found_is_confined_anew() -> None:
    """What was learned from two cases has too wide a gate; its formula is taken over."""
    judged = load(SixColumnsShiftTheRows, OPERATOR)
    asking = Asking(judged, CASE, 1e6)
    asking.learn(60, 1.0)
    row = Condition(Formula("!=", (number(0), number(1))), 1.0)
    wide = Part(found_parts(asking, ["y"])["y"].slots, when=row)
    asking.readings.clear()
    parts = found_parts(asking, ["y"], {"y": wide})
    assert parts["y"].slots == wide.slots
    assert "W % 6 = 0" in str(parts["y"].when)
    # No map was read for it.
    assert not asking.readings


def test_a_condition_is_given_up_where_its_part_is_contradicted() -> None:
    judged = load(SixColumnsShiftTheRows, OPERATOR)
    asking = Asking(judged, CASE, 1e6)
    for case in itertools.islice(asking.cases(), 12):
        asking.note(asking.ask(case))
    asking.note(asking.ask(CASE))
    assert learned(asking, "y", ends=lambda _: True) == []
    assert learned(asking, "y")


# What cases are drawn.


def test_more_often_than_not_values_are_of_the_kind_that_failed() -> None:
    """The seed says which operand is special: modulo three."""
    sparse = CASE.changed(recipe="sparse", seed=4)
    near = itertools.islice(experiments.near(sparse, PLAIN.capabilities, random.Random(1)), 300)
    own = [one for one in near if one.recipe == "sparse"]
    alike = sum(one.seed % 3 == 1 for one in own)
    assert 0.6 * len(own) < alike < 0.9 * len(own)


def test_some_sparse_operands_have_few_zeros() -> None:
    asking = Asking(PLAIN, CASE, 10.0)
    shares = []
    for seed in range(12):
        x = asking.values(CASE.changed(recipe="sparse", seed=seed), 11)["x"]
        shares.append(float((x == 0).mean()))
        if seed % 3 == 0 and seed // 3 % 2:
            assert 0 < shares[-1] < 0.5
    assert max(shares) > 0.8


def test_nothing_becomes_larger_where_it_is_made_plain() -> None:
    """Without padding few outputs are left; with the usual one there are many."""
    case = OPERATOR.case.parse(
        "dtype=float32,recipe=integers,batch=810,height=9,width=15,groups=3,members=2,"
        "kernel_shape=7x7,stride=1x2,dilation=1x2,padding=0"
    )
    found = least(PLAIN, case, lambda one: one.batch == 810 and one.height == 9, 20.0)
    assert found.products <= 2 * case.products


def test_a_course_in_which_nothing_shows_is_no_endless_one() -> None:
    """A call that is right after the prelude says nothing of what has to come before."""
    prelude = Prelude("a call", lambda call: [call], counts=True)
    observed = _observed(PLAIN, prepared(PLAIN, prelude), CASE, 1, prelude)
    assert list(observed) == []


# What is read off answers.


def test_what_all_entries_of_a_call_have_is_no_matter_of_places() -> None:
    class Added(Unfold):
        def y(self, call: Call, x: Array, kernel: Array) -> Array:
            return super().y(call, x, kernel) + x.dtype.type(1e-7 * (call.size[0] % 5 == 0))

    asking = Asking(load(Added, OPERATOR), CASE, 1e6)
    asking.learn(40, 1.0)
    found = constant_part(asking, "y", lambda _: asking.seen[-6:])
    assert found == Part(constant=Constant(1e-7, ALWAYS))


def test_of_one_place_no_formula_gives_two_products() -> None:
    """Kernel entry 0 meets two pixels: no formula of the entry says which."""
    reading = read(load(MUTANTS["FirstTapTwice"], OPERATOR), CASE.changed(kernel_shape=(1, 2)), "y")
    part = fitted([reading])
    assert part is not None
    assert {slot.name for slot in part.slots} == {"Ev"}


def test_formulas_are_not_fitted_for_ever() -> None:
    cases = (CASE, CASE.changed(width=12))
    readings: list[Reading] = [read(load(SixColumnsShiftTheRows, OPERATOR), c, "y") for c in cases]
    assert fitted(readings) is not None
    assert fitted(readings, stop=0.0) is None


def test_what_gives_the_due_answer_foretells_no_wrong_one() -> None:
    """Each product divided by the one channel of its group is what is due, but for roundings."""
    over = Part((Slot("n", number(1), over=atom("M")),))
    asking = Asking(PLAIN, CASE, 10.0)
    for members in (1, 2):
        one = asking.ask(CASE.changed(members=members, dtype="float16"))
        share = np.float16(1 / members)
        one.got = {**one.got, "y": (one.got["y"] * share * np.float16(1.001)).astype("float16")}
        one.wrong["y"] = True
        assert as_foretold(one, Model({"y": over}), "y") == (members == 2)


def test_some_entries_of_a_large_result_are_summed_alone() -> None:
    """A result of many more entries than there are products is written where they are."""
    large = CASE.changed(batch=4, height=40, width=40, kernel_shape=(1, 1))
    values = OPERATOR.values(large, 11)
    places = {name: np.array([0, 3]) for name in ("b", "i", "j")}
    some = Model()(large, values, ("y",), places)["y"]
    whole = Model()(large, values, ("y",))["y"]
    index = np.ix_([0, 3], [0, 3], [0, 3])
    assert np.array_equal(some[index], whole[index])
    assert np.count_nonzero(some) <= 16


def test_of_a_sum_over_a_whole_axis_fewer_entries_are_summed() -> None:
    large = CASE.changed(batch=3000, height=5, width=6)
    telling = [np.zeros(0, np.int64)] * 4
    counts = []
    for part in (Part(), Part(every=("Eb",))):
        places, index = sampled(large, part, "y", 1 << 14, telling)
        entries = np.prod([axis.size for axis in index])
        counts.append(entries)
        assert set(places) == {"b", "i", "j", "c"}
    assert counts[1] < counts[0] / 16


def test_where_a_result_is_wrong_is_told_along_each_axis() -> None:
    due = np.zeros((3, 4, 5))
    got = due.copy()
    got[1, 2, 0] = got[1, 3, 4] = 1
    assert [axis.tolist() for axis in off_places(got, due)] == [[1], [2, 3], [0, 4]]


# How conditions are chosen.


def test_a_simple_condition_on_the_case_comes_before_a_long_one_on_the_calls() -> None:
    """Of few calls something on the calls before separates by accident."""
    rng = np.random.default_rng(5)
    seen = []
    for _ in range(60):
        before, width = bool(rng.integers(2)), int(rng.integers(1, 20))
        accidents = {f"attribute {n}": int(rng.integers(4)) for n in range(25)}
        labels = frozenset({"wrong"} if before and width >= 12 else ())
        row = {"another format": "yes" if before else "no", **accidents}
        seen.append(Observed(row, labels, more={"W": width}))
    rule = learned_rules(seen).conditions["wrong"].condition
    assert str(rule) == "another format and W >= 12"


def test_a_fault_behind_two_guards_is_explained_to_its_last_case() -> None:
    class Guarded(Unfold):
        """The next channel's group, of kernels of 16 taps from four groups on."""

        def entry(self, call: Call, at: Place) -> Entry:
            found = super().entry(call, at)
            guarded = call.taps[0] * call.taps[1] >= 16 and call.groups >= 4
            return found._replace(g=(found.g + guarded) % call.groups)

    case = OPERATOR.case.parse(
        "dtype=float32,recipe=integers,height=5,width=6,groups=4,kernel_shape=3x6"
    )
    found = explain(load(Guarded, OPERATOR), case, 30.0)
    assert found is not None
    assert found.foretold == found.asked
    said = " ".join(found.what)
    assert "this where G >= 4 and Kh*Kw >= 16" in said
    assert "reads group of the kernel 1 + g, modulo the size   due" in said


# What is said of numbers, and of calls in turn.


def observed_of(mutant: str, token: str, function: str = "forward") -> tuple[Any, Observed]:
    judged = load(MUTANTS[mutant], OPERATOR)
    case = OPERATOR.case.parse(token)
    values = OPERATOR.values(case, OPERATOR.bits(case, judged.capabilities))
    found = verdict(judged, case, values, function)
    return judged, Observed({"function": function}, found.labels, (case, found))


def test_a_law_of_an_operand_knows_underflow() -> None:
    """Where x is subnormal the quotient is rounded to a multiple of the smallest number."""
    law = "the kernel is divided by the sum of its taps' magnitudes"
    for seed in range(6):
        token = (
            f"dtype=float32,recipe=subnormal,seed={seed},height=6,width=5,kernel_shape=7x7,"
            "stride=3x1,dilation=1x2"
        )
        judged, one = observed_of("KernelNormalised", token)
        assert one.labels == {"y"}
        assert obeys(judged, one, law, one.labels)


def test_what_is_rounded_to_the_due_infinity_says_nothing() -> None:
    """The largest float32 is infinity in bfloat16."""
    law = "NaN and infinite sums are replaced by finite numbers of float32"
    ones, largest = np.ones(2), np.finfo(np.float32).max
    found = SimpleNamespace(
        due={"y": Expected(np.array([np.inf, 1.0]), np.zeros(2))},
        answer=SimpleNamespace(results={"y": ones.astype("bfloat16")}),
    )
    assert LAWS[law](np.array([np.inf]), FORMATS["bfloat16"])[0] == largest
    for dtype, moot in (("bfloat16", {"y"}), ("float32", set())):
        one = Observed({}, frozenset(), (CASE.changed(dtype=dtype), found))
        assert moot_of(PLAIN, one, law) == moot


def test_formats_are_noted_as_they_are_found_wrong() -> None:
    """What is right in a format of an arithmetic that is not known says nothing."""

    def one(dtype: str, *labels: str) -> Observed:
        return Observed({}, frozenset(labels), (CASE.changed(dtype=dtype), None))

    sense = _Sense(PLAIN, "", {"float32": Any}, 0.0)
    seen = [one("float32", "y"), one("bfloat16"), one("float64")]
    assert sense.noted(seen) == seen
    assert sense.noted([*seen, one("bfloat16", "y")]) == [seen[0], seen[2]]
    assert sense.unasked == {"bfloat16"}


def test_what_is_given_instead_is_a_program_only_where_right_answers_say_so() -> None:
    """It gives zeros after NaN. Zeros are another answer than what is due of every other call."""
    judged = load(MUTANTS["NanStays"], OPERATOR)
    found = explain_history(judged, CASE, time.perf_counter(), 9.0)
    assert found is not None
    assert "zeros are given" in found.what[0]
    assert "another answer" not in found.when[0]
    assert "NaN" in found.when[0]


def test_no_case_is_drawn_whose_sums_are_not_exact() -> None:
    """What certifies one result is exact in that one alone."""
    for name in FINITE:
        case = CASE.changed(recipe=name, groups=16, kernel_shape=(5, 5), seed=891)
        assert not any(Asking(PLAIN, None, 1.0).ask(case).wrong.values()), name
