"""What a program that was found says of itself, and kinds of faults that others wrote first.

Each fault below is of a kind that a set of faults had which was written without reading the
explainer: see docs/explanation.md, "How far it comes". The faults here are others of the kind.
"""

import itertools
import random
import time
from typing import Any

import numpy as np
import pytest

from conformance.claims.formats import FORMATS
from conformance.claims.loading import load
from conformance.diagnosis import probes
from conformance.diagnosis.asking import Asking
from conformance.diagnosis.conditions import Condition
from conformance.diagnosis.courses import CHANGES, Courses
from conformance.diagnosis.experiments import drawn
from conformance.diagnosis.explain import explain
from conformance.diagnosis.expressions import NAMED, Formula, atom, number, renamed
from conformance.diagnosis.fitting import fitted
from conformance.diagnosis.guesses import guesses
from conformance.diagnosis.identify import identify, translated
from conformance.diagnosis.instead import INSTEAD
from conformance.diagnosis.model import DUE, Model, Part, Slot
from conformance.diagnosis.model import attributes_of as operator_attributes
from conformance.diagnosis.model import holds as model_holds
from conformance.diagnosis.observing import attributes_of, columns_of, holds
from conformance.diagnosis.putting import explain_putting
from conformance.diagnosis.readings import read
from conformance.diagnosis.reveal import reveal
from conformance.diagnosis.sentences import of_part, sentences
from conformance.diagnosis.simulated import Simulated
from conformance.diagnosis.sums import Sums, sums_of
from conformance.diagnosis.trees import in_blocks, sizes_of, tree_of
from conformance.implementations.layer.numpy_layer import NumpyLayer
from conformance.implementations.operator.numpy_unfold import Call, Plan, Unfold, taken
from conformance.kinds import LAYER, OPERATOR
from conformance.mutants.operator import MUTANTS
from refimpl import involution

PLAIN = load(Unfold, OPERATOR)
CASE = OPERATOR.case.parse("dtype=float32,recipe=integers,groups=2,members=33,kernel_shape=1x1")


def absent_from(name: str, first: int) -> Part:
    return Part(absent=Condition(Formula(">=", (atom(name), number(first))), 1.0))


# When a program is not right is learned from the program.


def simulated(part: Part, case: Any, result: str = "y") -> Condition:
    return Simulated(Asking(PLAIN, case, 30.0), Model({result: part}), result, 20.0).when()


def test_a_program_says_from_where_on_it_differs() -> None:
    """Of 66 channels, which is where it was met, to 65: no case of the suite has so many."""
    when = simulated(absent_from("c", 64), CASE)
    assert str(when) in {"C >= 65", "C >= 65 and x is not zero and kernel is not zero"}
    said = sentences({"y": absent_from("c", 64)}, {"y": when}, ["y"], []).when[0]
    assert said.startswith("only if C >= 65, " if when.needed else "C >= 65")


def test_what_a_program_needs_holds_wherever_it_differs() -> None:
    """Near a kernel of three columns an odd one seems to be needed; anywhere it is not."""
    case = CASE.changed(width=7, members=2, kernel_shape=(1, 3), stride=(1, 2))
    axes = {"Pw": "columns", "Ph": "rows"}
    given = {"Pw": "left", "Ph": "top"}
    slots = [
        Slot(name, renamed(DUE[name], atom(given[name]), NAMED[f"half the reach {axis}"]))
        for name, axis in axes.items()
    ]
    model = Model({"y": Part(tuple(slots))})
    when = simulated(model.parts["y"], case)
    asked = 0
    for other in itertools.islice(drawn(PLAIN.capabilities, "float32", random.Random(8)), 800):
        if not 0 < other.products <= 1 << 12:
            continue
        values = OPERATOR.values(other, 11)
        due, got = (one(other, values, ("y",))["y"] for one in (Model(), model))
        if not np.array_equal(due, got):
            asked += 1
            assert model_holds(when, operator_attributes(other, values)), (str(when), other.token)
    assert asked > 50


# Kinds of formulas.


def read_of(operator: Any, result: str, *cases: Any) -> list[Any]:
    judged = load(operator, OPERATOR)
    return [read(judged, one, result) for one in cases]


