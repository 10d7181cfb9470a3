"""What an implementation answers to a question, and in what two answers differ."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.formats import FORMATS
from conformance.implementation import Array, Implementation

Outcome = dict[str, Any]
Values = dict[str, Array]


@dataclass(frozen=True)
class Probe:
    """A question: `ask` puts it to an implementation.

    `behavioural` is one about what changes from call to call.
    """

    name: str
    ask: Callable[[Implementation], Outcome] = field(compare=False)
    behavioural: bool = False


def differing(one: Outcome, other: Outcome, *, roundings: int = 0) -> set[str]:
    """Name the aspects in which two outcomes differ: "y", "dx", "dkernel" or "behaviour".

    Numbers are compared by value: NaN is NaN, and zero has no sign. Up to so many roundings may
    separate them.
    """
    return {
        aspect(name)
        for name in one.keys() | other.keys()
        if not equal(one.get(name), other.get(name), roundings)
    }


def aspect(name: str) -> str:
    """Tell which aspect an entry of an outcome belongs to."""
    last = name.rpartition(" ")[2]
    return last if last in {"y", "dx", "dkernel"} else "behaviour"


def equal(one: Any, other: Any, roundings: int = 0) -> bool:
    """Compare two entries of outcomes."""
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return type(one) is type(other) and bool(one == other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.name not in FORMATS:
        return np.array_equal(one, other)
    numbers = one.astype(np.float64), other.astype(np.float64)
    if np.array_equal(*numbers, equal_nan=True) or not roundings:
        return np.array_equal(*numbers, equal_nan=True)
    unit = FORMATS[one.dtype.name].unit_roundoff
    with np.errstate(invalid="ignore"):
        near = np.abs(numbers[0] - numbers[1]) <= roundings * unit * np.abs(numbers[1])
    alike = (numbers[0] == numbers[1]) | (np.isnan(numbers[0]) & np.isnan(numbers[1]))
    return bool((near | alike).all())


def answer(implementation: Implementation, values: Values, options: Mapping[str, Any]) -> Outcome:
    """Call forward and backward on copies; an exception is an answer too."""
    own = {name: array.copy() for name, array in values.items()}
    got = raw(implementation, own, options)
    return {
        name: result.copy() if isinstance(result, np.ndarray) else result
        for name, result in got.items()
    }


def raw(implementation: Implementation, values: Values, options: Mapping[str, Any]) -> Outcome:
    """Call forward and backward on the very operands, and give the very results."""
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    outcome: Outcome = {"y": "raised", "dx": "raised", "dkernel": "raised"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):
            outcome["y"] = np.asarray(implementation.forward(x, kernel, **options))
        with contextlib.suppress(Exception):
            gradients = implementation.backward(dy, x, kernel, **options)
            outcome["dx"], outcome["dkernel"] = map(np.asarray, gradients)
    return outcome
