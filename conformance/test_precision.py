"""Chapter NUM: equality where sums are exact, the derived bounds everywhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases import cases, certificate
from conformance.claims import claim
from conformance.judge import RESULTS, Judge
from conformance.recipes import operands

DTYPES = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
RECIPES = pytest.mark.parametrize("recipe", ["normal", "wide", "cancelling"])


@pytest.mark.clause("NUM-1")
@DTYPES
@given(data=st.data())
def test_exact_sums(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """No rounding can happen, so any order of summation gives the same bits."""
    drawn = cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe="integers")
    judge.check(data.draw(drawn))


@pytest.mark.clause("NUM-1")
@DTYPES
@pytest.mark.parametrize("recipe", ["impulse-x", "impulse-dy"])
def test_certificate(judge: Judge, dtype: str, recipe: str) -> None:
    """Every tap in every format, if not in every geometry as GEO-8 has it."""
    for case in certificate(judge.claimed, claim(judge, "dtypes", dtype)[0], recipe, brief=True):
        judge.check(case)


@pytest.mark.clause("NUM-2")
@DTYPES
@RECIPES
@given(data=st.data())
def test_forward_bound(judge: Judge, dtype: str, recipe: str, data: st.DataObject) -> None:
    """y on real numbers."""
    drawn = cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe=recipe)
    judge.check(data.draw(drawn), ("y",))


@pytest.mark.clause("NUM-3")
@DTYPES
@RECIPES
@given(data=st.data())
def test_dx_bound(judge: Judge, dtype: str, recipe: str, data: st.DataObject) -> None:
    """dx on real numbers."""
    drawn = cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe=recipe)
    judge.check(data.draw(drawn), ("dx",))


@pytest.mark.clause("NUM-4")
@DTYPES
@RECIPES
@given(data=st.data())
def test_dkernel_bound(judge: Judge, dtype: str, recipe: str, data: st.DataObject) -> None:
    """dkernel on real numbers, with many channels a group."""
    drawn = cases(
        judge.claimed,
        dtype=claim(judge, "dtypes", dtype)[0],
        recipe=recipe,
        members=(1, 2, 5, 16, 40),
    )
    judge.check(data.draw(drawn), ("dkernel",))


@pytest.mark.clause("NUM-6")
@DTYPES
@given(data=st.data())
def test_no_early_overflow(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """Sums of magnitude up to half the largest number stay finite, and within the bounds."""
    case = data.draw(cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe="large"))
    got = judge.check_operands(case, operands(case))
    infinite = [name for name in RESULTS if not np.isfinite(got[name]).all()]
    judge.expect(case, not infinite, f"{', '.join(infinite)} overflowed")
