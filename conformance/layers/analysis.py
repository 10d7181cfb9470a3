"""Running error analysis: how far two correct layers can be apart, value by value.

Each intermediate value travels with a bound on the distance of a correct computation from it, as
the specification derives ("Running error analysis of the layer"). This file holds the arithmetic;
`conformance.layers.bounds` walks through the layer with it. No result is judged here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from conformance.formats import FORMATS, Format

Floats = npt.NDArray[np.float64]
_FLOAT64 = FORMATS["float64"].unit_roundoff


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


@dataclass(frozen=True)
class Machine:
    """A declared arithmetic, and what each step loses in it.

    Attributes
    ----------
    operand : Format
        Of the operands; intermediate values may be stored in it.
    accumulator : Format
        Sums are no worse than in this one.
    multiplier : Format or None
        To which factors are rounded first, if to any.
    gradual_underflow : bool
        Subnormal numbers are kept.
    """

    operand: Format
    accumulator: Format
    multiplier: Format | None = None
    gradual_underflow: bool = False

    @property
    def bits(self) -> int:
        """Significand bits in which sums are exact (NUM-1)."""
        formats = (self.operand, self.accumulator, self.multiplier)
        return min(format_.bits for format_ in formats if format_ is not None)

    @property
    def unit(self) -> float:
        """Unit roundoff u of the accumulator, that of the analysis itself included."""
        # Behind a multiplier sums may be truncated: the design of bounds.py.
        faithful = 1 if self.multiplier is None else 2
        return faithful * self.accumulator.unit_roundoff + _FLOAT64

    def given(self, array: npt.ArrayLike) -> Value:
        """Take an operand as it is; where subnormals are flushed, those may count as zero."""
        value = np.asarray(array).astype(np.float64)
        flushed = (np.abs(value) < self.operand.smallest_normal) & (not self.gradual_underflow)
        return Value(value, np.where(flushed, np.abs(value), 0.0), _quantum(value))

    def contract(self, product: Bilinear, a: Value, b: Value, n: int) -> Value:
        """Sum products of n terms each; `product` is linear in both and keeps signs."""
        value = product(a.value, b.value)
        carried = product(a.error, b.size) + product(np.abs(a.value), b.error)
        magnitude = product(a.size, b.size)
        quantum = _times(a.quantum, b.quantum)
        lost = self.gamma(n + 1) * magnitude
        if self.multiplier is not None:
            each = 2 * self.multiplier.unit_roundoff
            lost = lost + (1 + self.gamma(n + 1)) * (2 * each + each**2) * magnitude
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
        underflow = 2 * operations * self.accumulator.smallest_normal
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
        if self.operand.bits >= self.accumulator.bits:
            return a
        lost = self.operand.unit_roundoff * a.size + self.operand.smallest_normal
        exact = (a.error == 0) & ((a.size <= 2.0**self.bits * a.quantum) | (a.size == 0))
        return a._replace(error=a.error + np.where(exact, 0.0, lost))

    def gamma(self, n: float) -> float:
        """gamma_n; infinite from n = 1 / u on."""
        return n * self.unit / (1 - n * self.unit) if n * self.unit < 1 else np.inf


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
