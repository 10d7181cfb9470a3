"""Chapter SPC: NaN, infinity, signed zero, subnormal numbers, the empty batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases import cases
from conformance.claims import claim
from conformance.judge import Judge
from conformance.recipes import operands

DTYPES = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])


@pytest.mark.clause("SPC-1", "SPC-2")
@DTYPES
@given(data=st.data())
def test_specials_forward(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """NaN and infinities reach the outputs that read them, and no other."""
    drawn = cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe="specials")
    judge.check(data.draw(drawn), ("y",))


@pytest.mark.clause("SPC-3")
@DTYPES
@given(data=st.data())
def test_specials_backward(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """The same for dx and dkernel."""
    drawn = cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe="specials")
    judge.check(data.draw(drawn), ("dx", "dkernel"))


@pytest.mark.clause("SPC-4")
@given(data=st.data())
def test_negative_zero(judge: Judge, data: st.DataObject) -> None:
    """A negative zero counts as zero."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers"))
    values = operands(case)
    for name, array in values.items():
        # Every third entry, so that sums of zeros alone and mixed ones occur.
        array.reshape(-1)[::3] = -0.0
        judge.check_operands(case, values | {name: array})
    zeros = {name: np.full_like(array, -0.0) for name, array in values.items()}
    judge.check_operands(case, zeros)


@pytest.mark.clause("SPC-5")
@DTYPES
@given(data=st.data())
def test_subnormal(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """Around the underflow threshold, as declared: kept, or flushed to zero."""
    drawn = cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe="subnormal")
    judge.check(data.draw(drawn))


@pytest.mark.clause("SPC-6")
@DTYPES
@given(data=st.data())
def test_empty_batch(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """No sample in, no sample out, of the due shapes and dtypes."""
    claimed = claim(judge, "dtypes", dtype)[0]
    judge.check(data.draw(cases(judge.claimed, dtype=claimed, recipe="normal", batches=(0,))))
