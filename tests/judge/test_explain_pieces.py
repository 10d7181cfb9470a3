"""The pieces that explanations are made of: laws, counts, keys of calls, conditions on places."""

import itertools
import random
import time
from typing import Any

import numpy as np
import pytest

from conformance.cases.operator_recipes import operands
from conformance.claims.loading import load
from conformance.diagnosis.arithmetic import DOWN, UP, Rounding
from conformance.diagnosis.attributes import of_counts
from conformance.diagnosis.courses import BUT, Courses, behind
from conformance.diagnosis.experiments import drawn
from conformance.diagnosis.fitting import fitted, of_places
from conformance.diagnosis.instead import INSTEAD
from conformance.diagnosis.laws import suspected
from conformance.diagnosis.numbers import explain_numbers
from conformance.diagnosis.observing import Observed, learned_nearly, learned_rules, put_to_tests
from conformance.diagnosis.places import entries_of
from conformance.diagnosis.readings import read
from conformance.diagnosis.reveal import reveal
from conformance.implementations.operator.numpy_unfold import Call, Unfold
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS
from refimpl import involution

PLAIN = load(Unfold, OPERATOR)
CASE = OPERATOR.case.parse(
    "dtype=float32,recipe=integers,batch=2,height=5,width=4,groups=2,members=2,kernel_shape=3x3"
)


class NegativePadding(Unfold):
    """What "same" lacks may be less than nothing, and half of that is the padding all the same."""

    def before(self, call: Call, axis: int) -> int:
        if call.padding != "same":
            return super().before(call, axis)
        reached = (call.grid[axis] - 1) * call.stride[axis] + self.reach(call, axis) + 1
        return (reached - call.size[axis]) // 2


def test_padding_below_zero_is_identified() -> None:
    judged = load(NegativePadding, OPERATOR)
    case = OPERATOR.case.parse("dtype=float32,recipe=integers,height=6,width=10,stride=3x5")
    cases = (
        case,
        case.changed(height=9, width=13, stride=(4, 9)),
        case.changed(width=7, kernel_shape=(2, 3), stride=(2, 1)),
    )
    readings = [read(judged, one, "y") for one in cases]
    part = fitted(readings)
    assert part is not None
    said = {slot.name: str(slot.formula) for slot in part.slots}
    assert said["Pw"].endswith("((Wo - 1)*sw + (Kw - 1)*dw + 1 - W) // 2"), said


def test_directed_roundings_know_the_sign() -> None:
    """5 is 101 in binary: of two bits 110 is above it and 100 below."""
    for mode, above, below in ((UP, 6, -4), (DOWN, 4, -6)):
        rounding = Rounding(2, mode)
        assert [rounding(n, 0) for n in (5, -5, 4, -4, 0)] == [above, below, 4, -4, 0]


def test_results_rounded_up_are_told() -> None:
    found = reveal(load(MUTANTS["RoundsUp"], OPERATOR), "float32", results=("y",))
    assert found.words[0] == "y: results are rounded towards plus infinity"


def test_padded_taps_that_are_multiplied_show_what_they_read() -> None:
    judged = load(MUTANTS["PaddedTapsMultiplied"], OPERATOR)
    case = OPERATOR.case.parse("dtype=float32,recipe=specials,height=3,width=4,kernel_shape=3x3")
    found = explain_numbers(judged, case, time.perf_counter(), 8.0)
    assert found is not None
    assert found.learned.what[0].startswith("y: padded taps read the nearest pixel and multiply")
    assert found.learned.certain, found


def test_a_result_that_is_masked_is_suspected() -> None:
    """And not where the mask takes nothing away."""
    values = operands(CASE, 11)
    options = CASE.geometry.options
    for image in (values["x"], np.abs(values["x"]) + np.float32(1)):
        given = {**values, "x": image}
        dx, _ = involution.backward(given["dy"], image, given["kernel"], **options)
        got = {"dx": np.where(image > 0, dx, 0).astype(np.float32)}
        found = suspected(CASE, given, got, "dx")
        assert found == ({"it is zero where x is not positive"} if (image < 0).any() else set())


def test_padded_pixels_behind_the_last_window_are_counted() -> None:
    """As many as may be taken off the end before an output is lost."""
    for case in itertools.islice(drawn(PLAIN.capabilities, "float32", random.Random(3)), 60):
        where, got = case.geometry.axes(case.size), of_counts(case)
        for axis, name in zip(where, ("rows", "columns"), strict=True):
            pixels = axis.before + axis.size + axis.after
            places = itertools.product(range(axis.outputs), range(axis.taps))
            last = {output * axis.stride + tap * axis.dilation for output, tap in places}
            assert got[f"{name} behind the last window"] == pixels - 1 - max(last), case.token


