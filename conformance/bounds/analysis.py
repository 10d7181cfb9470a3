"""Running error analysis: how far two correct layers can be apart, value by value.

Each intermediate value travels with a bound on the distance of a correct computation from it, as
the specification derives ("Running error analysis of the layer"). This file holds the arithmetic;
`conformance.bounds.layer` walks through the layer with it. No result is judged here.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from conformance.bounds.expected import Floats
from conformance.claims.arithmetic import FLOAT64, Arithmetic, gamma
from conformance.claims.formats import Format


class Value(NamedTuple):
    """A value, how far a correct one can be from it, and the grid that exact ones lie on.

    `quantum` is a power of two of which every element without error is a multiple; 0 if none is
    known, infinity where all elements are zero.
    """

    value: Floats
    error: Floats
    quantum: float = 0.0

    @property
    def size(self) -> Floats:
        """Largest magnitude that a correct computation may find."""
        size: Floats = np.abs(self.value) + self.error
        return size


Bilinear = Callable[[Floats, Floats], Floats]


class Analysis:
    """What each step loses in a declared arithmetic.

    Parameters
    ----------
    arithmetic : Arithmetic
        The declared one.
    """

    def __init__(self, arithmetic: Arithmetic) -> None:
        self.arithmetic, self.bits = arithmetic, arithmetic.bits
        # The analysis' own values are float64 numbers, whose roundings are counted with the others.
        self.unit = arithmetic.unit + FLOAT64.unit
        self.tiny = arithmetic.accumulator.smallest_normal

    def given(self, array: npt.ArrayLike) -> Value:
        """Take an operand as it is; where subnormals are flushed, those may count as zero."""
        value = np.asarray(array).astype(np.float64)
        flushed = np.abs(value) < self.arithmetic.operand.smallest_normal
        flushed &= not self.arithmetic.gradual_underflow
        return Value(value, np.where(flushed, np.abs(value), 0.0), _quantum(value))

    def contract(self, product: Bilinear, a: Value, b: Value, n: int) -> Value:
        """Sum products of n terms each; `product` is linear in both and keeps signs."""
        value = product(a.value, b.value)
        carried = product(a.error, b.size) + product(np.abs(a.value), b.error)
        magnitude = product(a.size, b.size)
        quantum = _times(a.quantum, b.quantum)
        passed, factors = self.gamma(n + 1), self.arithmetic.factors
        lost = (passed + (1 + passed) * factors if factors else passed) * magnitude
        return self.rounded(value, carried, lost, magnitude, quantum, n)

    def rounded(
        self,
        value: Floats,
        carried: Floats,
        lost: Floats,
        magnitude: Floats,
        quantum: float,
        operations: int = 1,
    ) -> Value:
        """Put together what was carried over and what is lost, unless nothing can be."""
        if not magnitude.any():
            return Value(value, carried, np.inf)
        exact = (carried == 0) & ((magnitude <= 2.0**self.bits * quantum) | (magnitude == 0))
        underflow = 2 * operations * self.tiny
        return Value(value, carried + np.where(exact, 0.0, lost + underflow), quantum)

    def add(self, a: Value, b: Value) -> Value:
        """Add two values, broadcasting the second."""
        value = a.value + b.value
        carried = a.error + b.error
        size = np.abs(value) + carried
        quantum = min(a.quantum, b.quantum)
        magnitude = a.size + b.size
        return self.rounded(value, carried + 0 * value, self.unit * size, magnitude, quantum)

    def stored(self, a: Value) -> Value:
        """Round to the format of the operands, as a layer may do between its steps."""
        return self._into(self.arithmetic.operand, a)

    def delivered(self, a: Value) -> Value:
        """Round to the format of the results, where it is narrower than that of the operands."""
        narrower = self.arithmetic.result.bits < self.arithmetic.operand.bits
        return self._into(self.arithmetic.result, a) if narrower else a

    def _into(self, format_: Format, a: Value) -> Value:
        if format_.bits >= self.arithmetic.accumulator.bits:
            return a
        either = 1 if self.arithmetic.nearest else 2
        lost = either * format_.unit_roundoff * a.size + format_.smallest_normal
        exact = (a.error == 0) & ((a.size <= 2.0**self.bits * a.quantum) | (a.size == 0))
        return a._replace(error=a.error + np.where(exact, 0.0, lost))

    def gamma(self, n: float) -> float:
        """gamma_n; infinite from n = 1 / u on."""
        return float(gamma(n, self.unit))


def total(a: Floats) -> Floats:
    """Sum over the pixels of the batch."""
    summed: Floats = a.sum(axis=(0, 1, 2))
    return summed


def _quantum(value: Floats) -> float:
    """Largest of a few powers of two of which all elements are multiples."""
    if not value.any():
        return np.inf
    for power in (3, 0, -4, -8):
        scaled = value * 2.0**-power
        if np.array_equal(scaled, np.round(scaled)):
            return 2.0**power
    return 0.0


def _times(one: float, other: float) -> float:
    return 0.0 if 0.0 in (one, other) else one * other
