"""How far a result of the operator may be from the truth (chapter NUM).

The truth comes from the oracle, and so does the magnitude: the same operator on absolute values.
Both are exact sums, rounded once to float64 (NUM-5).
No number in this file was chosen because tests passed with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.bounds.expected import Expected, Floats
from conformance.claims.arithmetic import EVALUATION, FLOAT64, Arithmetic, gamma
from conformance.claims.formats import FORMATS, Format
from refimpl import involution

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sums:
    """What the bound of a result is made of, element by element.

    Attributes
    ----------
    terms : ndarray
        Number n of products that are summed, of length 1 along axes on which it does not depend.
    magnitude : ndarray
        Sum of the absolute values of the products.
    lost : ndarray
        The part of the magnitude whose products have a subnormal factor; one zero for them all
        where no factor is subnormal.
    parts : ndarray or None
        Of a sum of two parts, each of which may be rounded to the result's format before they are
        added, their absolute values added up.
    """

    terms: Floats
    magnitude: Floats
    lost: Floats
    parts: Floats | None = None


@dataclass(frozen=True)
class Truth:
    """What one result should be.

    Attributes
    ----------
    value : ndarray
        The oracle's result.
    specified : ndarray of bool
        False where the specification leaves the result open.
    sums : Sums or None
        None where every sum is exact, so that equality is demanded (NUM-1).
    """

    value: Floats
    specified: npt.NDArray[np.bool_]
    sums: Sums | None

    def rounded(self, arithmetic: Arithmetic) -> "Truth":
        """Round it once to the result's format, where that is due (NUM-8); else it is open."""
        if not arithmetic.rounds_once:
            return replace(self, specified=np.zeros_like(self.specified))
        value = self.value.astype(arithmetic.result.dtype).astype(np.float64)
        return replace(self, value=value)

    def within(self, arithmetic: Arithmetic) -> Expected:
        """Give what is expected of an implementation that computes like this."""
        return Expected(self.value, bound(self, arithmetic))


def truths(
    operands: Mapping[str, Array], options: dict[str, Any], format_: Format, *, exact: bool
) -> dict[str, Truth]:
    """Compute the truth of y, dx and dkernel for one case.

    Parameters
    ----------
    operands : dict
        x, kernel and dy.
    options : dict
        Keyword arguments of the call.
    format_ : Format
        Of the operands.
    exact : bool
        The operands were made so that every sum is exact (NUM-1).
    """
    value = _all(operands, options)
    specified = {name: np.ones(array.shape, bool) for name, array in value.items()}
    # Whether a padded tap is skipped or multiplied by zero shows where dy is not finite.
    finite = np.asarray(np.isfinite(operands["dy"]).all(-1, keepdims=True))
    if not finite.all():
        read = (_terms(operands, options)["dkernel"] > 0) | finite[..., None, None]
        specified["dkernel"] = np.broadcast_to(read, value["dkernel"].shape)
    if exact:
        return {name: Truth(value[name], specified[name], None) for name in value}
    size = {name: np.abs(array) for name, array in operands.items()}
    terms, magnitude = _terms(operands, options), _all(size, options)
    lost = _lost(size, options, format_.smallest_normal)
    sums = {name: Sums(terms[name], magnitude[name], lost[name]) for name in value}
    return {name: Truth(value[name], specified[name], sums[name]) for name in value}


def second(
    operands: Mapping[str, Array], options: dict[str, Any], format_: Format, *, exact: bool
) -> dict[str, Truth]:
    """Compute the truth of ty, ddy, d2x and d2kernel (GRD-7, GRD-8), as `truths` does.

    Each is one of the three sums with other operands, or two of them added.
    """
    x, kernel, dy, tx, tkernel, ddx, ddkernel = (
        operands[name] for name in ("x", "kernel", "dy", "tx", "tkernel", "ddx", "ddkernel")
    )

    def of(image: Array, weights: Array) -> dict[str, Truth]:
        given = {"x": image, "kernel": weights, "dy": dy}
        return truths(given, options, format_, exact=exact)

    back = of(ddx, ddkernel)
    # What flows back to dy is what forward mode gives for other tangents (GRD-7, GRD-8).
    ty, ddy = (
        involution.jvp(x, kernel, *tangents, **options)
        for tangents in ((tx, tkernel), (ddx, ddkernel))
    )
    gradients = {"d2x": back["dx"], "d2kernel": back["dkernel"]}
    if exact:
        added = {"ty": ty, "ddy": ddy}
        whole = {name: np.ones(value.shape, bool) for name, value in added.items()}
        return {n: Truth(value, whole[n], None) for n, value in added.items()} | gradients
    return {
        "ty": _added(ty, of(tx, kernel)["y"], of(x, tkernel)["y"]),
        "ddy": _added(ddy, of(ddx, kernel)["y"], of(x, ddkernel)["y"]),
        **gradients,
    }


def _added(value: Floats, one: Truth, other: Truth) -> Truth:
    """Give the truth of two sums added, whose exact value is given."""
    specified = one.specified & other.specified
    assert one.sums is not None
    assert other.sums is not None
    sums = Sums(
        one.sums.terms + other.sums.terms,
        one.sums.magnitude + other.sums.magnitude,
        one.sums.lost + other.sums.lost,
        np.abs(one.value) + np.abs(other.value),
    )
    return Truth(value, specified, sums)


# Elements of the kernel above which samples are taken apart.
_PART = 2**22


