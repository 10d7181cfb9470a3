"""Each loop alone: the rows that it is given and no other; and how its sums are kept.

The loops work through integers in rational arithmetic, with nothing drawn at random: whoever
changes a loop hears of it within a second. That they are exact on other operands is
`test_exact`'s matter.
"""

from fractions import Fraction
from math import isnan

import numba
import numba.core.config
import numpy as np
import pytest

from conformance.cases.operator import OperatorCase
from refimpl import _fast, _loops, involution
from tests.opponents import exact
from tests.oracle import hard_sums

COMPILED = pytest.mark.skipif(
    numba.core.config.DISABLE_JIT, reason="nothing is compiled: there is the definition alone"
)
# height, width, kernel_shape, stride, dilation, padding: no two numbers of an axis alike where they
# could be exchanged; taps more than one pixel outside on every side; pixels that no tap reads.
GEOMETRIES = [
    (5, 4, (3, 2), (1, 1), (1, 1), ((2, 3), (3, 2))),
    (7, 8, (2, 3), (2, 3), (2, 1), ((1, 0), (2, 1))),
    (4, 7, (1, 3), (3, 1), (1, 2), "valid"),
    (1, 2, (5, 4), (1, 2), (1, 1), "same"),
    # A block of 32 pixels and some; taps farther apart than there are pixels; a long stride.
    (2, 37, (2, 3), (1, 1), (1, 3), ((0, 1), (4, 2))),
    (1, 5, (1, 2), (1, 1), (1, 17), ((0, 0), (17, 9))),
    (3, 40, (2, 2), (2, 19), (1, 1), ((1, 0), (0, 0))),
]
# As many as lanes or vectors, twice that, one more and one less; 20 and 2 groups make 40 channels.
MEMBERS = [1, 2, 3, 4, 5, 7, 8, 9, 16, 20]


def problem(
    geometry: tuple, members: int, dtype: str
) -> tuple[OperatorCase, dict[str, np.ndarray]]:
    """Operands of integers: their products exceed float32's 24 bits, their sums are exact."""
    fields = ("height", "width", "kernel_shape", "stride", "dilation", "padding")
    options = dict(zip(fields, geometry, strict=True))
    case = OperatorCase(dtype, "integers").changed(batch=2, groups=2, members=members, **options)
    # Odd numbers of either sign, none repeated soon: 8191 is prime.
    values = {
        name: ((2 * np.arange(np.prod(shape)) + 1) * step % 8191 - 4095).reshape(shape)
        for (name, shape), step in zip(case.shapes.items(), (1237, 2741, 5003), strict=True)
    }
    return case, {name: value.astype(dtype) for name, value in values.items()}


