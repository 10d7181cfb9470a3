"""Chapter NUM: equality where sums are exact, the derived bounds everywhere else."""

from typing import Any

from conformance.cases.operator import certificate
from conformance.claims.formats import FORMATS
from conformance.judging.checks import check
from conformance.judging.judge import Judge
from conformance.judging.scope import NotClaimedError

RECIPES = ("normal", "wide", "cancelling")


@check("NUM-1", "GRD-11", dtype=FORMATS, exact=True)
def exact_sums(judge: Judge, draw: Any, dtype: str) -> None:
    """No rounding can happen, so any order of summation gives the same bits."""
    judge.check(draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0])))


@check("NUM-1", dtype=FORMATS, recipe=["impulse-x", "impulse-dy"], exact=True)
def certificate_in_every_format(judge: Judge, dtype: str, recipe: str) -> None:
    """Every tap in every format, if not in every geometry as GEO-8 has it."""
    for case in certificate(judge.claimed, judge.claim("dtypes", dtype)[0], recipe, brief=True):
        judge.check(case)


@check("NUM-2", dtype=FORMATS, recipe=RECIPES)
def forward_bound(judge: Judge, draw: Any, dtype: str, recipe: str) -> None:
    """y on real numbers."""
    case = draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe=recipe))
    judge.check(case, ("y",))


@check("NUM-3", dtype=FORMATS, recipe=RECIPES)
def dx_bound(judge: Judge, draw: Any, dtype: str, recipe: str) -> None:
    """dx on real numbers."""
    case = draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe=recipe))
    judge.check(case, ("dx",))


@check("NUM-4", dtype=FORMATS, recipe=RECIPES)
def dkernel_bound(judge: Judge, draw: Any, dtype: str, recipe: str) -> None:
    """dkernel on real numbers, with many channels a group."""
    drawn = judge.cases(
        dtype=judge.claim("dtypes", dtype)[0], recipe=recipe, members=(1, 2, 5, 16, 40)
    )
    judge.check(draw(drawn), ("dkernel",))


@check("NUM-6", "GRD-11", dtype=FORMATS)
def no_early_overflow(judge: Judge, draw: Any, dtype: str) -> None:
    """Sums of magnitude up to half the largest number stay finite, and within the bounds."""
    judge.check(draw(judge.cases(dtype=judge.claim("dtypes", dtype)[0], recipe="large")))


@check("NUM-8", dtype=FORMATS, recipe=["nearest-x", "nearest-dy"])
def rounded_to_nearest(judge: Judge, draw: Any, dtype: str, recipe: str) -> None:
    """One product, or a sum of two, is the exact value rounded once, ties to even."""
    (dtype,) = judge.claim("dtypes", dtype)
    if not judge.claimed.arithmetic(dtype).rounds_once:
        raise NotClaimedError(f"not claimed: {dtype} is rounded once, to nearest")
    judge.check(draw(judge.cases(dtype=dtype, recipe=recipe)))
