"""How much of its bound a right result uses: the largest share, and how many elements use what.

A few numbers for each result, so that they can be added up and travel with a record. Nothing is
judged here.
"""

from typing import NamedTuple

import numpy as np

from conformance.bounds.expected import Expected, Floats

# Shares are counted by their binary exponent: none of the bound, less than 2^-9 of it, and then up
# to a half and to all of it, each bin twice as wide as the one before.
_LEAST = -9
BINS = 2 - _LEAST
# The upper ends of the bins.
ENDS: tuple[float, ...] = (0.0, *(2.0**n for n in range(_LEAST, 1)))


class Headroom(NamedTuple):
    """What a right result, or several, use of their bounds.

    Attributes
    ----------
    worst : float
        Largest error as a fraction of its bound; 0 where equality was demanded and found.
    bins : tuple of int
        How many elements that have a bound use up to `ENDS` of it, and more than the end before;
        empty where none has one.
    """

    worst: float = 0.0
    bins: tuple[int, ...] = ()


def shares(got: Floats, expected: Expected) -> Floats:
    """Give the error of each element that has a bound, as a fraction of it."""
    value, allowed = expected
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(got - value)
    decided = np.isfinite(error) & np.isfinite(allowed) & (allowed > 0)
    found: Floats = error[decided] / allowed[decided]
    return found


def headroom(got: Floats, expected: Expected) -> Headroom:
    """Give what a result that is right uses of its bound."""
    if not expected.bound.any():
        return Headroom()
    found = shares(got, expected)
    if not found.size:
        return Headroom()
    # frexp gives m * 2^e with m from a half to 1; a share of 1 itself belongs below the last end.
    exponents = np.clip(np.frexp(found)[1], _LEAST, 0) - _LEAST + 1
    counted = np.bincount(np.where(found == 0, 0, exponents), minlength=BINS)
    return Headroom(float(found.max()), tuple(counted.tolist()))


def added(some: tuple[int, ...], others: tuple[int, ...]) -> tuple[int, ...]:
    """Add bins up; no bins are bins of nothing."""
    if not some or not others:
        return some or others
    return tuple(a + b for a, b in zip(some, others, strict=True))
