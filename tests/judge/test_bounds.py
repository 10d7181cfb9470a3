"""The derivation of the bounds, part by part: the worst that is legal stays within, and comes near.

Each situation lets the part that it is named after decide the bound, and errs as much as the
derivation allows. The bound must hold there and be less than four times the error: so the checks
fail if the bound, or a part of it, is four times as large or a quarter. That they do is tested.
"""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from conformance.bounds import operator as bounds
from conformance.bounds.operator import Sums, Truth
from conformance.cases.operator import OperatorCase
from conformance.cases.operator_recipes import operands
from conformance.claims.arithmetic import Arithmetic
from conformance.claims.formats import ACCUMULATORS, FORMATS, MULTIPLIERS
from refimpl import geometry, involution

# The factor that the bound may be loose by where its own part decides.
LOOSE = 4
TF32 = MULTIPLIERS["float32"]["tfloat32"]


def arithmetic(operand: str, accumulator: str = "", *, gradual: bool = False) -> Arithmetic:
    name = FORMATS[operand]
    return Arithmetic(name, ACCUMULATORS[accumulator or operand], name, gradual)


def one_sum(result: str, n: int, operand: str) -> tuple[OperatorCase, tuple[int, ...]]:
    """A case with a result that sums n products, and the index of that result."""
    case = OperatorCase(operand, "normal")
    if result == "dkernel":
        return case.changed(members=n), (0, 0, 0, 0, 0, 0)
    case = case.changed(kernel_shape=(1, n), padding="valid")
    if result == "y":
        return case.changed(width=n), (0, 0, 0, 0)
    return case.changed(width=2 * n - 1), (0, 0, n - 1, 0)


def truth_of(
    result: str, n: int, used: Arithmetic, factors: tuple[float, float] | None = None
) -> tuple[Truth, tuple[int, ...]]:
    """The truth of a sum of n positive products; all of the two factors, or of normal numbers."""
    case, index = one_sum(result, n, used.operand.name)
    values = {name: np.abs(array) for name, array in operands(case, used.bits).items()}
    if factors is not None:
        roles = {"y": ("x", "kernel"), "dx": ("kernel", "dy"), "dkernel": ("x", "dy")}[result]
        sizes = case.shapes
        values = {name: np.ones(shape, used.operand.dtype) for name, shape in sizes.items()}
        for name, factor in zip(roles, factors, strict=True):
            values[name] = np.full(sizes[name], factor, used.operand.dtype)
            assert float(values[name].flat[0]) == factor
    truth = bounds.truths(values, case.geometry.options, used.operand, exact=False)[result]
    assert truth.sums is not None
    assert truth.sums.terms[index] == n
    return truth, index


def check(error: Fraction | float, limit: float) -> None:
    """The bound holds, and is not loose."""
    assert error <= Fraction(limit)
    assert LOOSE * error > Fraction(limit)


def grown(n: int, unit: Fraction) -> Fraction:
    """n ones added up one by one, each product and each addition rounded up by a unit.

    The first two pass n roundings: that of their product and n - 1 additions.
    """
    return sum(((1 + unit) ** max(n - max(k - 1, 0), 1) for k in range(n)), Fraction(0))


ARITHMETICS = {
    "float32": arithmetic("float32"),
    "float64": arithmetic("float64"),
    "float16 in float32": arithmetic("float16", "float32"),
    "bfloat16 in float32": arithmetic("bfloat16", "float32"),
    "float16 in float16": arithmetic("float16", "float16"),
    "bfloat16 in bfloat16": arithmetic("bfloat16", "bfloat16"),
}
RESULTS = pytest.mark.parametrize("result", ["y", "dx", "dkernel"])
Situation = Callable[[str], tuple[Fraction | float, float]]


def limit(truth: Truth, used: Arithmetic, index: tuple[int, ...]) -> float:
    return float(bounds.bound(truth, used)[index])


def sums_round(name: str) -> Situation:
    """Every product and addition is rounded up by u; then the result is, where it is narrower."""

    def situation(result: str) -> tuple[Fraction | float, float]:
        used, n = ARITHMETICS[name], 9
        truth, index = truth_of(result, n, used, (1.0, 1.0))
        total = grown(n, Fraction(used.accumulator.unit_roundoff))
        if used.accumulator != used.result:
            total *= 1 + Fraction(used.result.unit_roundoff)
        return total - n, limit(truth, used, index)

    return situation


