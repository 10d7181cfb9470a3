"""How far a result may be from the truth: the bounds that the specification derives (chapter NUM).

The truth comes from the oracle, and so does the magnitude: the same operator on absolute values.
No number in this file was chosen because tests passed with it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.formats import FORMATS, Format
from conformance.implementation import Array
from refimpl import involution

Floats = npt.NDArray[np.float64]

_FLOAT64 = FORMATS["float64"].unit_roundoff
# The bound is itself evaluated in float64, with fewer than 2^12 roundings of 2^-53 each.
_EVALUATION = 1 + 2.0**-40


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic in which an implementation is held to the bound."""

    operand: Format
    accumulator: Format
    result: Format
    gradual_underflow: bool


@dataclass(frozen=True)
class Truth:
    """What one result should be, and what its bound is made of, element by element.

    Attributes
    ----------
    value : ndarray
        The oracle's result.
    terms : ndarray
        Number n of products that are summed.
    magnitude : ndarray
        Sum of the absolute values of the products.
    lost : ndarray
        The part of the magnitude whose products have a subnormal factor.
    specified : ndarray of bool
        False where the specification leaves the result open.
    """

    value: Floats
    terms: Floats
    magnitude: Floats
    lost: Floats
    specified: npt.NDArray[np.bool_]


def truths(
    operands: dict[str, Array], options: dict[str, Any], format_: Format
) -> dict[str, Truth]:
    """Compute the truth of y, dx and dkernel for one case."""
    size = {name: np.abs(array) for name, array in operands.items()}
    one = {name: np.ones_like(array) for name, array in operands.items()}
    value, terms, magnitude = (_all(which, options) for which in (operands, one, size))
    lost = _lost(size, options, format_.smallest_normal)
    specified = {name: np.ones(array.shape, bool) for name, array in value.items()}
    # Whether a padded tap is skipped or multiplied by zero shows where dy is not finite.
    finite = np.asarray(np.isfinite(operands["dy"]).all(-1, keepdims=True))
    specified["dkernel"] = (terms["dkernel"] > 0) | finite[..., None, None]
    return {
        name: Truth(value[name], terms[name], magnitude[name], lost[name], specified[name])
        for name in value
    }


def _all(operands: dict[str, Array], options: dict[str, Any]) -> dict[str, Floats]:
    x, kernel, dy = operands["x"], operands["kernel"], operands["dy"]
    dx, dkernel = involution.backward(dy, x, kernel, **options)
    return {"y": involution.forward(x, kernel, **options), "dx": dx, "dkernel": dkernel}


def _lost(size: dict[str, Array], options: dict[str, Any], tiny: float) -> dict[str, Floats]:
    """Magnitude of the products with a subnormal factor: small * other + other * small."""
    small = {
        name: np.where(array < tiny, array, 0).astype(array.dtype) for name, array in size.items()
    }
    if not any(array.any() for array in small.values()):
        shapes = {"y": size["dy"].shape, "dx": size["x"].shape, "dkernel": size["kernel"].shape}
        return {name: np.zeros(shape) for name, shape in shapes.items()}
    x, kernel, dy = size["x"], size["kernel"], size["dy"]
    dx, dkernel = involution.backward(small["dy"], x, kernel, **options)
    more_dx, more_dkernel = involution.backward(dy, small["x"], small["kernel"], **options)
    y = involution.forward(small["x"], kernel, **options)
    more_y = involution.forward(x, small["kernel"], **options)
    return {"y": y + more_y, "dx": dx + more_dx, "dkernel": dkernel + more_dkernel}


def bound(truth: Truth, arithmetic: Arithmetic) -> Floats:
    """Largest error that NUM-2 to NUM-4 allow, element by element; infinite where unspecified."""
    n, magnitude = truth.terms, truth.magnitude
    accumulator, result = arithmetic.accumulator, arithmetic.result
    gamma = _gamma(n, accumulator.unit_roundoff)
    with np.errstate(over="ignore", invalid="ignore"):
        if arithmetic.gradual_underflow:
            underflow = n * accumulator.smallest_subnormal / 2
        else:
            underflow = 2 * n * accumulator.smallest_normal + truth.lost
        error = gamma * magnitude + (1 + gamma) * underflow
        if accumulator != result:
            tiny = _result_underflow(np.abs(truth.value) - error, arithmetic)
            error = error + result.unit_roundoff * (np.abs(truth.value) + error) + (n > 0) * tiny
        error = (error + _oracle_error(truth, arithmetic.operand)) * _EVALUATION
    overflows = np.isfinite(truth.value) & (magnitude >= accumulator.largest)
    return np.where(overflows | ~truth.specified, np.inf, error)


def _gamma(n: Floats, unit_roundoff: float) -> Floats:
    return n * unit_roundoff / (1 - n * unit_roundoff)


def _result_underflow(smallest: Floats, arithmetic: Arithmetic) -> Floats:
    """Loss of the last rounding where the sum, at least `smallest` in size, may underflow."""
    result = arithmetic.result
    if arithmetic.gradual_underflow:
        return np.full_like(smallest, result.smallest_subnormal / 2)
    return np.where(smallest < result.smallest_normal, result.smallest_normal, 0.0)


def _oracle_error(truth: Truth, operand: Format) -> Floats:
    """Error of the oracle itself (NUM-5)."""
    gamma = _gamma(truth.terms, _FLOAT64)
    if operand.name != "float64":
        return gamma * truth.magnitude
    underflow = truth.terms * FORMATS["float64"].smallest_subnormal
    return _FLOAT64 * np.abs(truth.value) + gamma**2 * truth.magnitude + underflow
