"""Shapes that networks have: what fast code asks for before it takes a fast path.

Equality on exact sums first; then what is cheap, values that are special or extreme; then operands
and real numbers on every shape, and values that shortcuts look for.
"""

from conformance.cases.network import networks, structures
from conformance.cases.operator_recipes import STRUCTURE
from conformance.judging.checks import check
from conformance.judging.judge import Judge


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", exact=True)
def network_integers(judge: Judge) -> None:
    """Each three of ten choices together: sizes, channels, kernel, options, batch, format."""
    _check(judge, "integers")


@check("SPC-1", "SPC-2", "SPC-3")
def network_specials(judge: Judge) -> None:
    """NaN and infinities among many channels."""
    _check_values(judge, "specials")


@check("NUM-2", "NUM-3", "NUM-4", "NUM-6", "SPC-5",
       values=["cancelling", "subnormal", "large", "ties", "beyond"])  # fmt: skip
def network_extremes(judge: Judge, values: str) -> None:
    """Sums that cancel, underflow, nearly or really overflow, or lie between two numbers."""
    _check_values(judge, values)


@check("NUM-1")
def network_split(judge: Judge) -> None:
    """On operands that no narrower format holds, with sums that use every bit of their own."""
    _check(judge, "split")


@check("NUM-2", "NUM-3", "NUM-4")
def network_reals(judge: Judge) -> None:
    """On real numbers."""
    _check(judge, "normal")


@check("FWD-1", "GRD-1", "GRD-2", "NUM-2", "NUM-3", "NUM-4", structure=STRUCTURE)
def network_structure(judge: Judge, structure: str) -> None:
    """Each operand all zero, one, constant, one-hot, sparse, equal in all pixels or samples."""
    _check_values(judge, structure, f"{structure}-real")


def _check(judge: Judge, recipe: str) -> None:
    __tracebackhide__ = True
    listed = [case for case in networks(judge.claimed, judge.seed) if case.recipe == recipe]
    for number, case in enumerate(judge.as_time_allows(listed)):
        # backward first: it comes after a call of another case, of other shapes and format.
        judge.check(case, backward_first=number % 2 == 1)


def _check_values(judge: Judge, *recipes: str) -> None:
    __tracebackhide__ = True
    listed = [one for one in structures(judge.claimed, judge.seed) if one.recipe in recipes]
    for case in judge.as_time_allows(listed):
        judge.check(case)
