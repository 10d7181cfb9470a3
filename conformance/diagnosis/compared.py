"""Holds an answer against what is due or foretold: by value, and of large results some entries.

Nothing is asked here, and no bound is known but that of a few roundings where a model divides.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.claims.formats import FORMATS
from conformance.diagnosis.conditions import ALWAYS
from conformance.diagnosis.model import RIGHT, TARGETS, Model, holds, sampled

# Of results of more products some entries are compared with what is foretold, so many reach them.
WHOLE = 1 << 14


def off_places(got: Any, due: Array) -> list[Array]:
    """Give along each axis the indices of entries that are not the due ones."""
    if not isinstance(got, np.ndarray) or got.shape != due.shape:
        return []
    off, axes = got.astype(np.float64) != due, range(due.ndim)
    return [np.flatnonzero(off.any(tuple(one for one in axes if one != axis))) for axis in axes]


def same(got: Any, due: Array, size: Callable[[], Array] | None = None) -> bool:
    """Compare a result with what is foretold: by value, but for roundings where it divides.

    `size` gives the sums of the magnitudes.
    """
    if not isinstance(got, np.ndarray) or got.shape != due.shape:
        return False
    numbers = got.astype(np.float64)
    if np.array_equal(numbers, due):
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = due.astype(got.dtype)
        if np.array_equal(rounded, got):
            return True
        if size is None or not np.isfinite(numbers).all():
            return False
        unit = FORMATS[got.dtype.name].unit_roundoff if got.dtype.name in FORMATS else 0.0
        return bool((np.abs(numbers - due) <= 8 * unit * size()).all())


def as_foretold(one: Any, model: Model, name: str) -> bool:
    """Compare a result with what a model says; of a large one some entries, wrong ones first."""
    part = model.parts.get(name, RIGHT)
    if part == RIGHT or not (part.when is ALWAYS or holds(part.when, one.row)):
        return not one.wrong[name]
    model, got = Model({name: replace(part, when=ALWAYS)}), one.got.get(name)
    divides = any(slot.over is not None for slot in part.slots)
    places, index = None, tuple[Array, ...]()
    if one.case.products > WHOLE and isinstance(got, np.ndarray):
        telling = one.places_off.get(name) or [np.zeros(0, np.int64)] * len(TARGETS[name][0])
        places, index = sampled(one.case, part, name, WHOLE, telling)

    def size() -> Array:
        magnitudes = {name: np.abs(array) for name, array in one.values.items()}
        return np.abs(model(one.case, magnitudes, (name,), places)[name])[index]

    due = model(one.case, one.values, (name,), places)[name]
    if not isinstance(got, np.ndarray) or got.shape != due.shape:
        return False
    if divides and one.wrong[name]:
        # Within roundings of what is due, what is due itself is no program of what is wrong.
        right = Model()(one.case, one.values, (name,), places)[name]
        if np.array_equal(right[index], due[index]):
            return False
    return same(got[index], due[index], size if divides else None)
