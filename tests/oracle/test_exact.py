"""The oracle against exact rational arithmetic (NUM-5), and the adjoint identity on integers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases.operator import OperatorCase, cases
from conformance.cases.operator_recipes import operands
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from refimpl import involution
from tests.opponents import exact

ROUNDOFF = Fraction(1, 2**53)
TINIEST = Fraction(1, 2**1074)
SMALL = {"batches": (1, 2), "groups": (1, 2), "members": (1, 3, 8), "spare": 2}


def oracle(case: OperatorCase, values: dict) -> dict:
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    dx, dkernel = involution.backward(dy, x, kernel, **case.geometry.options)
    return {
        "y": involution.forward(x, kernel, **case.geometry.options),
        "dx": dx,
        "dkernel": dkernel,
    }


def gamma(n: int) -> Fraction:
    return n * ROUNDOFF / (1 - n * ROUNDOFF)


def allowed(total: exact.Sum, dtype: str) -> Fraction:
    if dtype != "float64":
        return gamma(total.terms) * total.magnitude
    first, second = ROUNDOFF * abs(total.value), gamma(total.terms) ** 2 * total.magnitude
    return first + second + total.terms * TINIEST


@pytest.mark.clause("NUM-5", "FWD-1", "GRD-1", "GRD-2")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("recipe", ["normal", "wide", "cancelling", "subnormal", "large"])
@given(data=st.data())
def test_within_the_oracles_bound(dtype: str, recipe: str, data: st.DataObject) -> None:
    case = data.draw(cases(Capabilities(), dtype=dtype, recipe=recipe, **SMALL))
    values = operands(case, FORMATS[case.dtype].bits)
    due = exact.sums(case, values)
    for name, got in oracle(case, values).items():
        assert got.dtype == np.float64
        for index in np.ndindex(got.shape):
            total = due[name].get(index, exact.Sum())
            error = abs(Fraction(float(got[index])) - total.value)
            assert error <= allowed(total, dtype), (name, index, got[index], total)


@pytest.mark.clause("NUM-5")
def test_total_cancellation() -> None:
    """1e16 + 1 - 1e16 and its like: float64 alone gives 0, double-double the 1."""
    kernel = np.array([1e16, 1.0, -1e16, 2.0**-30]).reshape(1, 1, 1, 1, 4, 1)
    x = np.ones((1, 1, 4, 1))
    y = involution.forward(x, kernel, padding="valid")
    assert y.item() == 1 + 2.0**-30
    dx, _ = involution.backward(np.ones((1, 1, 1, 1)), x, kernel, padding="valid")
    assert dx.ravel().tolist() == kernel.ravel().tolist()
    channels = np.array([1e16, 1.0, -1e16, 2.0**-30]).reshape(1, 1, 1, 4)
    _, dkernel = involution.backward(np.ones_like(channels), channels, np.ones((1, 1, 1, 1, 1, 1)))
    assert dkernel.item() == 1 + 2.0**-30


@pytest.mark.clause("GRD-4", "NUM-1")
@given(data=st.data())
def test_adjoint_identity(data: st.DataObject) -> None:
    case = data.draw(cases(Capabilities(), dtype="float32", recipe="integers"))
    values = operands(case, FORMATS[case.dtype].bits)
    got = oracle(case, values)
    pairs = (("y", "dy"), ("dx", "x"), ("dkernel", "kernel"))
    products = {
        sum(int(a) * int(b) for a, b in zip(got[one].ravel(), values[two].ravel(), strict=True))
        for one, two in pairs
    }
    assert len(products) == 1


@pytest.mark.clause("GEO-3", "GEO-7", "GEO-8", "GEO-10")
@given(data=st.data())
def test_integers_are_exact(data: st.DataObject) -> None:
    case = data.draw(cases(Capabilities(), dtype="float64", recipe="integers", spare=4))
    values = operands(case, FORMATS[case.dtype].bits)
    due = exact.sums(case, values)
    for name, got in oracle(case, values).items():
        for index in np.ndindex(got.shape):
            assert Fraction(float(got[index])) == due[name].get(index, exact.Sum()).value