def test_places_of_entries_are_those_of_a_loop() -> None:
    for case in itertools.islice(
        drawn(PLAIN.capabilities, "float32", random.Random(5), small=True), 20
    ):
        vertical, horizontal = case.geometry.axes(case.size)
        taps = list(itertools.product(range(vertical.taps), range(horizontal.taps)))
        got = {name: entries_of(case, name) for name in ("y", "dx", "dkernel")}
        reads = np.zeros(case.size, int)
        for number, (b, i, j, c) in enumerate(np.ndindex(case.shapes["dy"])):
            at = [(i * vertical.stride + u * vertical.dilation - vertical.before,
                   j * horizontal.stride + v * horizontal.dilation - horizontal.before)
                  for u, v in taps]  # fmt: skip
            inside = [(h, w) for h, w in at if 0 <= h < case.height and 0 <= w < case.width]
            assert got["y"]["taps_inside"][number] == len(inside)
            for pixel in inside if not b and not c else ():
                reads[pixel] += 1
            own = {name: got["y"][name][number] for name in "bijc"}
            assert own == {"b": b, "i": i, "j": j, "c": c}
        for number, (_, h, w, _) in enumerate(np.ndindex(case.shapes["x"])):
            assert got["dx"]["readers"][number] == reads[h, w]
        for number, (_, i, _, u, _, g) in enumerate(np.ndindex(case.shapes["kernel"])):
            row = i * vertical.stride + u * vertical.dilation - vertical.before
            assert (got["dkernel"]["h"][number], got["dkernel"]["g"][number]) == (row, g)


def test_what_is_rare_is_learned_from_what_contradicts() -> None:
    """A hundred products of ten thousand tell the last of a group from those beyond vectors."""
    members = np.concatenate([np.full(9_000, 33), np.full(66, 66), np.full(49, 49)])
    member = np.concatenate([np.arange(9_000) % 33, np.arange(66), np.arange(49)])
    off = member >= members // 32 * 32
    columns = {"m": member, "M": members, "same": np.zeros(len(off)), "interleaved": off * 0}
    assert str(of_places(columns, off)[0]) == "m - M//32*32 >= 0"


def step(courses: Courses, function: str = "forward", **changed: Any) -> Any:
    return courses.step(courses.case.changed(**changed), function)


def test_a_key_may_forget_one_option() -> None:
    """A call of another dilation, and of no other difference, is the same by one key alone."""
    courses = Courses(PLAIN, CASE, 1)
    plain, other = step(courses), step(courses, dilation=(2, 2), seed=3, dtype="float64")
    same = {name for name, key in BUT.items() if key(plain) == key(other)}
    assert same == {"its shapes and options, whatever its dilation"}
    moved = step(courses, dilation=(2, 2), batch=3)
    assert not any(key(plain) == key(moved) for key in BUT.values())


def test_answers_are_added_up_until_something_else_is_asked() -> None:
    courses = Courses(PLAIN, CASE, 1)
    past = [step(courses, "backward", seed=1), step(courses, seed=2),
            step(courses, "backward", seed=3), step(courses, "backward", seed=4)]  # fmt: skip
    now = step(courses, "backward", seed=5)
    kept = [one for one in past if one.function == "backward"]
    due = [answered(one)["dx"] for one in (*kept, now)]
    words = "the answers of {} of its function, of its shapes, are added to it"
    for calls, parts in (("all calls before", due), ("the calls just before", due[1:])):
        found = INSTEAD[words.format(calls)](PLAIN, past, now)
        assert found is not None
        np.testing.assert_array_equal(found["dx"].value, sum(parts))
    assert INSTEAD[words.format("the calls just before")](PLAIN, past[:2], now) is None


def answered(one: Any) -> dict[str, Any]:
    operands_ = one.values["dy"], one.values["x"], one.values["kernel"]
    dx, dkernel = involution.backward(*operands_, **one.case.geometry.options)
    return {"dx": dx, "dkernel": dkernel}


def test_the_first_call_stands_behind_every_other() -> None:
    courses = Courses(PLAIN, CASE, 1)
    first, between = step(courses, dtype="float16"), step(courses)
    row = behind([first, between], step(courses, seed=9))
    assert row["the first call was in a narrower format"] == "yes"
    assert row["the call before was in a narrower format"] == "no"


def observed(number: int, seed: int) -> list[Observed]:
    """Wrong from 40 on, but for one in twenty."""
    rng = random.Random(seed)
    rows = [{"size": size} for size in rng.sample(range(1, 4 * number), number)]
    return [
        Observed(row, frozenset({"y"} if row["size"] >= 40 and rng.random() < 0.95 else ()))
        for row in rows
    ]


def test_what_is_right_by_chance_leaves_a_condition_that_holds_nearly() -> None:
    seen = observed(600, 1)
    assert learned_rules(seen).unknown == {"y"}
    rules = learned_nearly(seen)
    assert not rules.unknown
    # What is right by chance is no reason to exclude it.
    rule = rules.conditions["y"]
    held = [rule.holds({"size": size}) for size in range(1, 2400)]
    assert not any(held[:35])
    assert all(held[45:])


@pytest.mark.parametrize("turns", [1, 4])
def test_what_fresh_observations_contradict_is_learned_from(turns: int) -> None:
    """The first ones have nothing of kind b, which is wrong from 20 on."""

    def made(seed: int) -> list[Observed]:
        rng = random.Random(seed)
        rows = [{"size": rng.choice((5, 19, 20, 64)), "kind": rng.choice("ab" if seed else "a")}
                for _ in range(300)]  # fmt: skip
        limit = {"a": 64, "b": 20}
        return [
            Observed(r, frozenset({"y"} if r["size"] >= limit[r["kind"]] else ())) for r in rows
        ]

    seen = made(0)
    got = put_to_tests(
        lambda turn: iter(made(turn + 1)),
        learned_rules(seen), seen, lambda _: time.perf_counter() + 9.0, turns=turns,
    )  # fmt: skip
    assert all(got.foretold) is (turns > 1)
    assert (len(got.seen) > len(seen)) is (turns > 1)
