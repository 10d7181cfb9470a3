"""What a vector says of itself: the clauses that it decides, a comment, flags, and whom it blames.

The flags are explained in `NOTES`. Nothing is computed here.
"""

from collections.abc import Iterator, Mapping

from conformance.cases.operator import OperatorCase, call_of
from conformance.claims.capabilities import padding_kind
from conformance.kinds import OPERATOR
from conformance.vectors.choice import Vector
from conformance.vectors.due import results_of
from conformance.vectors.request import refused_calls

NOTES: Mapping[str, tuple[str, str]] = {
    "Certificate": (
        "wrong pixel, tap, channel or group",
        "One-hot images, or one-hot dy, meet operands whose entries are all different integers: "
        "each result shows which factors met. Equality.",
    ),
    "ExactSums": (
        "wrong or missing term",
        "Small integers: every partial sum is exact in any order. Equality.",
    ),
    "LongIntegers": (
        "narrow arithmetic",
        "Integers that no narrower format holds, with exact sums that use all bits. Equality in "
        "all arithmetics that have the bits, the bound in the others.",
    ),
    "Structured": (
        "shortcut for some values",
        "One operand is zero, one, constant, sparse, one-hot, or equal in all pixels or samples: "
        "what shortcuts look for.",
    ),
    "RealNumbers": ("rounding", "Standard normal numbers, within the bound."),
    "WideRange": ("rounding, range", "Magnitudes over all exponents of which nothing overflows."),
    "Cancellation": ("rounding", "Sums far smaller than their terms."),
    "Ties": ("rounding of the result", "Sums that lie between two numbers of the format."),
    "Nearest": (
        "rounding",
        "Each result is one rounding away from an exact product or sum: to nearest, ties to even "
        "(NUM-8).",
    ),
    "Subnormal": ("underflow", "Operands and results around the underflow threshold."),
    "LargeSums": ("early overflow", "Sums up to half the largest number, which must stay finite."),
    "Overflow": ("overflow", "Products near the largest number: some sums pass it."),
    "SpecialValues": ("NaN and infinity", "A few NaN and infinities among integers and zeros."),
    "EmptyBatch": ("empty batch", "No sample in, no sample out."),
    "ShortOptions": (
        "defaults",
        "Options that have their default are left out, and equal pairs are one integer (GEO-2, "
        "GEO-11).",
    ),
    "Refusal": (
        "missing validation",
        'What is no call: an "error" reply is due, from whoever claims to validate.',
    ),
    "Strided": ("stride", "A stride beyond 1."),
    "Dilated": ("dilation", "A dilation beyond 1."),
    "Ragged": ("sizes", "A height or width that the stride does not divide."),
    "EvenKernel": ("padding of even kernels", "An even kernel extent."),
    "RectangularKernel": ("axes exchanged", "A kernel that is not square."),
    "Interleaved": ("group layout", "Channel c uses group c mod G."),
}  # fmt: skip
_OF_RECIPE = {
    "impulse-x": "Certificate", "impulse-dy": "Certificate", "integers": "ExactSums",
    "split": "LongIntegers", "normal": "RealNumbers", "wide": "WideRange",
    "cancelling": "Cancellation", "ties": "Ties", "subnormal": "Subnormal", "large": "LargeSums",
    "nearest-x": "Nearest", "nearest-dy": "Nearest",
    "beyond": "Overflow", "specials": "SpecialValues",
}  # fmt: skip
_OF_PADDING = {"same": "GEO-7", "valid": "GEO-4", "int": "GEO-5", "explicit": "GEO-6"}
_BOUNDS = {"y": "NUM-2", "dx": "NUM-3", "dkernel": "NUM-4"}


def flags(vector: Vector) -> list[str]:
    """Give the flags of a vector."""
    case = vector.case
    if case is None:
        return ["Refusal"]
    where = case.geometry
    found = ["EmptyBatch"] if case.batch == 0 else [_OF_RECIPE.get(case.recipe, "Structured")]
    asked = {
        "ShortOptions": vector.form == "short",
        "Strided": max(where.stride) > 1,
        "Dilated": max(where.dilation) > 1,
        "Ragged": any(n % s for n, s in zip(case.size, where.stride, strict=True)),
        "EvenKernel": any(k % 2 == 0 for k in where.kernel_shape),
        "RectangularKernel": len(set(where.kernel_shape)) > 1,
        "Interleaved": where.group_layout == "interleaved",
    }
    return [*found, *(name for name, holds in asked.items() if holds)]


def comment(vector: Vector) -> str:
    """Say what a vector asks."""
    if vector.case is None:
        return f"{vector.function} must refuse: {vector.refused}"
    return f"{vector.function} of {call_of(vector.case)}"


def clauses(vector: Vector) -> list[str]:
    """Give the clauses that a vector decides."""
    if vector.case is None:
        return [refused_calls()[vector.refused].clause]
    return list(dict.fromkeys(_clauses(vector, vector.case)))


def _clauses(vector: Vector, case: OperatorCase) -> Iterator[str]:
    rules, where = OPERATOR.rules, case.geometry
    yield from ("GEO-1", rules.dtype[vector.function])
    if case.batch == 0:
        yield rules.empty
        return
    exact = OPERATOR.recipe_of(case).exact
    for result in results_of(vector.function):
        yield rules.value[result]
        yield from () if exact else (_BOUNDS[result],)
        yield from blamed(case, result)
    yield from ("GEO-2", "GEO-3", _OF_PADDING[padding_kind(where.padding)], "GEO-8", "GEO-9")
    if "Ragged" in flags(vector) or "EvenKernel" in flags(vector):
        yield "GEO-10"
    if vector.form == "short":
        yield "GEO-11"
    yield from ("GRP-1", "GRP-3" if where.group_layout == "interleaved" else "GRP-2")
    if exact:
        yield "NUM-8" if OPERATOR.recipe_of(case).rounds else "NUM-1"


def blamed(case: OperatorCase, result: str) -> tuple[str, str, str]:
    """Give the clause that a wrong element breaks: if got and due are finite; if infinity is due;
    otherwise.
    """  # noqa: D205
    rules, recipe = OPERATOR.rules, OPERATOR.recipe_of(case)
    if case.batch == 0:
        return (rules.empty,) * 3
    usual = rules.value[result] if recipe.exact else rules.bound[result][0]
    kinds = ((0.0, 1.0), (0.0, float("inf")), (float("nan"), 0.0))
    own = [recipe.rule(result, *one) if recipe.rule else "" for one in kinds]
    return (own[0] or usual, own[1] or usual, own[2] or usual)


def blamed_for_form(vector: Vector) -> dict[str, str]:
    """Give the clause that is broken by a wrong shape, a wrong dtype, and no results at all."""
    rules, function = OPERATOR.rules, vector.function
    if vector.case is None:
        refused = refused_calls()[vector.refused].clause
        return dict.fromkeys(("shape", "dtype", "answer"), refused)
    if vector.case.batch == 0:
        return dict.fromkeys(("shape", "dtype", "answer"), rules.empty)
    return {
        "shape": rules.shape,
        "dtype": rules.dtype[function],
        "answer": rules.raises[function],
    }