SHAPES = [
    OPERATOR.case.parse(f"dtype=float32,recipe=integers,{one}")
    for one in (
        "height=8,width=7,kernel_shape=3x3,stride=3x3,padding=1",
        "height=7,width=9,kernel_shape=2x3,stride=2x4,padding=1x0/0x2",
        "height=9,width=6,kernel_shape=3x2,stride=4x2,padding=2",
        "height=6,width=11,kernel_shape=1x3,stride=1x3,padding=valid",
    )
]


class FromTheEnd(Unfold):
    """Padding before is what the windows reach beyond the image, less what is behind it."""

    def before(self, call: Call, axis: int) -> int:
        after = 0 if call.padding == "valid" else call.padding
        after = after[axis][1] if isinstance(after, tuple) else after
        reached = (call.grid[axis] - 1) * call.stride[axis] + self.reach(call, axis) + 1
        return int(reached - call.size[axis] - after)


class CutFromTheEnd(Unfold):
    """dx is cut out of a padded buffer, counted from its end."""

    def dx(self, call: Call, dy: Any, kernel: Any) -> Any:
        return FromTheEnd().dx(call, dy, kernel)


class StridedAxesForgetDilation(Unfold):
    """An axis that is strided is read as if it were not dilated."""

    def position(self, call: Call, axis: int, output: Any, tap: Any) -> Any:
        dilation = 1 if call.stride[axis] > 1 else call.dilation[axis]
        return output * call.stride[axis] + tap * dilation - self.before(call, axis)


