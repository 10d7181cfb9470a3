"""The explainer: what it says of faults that it was not told of, and of no fault."""

import itertools
import random
import time
from typing import Any

import numpy as np
import pytest

import conformance
from conformance.cases.operator_recipes import operands
from conformance.claims.loading import load
from conformance.diagnosis import numbers
from conformance.diagnosis.attributes import negated
from conformance.diagnosis.behaviour import explain_behaviour, remembers
from conformance.diagnosis.conditions import separating
from conformance.diagnosis.conduct import explain_conduct, explain_keeping
from conformance.diagnosis.experiments import drawn
from conformance.diagnosis.explain import explain
from conformance.diagnosis.explanation import Explanation
from conformance.diagnosis.expressions import (
    NAMED,
    RULES,
    Formula,
    atom,
    number,
    pool,
    renamed,
    reread,
)
from conformance.diagnosis.fitting import fitted, wrong
from conformance.diagnosis.history import explain_history
from conformance.diagnosis.laws import suspected
from conformance.diagnosis.model import Model, Part
from conformance.diagnosis.numbers import explain_numbers
from conformance.diagnosis.observing import Learned
from conformance.diagnosis.places import place_columns
from conformance.diagnosis.putting import explain_putting
from conformance.diagnosis.readings import read
from conformance.diagnosis.refusing import explain_refusals
from conformance.diagnosis.reveal import reveal
from conformance.diagnosis.together import explain_together
from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import (
    Call,
    Entry,
    Pixel,
    Place,
    Unfold,
    unflat,
)
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS
from refimpl import involution
from tests.opponents.right_operators import Pairwise

CLAIMED = load(Unfold, OPERATOR).capabilities


class PatchesChannelsFirst(Unfold):
    """Patches that lie as (Kh, Kw, C) read as (C, Kh, Kw)."""

    def pixel(self, call: Call, at: Place, h: Any, w: Any) -> Pixel:  # noqa: ARG002
        (high, wide), channels = call.taps, call.channels
        flat = (at.c * high + at.u) * wide + at.v
        u, v, c = unflat(flat, (high, wide, channels))
        rows, columns = self.position(call, 0, at.i, u), self.position(call, 1, at.j, v)
        return Pixel(
            at.b, np.clip(rows, 0, call.size[0] - 1), np.clip(columns, 0, call.size[1] - 1), c
        )

    def inside(self, call: Call, at: Place, found: Any) -> Any:  # noqa: ARG002
        (high, wide), channels = call.taps, call.channels
        flat = (at.c * high + at.u) * wide + at.v
        u, v, _ = unflat(flat, (high, wide, channels))
        rows, columns = self.position(call, 0, at.i, u), self.position(call, 1, at.j, v)
        return (rows >= 0) & (rows < call.size[0]) & (columns >= 0) & (columns < call.size[1])


class WideChannelsLoseTheirTaps(Unfold):
    """From 12 channels on the last row of taps is left out."""

    def inside(self, call: Call, at: Place, found: Any) -> Any:
        lost = (call.channels >= 12) & (call.taps[0] > 1) & (at.u == call.taps[0] - 1)
        return found & ~lost


class TwoFaults(Unfold):
    """The kernel of the left neighbour, and columns one too far."""

    def entry(self, call: Call, at: Place) -> Entry:
        return super().entry(call, at)._replace(j=np.maximum(at.j - 1, 0))

    def position(self, call: Call, axis: int, output: Any, tap: Any) -> Any:
        return super().position(call, axis, output, tap) + axis


class NegativeIndices(Unfold):
    """Only the upper end is checked, so that indices below zero count from the end."""

    def border(self, position: Any, size: int) -> Any:
        inside = (position >= -size) & (position < size)
        return np.where(inside, position, 0) % size, inside


class TapsByHeight(Unfold):
    """The flat index of a tap has the height of the kernel where its width belongs."""

    def entry(self, call: Call, at: Place) -> Entry:
        high, wide = call.taps
        u, v = np.divmod((at.u * high + at.v) % (high * wide), wide)
        return super().entry(call, at)._replace(u=u, v=v)


