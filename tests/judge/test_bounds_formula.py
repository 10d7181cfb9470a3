"""The bound is the number that the specification derives: its formulas in rational arithmetic."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from conformance.bounds import operator as bounds
from conformance.bounds.analysis import Analysis
from conformance.bounds.operator import Sums, Truth
from conformance.cases.operator import OperatorCase
from conformance.cases.operator_recipes import operands
from conformance.claims.arithmetic import FLOAT64, Arithmetic
from conformance.claims.formats import ACCUMULATORS, FORMATS, MULTIPLIERS

# "The judge": the bound's own evaluation in float64 is given a factor of 1 + 2^-40, of which fewer
# than 2^6 roundings of 2^-53 are used up where nothing cancels.
EVALUATION, ROUNDINGS = 1 + Fraction(1, 2**40), Fraction(2**6, 2**53)
# Below the normal numbers those roundings are of the smallest subnormal one.
UNITS = 4 * Fraction(5e-324)


def gamma(n: int, u: Fraction) -> Fraction:
    return n * u / (1 - n * u)


def due(y: float, m: float, n: int, lost: float, used: Arithmetic) -> Fraction | None:
    """Derivation of the bounds, sentence by sentence; None where the result is unspecified."""
    exactly = Fraction
    accumulator, result = used.accumulator, used.result
    u, eta = exactly(accumulator.unit_roundoff), exactly(accumulator.smallest_subnormal)
    theta = Fraction(0)
    if used.multiplier is not None:
        u, eta = 2 * u, 2 * eta
        theta = (1 + 2 * exactly(used.multiplier.unit_roundoff)) ** 2 - 1
    r = n if n <= 1 else n + 1
    if r * u >= 1:
        return None
    a = n * eta / 2 if used.gradual_underflow else 2 * n * exactly(accumulator.smallest_normal)
    if not used.gradual_underflow or used.multiplier is not None:
        a += exactly(lost)
    error = (gamma(r, u) * (1 + theta) + theta) * exactly(m) + (1 + gamma(r, u)) * a
    if exactly(m) + error > exactly(accumulator.largest):
        return None
    if result != accumulator:
        least = abs(exactly(y)) - error
        error += exactly(result.unit_roundoff) * (abs(exactly(y)) + error)
        if used.gradual_underflow:
            error += (n > 0) * exactly(result.smallest_subnormal) / 2
        elif least < exactly(result.smallest_normal):
            error += (n > 0) * exactly(result.smallest_normal)
    truth = abs(exactly(y)) / 2**53
    if used.operand.name == "float64":
        truth += (n > 0) * exactly(FORMATS["float64"].smallest_subnormal)
    return (error + truth) * EVALUATION


def bound(y: float, m: float, n: int, lost: float, used: Arithmetic) -> float:
    sums = Sums(*(np.array([float(part)]) for part in (n, m, lost)))
    return float(bounds.bound(Truth(np.array([y]), np.array([True]), sums), used)[0])


def arithmetics() -> list[Arithmetic]:
    pairs = [
        ("float32", "float32"), ("float64", "float64"), ("float16", "float32"),
        ("bfloat16", "float32"), ("float16", "float16"), ("bfloat16", "bfloat16"),
        ("float32", "float64"), ("float32", "double-double"),
    ]  # fmt: skip
    plain = [Arithmetic(FORMATS[o], ACCUMULATORS[a], FORMATS[o]) for o, a in pairs]
    matrix = [
        dataclasses.replace(plain[0], multiplier=one) for one in MULTIPLIERS["float32"].values()
    ]
    gradual = [dataclasses.replace(one, gradual_underflow=True) for one in (*plain, *matrix)]
    return [*plain, *matrix, *gradual]


def sizes(used: Arithmetic) -> list[tuple[float, float, int, float]]:
    """Value, magnitude, terms and lost magnitude: from underflow to overflow."""
    tiny, most = used.result.smallest_normal, used.accumulator.largest
    listed = [(0.0, 0.0, 0, 0.0)]
    for n in (1, 2, 3, 9, 200, 3000):
        for m in (8 * tiny, 1.0, 40.0, most / 1024, most / 2, most * 0.999, most):
            listed += [(m, m, n, 0.0), (-m / 3, m, n, m / 7), (m / 4096, m, n, 0.0)]
    return listed


@pytest.mark.clause("NUM-2", "NUM-3", "NUM-4")
@pytest.mark.parametrize("used", arithmetics(), ids=lambda used: f"{used.operand.name} {used}"[:90])
def test_the_bound_is_the_derived_one(used: Arithmetic) -> None:
    decided = 0
    for y, m, n, lost in sizes(used):
        expected, got = due(y, m, n, lost, used), bound(y, m, n, lost, used)
        if expected is None:
            assert got == np.inf, (y, m, n, lost)
        else:
            decided += 1
            room = ROUNDINGS * expected + UNITS
            assert abs(Fraction(got) - expected) <= room, (y, m, n, lost)
    assert decided > 40


def test_a_bound_of_no_terms_is_zero() -> None:
    for used in arithmetics():
        assert bound(0.0, 0.0, 0, 0.0, used) == 0.0


@pytest.mark.parametrize("u", [2.0**-8, 2.0**-11])
def test_nothing_is_known_from_one_over_u_roundings_on(u: float) -> None:
    n = np.array([1 / u - 1, 1 / u, 1 / u + 1])
    np.testing.assert_array_equal(bounds.gamma(n, u), [1 / u - 1, np.inf, np.inf])


@pytest.mark.parametrize("size", [2.0**-14 * 1.5, 2.0**-14, 2.0**-14 * 0.75])
def test_flushing_begins_below_the_smallest_normal_number(size: float) -> None:
    used = Arithmetic(FORMATS["float16"], FORMATS["float32"], FORMATS["float16"])
    lost = bounds._result_underflow(np.array([size]), used)
    np.testing.assert_array_equal(lost, [2.0**-14 if size < 2.0**-14 else 0.0])


def test_equality_is_demanded_of_what_is_specified() -> None:
    truth = Truth(np.array([1.0, 2.0]), np.array([True, False]), None)
    used = arithmetics()[0]
    np.testing.assert_array_equal(bounds.bound(truth, used), [0.0, np.inf])


def test_what_is_unspecified_is_unbounded() -> None:
    sums = Sums(*(np.ones(2) for _ in range(3)))
    truth = Truth(np.array([1.0, 2.0]), np.array([True, False]), sums)
    assert np.isfinite(bounds.bound(truth, arithmetics()[0])).tolist() == [True, False]


def test_what_is_nan_is_not_unknown() -> None:
    """A NaN that is due is due, whatever its magnitude."""
    sums = Sums(np.ones(2), np.full(2, np.nan), np.zeros(2))
    truth = Truth(np.array([np.nan, 1.0]), np.ones(2, bool), sums)
    assert np.isposinf(bounds.bound(truth, arithmetics()[0])).tolist() == [False, True]


@pytest.mark.parametrize(("place", "members"), [((0, 0, 0, 0), 1), ((0, 1, 2, 1), 2)])
def test_dy_that_is_not_finite_leaves_padded_taps_open(
    place: tuple[int, ...], members: int
) -> None:
    """Unspecified: what it does to dkernel where no pixel was read, in its sample and output."""
    case = OperatorCase("float32", "normal", height=3, width=3)
    case = case.changed(members=members, kernel_shape=(3, 3))
    values = operands(case, FORMATS["float32"].bits)
    for special in (np.nan, np.inf):
        values["dy"][place] = special
        truth = bounds.truths(values, case.geometry.options, FORMATS["float32"], exact=True)
        open_ = ~truth["dkernel"].specified[..., 0]
        i, j = place[1:3]
        for at in np.ndindex(3, 3, 3, 3):
            h, w = at[0] + at[2] - 1, at[1] + at[3] - 1
            padded = not (0 <= h < 3 and 0 <= w < 3)
            assert open_[0][at] == (padded and at[:2] == (i, j)), at
        assert truth["y"].specified.all()
        assert truth["dx"].specified.all()


def test_lost_is_what_subnormal_factors_are_part_of() -> None:
    tiny = FORMATS["float32"].smallest_normal
    x = np.array([tiny / 2, tiny, 1.0], np.float32).reshape(1, 1, 1, 3)
    kernel = np.array([tiny / 4, 2.0, tiny / 4], np.float32).reshape(1, 1, 1, 1, 1, 3)
    values = {"x": x, "kernel": kernel, "dy": np.full_like(x, 4.0)}
    options = {"stride": 1, "dilation": 1, "padding": "same", "group_layout": "blocked"}
    truth = bounds.truths(values, options, FORMATS["float32"], exact=False)
    lost = {name: one.sums.lost.ravel().tolist() for name, one in truth.items() if one.sums}
    # Where both factors are subnormal their product counts twice, and comes to nothing.
    assert lost["y"] == [2 * (tiny / 2) * (tiny / 4), 0.0, tiny / 4]
    assert lost["dx"] == [tiny, 0.0, tiny]
    assert lost["dkernel"] == [2 * tiny, 0.0, 0.0]


def test_the_arithmetic_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        arithmetics()[0].gradual_underflow = True  # type: ignore[misc]
    assert not Arithmetic(*[FORMATS["float32"]] * 3).gradual_underflow


@pytest.mark.parametrize("kind", [Sums, Truth])
def test_what_a_bound_is_made_of_does_not_change(kind: type) -> None:
    made = kind(np.ones(1), np.ones(1), np.ones(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(kind)[0].name, np.zeros(1))


@pytest.mark.clause("LAY-16", "SPC-5")
@pytest.mark.parametrize(("gradual", "error"), [(True, 0.0), (False, 2.0**-1060)])
def test_a_subnormal_operand_is_lost_where_it_may_be_flushed(gradual: bool, error: float) -> None:
    used = dataclasses.replace(FLOAT64, gradual_underflow=gradual)
    assert Analysis(used).given([2.0**-1060]).error == [error]


def test_the_reference_loses_no_subnormal_operand() -> None:
    assert Analysis(FLOAT64).given([2.0**-1060, 1.0]).error.tolist() == [0.0, 0.0]
