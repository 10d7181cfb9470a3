"""Holds the gradients of a layer against the differences of its own forward pass.

It tells a wrong backward pass from one that is the derivative of a wrong forward pass, whatever
that computes: no model of either is needed.
"""

from collections.abc import Mapping

import numpy as np

from conformance.cases.case import Array, Floats
from conformance.diagnosis.answers import Question
from conformance.diagnosis.layers.asking import LayerAsking, SeenLayer

# Steps of the differences. The error of a central difference is of the square of its step; between
# two steps it falls by 16, so that where both agree to _AGREED no kink of ReLU was met.
_STEPS = (2.0**-16, 2.0**-18)
_AGREED = 2.0**-14
# What rounding makes of the sum, 2^-53 of some hundreds of terms, divided by the smaller step.
_ROUNDED = 2.0**-27


def derivatives(asking: LayerAsking, one: SeenLayer) -> dict[str, bool]:
    """Tell of each gradient whether it is the derivative of the layer's own forward pass.

    Parameters
    ----------
    asking : LayerAsking
        Who is asked.
    one : SeenLayer
        A case in float64.

    Returns
    -------
    dict of str to bool
        Without those that cannot be told: in other formats, or beside a kink.
    """
    if one.case.dtype != "float64":
        return {}
    rng = np.random.default_rng(20261128)
    y = one.got.get("y")
    loss = float(np.abs(y * one.values["dy"]).sum()) if isinstance(y, np.ndarray) else 0.0
    found = {}
    for name in one.due:
        operand = name[1:]
        gradient = one.got.get(name)
        if not name.startswith("d") or not isinstance(gradient, np.ndarray):
            continue
        direction = rng.standard_normal(one.values[operand].shape)
        slopes = [_difference(asking, one, operand, direction * step) / step for step in _STEPS]
        terms = gradient * direction
        apart, size = abs(slopes[0] - slopes[1]), float(np.abs(terms).sum()) + abs(slopes[1])
        if not np.isfinite(size) or apart > _AGREED * size:
            continue
        found[name] = abs(float(terms.sum()) - slopes[1]) <= 4 * apart + _ROUNDED * (size + loss)
    return found


def _difference(asking: LayerAsking, one: SeenLayer, operand: str, change: Floats) -> float:
    """Half the change of the sum over dy * y where an operand is moved both ways."""
    there, back = (_loss(asking, one, {operand: one.values[operand] + s * change}) for s in (1, -1))
    return (there - back) / 2


def _loss(asking: LayerAsking, one: SeenLayer, moved: Mapping[str, Array]) -> float:
    values = {**one.values, **moved}
    got = Question(asking.judged, one.case).ask(values, ("forward",)).get("y")
    return float((got * values["dy"]).sum()) if isinstance(got, np.ndarray) else np.nan
