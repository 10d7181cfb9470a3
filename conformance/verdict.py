"""The verdict on one result: equality where the sums are exact, the derived bound elsewhere."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conformance.bounds import Arithmetic, Truth, bound
from conformance.formats import Format
from conformance.implementation import Array

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """What is wrong with a result, and where first.

    Attributes
    ----------
    result : str
        "y", "dx" or "dkernel".
    index : tuple of int
        First wrong element, in C order.
    got, expected, bound : float
        There; a bound of zero demands equality.
    wrong : ndarray of bool
        Every wrong element.
    """

    result: str
    index: tuple[int, ...]
    got: float
    expected: float
    bound: float
    wrong: npt.NDArray[np.bool_]


def examine(
    name: str, got: Array, truth: Truth, arithmetic: Arithmetic
) -> tuple[float, Finding | None]:
    """Compare a result of the due shape and dtype with the truth.

    Parameters
    ----------
    name : str
        "y", "dx" or "dkernel".
    got : ndarray
        The implementation's result.
    truth : Truth
        The oracle's result and what its bound is made of, if equality is not demanded.
    arithmetic : Arithmetic
        Decides the bound.

    Returns
    -------
    worst : float
        Largest error as a fraction of its bound; 0 where equality was demanded and found.
    finding : Finding or None
        None if nothing is wrong.
    """
    return compare(name, got, truth.value, bound(truth, arithmetic), arithmetic.result)


def compare(
    name: str, got: Array, expected: Floats, allowed: Floats, result: Format
) -> tuple[float, Finding | None]:
    """Compare a result with what is expected, as `examine` does, its bound being given."""
    values = got.astype(np.float64)
    wrong = ~_agrees(values, expected, allowed, result.overflow)
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
        got_there, due, limit = (float(array[index]) for array in (values, expected, allowed))
        return np.inf, Finding(name, index, got_there, due, limit, wrong)
    return _worst(values, expected, allowed), None


def _agrees(
    got: Floats, expected: Floats, allowed: Floats, overflow: float
) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore", over="ignore"):
        close = np.abs(got - expected) <= allowed
        # Short of what rounds to infinity by no more than the bound: infinity is right.
        rounds_up = np.abs(expected) + allowed >= overflow
        infinite = np.isinf(got) & rounds_up & (np.sign(got) == np.sign(expected))
    both_nan = np.isnan(got) & np.isnan(expected)
    same = (got == expected) | both_nan
    finite = np.isfinite(expected) & (close | infinite)
    agrees: npt.NDArray[np.bool_] = same | finite | np.isposinf(allowed)
    return agrees


def _worst(got: Floats, expected: Floats, allowed: Floats) -> float:
    with np.errstate(invalid="ignore"):
        error = np.abs(got - expected)
    decided = np.isfinite(error) & np.isfinite(allowed) & (allowed > 0)
    return float(np.max(error[decided] / allowed[decided], initial=0.0))
