"""Each loop alone, on integers: the rows that it is given, exactly, and no other row.

Worked through in rational arithmetic, with nothing drawn at random: whoever changes a loop hears of
it within a second. How far the loops are exact on other operands is `test_oracle_exact`'s matter.
"""

from fractions import Fraction

import numpy as np
import pytest

from conformance.cases.operator import OperatorCase
from refimpl import _loops, involution
from tests.opponents import exact

# height, width, kernel_shape, stride, dilation, padding: no two numbers of an axis alike where they
# could be exchanged; taps more than one pixel outside on every side; pixels that no tap reads.
GEOMETRIES = [
    (5, 4, (3, 2), (1, 1), (1, 1), ((2, 3), (3, 2))),
    (7, 8, (2, 3), (2, 3), (2, 1), ((1, 0), (2, 1))),
    (4, 7, (1, 3), (3, 1), (1, 2), "valid"),
    (1, 2, (5, 4), (1, 2), (1, 1), "same"),
]
# As many as the loop for few members takes at once (4), twice that, one more and one less.
MEMBERS = [1, 2, 3, 4, 5, 7, 8, 9]


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
def test_its_rows_and_no_other(geometry: tuple, members: int, dtype: str) -> None:
    case, values = problem(geometry, members, dtype)
    due = exact.sums(case, values)
    groups = (case.geometry.groups, case.geometry.members)
    x, dy = (
        involution._loadable(values[name].reshape(*values[name].shape[:3], *groups))
        for name in ("x", "dy")
    )
    kernel = involution._loadable(values["kernel"])
    padding = exact.padding_before(case, 0), exact.padding_before(case, 1)
    steps = (*case.geometry.stride, *case.geometry.dilation, *padding)
    for loop, operands, name, shape in (
        (_loops.forward_rows, (x, kernel), "y", dy.shape),
        (_loops.forward_rows_of_few, (x, kernel), "y", dy.shape),
        (_loops.dx_rows, (dy, kernel), "dx", x.shape),
        (_loops.dkernel_rows, (dy, x), "dkernel", kernel.shape),
    ):
        flat = (*shape[:3], case.channels) if name != "dkernel" else shape
        expected = dense(due[name], flat).reshape(shape[0] * shape[1], *shape[2:])
        rows = len(expected)
        for first, last in ((0, rows), (1, rows - 1)):
            # What a loop leaves out stays NaN.
            result = np.full(shape, np.nan)
            loop(first, last, *operands, *steps, result)
            got = result.reshape(expected.shape)
            np.testing.assert_array_equal(got[first:last], expected[first:last])
            assert np.isnan(got[:first]).all()
            assert np.isnan(got[last:]).all()


PAIRS = [(1e16, 3.0), (3.0, -1e16), (1.0, 2.0**-60), (2.0**-60, 1.0), (0.1, -0.1), (-7.0, 0.1)]


@pytest.mark.clause("NUM-5")
@pytest.mark.parametrize(("total", "product"), PAIRS)
def test_a_sum_and_its_error_are_exact(total: float, product: float) -> None:
    """TwoSum: of a product that is exact, nothing is lost."""
    new_total, carry = _loops.add_product(total, 0.0, product, 1.0)
    assert new_total == total + product
    assert Fraction(new_total) + Fraction(carry) == Fraction(total) + Fraction(product)
    assert _loops.add_product(total, 2.0**-200, product, 0.0) == (total, 2.0**-200)


@pytest.mark.clause("NUM-5")
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_a_product_and_its_error_are_exact(a: float, b: float) -> None:
    """TwoProduct, and of float32 the product itself."""
    total, carry = _loops.add_product(0.0, 0.0, a, b)
    assert total == a * b
    assert Fraction(total) + Fraction(carry) == Fraction(a) * Fraction(b)
    single = np.float32(a), np.float32(b)
    total, carry = _loops.add_product(0.0, 0.0, *single)
    assert Fraction(total) == Fraction(float(single[0])) * Fraction(float(single[1]))
    assert carry == 0.0


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("place", range(3))
def test_fma_of_a_special_is_special(special: float, place: int) -> None:
    operands = [2.0, 3.0, 5.0]
    operands[place] = special
    np.testing.assert_equal(_loops.fma(*operands), special)


def test_fma_of_infinity_and_zero_is_nan() -> None:
    """Of a sum instead of the product infinity would be left."""
    np.testing.assert_equal(_loops.fma(np.inf, 0.0, 1.0), np.nan)
    np.testing.assert_equal(_loops.fma(np.inf, -3.0, 1.0), -np.inf)


def test_fma_rounds_once() -> None:
    """Of the first, 0 would be left if the product were rounded too."""
    assert _loops.fma(1 + 2.0**-30, 1 - 2.0**-30, -1.0) == -(2.0**-60)
    assert _loops.fma(3.0, 2.0**-60, 1.0) - 1.0 == 0.0
    assert _loops.fma(2.0, 3.0, 5.0) == 11.0


@pytest.mark.clause("SPC-1", "SPC-2")
def test_a_carry_counts_where_the_total_is_finite() -> None:
    assert _loops.rounded(1.0, 0.5) == 1.5
    for total in (np.inf, -np.inf, np.nan):
        for carry in (np.inf, -np.inf, np.nan, 1.0):
            np.testing.assert_equal(_loops.rounded(total, carry), total)
