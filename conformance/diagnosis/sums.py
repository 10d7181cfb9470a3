"""Many sums of n products in few calls: each result of the operator, asked as a plain sum.

A sum stands wherever a result has n terms of which no other sum has one: its factors are laid into
the operands, everything else is zero. What is asked for and what it means is not known here.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.cases.geometries import Geometry
from conformance.cases.operator import OperatorCase, unclaimed
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.diagnosis.answers import Question, Raised

RESULTS = ("y", "dx", "dkernel")
# The two operands whose products each result sums.
FACTORS = {"y": ("x", "kernel"), "dx": ("dy", "kernel"), "dkernel": ("x", "dy")}
# Samples of a call on one window each.
_BATCH = 240


class NoAnswerError(Exception):
    """The implementation gave no result that could be read."""


@dataclass(frozen=True)
class Sums:
    """Sums of n products as one result of an implementation gives them.

    Attributes
    ----------
    judged : Judged
        Who is asked.
    result : str
        "y", "dx" or "dkernel".
    case : OperatorCase
        In calls of which shape.
    """

    judged: Judged
    result: str
    case: OperatorCase

    @property
    def terms(self) -> int:
        """The number n of terms: of taps, for dkernel of channels of a group."""
        where = self.case.geometry
        return where.members if self.result == "dkernel" else where.taps

    @cached_property
    def places(self) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Where the factors of each sum lie in the two operands, and where the sum."""
        return [(where[:-1], where[-1]) for where in _PLACES[self.result](self.case)]

    def ask(self, a: Array, b: Array) -> Array:
        """Ask for sums of a * b over the last axis.

        Parameters
        ----------
        a, b : ndarray, shape (P, n)
            Factors: of the operands that `FACTORS` names, in order.

        Returns
        -------
        ndarray of float64, shape (P,)

        Raises
        ------
        NoAnswerError
            It raised, or answered in another form.
        """
        if not len(a):
            return np.zeros(0)
        places = self.places
        calls = [slice(at, at + len(places)) for at in range(0, len(a), len(places))]
        return np.concatenate([self._call(a[one], b[one], places) for one in calls])

    def _call(self, a: Array, b: Array, places: Sequence[Any]) -> Array:
        dtype = FORMATS[self.case.dtype].dtype
        values = {name: np.zeros(shape, dtype) for name, shape in self.case.shapes.items()}
        one, other = (values[name] for name in FACTORS[self.result])
        for number, ((first, second), _) in enumerate(places[: len(a)]):
            with np.errstate(over="ignore"):
                one[first], other[second] = a[number].astype(dtype), b[number].astype(dtype)
        function = "forward" if self.result == "y" else "backward"
        answer = Question(self.judged, self.case).ask(values, (function,)).get(self.result)
        if not isinstance(answer, np.ndarray):
            raise NoAnswerError(str(answer) if isinstance(answer, Raised) else "no array")
        if answer.shape != values[_LIKE[self.result]].shape or answer.dtype.name not in FORMATS:
            raise NoAnswerError(f"{self.result} of shape {answer.shape} and dtype {answer.dtype}")
        wide = answer.astype(np.float64)
        return np.array([wide[place] for _, place in places[: len(a)]])


_LIKE = {"y": "dy", "dx": "x", "dkernel": "kernel"}


