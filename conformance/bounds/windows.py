"""Sums over the pooling's windows, and back: what the analysis of the bounds needs of them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from conformance.bounds.expected import Floats
from refimpl.layer import Config


class Window(NamedTuple):
    """Windows along one axis: the window of each pixel, and how many there are."""

    of: npt.NDArray[np.int_]
    outputs: int


def windows(config: Config, shape: tuple[int, ...]) -> tuple[Window, Window]:
    """Give the windows along the height and the width of an image (LAY-3 to LAY-5)."""
    found = []
    for axis, size in enumerate(shape[1:3]):
        stride = 1 if config.pooling == "none" else config.strides[axis]
        outputs = size // stride if config.pooling == "valid" else -(-size // stride)
        before = 0 if config.pooling == "valid" else (outputs * stride - size) // 2
        found.append(Window((np.arange(size) + before) // stride, outputs))
    return found[0], found[1]


def gathered(a: Floats, sides: tuple[Window, Window]) -> Floats:
    """Sum over the pixels of each window."""
    for axis, (window, outputs) in enumerate(sides, start=1):
        read = a.take(np.flatnonzero(window < outputs), axis)
        a = np.add.reduceat(read, np.searchsorted(window, np.arange(outputs)), axis)
    return a


def scattered(a: Floats, sides: tuple[Window, Window]) -> Floats:
    """Give each pixel what its window has, and zero to one that is in none."""
    for axis, (window, outputs) in enumerate(sides, start=1):
        none = np.zeros_like(a.take([0], axis))
        a = np.concatenate([a, none], axis).take(np.minimum(window, outputs), axis)
    return a
