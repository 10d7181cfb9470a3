"""The number formats of the specification (chapter NUM), as plain numbers.

No array is touched here. A format is what rounding to it does: its unit roundoff, where it
underflows and where it overflows. Every fact about a format stands in one table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Attributes
    ----------
    name : str
        NumPy's name of the dtype, or "double-double" for an accumulator.
    bits : int
        Significand bits p, the hidden one included.
    smallest_exponent, largest_exponent : int
        Exponents of the smallest normal number and of the binade of the largest one.
    careful : str
        Format in which a careful implementation sums operands of this one; empty for a format that
        operands do not have.
    multipliers : tuple of str
        Formats that operands may be declared to be rounded to before they are multiplied: tensor
        cores and matrix units do so. As wide in range as the operands, so that nothing overflows.
    """

    name: str
    bits: int
    smallest_exponent: int
    largest_exponent: int
    careful: str = ""
    multipliers: tuple[str, ...] = ()

    @property
    def unit_roundoff(self) -> float:
        """Largest relative error of one rounding to nearest, 2^-p."""
        return 2.0**-self.bits

    @property
    def smallest_normal(self) -> float:
        """Below this a format loses bits, or everything where it flushes to zero."""
        return 2.0**self.smallest_exponent

    @property
    def smallest_subnormal(self) -> float:
        """Spacing of the numbers below the smallest normal one."""
        # float64's is the smallest positive float; a double-double's would be below it.
        return max(2.0 ** (self.smallest_exponent - self.bits + 1), 5e-324)

    @property
    def largest(self) -> float:
        """Largest finite number."""
        return (2.0 - 2.0 ** (1 - min(self.bits, 53))) * 2.0**self.largest_exponent

    @property
    def overflow(self) -> float:
        """Smallest number that rounds to infinity; infinity itself for float64, as sums are."""
        return self.largest + 2.0 ** (self.largest_exponent - self.bits)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype, or that of ml_dtypes where NumPy has none."""
        return np.dtype(getattr(ml_dtypes, self.name, self.name))

    def holds(self, other: "Format") -> bool:
        """Tell whether every number of the other format is one of this."""
        return (
            other.bits <= self.bits
            and other.smallest_exponent >= self.smallest_exponent
            and other.largest_exponent <= self.largest_exponent
        )


_TABLE: Mapping[str, Format] = {
    format_.name: format_
    for format_ in (
        Format("float16", 11, -14, 15, careful="float32"),
        Format("bfloat16", 8, -126, 127, careful="float32"),
        Format("float32", 24, -126, 127, careful="float32", multipliers=("tfloat32", "bfloat16")),
        Format("float64", 53, -1022, 1023, careful="float64"),
        # What tensor cores round float32 to.
        Format("tfloat32", 11, -126, 127),
        # A float64 pair; what it gains over float64 is precision, not range.
        Format("double-double", 104, -1022, 1023),
    )
}

# The formats of operands, which are those under test.
FORMATS: Mapping[str, Format] = {n: format_ for n, format_ in _TABLE.items() if format_.careful}

# What may be declared as an accumulator.
ACCUMULATORS: Mapping[str, Format] = {**FORMATS, "double-double": _TABLE["double-double"]}

# What may be declared as a multiplier, for operands of each format.
MULTIPLIERS: Mapping[str, Mapping[str, Format]] = {
    name: {multiplier: _TABLE[multiplier] for multiplier in format_.multipliers}
    for name, format_ in FORMATS.items()
    if format_.multipliers
}