def samples(operands: Mapping[str, Array]) -> Iterator[Mapping[str, Array]]:
    """Give the operands whole, or some samples at a time where they are large."""
    batch, size = len(operands["kernel"]), operands["kernel"].size
    step = max(1, batch * _PART // max(1, size))
    for first in range(0, max(1, batch), step):
        yield {name: array[first : first + step] for name, array in operands.items()}


def joined(parts: Sequence[Mapping[str, Expected]]) -> dict[str, Expected]:
    """Put together what is expected of some samples each."""
    if len(parts) == 1:
        return dict(parts[0])
    found = {}
    for name in parts[0]:
        each = [part[name] for part in parts]
        values, bounds = (np.concatenate(some) for some in zip(*each, strict=True))
        found[name] = Expected(values, bounds)
    return found


def _all(operands: Mapping[str, Array], options: dict[str, Any]) -> dict[str, Floats]:
    x, kernel, dy = operands["x"], operands["kernel"], operands["dy"]
    dx, dkernel = involution.backward(dy, x, kernel, **options)
    return {"y": involution.forward(x, kernel, **options), "dx": dx, "dkernel": dkernel}


def _terms(operands: Mapping[str, Array], options: dict[str, Any]) -> dict[str, Floats]:
    """Count the products of each sum: the sums themselves where every operand is one.

    Sums of y and dx are over taps, those of dkernel over the channels of a group as well; so what
    one sample of one channel has is what all have.
    """
    ones = {name: np.ones_like(array[:1, ..., :1]) for name, array in operands.items()}
    channels, groups = operands["x"].shape[-1], operands["kernel"].shape[-1]
    of_one = _all(ones, options)
    return of_one | {"dkernel": of_one["dkernel"] * (channels // groups)}


def _lost(size: dict[str, Array], options: dict[str, Any], tiny: float) -> dict[str, Floats]:
    """Magnitude of the products with a subnormal factor: small * other + other * small."""
    small = {
        name: np.where(array < tiny, array, 0).astype(array.dtype) for name, array in size.items()
    }
    if not any(array.any() for array in small.values()):
        return dict.fromkeys(("y", "dx", "dkernel"), np.zeros(()))
    x, kernel, dy = size["x"], size["kernel"], size["dy"]
    dx, dkernel = involution.backward(small["dy"], x, kernel, **options)
    more_dx, more_dkernel = involution.backward(dy, small["x"], small["kernel"], **options)
    y = involution.forward(small["x"], kernel, **options)
    more_y = involution.forward(x, small["kernel"], **options)
    return {"y": y + more_y, "dx": dx + more_dx, "dkernel": dkernel + more_dkernel}


def bound(truth: Truth, arithmetic: Arithmetic) -> Floats:
    """Largest error allowed, element by element (NUM-1 to NUM-4).

    Zero where equality is demanded, infinite where the result is unspecified.
    """
    if truth.sums is None:
        return np.where(truth.specified, 0.0, np.inf)
    n, magnitude = truth.sums.terms, truth.sums.magnitude
    accumulator, result = arithmetic.accumulator, arithmetic.result
    with np.errstate(over="ignore", invalid="ignore"):
        error = _sum_error(truth.sums, arithmetic)
        # A partial sum may, its error included. What is just above the largest number rounds to it.
        overflows = magnitude + error >= accumulator.largest
        if accumulator != result:
            if truth.sums.parts is not None:
                # Two roundings and underflows more; the sum of the parts is what is rounded last.
                error = error + _last_rounding(truth.sums.parts + error, arithmetic)
                error = error + 2 * (n > 0) * _result_underflow(np.zeros_like(error), arithmetic)
            least = np.abs(truth.value) - error
            error = error + _last_rounding(np.abs(truth.value) + error, arithmetic)
            error = error + (n > 0) * _result_underflow(least, arithmetic)
        error = (error + _rounding(truth, arithmetic.operand)) * EVALUATION
    # Of too many terms, or where partial sums may overflow, nothing is known.
    unknown = np.isnan(error) | overflows
    return np.where((unknown & np.isfinite(truth.value)) | ~truth.specified, np.inf, error)


def _sum_error(sums: Sums, arithmetic: Arithmetic) -> Floats:
    """Error E of the sum before it is rounded to the result's format."""
    factors = arithmetic.factors
    # One rounding more than a plain sum has: a compensated one rounds its correction too.
    passed = gamma(sums.terms + (sums.terms > 1), arithmetic.unit)
    absolute = arithmetic.underflow(sums.terms) + _lost_operands(sums, arithmetic)
    error: Floats = (passed * (1 + factors) + factors) * sums.magnitude + (1 + passed) * absolute
    return error


def _lost_operands(sums: Sums, arithmetic: Arithmetic) -> Floats:
    """What is lost with subnormal operands, m0."""
    return sums.lost if arithmetic.loses_subnormal_factors else np.zeros_like(sums.lost)


def _last_rounding(size: Floats, arithmetic: Arithmetic) -> Floats:
    """Error of rounding a sum of at most that size to the result's format."""
    return arithmetic.last * size


def _result_underflow(smallest: Floats, arithmetic: Arithmetic) -> Floats:
    """Loss of the last rounding where the sum, at least `smallest` in size, may underflow."""
    result = arithmetic.result
    if arithmetic.gradual_underflow:
        return np.full_like(smallest, result.smallest_subnormal / (2 if arithmetic.nearest else 1))
    return np.where(smallest < result.smallest_normal, result.smallest_normal, 0.0)


def _rounding(truth: Truth, operand: Format) -> Floats:
    """How far the truth is from the exact sum: one rounding to float64 (NUM-5).

    A sum of products of narrower formats is never a subnormal float64.
    """
    error: Floats = FLOAT64.unit * np.abs(truth.value)
    if operand.name != "float64" or truth.sums is None:
        return error
    return error + (truth.sums.terms > 0) * FORMATS["float64"].smallest_subnormal