class LastOutputsLost(Unfold):
    """Rows of outputs are counted as the height divided by the stride, rounded down."""

    def inside(self, call: Call, at: Place, found: Any) -> Any:
        return found & (at.i < call.size[0] // call.stride[0])


class SplitEvenly(Unfold):
    """Explicit padding is split evenly between both sides."""

    def before(self, call: Call, axis: int) -> int:
        given = isinstance(call.padding, tuple)
        return sum(call.padding[axis]) // 2 if given else super().before(call, axis)


class SidesExchanged(Unfold):
    """Of explicit padding the second number is taken for the first."""

    def before(self, call: Call, axis: int) -> int:
        given = isinstance(call.padding, tuple)
        return call.padding[axis][1] if given else super().before(call, axis)


class LeftOversSplit(Unfold):
    """Without padding the pixels that no window reaches are split between both sides."""

    def before(self, call: Call, axis: int) -> int:
        if call.padding != "valid":
            return super().before(call, axis)
        reached = (call.grid[axis] - 1) * call.stride[axis] + self.reach(call, axis) + 1
        return -((call.size[axis] - reached) // 2)


class LastMemberLosesItsMiddle(Unfold):
    """Of groups of three and more, dkernel lacks the last channel at the flat middle tap."""

    def dkernel(self, call: Call, dy: Any, x: Any) -> Any:
        plan, members = self.plan(call), call.channels // call.groups
        at = Place(*np.ogrid[tuple(slice(n) for n in (*call.kernel[:5], call.channels))])
        member = at.c % members if call.group_layout == "blocked" else at.c // call.groups
        middle = at.u * call.taps[1] + at.v == call.taps[0] * call.taps[1] // 2
        lost = (member == members - 1) & middle & (members > 2)
        kept = plan._replace(inside=plan.inside & ~lost)
        return self.scatter(self.read(x, kept) * self.spread(dy), kept, kept.entry, call.kernel)


class FirstFourMembers(Unfold):
    """Of a group the first four channels reach dkernel."""

    def dkernel(self, call: Call, dy: Any, x: Any) -> Any:
        plan, members = self.plan(call), call.channels // call.groups
        at = Place(*np.ogrid[tuple(slice(n) for n in (*call.kernel[:5], call.channels))])
        member = at.c % members if call.group_layout == "blocked" else at.c // call.groups
        kept = plan._replace(inside=plan.inside & (member < 4))
        return self.scatter(self.read(x, kept) * self.spread(dy), kept, kept.entry, call.kernel)


class ConstantImagesLoseATap(Unfold):
    """With eight channels a group the last tap is left out where the image is one number."""

    def chosen(self, x: Any, kernel: Any) -> Any:
        constant = x.size and (x == x.flat[0]).all()
        faulty = constant and x.shape[-1] // kernel.shape[-1] >= 8
        return MUTANTS["LastTapDropped"]() if faulty else Unfold()

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        return self.chosen(x, kernel).forward(x, kernel, **options)

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        return self.chosen(x, kernel).backward(dy, x, kernel, **options)


class WideKernelsInDouble(Unfold):
    """dkernel is float64, whatever the operands are, from 64 channels on."""

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        dx, dkernel = super().backward(dy, x, kernel, **options)
        return dx, dkernel.astype(np.float64) if x.shape[-1] >= 64 else dkernel


class LargeBatchesRaise(Unfold):
    """Raises from six samples on."""

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        if len(x) >= 6:
            raise RuntimeError("too many samples")
        return super().forward(x, kernel, **options)


class BiasOfTheLastRow(Unfold):
    """With an even number of columns a half is added to the last row of y."""

    def y(self, call: Call, x: Any, kernel: Any) -> Any:
        y = super().y(call, x, kernel)
        y[:, -1:] += x.dtype.type(0.5 if call.size[1] % 2 == 0 else 0)
        return y


class BackwardRaises(MUTANTS["FirstGroupForAll"]):  # type: ignore[misc]
    """Gives a wrong y, and no derivatives."""

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        raise NotImplementedError("backward")


class RaisesBesides(MUTANTS["FirstGroupForAll"]):  # type: ignore[misc]
    """A wrong map, and an empty batch that raises."""

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        if not len(x):
            raise ValueError("empty batch")
        return super().forward(x, kernel, **options)

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        if not len(x):
            raise ValueError("empty batch")
        return super().backward(dy, x, kernel, **options)


def explained(operator: Any, seconds: float = 60.0) -> Explanation:
    report = conformance.check(operator, profile="survey", until_failure=True, diagnosis=False)
    assert report.smallest is not None
    failing = OPERATOR.case.parse(report.smallest.token)
    found = explain(load(operator, OPERATOR), failing, seconds)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        (PatchesChannelsFirst, "// C"),
        (WideChannelsLoseTheirTaps, "leaves out products with"),
        (TwoFaults, "column of the kernel grid"),
        (NegativeIndices, "negative ones from the end"),
        (TapsByHeight, "reads kernel row (u*Kh + v) % (Kh*Kw) // Kw"),
        (LastOutputsLost, "leaves out products with i - H//sh >= 0"),
        (SplitEvenly, "(left + right) // 2 where left belongs"),
        # Not the zero that stands on the right in few paddings.
        (SidesExchanged, "right where left belongs"),
        (LeftOversSplit, "(H - ((Ho - 1)*sh + (Kh - 1)*dh + 1)) // 2"),
        (MUTANTS["VerticalStrideForBoth"], "sh where sw belongs"),
        # Of the formulas that agree on a sample of products the simplest is another one.
        (MUTANTS["HalfKernelPadding"], "Kh // 2*dh where top belongs"),
        # On both axes, though few of the cases near the failing one show it on rows.
        (MUTANTS["OddPixelBefore"], "bottom where top belongs"),
        (MUTANTS["KernelGroupMajor"], "group of the kernel"),
        # In both layouts at once, each with its own rule.
        (MUTANTS["GroupsAreTheirSize"], "M where G belongs, G where M belongs"),
        (MUTANTS["GroupOfNextChannel"], "(c + 1) % C where c belongs"),
        (MUTANTS["EdgeReflected"], "reflected"),
        (MUTANTS["DkernelMean"], "1 / (M) times"),
        (MUTANTS["DxByAssignment"], "later rows of outputs that read the pixel"),
        (MUTANTS["ChannelsFirstMemory"], "reads channel of x ((c*H + (i*sh + u*dh - top))*W + "),
        (MUTANTS["GroupOfTheVector"], "c // 4*4 where c belongs"),
        (MUTANTS["EpsilonAdded"], "adds 1e-07 to each sum; nothing is due besides"),
        (MUTANTS["DxOfUnreadPixelsIsDy"], "to each sum, where products that read the pixel = 0;"),
        (BiasOfTheLastRow, "adds 0.5 to each sum, where & Ho - 1 - i = 0 & W % 2 = 0"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_map_is_identified_and_foretells(operator: Any, words: str) -> None:
    found = explained(operator)
    # Parts of a condition stand in any order.
    assert any(all(one in line for one in words.split(" & ")) for line in found.what), found
    assert found.certain, found
    assert found.exact


@pytest.mark.parametrize(
    ("mutant", "size", "words"),
    [
        ("RowIndexInAByte", "height=257", "reads row of x (i*sh + u*dh - top) % 256"),
        ("ColumnIndexInHalf", "width=2050", "reads column of x float16(j*sw + v*dw - left)"),
    ],
)
def test_narrow_indices_are_identified(mutant: str, size: str, words: str) -> None:
    """From the least size at which they show; the second one took minutes."""
    case = OPERATOR.case.parse(f"dtype=float32,recipe=integers,{size}")
    found = explain(load(MUTANTS[mutant], OPERATOR), case, 20.0)
    assert found is not None
    assert found.what[0].startswith(words), found
    assert found.certain, found
    assert found.exact


def test_an_exception_is_explained_by_its_condition() -> None:
    found = explained(LargeBatchesRaise)
    assert found.what == ("raises RuntimeError: too many samples",)
    assert found.when == ("B >= 6",)
    assert found.certain


def test_an_arithmetic_is_explained_where_the_map_is_right() -> None:
    found = explained(MUTANTS["OperandsThroughTensorCores"])
    assert any("factors are" in line for line in found.what), found


def test_an_arithmetic_that_is_known_says_in_which_calls_it_would_show() -> None:
    """Half of the calls in half precision are within their bound by chance."""
    judged = load(MUTANTS["DxRoundedPerOutput"], OPERATOR)
    case = OPERATOR.case.parse("dtype=float16,recipe=normal,seed=37,width=7,kernel_shape=1x2")
    found = explain_numbers(judged, case, time.perf_counter(), 15.0)
    assert found is not None
    assert found.learned.what[0].startswith("dx: sums are kept in"), found
    assert found.learned.when[0] == "bytes of an entry < 4", found
    assert found.learned.certain, found


def test_where_nothing_that_is_asked_shows_the_time_is_kept(monkeypatch: Any) -> None:
    """It asked without end."""
    judged = load(MUTANTS["DxRoundedPerOutput"], OPERATOR)
    case = OPERATOR.case.parse("dtype=float16,recipe=normal,seed=37,width=7,kernel_shape=1x2")
    drawn = numbers._observed

    def observed(judged: Any, telling: Any, seed: int, *functions: Any) -> Any:
        for one in drawn(judged, telling, seed, *functions):
            moot = frozenset(("y", "dx", "dkernel"))
            yield one if seed == 1 else one._replace(labels=frozenset(), moot=moot)

    monkeypatch.setattr(numbers, "_observed", observed)
    monkeypatch.setattr(numbers, "_revealed", lambda *_: (None, {}))
    found = explain_numbers(judged, case, time.perf_counter(), 2.0)
    assert found is not None
    assert not found.learned.certain


def test_results_that_are_rounded_twice_are_told() -> None:
    found = reveal(load(MUTANTS["RoundsTwice"], OPERATOR), "float16", results=("y",))
    assert found.certain
    assert found.words[0] == (
        "y: results are through 13 bits in the range of float16, rounded to nearest"
    )


CASE = "dtype=float32,recipe=integers,batch=2,height=5,width=4,groups=2,members=2,kernel_shape=3x3"


@pytest.mark.parametrize(
    ("explains", "mutant", "what", "when"),
    [
        (
            explain_history,
            "KernelCachedByShape",
            "computed with kernel of the first call of its shapes",
            "wherever that is another answer",
        ),
        (explain_history, "EveryTenthCallWrong", "calls", "number of the call"),
        # Calls from the thousandth on are among those that test it.
        (explain_history, "WrongFromTheThousandthCall", "calls", "number of the call >= 1000"),
        (explain_keeping, "ImagesKept", "memory of the process grows with each call", "always"),
        # Of an image of its shape in a call that may be otherwise in all else.
        (
            explain_history,
            "ImageOfTheLastForward",
            "with x of the last forward call of the shape and format of its image",
            "wherever that is another answer",
        ),
        # A buffer that is overwritten by the same numbers is not seen.
        (explain_history, "BuffersInTurn", "a later call writes into y", "and shapes >= 4"),
        # One condition for all results: of each too few calls were put so.
        (
            explain_putting,
            "IntegerStrideIsVertical",
            "though the values are the same",
            "stride is 2x2 and stride is written as one number",
        ),
        (explain_putting, "StridesInMemoryIgnored", "in the order of its axes", "wherever"),
        (
            explain_together,
            "ScratchOfAllThreads",
            "y is wrong where calls are made at once",
            "two calls at once have the same shapes and format, and other values",
        ),
        (explain_conduct, "ScalesInPlace", "forward writes into x", ""),
        # Few of the calls that are learned from first have rows beyond.
        (
            explain_conduct,
            "RaggedRowsDropped",
            "y is of another shape than is due",
            "padding is same and ( & outputs beyond whole strides, in rows",
        ),
        (explain_conduct, "EmptyBatchRefused", "raises ValueError: empty batch", "B = 0"),
        (explain_refusals, "AcceptsEverything", "answers where it must raise (ERR-", "in calls of"),
        (explain_refusals, "RefusesNothing", "checks nothing: each of the 31 wrong", "in calls of"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_behaviour_is_identified_and_foretells(
    explains: Any, mutant: str, what: str, when: str
) -> None:
    judged = load(MUTANTS[mutant], OPERATOR)
    # What is kept takes many calls to see.
    seconds = 20.0 if explains is explain_keeping else 9.0
    found = explains(judged, OPERATOR.case.parse(CASE), time.perf_counter(), seconds)
    assert what in found.what[0], found
    assert all(one in found.when[0] for one in when.split(" & ")), found
    assert found.certain, found


class PaddingTakenAsItIs:
    """Looks at all but the padding; of one sample it takes operands of two dtypes."""

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        if not np.array_equal(options["padding"], 0.5):
            _validated(x, kernel, **options)
        else:
            options["padding"] = "same"
        return Unfold().forward(x, kernel.astype(x.dtype), **options)

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        _validated(x, kernel, dy, **options)
        return Unfold().backward(dy, x, kernel.astype(x.dtype), **options)


def _validated(x: Any, kernel: Any, *dy: Any, **options: Any) -> None:
    if len(x) == 1 and x.dtype != kernel.dtype and not dy:
        kernel = kernel.astype(x.dtype)
    if dy:
        involution.backward(*dy, x, kernel, **options)
    else:
        involution.forward(x, kernel, **options)


def test_wrong_calls_that_are_answered_are_named_and_foretold() -> None:
    """One always, and one under a condition; of the others it is said that they are refused."""
    judged = load(PaddingTakenAsItIs, OPERATOR)
    found = explain_refusals(judged, None, time.perf_counter(), 6.0)
    assert found is not None
    named, besides = found.what
    assert named.startswith("answers where it must raise (ERR-6 and ERR-9): padding 0.5; operands")
    assert besides == "the other 29 of 31 wrong calls are refused"
    assert found.when[:2] == ("in calls of forward", "operands of two dtypes, forward: B = 1")
    assert found.certain, found
    assert not found.granting


def test_who_refuses_all_or_does_not_claim_to_is_not_explained_by_it() -> None:
    for operator in ("refimpl.involution", Unfold):
        judged = load(operator, OPERATOR)
        assert explain_refusals(judged, None, time.perf_counter(), 3.0) is None
        assert explain_together(judged, None, time.perf_counter(), 1.0) is None


def test_what_is_wrong_however_it_is_put_and_whatever_came_before_is_about_the_case() -> None:
    """It said "kernel is 1x1", 240 of 240: calls are put otherwise in a few geometries alone."""
    judged = load(WideKernelsInDouble, OPERATOR)
    case = OPERATOR.case.parse("dtype=float16,recipe=integers,groups=8,members=8")
    for explains in (explain_putting, explain_history):
        assert explains(judged, case, time.perf_counter(), 6.0) is None, explains
    found = explain_conduct(judged, case, time.perf_counter(), 10.0)
    assert found is not None
    assert found.when[0] == "C >= 64"
    assert found.certain


def test_what_is_wrong_in_a_plain_call_is_not_how_it_is_put() -> None:
    """It said "address of x = 0 or address of x != 0", and that foretold 230 of 240."""
    judged = load(MUTANTS["KernelCachedByShape"], OPERATOR)
    assert explain_putting(judged, OPERATOR.case.parse(CASE), time.perf_counter(), 4.0) is None


def test_counts_of_products_are_those_of_a_loop_over_all() -> None:
    """Taps inside, readers of a pixel, and later rows and columns of outputs that read it."""
    for case in itertools.islice(drawn(CLAIMED, "float32", random.Random(7), small=True), 40):
        (Ho, Wo), (Kh, Kw) = case.grid, case.geometry.kernel_shape
        rows, columns = (
            {
                (output, tap): output * axis.stride + tap * axis.dilation - axis.before
                for output, tap in itertools.product(range(axis.outputs), range(axis.taps))
            }
            for axis in case.geometry.axes(case.size)
        )
        got = place_columns(case)
        names = ("taps_inside", "readers", "later_rows", "later_columns")
        shape = (1, Ho, Wo, Kh, Kw, 1)
        taken = {name: np.broadcast_to(got[name], shape)[0, ..., 0] for name in names}
        for i, j, u, v in itertools.product(*map(range, (Ho, Wo, Kh, Kw))):
            h, w = rows[i, u], columns[j, v]
            of_rows = [at for at, pixel in rows.items() if pixel == h and 0 <= h < case.height]
            of_columns = [at for at, pixel in columns.items() if pixel == w and 0 <= w < case.width]
            within = sum(0 <= rows[i, tap] < case.height for tap in range(Kh))
            across = sum(0 <= columns[j, tap] < case.width for tap in range(Kw))
            due = {
                "taps_inside": within * across,
                "readers": len(of_rows) * len(of_columns),
                "later_rows": sum(output > i for output, _ in of_rows),
                "later_columns": sum(output > j for output, _ in of_columns),
            }
            assert {name: taken[name][i, j, u, v] for name in names} == due, (case.token, i, j)


def test_a_law_of_numbers_is_identified() -> None:
    judged = load(MUTANTS["ClippedAtZero"], OPERATOR)
    found = explain_numbers(judged, OPERATOR.case.parse(CASE), time.perf_counter(), 5.0)
    assert found is not None
    assert found.learned.what == ("y: negative results are given as zero",)
    assert found.learned.exact


def test_a_refusal_does_not_hide_what_is_wrong_besides() -> None:
    found = explain(load(RaisesBesides, OPERATOR), OPERATOR.case.parse(CASE), 8.0)
    assert found is not None
    assert "group of the kernel" in found.what[0]
    assert found.what[-1] == "besides: raises ValueError: empty batch, where B = 0"
    assert found.certain, found


def test_what_raises_is_told_with_the_function_and_with_what_is_wrong_besides() -> None:
    found = explain(load(BackwardRaises, OPERATOR), OPERATOR.case.parse(CASE), 8.0)
    assert found is not None
    assert found.what[0] == "raises NotImplementedError: backward"
    assert found.what[1].startswith("besides: y is wrong in ")
    assert found.where == ("backward gives no result; forward does",)
    assert found.when == ("always",)
    assert found.tested.endswith(f"in {found.faulty} of them it raises")


@pytest.mark.parametrize("operator", [Shifted, Pairwise], ids=lambda one: one.__name__)
def test_no_behaviour_is_found_where_nothing_is_wrong(operator: Any) -> None:
    judged, case = load(operator, OPERATOR), OPERATOR.case.parse(CASE)
    assert explain_behaviour(judged, case, "", time.perf_counter(), 0.5) is None
    assert not remembers(judged, case)
    assert explain_numbers(judged, case, time.perf_counter(), 0.5) is None


def test_who_foretold_no_wrong_call_is_a_hint() -> None:
    known = {"what": ("it is late",), "where": (), "when": ()}
    assert Learned(**known, foretold=240, asked=240, faulty=9, caught=9).certain
    assert not Learned(**known, foretold=233, asked=240, faulty=9, caught=2).certain
    assert not Learned(**known, foretold=240, asked=240, faulty=0, caught=0).certain
    assert not Explanation(foretold=196, asked=200, faulty=5, caught=1).certain


def test_attributes_read_as_sentences() -> None:
    assert str(Formula("is", ("kernel is zero", "yes"))) == "kernel is zero"
    assert str(Formula("is", ("kernel is zero", "no"))) == "kernel is not zero"
    assert negated("x has zeros") == "x has no zeros"
    assert negated("the call before was on NaN") == "the call before was not on NaN"


def test_thresholds_are_round_where_nothing_tells_otherwise() -> None:
    columns = {"products": np.array([10, 900, 1100, 5000])}
    found = separating(columns, columns["products"] > 1000)
    assert str(found[0]) == "products >= 1024"


@pytest.mark.parametrize("operator", [Unfold, Shifted, "refimpl.involution"], ids=str)
def test_nothing_is_found_where_nothing_is_wrong(operator: Any) -> None:
    assert explain(load(operator, OPERATOR), None, 10.0) is None


def test_what_did_not_foretell_is_a_hint() -> None:
    assert not Explanation(foretold=180, asked=200, faulty=90).certain
    assert "a hint" in Explanation(foretold=180, asked=200, faulty=90).tested
    # Who foretells that all is right has explained nothing.
    assert not Explanation(foretold=200, asked=200, faulty=0).certain
    assert Explanation(foretold=195, asked=200, faulty=90).certain
    assert "no time" in Explanation().tested
    # Of an arithmetic, what is a hint in part.
    assert Explanation(("y: sums are kept",), foretold=9, asked=9, arithmetic=True).certain
    for hints in (("y: hint: of 40",), ("y: flushed: x (hint)", 'mend, or declare "accumulator"')):
        assert not Explanation(hints, foretold=9, asked=9, arithmetic=True).certain
    said = ("y: results are rounded towards zero", "y: hint: of 40 sums")
    assert Explanation(said, foretold=9, asked=9, arithmetic=True).certain


def test_the_model_without_parts_is_the_operator() -> None:
    """What is called wrong is held against this: it must have no fault of its own."""
    for case in itertools.islice(drawn(CLAIMED, "float64", random.Random(1)), 60):
        values, options = operands(case, 11), case.geometry.options
        dx, dkernel = involution.backward(values["dy"], values["x"], values["kernel"], **options)
        due = {"y": involution.forward(values["x"], values["kernel"], **options)}
        due |= {"dx": dx, "dkernel": dkernel}
        for name, array in Model()(case, values).items():
            np.testing.assert_array_equal(array, due[name], err_msg=case.token)


@pytest.mark.parametrize("result", ["y", "dx", "dkernel"])
def test_a_right_operator_reads_right(result: str) -> None:
    judged = load(Shifted, OPERATOR)
    for case in itertools.islice(drawn(CLAIMED, "float32", random.Random(2), small=True), 4):
        reading = read(judged, case, result)
        assert reading.complete
        assert not wrong(reading)
        assert fitted([reading]) == Part()


def test_conditions_are_the_simplest() -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(1, 40, 400) for name in ("H", "W", "C", "sh", "sw")}
    columns["padding"] = rng.choice(["same", "valid", "explicit"], 400)
    for truth, words in (
        (columns["sh"] != columns["sw"], "sh != sw"),
        (columns["C"] % 8 == 0, "C % 8 = 0"),
        (columns["W"] >= 32, "W >= 32"),
        ((columns["padding"] == "same") & (columns["H"] % 2 == 0), "padding is same and H % 2 = 0"),
        ((columns["C"] >= 30) | (columns["W"] >= 35), "W >= 35 or C >= 30"),
    ):
        found = [str(one) for one in separating(columns, truth)]
        assert words in found[:2], found


def test_a_condition_may_have_four_parts() -> None:
    rng = np.random.default_rng(1)
    columns = {name: rng.integers(1, 12, 3000) for name in ("H", "W", "C", "sh")}
    columns["padding"] = rng.choice(["same", "valid", "explicit"], 3000)
    parts = ("padding is same", "sh = 2", "C >= 6", "H % 2 = 0")
    truth = columns["padding"] == "same"
    truth = truth & (columns["sh"] == 2) & (columns["C"] >= 6) & (columns["H"] % 2 == 0)
    found = [set(map(str, one.parts)) for one in separating(columns, truth)]
    assert set(parts) in found[:2], found


def test_formulas_print_as_they_are_written() -> None:
    a, b, one = atom("a"), atom("b"), number(1)
    assert str((a + b) * (a - one)) == "(a + b)*(a - 1)"
    assert str(a - (b - one)) == "a - (b - 1)"
    assert str(a // b % one) == "a // b % 1"
    assert str(Formula("max", (a, b + one))) == "max(a, b + 1)"
    assert str(renamed(a * b + a, a, b)) == "b*b + b"
    assert str(renamed(RULES["g"], atom("M"), atom("G"))) == "g(G for M)"
    assert str(renamed(RULES["top"], atom("H"), number(1))) == "symmetric top"


def test_formulas_that_agree_are_one() -> None:
    columns = {"b": np.arange(4), "i": np.arange(4)[::-1].copy()}
    listed = [str(formula) for formula, _ in pool(columns)]
    assert "b" in listed
    assert "i" in listed
    # 3 - b is i here; b + 0 is b.
    assert "b + 0" not in listed
    assert len(listed) == len(set(listed))


def test_memory_read_in_another_order() -> None:
    array = np.arange(24).reshape(2, 3, 4)
    sizes = {"u": ("Kh", 2), "v": ("Kw", 3), "g": ("G", 4)}
    places = {name: (atom(name), size) for name, (size, _) in sizes.items()}
    formulas = reread(places, "uvg", "guv")
    grid = dict(zip("uvg", np.indices((2, 3, 4)), strict=True))
    columns = grid | {size: np.array(n) for size, n in sizes.values()}
    read_ = array[tuple(formulas[name](columns) for name in "uvg")]
    np.testing.assert_array_equal(read_, array.ravel().reshape(4, 2, 3).transpose(1, 2, 0))
    assert any(name.startswith("kernel read as (G, Kh, Kw)") for name in NAMED)


def test_a_condition_has_no_part_that_nothing_has_questioned() -> None:
    """It said "x is of integers and Kh != 4" besides: no call without these had been asked."""
    claims = {"dilations": [(1, 1)], "paddings": "half", "group_layouts": "blocked"}
    judged = load(LastMemberLosesItsMiddle, OPERATOR, Unfold.capabilities | claims)
    case = OPERATOR.case.parse(
        "dtype=float32,recipe=integers,members=3,height=4,width=4,kernel_shape=2x2,padding=half"
    )
    found = explain(judged, case, 30.0)
    assert found is not None
    assert found.certain, found
    assert found.what == (
        "leaves out products with M - 1 - m = 0 and (u*Kw + v) from the middle = 0",
        "this where M >= 3; elsewhere it is right",
    )


def test_the_map_of_another_result_serves_where_its_own_cannot_be_read() -> None:
    """Of an image of one number y does not tell which pixel was met; and 1 is not every number."""
    case = OPERATOR.case.parse("dtype=float32,recipe=one,members=8,height=2,width=2")
    found = explain(load(ConstantImagesLoseATap, OPERATOR), case, 60.0)
    assert found is not None
    assert found.exact, found
    assert found.certain
    assert found.what == (
        "leaves out products with (u*Kw + v) from the last = 0",
        "this where x is constant and M >= 8; elsewhere it is right",
    )


def test_a_law_that_gives_what_is_due_is_none() -> None:
    """Sums in half precision were "the kernel is divided ...", in dkernel, which has no kernel."""
    case = OPERATOR.case.parse("dtype=float16,recipe=normal,members=4,height=4,width=4")
    values = operands(case, 11)
    wide = {name: array.astype(np.float64) for name, array in values.items()}
    _, dkernel = involution.backward(wide["dy"], wide["x"], wide["kernel"], **case.geometry.options)
    got = {"dkernel": (dkernel * (1 + 2.0**-10)).astype(np.float16)}
    assert suspected(case, values, got, "dkernel") == set()


def test_what_has_no_entries_tells_nothing() -> None:
    """A condition was "B != 0 and M >= 5": an empty batch is right whatever is computed."""
    found = explained(FirstFourMembers)
    assert "B " not in " ".join((*found.what, *found.when))
    assert found.certain