def sums_of(
    judged: Judged, result: str, dtype: str, side: int, *, network: bool = False
) -> Sums | None:
    """Give the sums of n = side * side terms, if a geometry that has them is claimed.

    Parameters
    ----------
    judged : Judged
        Who is asked.
    result : str
        "y", "dx" or "dkernel".
    dtype : str
        Format of the operands.
    side : int
        The kernel is of side x side taps; for dkernel a group has side * side channels.
    network : bool
        In one call of the shape that networks have, not in a batch of single windows.
    """
    claimed = judged.capabilities
    for padding in _paddings(claimed, 3 if result == "dkernel" else side):
        where = Geometry(padding=padding, group_layout=claimed.group_layouts[0])
        if result == "dkernel":
            where = replace(where, members=side**2, kernel_shape=(3, 3))
        else:
            where = replace(where, kernel_shape=(side, side))
        case = OperatorCase(dtype, "integers", batch=_BATCH, geometry=where)
        taps = where.kernel_shape[0]
        # Where nothing is padded, an image in which one pixel is read by every tap.
        size = 2 * taps - 1 if padding == "valid" else taps
        case = case.changed(height=size, width=size)
        if network:
            members = side**2 if result == "dkernel" else 4
            case = case.changed(batch=2, height=28, width=28, groups=4, members=members)
        if not unclaimed(case, claimed):
            return Sums(judged, result, case)
    return None


def _paddings(claimed: Capabilities, side: int) -> list[Any]:
    """Give the paddings that are claimed, those first with which a small image has a sum."""
    margin = side // 2
    listed: dict[str, Any] = {
        "same": "same", "int": margin, "explicit": ((margin, margin), (margin, margin)),
        "valid": "valid",
    }  # fmt: skip
    return [padding for kind, padding in listed.items() if kind in claimed.paddings]


def _starts(case: OperatorCase, axis: int, *, pixels: bool) -> list[tuple[Array, Array, int]]:
    """List, along an axis, windows that do not overlap: pixels read, outputs, taps, by tap.

    Of outputs: the pixels that its taps read. Of pixels: the outputs that read it.
    """
    taps, size = case.geometry.kernel_shape[axis], case.size[axis]
    before, outputs = case.geometry.axes(case.size)[axis].before, case.grid[axis]
    tap = np.arange(taps)
    found: list[tuple[Array, Array, int]] = []
    last = -taps
    for at in range(size if pixels else outputs):
        others = at + before - tap if pixels else at + tap - before
        inside = (others >= 0).all() and (others < (outputs if pixels else size)).all()
        if inside and at >= last + taps:
            found.append((others, tap, at))
            last = at
    return found


def _of_taps(case: OperatorCase, *, pixels: bool) -> list[Any]:
    """Places of y, or of dx if the sums are those of pixels: one of each group."""
    where = case.geometry
    rows, columns = (_starts(case, axis, pixels=pixels) for axis in (0, 1))
    places = []
    for b, (i, u, row), (j, v, column), g in itertools.product(
        range(case.batch), rows, columns, range(where.groups)
    ):
        c = g * where.members if where.group_layout == "blocked" else g
        i_, j_ = (grid.reshape(-1) for grid in np.meshgrid(i, j, indexing="ij"))
        u_, v_ = (grid.reshape(-1) for grid in np.meshgrid(u, v, indexing="ij"))
        outputs = (i_, j_) if pixels else (np.full_like(i_, row), np.full_like(j_, column))
        places.append(((b, i_, j_, c), (b, *outputs, u_, v_, g), (b, row, column, c)))
    return places


def _of_channels(case: OperatorCase) -> list[Any]:
    """Places of dkernel, at the tap that reads the output's own pixel."""
    where = case.geometry
    members = np.arange(where.members)
    places = []
    rows, columns = (_starts(case, axis, pixels=False) for axis in (0, 1))
    for b, (h, u, i), (w, v, j), g in itertools.product(
        range(case.batch), rows, columns, range(where.groups)
    ):
        blocked = where.group_layout == "blocked"
        c = g * where.members + members if blocked else members * where.groups + g
        middle = len(u) // 2, len(v) // 2
        place = (b, i, j, int(u[middle[0]]), int(v[middle[1]]), g)
        places.append(((b, int(h[middle[0]]), int(w[middle[1]]), c), (b, i, j, c), place))
    return places


_PLACES = {
    "y": lambda case: _of_taps(case, pixels=False),
    "dx": lambda case: _of_taps(case, pixels=True),
    "dkernel": _of_channels,
}