def products_underflow(name: str) -> Situation:
    """Gradual underflow: n products halfway between two subnormal numbers, all rounded up."""

    def situation(result: str) -> tuple[Fraction | float, float]:
        used, n = replace(ARITHMETICS[name], gradual_underflow=True), 5
        step = used.accumulator.smallest_subnormal
        low = 2.0 ** -((used.accumulator.bits - used.accumulator.smallest_exponent) // 2)
        # The product is 1.5 steps: 3 halves of them.
        high = Fraction(step) / 2 * 3 / Fraction(low)
        truth, index = truth_of(result, n, used, (float(high), low))
        return n * Fraction(step) / 2, limit(truth, used, index)

    return situation


def products_are_flushed(name: str) -> Situation:
    """n products just below the smallest normal number, all flushed to zero."""

    def situation(result: str) -> tuple[Fraction | float, float]:
        used, n = ARITHMETICS[name], 5
        tiny = used.accumulator.smallest_normal
        low = 2.0 ** (used.accumulator.smallest_exponent // 2)
        factor = (1 - 2 * used.operand.unit_roundoff) * tiny / low
        truth, index = truth_of(result, n, used, (factor, low))
        return n * Fraction(factor) * Fraction(low), limit(truth, used, index)

    return situation


def operands_are_flushed(name: str) -> Situation:
    """A subnormal factor meets a large one, and counts as zero."""

    def situation(result: str) -> tuple[Fraction | float, float]:
        used, n = ARITHMETICS[name], 5
        low, high = used.operand.smallest_normal / 2, 64.0
        truth, index = truth_of(result, n, used, (low, high))
        return n * Fraction(low) * Fraction(high), limit(truth, used, index)

    return situation


def result_rounds(name: str) -> Situation:
    """One product halfway between two numbers of the result format."""

    def situation(result: str) -> tuple[Fraction | float, float]:
        used = ARITHMETICS[name]
        truth, index = truth_of(result, 1, used, (1.0, 1.0))
        u = used.result.unit_roundoff
        halfway = replace(truth, value=truth.value + u)
        return Fraction(u), limit(halfway, used, index)

    return situation


def result_underflows(name: str) -> Situation:
    """Gradual underflow of a narrower result: a sum halfway between two subnormal numbers."""

    def situation(result: str) -> tuple[Fraction | float, float]:
        used = replace(ARITHMETICS[name], gradual_underflow=True)
        step = used.result.smallest_subnormal
        low = 2.0 ** (used.result.smallest_exponent // 2)
        truth, index = truth_of(result, 1, used, (1.5 * step / low, low))
        return Fraction(step) / 2, limit(truth, used, index)

    return situation


def result_is_flushed(name: str) -> Situation:
    """A sum just below the smallest normal number of a narrower result, flushed to zero."""

    def situation(result: str) -> tuple[Fraction | float, float]:
        used = ARITHMETICS[name]
        low = 2.0 ** (used.result.smallest_exponent // 2)
        factor = (1 - 2 * used.operand.unit_roundoff) * used.result.smallest_normal / low
        truth, index = truth_of(result, 1, used, (factor, low))
        return Fraction(factor) * Fraction(low), limit(truth, used, index)

    return situation


def factors_are_truncated(name: str) -> Situation:
    """Both factors of a product just below the next number of the multiplier's format."""

    def situation(result: str) -> tuple[Fraction | float, float]:
        multiplier = MULTIPLIERS["float32"][name]
        used = replace(ARITHMETICS["float32"], multiplier=multiplier)
        factor = 1 + 2 * multiplier.unit_roundoff - 2.0**-23
        truth, index = truth_of(result, 1, used, (factor, factor))
        return Fraction(factor) ** 2 - 1, limit(truth, used, index)

    return situation


def truncated_sums(result: str) -> tuple[Fraction | float, float]:
    """Behind a multiplier 2^16 additions are truncated: each loses two units."""
    used, n = replace(ARITHMETICS["float32"], multiplier=TF32), 2**16
    one, index = truth_of(result, 4, used, (1.0, 1.0))
    assert one.sums is not None
    many = Sums(np.full_like(one.sums.terms, n), np.full_like(one.sums.magnitude, n), one.sums.lost)
    truth = replace(one, value=np.full_like(one.value, n), sums=many)
    # The mean term passes half of the additions, and (1 - 2u)^k <= 1 - 2uk + (2uk)^2 / 2.
    lost_share = Fraction(used.accumulator.unit_roundoff) * n
    lost = n * (lost_share - lost_share**2 / 2)
    factors = (1 - Fraction(2 * TF32.unit_roundoff)) ** 2
    return n - (n - lost) * factors, limit(truth, used, index)


SITUATIONS: dict[str, Situation] = {
    **{f"sums round: {name}": sums_round(name) for name in ARITHMETICS},
    **{
        f"products underflow: {name}": products_underflow(name)
        for name in ("float32", "float16 in float16", "bfloat16 in bfloat16")
    },
    **{
        f"products are flushed: {name}": products_are_flushed(name)
        for name in ("float32", "float64", "float16 in float16", "bfloat16 in bfloat16")
    },
    **{
        f"operands are flushed: {name}": operands_are_flushed(name)
        for name in ("float32", "float64", "bfloat16 in float32")
    },
    **{
        f"result rounds: {name}": result_rounds(name)
        for name in ("float16 in float32", "bfloat16 in float32")
    },
    "result underflows": result_underflows("float16 in float32"),
    "result is flushed": result_is_flushed("float16 in float32"),
    **{
        f"factors are truncated: {name}": factors_are_truncated(name)
        for name in ("tfloat32", "bfloat16")
    },
    "truncated sums": truncated_sums,
}


@pytest.mark.clause("NUM-2", "NUM-3", "NUM-4")
@pytest.mark.parametrize("situation", SITUATIONS)
@RESULTS
def test_the_worst_is_within_and_near(situation: str, result: str) -> None:
    check(*SITUATIONS[situation](result))


PARTS = {
    "bound": "sums round: float32",
    "_sum_error": "sums round: float64",
    "gamma": "sums round: float32",
    "Arithmetic.underflow": "products underflow: float32",
    "_lost_operands": "operands are flushed: float32",
    "Arithmetic.factors": "factors are truncated: tfloat32",
    "Arithmetic.faithful": "truncated sums",
    "_last_rounding": "result rounds: float16 in float32",
    "_result_underflow": "result underflows",
}


def multiply(part: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a part of the bound, of the formula or of its arithmetic, give so many times as much."""
    owner, _, name = part.rpartition(".")
    holder = Arithmetic if owner else bounds
    right = getattr(holder, name)
    if isinstance(right, property):
        changed = property(lambda self: right.fget(self) * factor)
    else:
        changed = lambda *arguments: right(*arguments) * factor  # noqa: E731
    monkeypatch.setattr(holder, name, changed)


@pytest.mark.parametrize("factor", [LOOSE, 1 / LOOSE])
@pytest.mark.parametrize("part", PARTS)
@RESULTS
def test_a_part_changed_by_four_is_noticed(
    part: str, factor: float, result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    multiply(part, factor, monkeypatch)
    with pytest.raises(AssertionError):
        check(*SITUATIONS[PARTS[part]](result))


@pytest.mark.parametrize("name", ["products are flushed: float32", "result is flushed"])
@pytest.mark.parametrize("factor", [LOOSE, 1 / LOOSE])
def test_flushing_changed_by_four_is_noticed(
    name: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = "Arithmetic.underflow" if name.startswith("products") else "_result_underflow"
    multiply(part, factor, monkeypatch)
    with pytest.raises(AssertionError):
        check(*SITUATIONS[name]("y"))


@pytest.mark.clause("NUM-2")
def test_nothing_is_known_of_too_many_terms() -> None:
    used = ARITHMETICS["bfloat16 in bfloat16"]
    truth, index = truth_of("dkernel", 300, used, (1.0, 1.0))
    assert limit(truth, used, index) == np.inf


@pytest.mark.parametrize("group_layout", ["blocked", "interleaved"])
@pytest.mark.parametrize("padding", ["same", "valid", ((0, 2), (3, 1))])
def test_the_terms_of_a_sum_are_counted(padding: Any, group_layout: str) -> None:
    """One sample of one channel is asked for them: all have as many."""
    options = {
        "stride": (2, 1), "dilation": (1, 2), "padding": padding, "group_layout": group_layout,
    }  # fmt: skip
    axes = geometry.axes((6, 7), (3, 2), options["stride"], options["dilation"], padding)
    grid = tuple(axis.outputs for axis in axes)
    shapes = {"x": (2, 6, 7, 6), "kernel": (2, *grid, 3, 2, 3), "dy": (2, *grid, 6)}
    found = bounds._terms({name: np.zeros(shape) for name, shape in shapes.items()}, options)
    one = {name: np.ones(shape) for name, shape in shapes.items()}
    dx, dkernel = involution.backward(one["dy"], one["x"], one["kernel"], **options)
    due = {"y": involution.forward(one["x"], one["kernel"], **options), "dx": dx}
    for name, array in {**due, "dkernel": dkernel}.items():
        # Of length 1 where they do not depend on an axis.
        assert np.array_equal(np.broadcast_to(found[name], array.shape), array), name
