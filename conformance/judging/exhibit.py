"""What a wrong result looks like, as a few small grids: plain data that a report can draw.

Over the axes of the image, and of the taps, the largest error and the number of wrong elements; and
of a certificate the window of the first wrong output. Nothing is drawn here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.bounds.expected import Expected, Floats
from conformance.cases.picture import Picture

# Pairs of axes that a map is made over, as a kind names them.
_PAIRS = {
    "image": ("row", "column"),
    "taps": ("tap u", "tap v"),
    "weights": ("row of the weights", "column of the weights"),
}
# Cells of a map along one axis at most: what is larger is taken together in blocks.
_MOST = 24
_DIGITS = 4


def exhibit(
    axes: Sequence[str],
    got: Floats,
    expected: Expected,
    wrong: npt.NDArray[np.bool_],
    picture: Picture | None,
) -> dict[str, Any]:
    """Give the maps of a wrong result, and the window that a certificate shows.

    Parameters
    ----------
    axes : sequence of str
        Names of the result's axes.
    got, expected, wrong : ndarray, Expected, ndarray of bool
        The result, what it should be, and which elements are wrong.
    picture : Picture or None
        What a certificate shows, if the case is one.

    Returns
    -------
    dict
        ``"maps"``, a list of mappings with ``over``, ``axes``, ``shape`` of what it is made of,
        ``block`` of what one cell is made of, ``error`` (rows of numbers; None where it is not
        finite) and ``wrong`` (rows of counts); ``"products"``, the wrong products at each tap, or
        None; ``"window"``, or None.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(wrong, np.abs(got - expected.value), 0.0)
    maps = [
        _map(over, pair, axes, error, wrong)
        for over, pair in _PAIRS.items()
        if set(pair) <= set(axes)
    ]
    return {
        "maps": maps,
        "products": None if picture is None else [list(row) for row in picture.taps],
        "window": None if picture is None else dict(picture.window),
    }


def _map(
    over: str,
    pair: tuple[str, str],
    axes: Sequence[str],
    error: Floats,
    wrong: npt.NDArray[np.bool_],
) -> Mapping[str, Any]:
    kept = tuple(axes.index(name) for name in pair)
    others = tuple(n for n in range(error.ndim) if n not in kept)
    # NaN wins over every number.
    largest, count = error.max(axis=others, initial=0.0), wrong.sum(axis=others)
    block = [max(1, math.ceil(size / _MOST)) for size in largest.shape]
    return {
        "over": over,
        "axes": list(pair),
        "shape": list(largest.shape),
        "block": block,
        "error": [[_number(one) for one in row] for row in _coarse(largest, block, np.max)],
        "wrong": [[int(one) for one in row] for row in _coarse(count, block, np.sum)],
    }


def _coarse(array: Any, block: Sequence[int], by: Any) -> Any:
    rows, columns = (-size % step for size, step in zip(array.shape, block, strict=True))
    padded = np.pad(array, ((0, rows), (0, columns)))
    cells = padded.reshape(
        padded.shape[0] // block[0], block[0], padded.shape[1] // block[1], block[1]
    )
    return by(cells, axis=(1, 3))


def _number(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
