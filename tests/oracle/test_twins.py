"""Fast forms, compiled definition, interpreted definition and unfold twin against each other."""

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

LOOPS = ("forward_rows", "dx_rows", "dkernel_rows")
NO_FAST_FORM = mock.patch.object(involution, "fast_form", return_value=None)


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


def same(one: list[bytes], other: list[bytes]) -> None:
    """Bit for bit. Which NaN comes out is unspecified; that one does, and where, is not."""
    for first, second in zip(one, other, strict=True):
        if first != second:
            a, b = np.frombuffer(first), np.frombuffer(second)
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(np.signbit(a[~np.isnan(a)]), np.signbit(b[~np.isnan(b)]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", ["normal", "cancelling", "subnormal", "specials"])
@given(data=st.data())
def test_compiled_is_its_definition(dtype: str, recipe: str, data: st.DataObject) -> None:
    small = {"batches": (0, 1, 2), "groups": (1, 2), "members": (1, 2), "spare": 1}
    case = data.draw(cases(Capabilities(), dtype=dtype, recipe=recipe, **small))
    values = operands(case, FORMATS[case.dtype].bits)
    fast = bits(case, values)
    with NO_FAST_FORM:
        same(fast, bits(case, values))
        with mock.patch.multiple(_loops, **{name: definition(name) for name in LOOPS}):
            same(fast, bits(case, values))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("recipe", ["normal", "wide", "cancelling", "specials", "integers"])
@given(data=st.data())
def test_fast_forms_are_the_definition(dtype: str, recipe: str, data: st.DataObject) -> None:
    """Of larger problems, with more lanes in use."""
    members = (1, 2, 3, 5, 8, 9, 16, 20)
    case = data.draw(cases(Capabilities(), dtype=dtype, recipe=recipe, members=members, spare=9))
    values = operands(case, FORMATS[case.dtype].bits)
    fast = bits(case, values)
    with NO_FAST_FORM:
        same(fast, bits(case, values))


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