def dense(sums: dict[exact.Index, exact.Sum], shape: tuple[int, ...]) -> np.ndarray:
    result = np.zeros(shape)
    for index, total in sums.items():
        result[index] = float(total.value)
        assert Fraction(result[index]) == total.value
    return result


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("members", MEMBERS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("layout", ["blocked", "interleaved"])
def test_its_rows_and_no_other(geometry: tuple, members: int, dtype: str, layout: str) -> None:
    case, values = problem(geometry, members, dtype)
    case = case.changed(group_layout=layout)
    due = exact.sums(case, values)
    x, dy, kernel = (involution._loadable(values[name]) for name in ("x", "dy", "kernel"))
    groups = case.geometry.groups
    padding = exact.padding_before(case, 0), exact.padding_before(case, 1)
    channels = (members, 1) if layout == "blocked" else (1, groups)
    steps = (*case.geometry.stride, *case.geometry.dilation, *padding, *channels)
    for name, loop, operands, result in (
        ("y", "forward_rows", (x, kernel), dy),
        ("y", "forward_rows_by_member", (x, kernel), dy),
        ("dx", "dx_rows", (dy, kernel), x),
        ("dx", "dx_rows_by_member", (dy, kernel), x),
        ("dkernel", "dkernel_rows", (dy, x), kernel),
    ):
        expected = dense(due[name], result.shape)
        expected = expected.reshape(-1, *expected.shape[2:])
        for first, last in ((0, len(expected)), (1, len(expected) - 1)):
            check_rows(loop, operands, steps, first, last, result.shape, expected)


def check_rows(
    name: str,
    operands: tuple[np.ndarray, ...],
    steps: tuple[int, ...],
    first: int,
    last: int,
    shape: tuple[int, ...],
    expected: np.ndarray,
) -> None:
    """The fast form writes its rows and says where it is not certain; the definition fills in."""
    result = np.full(shape, np.nan)
    rows, doubtful = result.reshape(expected.shape), np.zeros(len(expected), bool)
    if _fast.AVAILABLE:
        # What is left out, of a fast form, keeps this number.
        rows[:] = 7777.5
        getattr(_fast, name)(first, last, *operands, *steps, result, doubtful)
        open_ = np.isnan(rows)
        np.testing.assert_array_equal(doubtful, open_.any(axis=tuple(range(1, rows.ndim))))
        certain = ~open_
        certain[:first], certain[last:] = False, False
        np.testing.assert_array_equal(rows[certain], expected[certain])
        for outside in (rows[:first], rows[last:]):
            assert (outside == 7777.5).all()
            outside[:] = np.nan
    getattr(_loops, name.removesuffix("_by_member"))(first, last, *operands, *steps, result)
    np.testing.assert_array_equal(rows[first:last], expected[first:last])
    assert not np.signbit(rows[rows == 0]).any()
    assert np.isnan(rows[:first]).all()
    assert np.isnan(rows[last:]).all()


@numba.njit
def summed(a, b, waiting):
    """A sum of products of two rows, compiled, with so many products before it that cancel."""
    total = _loops.new_sum()
    _loops.add_product(total, 3.0, 5.0)
    _loops.clear(total)
    total[_loops._WAITING] = waiting
    for n in range(len(a)):
        _loops.add_product(total, a[n], b[n])
    return _loops.rounded(total)


@COMPILED
@pytest.mark.clause("NUM-5")
@pytest.mark.parametrize("recipe", hard_sums.RECIPES)
def test_a_compiled_sum_is_a_rational_one(recipe: str) -> None:
    rng = np.random.default_rng(5)
    for terms in (1, 2, 9, 30):
        a, b = hard_sums.RECIPES[recipe](rng, "float64", 30, terms)
        for one, other in zip(a, b, strict=True):
            expected = hard_sums.due(one, other)
            # Carries that are due before the first product, between two, and at the end alone.
            for waiting in (_loops._MOST_WAITING, _loops._MOST_WAITING - 1, 0):
                got = summed(one, other, waiting)
                assert got.hex() == expected.hex() or (isnan(got) and isnan(expected))


@COMPILED
@pytest.mark.clause("NUM-5", "SPC-1", "SPC-2")
def test_a_compiled_product_of_special_numbers() -> None:
    for a, b in zip(*hard_sums.special_pairs(), strict=True):
        np.testing.assert_equal(summed(a, b, 0), hard_sums.due(a, b))


@COMPILED
@pytest.mark.clause("NUM-5")
def test_digits_hold_what_waits_for_a_carry() -> None:
    """As many products as may wait, each adding to a digit as much as one can, stay in 64 bits."""
    most = 2**53 - 1
    total = _loops_product(float(most), float(most))
    assert abs(total[: _loops._DIGITS]).max() * _loops._MOST_WAITING < 2**63


@numba.njit
def _loops_product(a, b):
    total = _loops.new_sum()
    _loops.add_product(total, a, b)
    return total


@COMPILED
@pytest.mark.clause("NUM-5")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", ["normal", "near", "ties", "cancelling", "underflowing"])
def test_no_more_is_lost_than_is_said(recipe: str, dtype: str) -> None:
    """The pair of a fast sum, against the sum; and nothing is lost where none is said to be."""
    terms, lanes = 9, _fast._BLOCK
    rng, notes = np.random.default_rng(2), np.zeros((2, 2), np.int64)
    for _ in range(20):
        factors = hard_sums.RECIPES[recipe](rng, dtype, lanes, terms)
        a, b = (np.ascontiguousarray(one.astype(dtype).T).ravel() for one in factors)
        for numbers, note in zip((a, b), notes, strict=True):
            _fast._look(numbers, note)
            assert (abs(numbers.astype(float)) < 2.0 ** (note[0] + 1)).all()
            assert all(Fraction(float(n)) % Fraction(2) ** int(note[1]) == 0 for n in numbers)
        start, loss = _fast._start_and_loss(*notes, terms)
        assert start > 0
        high, low, at = np.zeros(lanes), np.zeros(lanes), np.arange(terms) * lanes
        a, b = a.astype(np.float64), b.astype(np.float64)
        _fast._sum(a, at, 0, 8, b, at, 0, 8, 0, terms, start, high, low, 0, 8)
        for lane in range(lanes):
            exactly, _ = hard_sums.exactly(a[lane::lanes], b[lane::lanes])
            kept = Fraction(high[lane]) - Fraction(start) + Fraction(low[lane])
            assert abs(kept - exactly) <= Fraction(loss)


@COMPILED
@pytest.mark.clause("NUM-5")
def test_what_no_pair_holds_is_left_to_the_definition() -> None:
    one, other = np.zeros((2, 2), np.int64)
    for numbers in ([1.0, np.inf], [np.nan, 1.0], [2.0**900, 1.0]):
        _fast._look(np.array(numbers), one)
        _fast._look(np.array([2.0**200]), other)
        assert _fast._start_and_loss(one, other, 3) == (0.0, 0.0)
    _fast._look(np.zeros(5), one)
    assert _fast._start_and_loss(one, other, 3)[1] == 0.0


@COMPILED
@pytest.mark.clause("NUM-5")
def test_what_is_not_certain_is_not_answered() -> None:
    """On either side of a tie by less than the loss; and by more."""
    start, unit = 1.5 * 2.0**60, 2.0**-53
    low = np.array([unit, unit * (1 + 2.0**-30), unit * (1 - 2.0**-30), 0.0, unit, -unit / 4])
    high = np.full(6, start) + 2.0**8
    low *= 2.0**8
    for loss, certain in ((0.0, 6), (2.0**-90, 4), (2.0**-60, 2)):
        rounded = high.copy()
        doubtful = _fast._round(rounded, low, start, loss)
        assert doubtful == (certain < 6)
        assert np.isfinite(rounded).sum() == certain
        for n in np.flatnonzero(np.isfinite(rounded)):
            assert rounded[n] == hard_sums.nearest(Fraction(2.0**8) + Fraction(low[n]))