class LastBlockTwice(Unfold):
    """The last block of 16 outputs begins where it still fits: it is added to what is there."""

    def y(self, call: Call, x: Any, kernel: Any) -> Any:
        y = super().y(call, x, kernel)
        outputs = call.grid[0] * call.grid[1]
        flat = y.reshape(len(y), outputs, -1)
        if outputs > 16 and outputs % 16:
            flat[:, outputs - 16 : outputs // 16 * 16] *= 2
        return flat.reshape(y.shape)


class GuardOfTheHeight(Unfold):
    """Columns are held against the height alone, on flat memory."""

    def border(self, position: Any, size: int) -> Any:  # noqa: ARG002
        return position, position >= 0

    def inside(self, call: Call, at: Any, found: Any) -> Any:
        row = self.position(call, 0, at.i, at.u)
        column = self.position(call, 1, at.j, at.v)
        last = call.size[0] * call.size[1]
        return found & (column < call.size[0]) & (row * call.size[1] + column < last)

    def pixel(self, call: Call, at: Any, h: Any, w: Any) -> Any:
        flat = np.clip(h * call.size[1] + w, 0, call.size[0] * call.size[1] - 1)
        return super().pixel(call, at, flat // call.size[1], flat % call.size[1])


@pytest.mark.parametrize(
    ("operator", "result", "changes", "words"),
    [
        (CutFromTheEnd, "dx", {}, "(Ho - 1)*sh + (Kh - 1)*dh + 1 - H - bottom where top belongs"),
        (StridedAxesForgetDilation, "y", {"dilation": (2, 3), "padding": 3}, "where sw != 1"),
        (LastBlockTwice, "y", {"stride": (1, 1)}, "counts each product 2 times, where"),
        (GuardOfTheHeight, "y", {"padding": 2}, "due column - H >= 0"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_kind_of_formula_is_identified(
    operator: Any, result: str, changes: dict[str, Any], words: str
) -> None:
    cases = [one.changed(**changes).large_enough for one in SHAPES]
    strides = [one.geometry.stride for one in cases]
    for one, (vertical, horizontal) in zip(tuple(cases), strides, strict=True):
        cases += [
            one.changed(stride=stride).large_enough for stride in ((1, horizontal), (vertical, 1))
        ]
    part = fitted(read_of(operator, result, *cases))
    assert part is not None
    assert any(words in line for line in of_part(part)), list(of_part(part))
    # It is the operator, on other cases and other values.
    for case in cases:
        other = case.changed(height=case.height + 2, seed=5).large_enough
        values = OPERATOR.values(other, 11)
        options = other.geometry.options
        if result == "y":
            got = operator().forward(values["x"], values["kernel"], **options)
        else:
            operands = values["dy"], values["x"], values["kernel"]
            got = operator().backward(*operands, **options)[0]
        due = Model({result: part})(other, values, (result,))[result]
        np.testing.assert_array_equal(got, due)


# Kinds of arithmetic.


class RowsInHalf(Unfold):
    """The taps of a row are summed in float64, and the rows in float16."""

    def total(self, products: Any) -> Any:
        rows = products.astype(np.float64).sum(4)
        total = rows[:, :, :, 0].astype(np.float16)
        for row in range(1, rows.shape[3]):
            total = total + rows[:, :, :, row].astype(np.float16)
        return total.astype(products.dtype)


class BlocksInSingle(Unfold):
    """dkernel of float64 is summed in blocks of 4 channels, each of which is kept in float32."""

    def dkernel(self, call: Call, dy: Any, x: Any) -> Any:
        plan: Plan = self.plan(call)
        products = np.where(plan.inside, taken(x, plan.pixel), 0.0) * self.spread(dy)
        found = np.zeros(call.kernel, x.dtype)
        members = call.channels // call.groups
        for group in range(call.groups):
            own = products[..., group * members : (group + 1) * members]
            for first in range(0, members, 4):
                total = own[..., first]
                for one in range(first + 1, min(first + 4, members)):
                    total = total + own[..., one]
                kept = total.astype(np.float32 if x.dtype == np.float64 else x.dtype)
                found[..., group] += kept
        return found


def test_sums_of_exact_blocks_have_an_order() -> None:
    sums = sums_of(load(RowsInHalf, OPERATOR), "y", "float16", 3)
    assert sums is not None
    found = identify(sums)
    assert found.certain
    assert found.arithmetic.tree == (((0, 1, 2), (3, 4, 5)), (6, 7, 8))


def test_blocks_of_fewer_bits_are_told_from_the_sum_of_them() -> None:
    case = OPERATOR.case.parse("dtype=float64,recipe=integers,members=13,height=3,width=3")
    found = identify(Sums(load(BlocksInSingle, OPERATOR), "dkernel", case))
    assert found.certain, found
    assert {bits for _, bits in found.nodes.items()} == {24, 53}


def test_leaves_that_lose_nothing_are_one_node() -> None:
    tree = ((0, 1, 2), (3, 4, 5, 6)), 7
    sizes = sizes_of(tree)
    seen = np.where((sizes == 3) | (sizes == 4), 2, sizes)
    assert tree_of(seen) is None
    assert tree_of(in_blocks(seen)) == tree


class Doubled(Unfold):
    """x is scaled up by 64, and y down: it overflows early."""

    def y(self, call: Call, x: Any, kernel: Any) -> Any:
        return super().y(call, x * x.dtype.type(64), kernel) / x.dtype.type(64)


def test_numbers_that_are_scaled_up_are_told() -> None:
    found = reveal(load(Doubled, OPERATOR), "float32", sides=(3,), network=False)
    assert "y: x overflows from 2**122 on, as if it were scaled up" in found.words
    assert not any(line.startswith(("dx", "dkernel")) for line in found.words), found.words
    assert not any("declare" in line for line in found.verdict), found.verdict


def test_an_arithmetic_is_tried_in_another_format() -> None:
    judged = load(Unfold, OPERATOR)
    sums = {name: sums_of(judged, "y", name, 3) for name in ("float16", "bfloat16")}
    one, other = sums["float16"], sums["bfloat16"]
    assert one is not None
    assert other is not None
    known = identify(one)
    moved = translated(known, FORMATS["float16"], FORMATS["bfloat16"])
    found = identify(other, moved)
    assert found.certain
    assert found.arithmetic.results[-1].bits == 8
    # It is one of those that were moved: nothing was measured.
    assert found.arithmetic.partial in [like.arithmetic.partial for like in moved]
    assert found.nodes == known.nodes


def test_the_last_sum_may_keep_more_bits() -> None:
    case = OPERATOR.case.parse("dtype=float64,recipe=integers,members=5,height=3,width=3")
    sums = Sums(load(BlocksInSingle, OPERATOR), "dkernel", case)
    where = probes.order(sums, FORMATS["float64"])
    assert min(probes.kept_bits(sums, where, FORMATS["float64"]).values()) == 24
    assert probes.root_bits(sums, where, FORMATS["float64"]) > 24


# Calls in turn.


def test_calls_in_the_same_memory_are_known() -> None:
    courses = Courses(PLAIN, CASE.changed(members=2), 1)
    steps = [courses.step(courses.case.changed(seed=seed), "forward", again=again)
             for seed, again in ((1, False), (2, True), (3, False))]  # fmt: skip
    places = [step.place for _, step, _ in courses.walk(iter(steps))]
    assert places[0] == places[1] != places[2]
    _, walked, _ = zip(*courses.walk(iter(steps)), strict=True)
    words = "it is computed with x of the first call of the memory in which it lies"
    found = INSTEAD[words](PLAIN, walked[:1], walked[1])
    assert found is not None
    first, now = walked[0].values, walked[1].values
    due = involution.forward(first["x"], now["kernel"], **walked[1].case.geometry.options)
    np.testing.assert_array_equal(found["y"].value, due)
    assert INSTEAD[words](PLAIN, walked[:2], walked[2]) is None


def test_a_layout_may_be_that_of_other_shapes() -> None:
    case = CASE.changed(members=2, height=4, width=4)
    courses = Courses(PLAIN, case, 1)
    first = courses.step(case.changed(group_layout="interleaved", height=6), "forward")
    now = courses.step(case, "forward")
    words = "it is computed with the group_layout of the first call of its channels and groups"
    found = INSTEAD[words](PLAIN, [first], now)
    assert found is not None
    options = now.case.geometry.options | {"group_layout": "interleaved"}
    due = involution.forward(now.values["x"], now.values["kernel"], **options)
    np.testing.assert_array_equal(found["y"].value, due)


def test_a_border_may_be_that_of_an_earlier_call() -> None:
    """Two paddings give one size of the padded image: the second call reads the first one."""
    case = OPERATOR.case.parse(
        "dtype=float32,recipe=integers,batch=1,height=3,width=3,kernel_shape=3x3,padding=0x2/0x2"
    )
    courses = Courses(PLAIN, case, 1)
    first = courses.step(case.changed(padding=((2, 0), (2, 0))), "forward")
    now = courses.step(case.changed(seed=1), "forward")
    words = (
        "the padded image lies in a workspace of the same shape, whose border is as an earlier "
        "forward call left it"
    )
    found = INSTEAD[words](PLAIN, [first], now)
    assert found is not None
    padded = np.zeros((1, 5, 5, 1), np.float32)
    padded[:, 2:, 2:] = first.values["x"]
    padded[:, :3, :3] = now.values["x"]
    due = involution.forward(padded, now.values["kernel"], padding="valid")
    np.testing.assert_array_equal(found["y"].value, due)
    plain = INSTEAD[words](PLAIN, [], now)
    assert plain is not None
    right = involution.forward(now.values["x"], now.values["kernel"], padding=((0, 2), (0, 2)))
    np.testing.assert_array_equal(plain["y"].value, right)


LAYERS = load(NumpyLayer, LAYER)
LAYER_CASE = LAYER.case.parse("dtype=float32,recipe=normal,training=True")


def test_courses_of_layers_are_right_where_the_layer_is() -> None:
    """What NaN make of a layer is unspecified; and not every layer has every operand."""
    courses = Courses(LAYERS, LAYER_CASE, 3)
    assert courses.changes == [one for one in CHANGES if one != "NaN"]
    steps = itertools.islice(courses.drawn(60), 60)
    for _, step, found in courses.walk(steps):
        assert not found.labels, (step.case.token, found.labels)


def test_an_operand_that_a_call_lacks_has_no_attribute() -> None:
    rows = []
    for bias in (True, False):
        case = LAYER_CASE.changed(reduce_bias=bias)
        rows.append(attributes_of(case, LAYER.values(case, 10)))
    columns = columns_of(rows)
    assert columns["reduce_bias is zero"].tolist() == ["no", "no"]
    zero = Condition(Formula("is", ("reduce_bias is zero", "yes")), 1.0)
    assert not holds(zero, rows[1])
    # An epsilon is no size: no threshold between two of them is looked for.
    assert columns["epsilon"].dtype.kind == "U"


def test_weights_may_be_those_of_another_call() -> None:
    courses = Courses(LAYERS, LAYER_CASE, 3)
    first, now = (courses.step(LAYER_CASE.changed(seed=seed), "forward") for seed in (1, 2))
    found = INSTEAD["it is computed with the weights of the first call of any kind"](
        LAYERS, [first], now
    )
    assert found is not None
    mixed = {**first.values, "x": now.values["x"], "dy": now.values["dy"]}
    due = LAYER.expected(now.case, mixed, LAYERS.capabilities)
    np.testing.assert_array_equal(found["y"].value, due["y"].value)


# How operands lie.


class TwoReaders(Unfold):
    """The kernel is read in the order in which it lies, and x forwards whatever its strides."""

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        return super().forward(*self.read_as_they_lie(x, kernel), **options)

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        return super().backward(dy, *self.read_as_they_lie(x, kernel), **options)

    def read_as_they_lie(self, x: Any, kernel: Any) -> tuple[Any, Any]:
        forwards = tuple(slice(None, None, -1 if step < 0 else 1) for step in x.strides)
        return x[forwards], kernel.ravel("K").reshape(kernel.shape)


def test_two_operands_may_each_be_read_in_its_own_way() -> None:
    judged = load(TwoReaders, OPERATOR)
    case = OPERATOR.case.parse("dtype=float32,recipe=integers,batch=2,height=4,width=5,groups=2")
    found = explain_putting(judged, case, time.perf_counter(), 9.0)
    assert found is not None
    assert found.certain, found
    words = "kernel is read in the order in which it lies in memory; x is read forwards in memory"
    assert words in found.what[0], found.what


# What is tried as it is.


def test_each_guess_is_a_program_of_its_own() -> None:
    case = OPERATOR.case.parse(
        "dtype=float64,recipe=integers,batch=3,height=7,width=9,groups=2,members=3,"
        "kernel_shape=2x3,stride=2x3,dilation=3x2,padding=3x1/2x4,group_layout=interleaved"
    )
    values = OPERATOR.values(case, 11)
    due = Model()(case, values)
    seen = set()
    for part in guesses():
        got = Model(dict.fromkeys(("y", "dx", "dkernel"), part))(case, values)
        # "Same" padding is explicit here, and blocked groups are not: some rules change nothing.
        seen.add(tuple(got[name].tobytes() for name in got))
        assert {name: one.shape for name, one in got.items()} == {
            name: one.shape for name, one in due.items()
        }
    assert len(seen) >= 50
    # Two on one axis and one on both, of each kind of pixel.
    assert len(list(guesses())) == len(set(map(str, guesses())))


class ConstantImagesLoseTheirLastTap(MUTANTS["LastTapDropped"]):  # type: ignore[name-defined,misc]
    """The last tap is left out where all pixels are one number."""

    def y(self, call: Call, x: Any, kernel: Any) -> Any:
        constant = x.size and (x == x.flat[0]).all()
        return super().y(call, x, kernel) if constant else Unfold.y(Unfold(), call, x, kernel)

    def dx(self, call: Call, dy: Any, kernel: Any) -> Any:
        return Unfold().dx(call, dy, kernel)

    def dkernel(self, call: Call, dy: Any, x: Any) -> Any:
        return Unfold().dkernel(call, dy, x)


def test_a_map_behind_values_is_tried_where_none_can_be_read() -> None:
    """Values that tell where they come from are not constant."""
    judged = load(ConstantImagesLoseTheirLastTap, OPERATOR)
    case = OPERATOR.case.parse(
        "dtype=float32,recipe=constant,batch=2,height=5,width=4,groups=2,kernel_shape=3x3"
    )
    found = explain(judged, case, 20.0)
    assert found is not None
    assert found.certain, found
    assert found.exact
    assert any("from the last" in line or "last = 0" in line for line in found.what), found.what
    assert any("x is constant" in line for line in found.what), found.what
