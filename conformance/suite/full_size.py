"""Sizes that networks really have, and counters of 24 and 16 bits run over.

For the profiles that afford it: a case takes seconds, and gigabytes of memory. And, in every
profile, the sizes that somebody names.
"""

from conformance.cases import shapes
from conformance.cases.geometries import pairs
from conformance.cases.network import FULL, networks
from conformance.claims.formats import FORMATS
from conformance.judging.ask import NotRunError
from conformance.judging.checks import check
from conformance.judging.judge import Judge

# Products of the largest case of a cover.
MOST = 2**23


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", "NUM-1", full_size=True, size=FULL)
def at_full_size(judge: Judge, size: str) -> None:
    """One shape of each kind, on integers that use every bit of the format."""
    shape = pairs((FULL[size]["kernel_shape"],), judge.claimed.kernel_shapes)[0]
    case = judge.plain(recipe="split", **{**FULL[size], "kernel_shape": shape})
    judge.check(case)


@check("NUM-2", "NUM-3", "NUM-4", full_size=True, dtype=FORMATS)
def reals_at_full_size(judge: Judge, dtype: str) -> None:
    """The first stage of a network in every format."""
    (dtype,) = judge.claim("dtypes", dtype)
    judge.check(judge.plain(recipe="normal", dtype=dtype, **FULL["RedNet-50, stage 1"]))


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", "NUM-1", "NUM-2", "NUM-3", "NUM-4", full_size=True)
def network_at_full_size(judge: Judge) -> None:
    """The network-shaped cases once more, with other numbers and up to 2^23 products."""
    for case in networks(judge.claimed, judge.seed + 1, MOST):
        judge.check(case)


@check(
    "FWD-1", "GRD-1", "GRD-2", "GEO-10", "NUM-1", "NUM-2", "NUM-3", "NUM-4",
    exact=True, of_shapes=True,
)  # fmt: skip
def shape(judge: Judge, shape: shapes.Shape, reals: bool) -> None:
    """A shape of somebody's own network: impulses, exact sums, and real numbers in each format."""
    if shape.bytes > shapes.MEMORY:
        raise NotRunError(
            f"the judge would need {shape.bytes / 2**30:.1f} GiB for a shape, and takes "
            f"{shapes.MEMORY / 2**30:.0f}: name a smaller batch"
        )
    for case in shapes.cases(shape, judge.claimed, judge.seed, reals=reals):
        judge.check(case)
