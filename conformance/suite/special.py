"""Chapter SPC: NaN, infinity, signed zero, subnormal numbers, the empty batch."""

from typing import Any

import numpy as np

from conformance.claims.formats import FORMATS
from conformance.judging.checks import check
from conformance.judging.judge import Judge


@check("SPC-1", "SPC-2", dtype=FORMATS)
def specials_forward(judge: Judge, draw: Any, dtype: str) -> None:
    """NaN and infinities reach the outputs that read them, and no other."""
    case = draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe="specials"))
    judge.check(case, ("y",))


@check("SPC-3", "GRD-11", dtype=FORMATS)
def specials_backward(judge: Judge, draw: Any, dtype: str) -> None:
    """The same for dx and dkernel, and for whatever else is summed."""
    case = draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe="specials"))
    judge.check(case, judge.among(("dx", "dkernel")))
    if judge.further:
        # Of few cases that are drawn one may have no NaN where it shows.
        judge.check(judge.plain(dtype=dtype, recipe="specials", seed=case.seed))


@check("SPC-4", "GRD-11")
def negative_zero(judge: Judge, draw: Any) -> None:
    """A negative zero gives what zero gives."""
    case = draw(judge.cases())
    values = judge.values(case)
    for sign in ("some", "all"):
        zeros = {name: _zeroed(array, sign) for name, array in values.items()}
        positive = {name: array + array.dtype.type(0) for name, array in zeros.items()}
        got, due = judge.run(case, zeros), judge.run(case, positive)
        same = all(np.array_equal(got[name], due[name], equal_nan=True) for name in due)
        judge.expect(case, same, "a negative zero among the operands does not count as zero")


def _zeroed(array: Any, which: str) -> Any:
    """Put negative zeros in the place of every third entry, or of all."""
    changed = array.copy()
    changed.reshape(-1)[:: 3 if which == "some" else 1] = -0.0
    return changed


@check("SPC-5", "GRD-11", dtype=FORMATS)
def subnormal(judge: Judge, draw: Any, dtype: str) -> None:
    """Around the underflow threshold, as declared: kept, or flushed to zero."""
    judge.check(draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe="subnormal")))


@check("SPC-6", "GRD-11", dtype=FORMATS)
def empty_batch(judge: Judge, draw: Any, dtype: str) -> None:
    """No sample in, no sample out, of the due shapes and dtypes."""
    judge.claim_flag("empty_batch")
    dtypes = judge.claim("dtypes", dtype)
    judge.check(draw(judge.cases(dtype=dtypes[0], recipe="normal", batches=(0,))))
