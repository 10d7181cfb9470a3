"""The oracle is the exact sum, rounded once (NUM-5): held against rational arithmetic, bit for bit.

Compiled and interpreted, in every format, on sums made to hurt. A larger sample is compared by
``python -m tests.surveys.exact_sums``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from unittest import mock

import numba.core.config
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases.operator import OperatorCase, cases
from conformance.cases.operator_recipes import operands
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from refimpl import _loops, involution
from tests.opponents import exact
from tests.oracle import hard_sums

SMALL = {"batches": (1, 2), "groups": (1, 2), "members": (1, 3, 8), "spare": 2}
DTYPES = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
LOOPS = ("forward_rows", "dx_rows", "dkernel_rows")
# Samples, channels and terms: few lanes and many, one block of lanes and several.
SHAPES = [(9, 1, 11), (4, 8, 9), (1, 40, 10)]


@contextmanager
def interpreted() -> Iterator[None]:
    """The definition as Python runs it, and no fast form."""
    loops = {name: getattr(_loops, name) for name in LOOPS}
    plain = {name: getattr(loop, "py_func", loop) for name, loop in loops.items()}
    with (
        mock.patch.multiple(_loops, **plain),
        mock.patch.object(involution, "fast_form", return_value=None),
    ):
        yield


@contextmanager
def compiled() -> Iterator[None]:
    """The fast forms, and the definition where they are not certain."""
    yield


WAYS = pytest.mark.parametrize("way", [compiled, interpreted])


def oracle(case: OperatorCase, values: dict) -> dict:
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    dx, dkernel = involution.backward(dy, x, kernel, **case.geometry.options)
    return {
        "y": involution.forward(x, kernel, **case.geometry.options),
        "dx": dx,
        "dkernel": dkernel,
    }


@pytest.mark.clause("NUM-5", "SPC-1", "SPC-2", "SPC-3")
@WAYS
@DTYPES
@pytest.mark.parametrize("recipe", hard_sums.RECIPES)
def test_hard_sums(dtype: str, recipe: str, way) -> None:
    rng = np.random.default_rng(len(recipe))
    shapes = SHAPES if way is compiled else SHAPES[:2]
    with way():
        for name in hard_sums.RESULTS:
            for shape in shapes:
                wrong = hard_sums.compared(name, recipe, dtype, rng, shape)
                assert wrong == [], (name, shape)


@pytest.mark.clause("NUM-5", "FWD-1", "GRD-1", "GRD-2")
@DTYPES
@pytest.mark.parametrize("recipe", ["normal", "wide", "cancelling", "subnormal", "large"])
@given(data=st.data())
def test_any_geometry(dtype: str, recipe: str, data: st.DataObject) -> None:
    case = data.draw(cases(Capabilities(), dtype=dtype, recipe=recipe, **SMALL))
    values = operands(case, FORMATS[case.dtype].bits)
    due = exact.sums(case, values)
    for name, got in oracle(case, values).items():
        assert got.dtype == np.float64
        for index in np.ndindex(got.shape):
            expected = hard_sums.nearest(due[name].get(index, exact.Sum()).value)
            assert float(got[index]).hex() == expected.hex(), (name, index)


@pytest.mark.clause("NUM-5")
@pytest.mark.parametrize("recipe", ["normal", "wide", "cancelling"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_terms(dtype: str, recipe: str) -> None:
    terms = 1000 if numba.core.config.DISABLE_JIT else 100_000
    rng = np.random.default_rng(3)
    assert hard_sums.compared("dkernel", recipe, dtype, rng, (1, 1, terms)) == []


@DTYPES
@pytest.mark.parametrize(
    ("recipe", "farthest"), [("ties", 0), ("beside ties", 2.0**-20), ("far beside ties", 2.0**-20)]
)
def test_ties_are_ties(dtype: str, recipe: str, farthest: float) -> None:
    factors = hard_sums.RECIPES[recipe](np.random.default_rng(1), dtype, 20, 9)
    a, b = (one.astype(FORMATS[dtype].dtype).astype(np.float64) for one in factors)
    for one, other in zip(a, b, strict=True):
        _, rest, _ = hard_sums.parts(hard_sums.exactly(one, other)[0])
        beside = abs(rest - Fraction(1, 2))
        assert beside <= farthest
        assert (beside == 0) == (recipe == "ties")


def test_nearest_is_to_even() -> None:
    """The judge of this file, on numbers that can be checked by eye."""
    tiny, one = Fraction(1, 2**1074), Fraction(1)
    for value, due in (
        (one + one / 2**53, 1.0),
        (one + one / 2**53 + tiny, 1 + 2.0**-52),
        (one + 3 * one / 2**53, 1 + 2.0**-51),
        (-one - one / 2**54, -1.0),
        (one - one / 2**54, 1.0),
        (one - one / 2**53, 1 - 2.0**-53),
        (tiny / 2, 0.0),
        (-tiny / 2, -0.0),
        (tiny / 2 + tiny / 2**99, 5e-324),
        (3 * tiny / 2, 1e-323),
        (Fraction(2) ** 1024, np.inf),
        (Fraction(2) ** 1024 - Fraction(2) ** 970, np.inf),
        (-(Fraction(2) ** 1024) + Fraction(2) ** 970 + tiny, -np.finfo(float).max),
        (Fraction(0), 0.0),
    ):
        assert hard_sums.nearest(value).hex() == float(due).hex(), value


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
