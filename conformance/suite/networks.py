"""Shapes that networks have: what fast code asks for before it takes a fast path.

Equality on exact sums first, then real numbers. One call of each function, and of the oracle, is
asked for y, dx and dkernel together.
"""

from conformance.cases.network import networks
from conformance.judging.checks import check
from conformance.judging.judge import Judge


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10")
def network_integers(judge: Judge) -> None:
    """Each three of ten choices together: sizes, channels, kernel, options, batch, format."""
    _check(judge, "integers")


@check("NUM-1")
def network_split(judge: Judge) -> None:
    """On operands that no narrower format holds, with sums that use every bit of their own."""
    _check(judge, "split")


@check("NUM-2", "NUM-3", "NUM-4")
def network_reals(judge: Judge) -> None:
    """On real numbers."""
    _check(judge, "normal")


def _check(judge: Judge, recipe: str) -> None:
    __tracebackhide__ = True
    for case in networks(judge.claimed, judge.seed):
        if case.recipe == recipe:
            judge.check(case)
