"""The compiled loops, their Python definitions and the unfold twin against each other."""

from fractions import Fraction
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases.operator import cases
from conformance.cases.operator_recipes import operands
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from refimpl import _loops, involution
from tests.opponents import twin

LOOPS = ("forward_rows", "forward_rows_of_few", "dx_rows", "dkernel_rows")


def definition(name: str):
    """The Python function of a loop; with NUMBA_DISABLE_JIT the loop is that already."""
    loop = getattr(_loops, name)
    return getattr(loop, "py_func", loop)


def bits(case, values) -> list[bytes]:
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    results = (
        involution.forward(x, kernel, **case.geometry.options),
        *involution.backward(dy, x, kernel, **case.geometry.options),
    )
    return [result.tobytes() for result in results]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", ["normal", "cancelling", "subnormal", "specials"])
@given(data=st.data())
def test_compiled_is_its_definition(dtype: str, recipe: str, data: st.DataObject) -> None:
    small = {"batches": (0, 1, 2), "groups": (1, 2), "members": (1, 2), "spare": 1}
    case = data.draw(cases(Capabilities(), dtype=dtype, recipe=recipe, **small))
    values = operands(case, FORMATS[case.dtype].bits)
    # NumPy warns of what compiled code does in silence.
    with np.errstate(all="ignore"):
        compiled = bits(case, values)
        with mock.patch.multiple(_loops, **{name: definition(name) for name in LOOPS}):
            defined = bits(case, values)
    if recipe != "specials":
        assert compiled == defined
        return
    # Which NaN comes out is unspecified; that one does, and where, is not.
    for one, other in zip(compiled, defined, strict=True):
        np.testing.assert_array_equal(np.frombuffer(one), np.frombuffer(other))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(data=st.data())
def test_both_forward_loops_give_the_same_bits(dtype: str, data: st.DataObject) -> None:
    drawn = cases(Capabilities(), dtype=dtype, recipe="cancelling", members=(1, 3, 4, 5, 9))
    case = data.draw(drawn)
    values = operands(case, FORMATS[case.dtype].bits)
    with mock.patch.object(involution, "FEW", 0):
        many = bits(case, values)
    with mock.patch.object(involution, "FEW", 10):
        assert bits(case, values) == many


@given(data=st.data())
def test_twin_agrees_on_integers(data: st.DataObject) -> None:
    case = data.draw(cases(Capabilities(), dtype="float64", recipe="integers"))
    values = operands(case, FORMATS[case.dtype].bits)
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    y = involution.forward(x, kernel, **case.geometry.options)
    dx, dkernel = involution.backward(dy, x, kernel, **case.geometry.options)
    twin_dx, twin_dkernel = twin.backward(case, dy, x, kernel)
    np.testing.assert_array_equal(y, twin.forward(case, x, kernel), strict=True)
    np.testing.assert_array_equal(dx, twin_dx, strict=True)
    np.testing.assert_array_equal(dkernel, twin_dkernel, strict=True)


@given(
    a=st.floats(allow_nan=False, allow_infinity=False),
    b=st.floats(allow_nan=False, allow_infinity=False),
)
def test_two_product_is_exact(a: float, b: float) -> None:
    """Fused, a product that neither over- nor underflows leaves its exact error."""
    product = a * b
    if not np.isfinite(product) or (product != 0 and abs(product) < 2.0**-960):
        return
    if product == 0 and a != 0 and b != 0:
        return
    assert Fraction(a) * Fraction(b) == Fraction(product) + Fraction(_loops.fma(a, b, -product))
