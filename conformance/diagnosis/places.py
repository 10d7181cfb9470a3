"""The places of all products of a call, and the numbers of the call that formulas speak of.

Places are an open grid: one array for each index, along an axis of its own, so that a formula costs
what its own indices cost. Nothing is foretold here, and nothing asked.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.diagnosis.expressions import Column, Columns
from refimpl.geometry import WORDS, Axis

# The indices of a product, in the order of the axes of the grid.
INDICES = "bijuvc"
# What says which rule holds: no number that a formula speaks of.
FLAGS = ("same", "interleaved")


def numbers_of(case: OperatorCase) -> dict[str, int]:
    """Give the numbers of a call: the atoms of formulas."""
    where = case.geometry
    vertical, horizontal = where.axes(case.size)
    return {
        "B": case.batch, "H": case.height, "W": case.width, "C": case.channels,
        "G": where.groups, "M": where.members, "Ho": case.grid[0], "Wo": case.grid[1],
        "Kh": where.kernel_shape[0], "Kw": where.kernel_shape[1],
        "sh": where.stride[0], "sw": where.stride[1],
        "dh": where.dilation[0], "dw": where.dilation[1],
        "top": vertical.before, "bottom": vertical.after,
        "left": horizontal.before, "right": horizontal.after, "same": where.padding == "same",
        "interleaved": where.group_layout == "interleaved",
    }  # fmt: skip


KINDS = ("padding", "group_layout", "dtype", "window")


def kinds_of(case: OperatorCase) -> dict[str, str]:
    """Give what of a call is a word."""
    where, padding = case.geometry, case.geometry.padding
    kind = padding if padding in WORDS else "an integer" if isinstance(padding, int) else "explicit"
    pairs = zip(where.kernel_shape, where.dilation, strict=True)
    dilated = any(taps > 1 and dilation > 1 for taps, dilation in pairs)
    return {
        "padding": str(kind), "group_layout": where.group_layout, "dtype": case.dtype,
        "window": "dilated" if dilated else "plain",
    }  # fmt: skip


def with_groups(case: OperatorCase, columns: dict[str, Column]) -> dict[str, Column]:
    """Add the group and the member of it that a channel is due (GRP-2, GRP-3)."""
    where, c = case.geometry, columns["c"]
    blocked, interleaved = c // where.members, c % where.groups
    columns |= _counts(case, columns)
    if where.group_layout == "blocked":
        return columns | {"g": blocked, "m": c % where.members, "g_other": interleaved}
    return columns | {"g": interleaved, "m": c // where.groups, "g_other": blocked}


def _counts(case: OperatorCase, columns: Columns) -> dict[str, Column]:
    """Count the taps of an output that are inside, and the products that read a due pixel."""
    inside, readers, later = [], [], []
    for axis, output, tap in zip(case.geometry.axes(case.size), "ij", "uv", strict=True):
        outputs, taps = np.arange(max(axis.outputs, 0))[:, None], np.arange(axis.taps)
        rows, within = _rows(axis), _meets(axis)
        inside.append(within.sum(1)[columns[output]])
        place = columns[output], columns[tap]
        reads = np.bincount(rows[within], minlength=axis.size)
        readers.append(np.where(within, reads[np.where(within, rows, 0)], 0)[place])
        # Who reads the pixel through each tap; of these, the outputs that come after.
        others, apart = np.divmod(rows[..., None] + axis.before - taps * axis.dilation, axis.stride)
        after = (apart == 0) & (others > outputs[..., None]) & (others < len(outputs))
        later.append(np.where(within, after.sum(2), 0)[place])
    return {
        "taps_inside": inside[0] * inside[1], "readers": readers[0] * readers[1],
        "later_rows": later[0], "later_columns": later[1],
    }  # fmt: skip


def entries_of(case: OperatorCase, result: str) -> dict[str, Column]:
    """Give the places of the entries of a result, in their order, and the numbers of the call.

    An entry of dx that nothing reads has no product, and yet a place here.
    """
    where, axes = case.geometry, case.geometry.axes(case.size)
    names, shape = {
        "y": ("bijc", case.shapes["dy"]),
        "dx": ("bhwc", case.shapes["x"]),
        "dkernel": ("bijuvg", case.shapes["kernel"]),
    }[result]
    places = np.unravel_index(np.arange(int(np.prod(shape))), shape)
    columns: dict[str, Column] = dict(zip(names, places, strict=True))
    if "c" in columns:
        c = columns["c"]
        blocked = where.group_layout == "blocked"
        columns["g"] = c // where.members if blocked else c % where.groups
    counts = [_meets(axis) for axis in axes]
    if result == "y":
        columns["taps_inside"] = counts[0].sum(1)[columns["i"]] * counts[1].sum(1)[columns["j"]]
    elif result == "dx":
        reads = [
            np.bincount(_rows(axis)[meets], minlength=axis.size)
            for axis, meets in zip(axes, counts, strict=True)
        ]
        columns["readers"] = reads[0][columns["h"]] * reads[1][columns["w"]]
    else:
        for name, output, tap, axis in zip("hw", "ij", "uv", axes, strict=True):
            columns[name] = _rows(axis)[columns[output], columns[tap]]
    length = len(places[0])
    call = {**numbers_of(case), **kinds_of(case)}
    return columns | {name: np.full(length, value) for name, value in call.items()}


def _rows(axis: Axis) -> Column:
    """Pixel that each output reads through each tap, outside too: (outputs, taps)."""
    outputs, taps = np.arange(max(axis.outputs, 0))[:, None], np.arange(axis.taps)
    rows: Column = outputs * axis.stride + taps * axis.dilation - axis.before
    return rows


def _meets(axis: Axis) -> Column:
    rows = _rows(axis)
    meets: Column = (rows >= 0) & (rows < axis.size)
    return meets


def place_columns(
    case: OperatorCase, some: Mapping[str, Array] | None = None, axes: int = 0
) -> dict[str, Column]:
    """Give the places of the products of a case as an open grid, and the numbers of the call.

    Parameters
    ----------
    case : OperatorCase
        The call.
    some : mapping of str to array, optional
        Of these indices only so much.
    axes : int
        How many more axes the grid has, behind its own.
    """
    # Four of five calls are about a shape that was met before, with other values.
    return _listed(case, some, axes) if some else dict(_of_shape(case.changed(seed=0), axes))


@lru_cache(maxsize=256)
def _of_shape(case: OperatorCase, axes: int) -> Columns:
    return _listed(case, {}, axes)


def _listed(case: OperatorCase, some: Mapping[str, Array], axes: int) -> dict[str, Column]:
    sizes = (case.batch, *case.grid, *case.geometry.kernel_shape, case.channels)
    columns: dict[str, Column] = {}
    for axis, (name, size) in enumerate(zip(INDICES, sizes, strict=True)):
        index = some.get(name, np.arange(size))
        shape = [1] * (len(sizes) + axes)
        shape[axis] = len(index)
        columns[name] = index.reshape(shape)
    columns |= {name: np.array(value) for name, value in numbers_of(case).items()}
    columns |= {name: np.array(word) for name, word in kinds_of(case).items()}
    return with_groups(case, columns)
