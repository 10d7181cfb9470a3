"""What is due for a vector: the truth, and the bound of each arithmetic that is stored.

The arithmetics are those that are usual; whoever declares another one is judged live. Nothing is
written or compared here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from conformance.bounds.expected import Array, Expected, Floats
from conformance.bounds.operator import Truth, truths
from conformance.cases.operator import OperatorCase
from conformance.claims.arithmetic import Arithmetic
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from conformance.kinds import OPERATOR

# Accumulator and multiplier, for operands of each format; what is undeclared comes first.
_USUAL: Mapping[str, tuple[tuple[str, str | None], ...]] = {
    "float16": (("float32", None), ("float16", None), ("float64", None)),
    "bfloat16": (("float32", None), ("bfloat16", None), ("float64", None)),
    "float32": (
        ("float32", None), ("float64", None), ("float32", "tfloat32"), ("float32", "bfloat16"),
    ),
    "float64": (("float64", None), ("double-double", None)),
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """An arithmetic whose bounds are stored.

    Attributes
    ----------
    dtype : str
        Format of the operands and of the results.
    accumulator : str
        Format of partial sums.
    multiplier : str or None
        What operands are rounded to before they are multiplied.
    kept : bool
        Subnormal numbers are kept; else they may be flushed to zero.
    """

    dtype: str
    accumulator: str
    multiplier: str | None
    kept: bool

    @property
    def name(self) -> str:
        """In the names of tensors, and on the command line of the C program."""
        through = f"-from-{self.multiplier}" if self.multiplier else ""
        return f"{self.accumulator}{through}{'-kept' if self.kept else ''}"

    @property
    def claims(self) -> Capabilities:
        """What somebody declares who computes like this."""
        return Capabilities(
            dtypes=(self.dtype,),
            accumulator={self.dtype: self.accumulator},
            multiplier={self.dtype: self.multiplier} if self.multiplier else None,
            gradual_underflow=self.kept,
        )


STORED: Mapping[str, tuple[Stored, ...]] = {
    dtype: tuple(Stored(dtype, *pair, kept) for pair in usual for kept in (False, True))
    for dtype, usual in _USUAL.items()
}


def stored_for(claimed: Capabilities, dtype: str) -> Stored:
    """Give the stored arithmetic that is declared for operands of a format.

    Raises
    ------
    ValueError
        Its bounds are not stored.
    """
    wanted = claimed.arithmetic(dtype)
    for one in STORED[dtype]:
        if one.claims.arithmetic(dtype) == wanted:
            return one
    known = ", ".join(one.name for one in STORED[dtype])
    raise ValueError(
        f"capabilities declare an arithmetic for {dtype} whose bounds the vectors have not "
        f"(they have {known}, with results of the same format); judge it live instead"
    )


def operands(case: OperatorCase) -> dict[str, Array]:
    """Make the operands of a case: sums of exact recipes fit the usual arithmetic of its format."""
    return OPERATOR.values(case, OPERATOR.bits(case, Capabilities()))


class Due:
    """What is due for one case, in whichever arithmetic.

    Parameters
    ----------
    case : OperatorCase
        The call.
    values : mapping
        Its operands.

    Attributes
    ----------
    operands : dict
        The same.
    """

    def __init__(self, case: OperatorCase, values: Mapping[str, Array]) -> None:
        self.case = case
        options, format_ = case.geometry.options, FORMATS[case.dtype]
        self._exact = truths(values, options, format_, exact=True)
        self._rounded: Mapping[str, Truth] = {}
        # Where a NaN or an infinity is, no magnitude is needed: it is due itself.
        finite = {name: np.where(np.isfinite(a), a, 0) for name, a in values.items()}
        self._largest = 0.0
        if OPERATOR.recipe_of(case).exact:
            sums = truths(finite, options, format_, exact=False)
            sizes = [one.sums.magnitude for one in sums.values() if one.sums is not None]
            self._largest = max((float(one.max(initial=0.0)) for one in sizes), default=0.0)
        self.operands, self._options, self._format = dict(values), options, format_

    @property
    def values(self) -> dict[str, Floats]:
        """The exact sums, rounded once to float64; or to the format, where that is due (NUM-8)."""
        return {name: self._due(one) for name, one in self._exact.items()}

    def _due(self, truth: Truth) -> Floats:
        if not OPERATOR.recipe_of(self.case).rounds:
            return truth.value
        rounded: Floats = truth.value.astype(self._format.dtype).astype(np.float64)
        return rounded

    def within(self, arithmetic: Stored) -> dict[str, Expected]:
        """Give truth and bound of each result: equality where NUM-1 demands it."""
        declared = arithmetic.claims.arithmetic(self.case.dtype)
        if OPERATOR.recipe_of(self.case).rounds:
            return {name: self._nearest(name, declared) for name in self._exact}
        if OPERATOR.recipe_of(self.case).exact and self._largest <= 2.0**declared.bits:
            return {name: one.within(declared) for name, one in self._exact.items()}
        return {name: one.within(declared) for name, one in self._inexact.items()}

    @property
    def _inexact(self) -> Mapping[str, Truth]:
        if not self._rounded:
            self._rounded = truths(self.operands, self._options, self._format, exact=False)
        return self._rounded

    def _nearest(self, name: str, declared: Arithmetic) -> Expected:
        """Demand the rounded value; of an arithmetic of which that is not due, the bound."""
        value = self._due(self._exact[name])
        if declared.rounds_once:
            return Expected(value, np.zeros_like(value))
        plain = self._inexact[name].within(declared)
        return Expected(value, plain.bound + np.abs(value - plain.value))

    def bounds(self, result: str) -> Iterator[tuple[str, Floats]]:
        """Give the bound of a result in each arithmetic, by its name."""
        for one in STORED[self.case.dtype]:
            yield one.name, self.within(one)[result].bound


def results_of(function: str) -> tuple[str, ...]:
    """Name the results of a function."""
    return ("dx", "dkernel") if function == "backward" else ("y",)
