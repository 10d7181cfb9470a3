"""The arithmetic that an implementation declares, and what each of its steps may lose.

Both derivations of the specification rest on it: the bounds of the operator (chapter NUM) and the
running error analysis of the layer (chapter LAY). No operand is seen here, and no number in this
file was chosen because tests passed with it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.claims.formats import FORMATS, Format

# The bounds are themselves evaluated in float64, with fewer than 2^12 roundings of 2^-53 each.
EVALUATION = 1 + 2.0**-40


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic in which an implementation is held to its bounds.

    Attributes
    ----------
    operand : Format
        Of the operands; a layer may store intermediate values in it.
    accumulator : Format
        Sums are no worse than in this one.
    result : Format
        Of the results.
    gradual_underflow : bool
        Subnormal numbers are kept, not flushed to zero.
    multiplier : Format or None
        What operands are rounded to before they are multiplied, if to anything.
    nearest : bool
        Every rounding is to nearest; else to either neighbour.
    """

    operand: Format
    accumulator: Format
    result: Format
    gradual_underflow: bool = False
    multiplier: Format | None = None
    nearest: bool = True

    @property
    def rounds_once(self) -> bool:
        """Whether one rounding to nearest is due of a sum that the accumulator holds (NUM-8)."""
        narrower = self.accumulator.bits < self.result.bits
        return self.nearest and self.multiplier is None and not narrower

    @property
    def bits(self) -> int:
        """Significand bits p in which sums must fit to be exact (NUM-1)."""
        formats = (self.operand, self.accumulator, self.result, self.multiplier)
        return min(format_.bits for format_ in formats if format_ is not None)

    @property
    def faithful(self) -> int:
        """2 where the roundings of sums may be to either neighbour; else 1.

        Behind a multiplier, since tensor cores truncate, and where that is declared.
        """
        return 1 if self.multiplier is None and self.nearest else 2

    @property
    def last(self) -> float:
        """What the rounding to the result's format may be off by, relative to its result."""
        return (1 if self.nearest else 2) * self.result.unit_roundoff

    @property
    def unit(self) -> float:
        """What one rounding of a sum may be off by, relative to its result."""
        return self.faithful * self.accumulator.unit_roundoff

    @property
    def factors(self) -> float:
        """Relative error theta of a product through the rounding of its two factors."""
        if self.multiplier is None:
            return 0.0
        each = 2 * self.multiplier.unit_roundoff
        return 2 * each + each**2

    def underflow(self, operations: Any) -> Any:
        """What products and additions lose below the smallest normal number."""
        if self.gradual_underflow:
            return self.faithful * operations * self.accumulator.smallest_subnormal / 2
        return 2 * operations * self.accumulator.smallest_normal

    @property
    def loses_subnormal_factors(self) -> bool:
        """Whether a product may count as zero because a factor is subnormal."""
        return not self.gradual_underflow or self.multiplier is not None


# The arithmetic of the reference layer, and of the analysis itself.
FLOAT64 = Arithmetic(
    FORMATS["float64"], FORMATS["float64"], FORMATS["float64"], gradual_underflow=True
)


def gamma(n: Any, unit: float) -> Any:
    """gamma_n = n u / (1 - n u); infinite from n = 1 / u on, where nothing is known of a sum."""
    known = n * unit < 1
    return np.where(known, n * unit / np.where(known, 1 - n * unit, 1), np.inf)
