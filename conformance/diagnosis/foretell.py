"""The terms of every sum of a case, in the order of the taps, or of the channels of a group."""

from collections.abc import Mapping

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase


def terms(case: OperatorCase, values: Mapping[str, Array], result: str) -> tuple[Array, Array]:
    """Give the two factors of every product of a result.

    Parameters
    ----------
    case : OperatorCase
        The call.
    values : mapping of str to ndarray
        Its operands x, kernel and dy.
    result : str
        "y", "dx" or "dkernel".

    Returns
    -------
    tuple of ndarray
        Of the shape of the result and one axis more, that of the terms: Kh * Kw taps for y and dx,
        M channels for dkernel. A padded tap has zeros for factors.
    """
    where = case.geometry
    group = np.arange(where.channels)
    blocked = where.group_layout == "blocked"
    group = group // where.members if blocked else group % where.groups
    read = [_read(case, axis) for axis in (0, 1)]
    x, kernel = values["x"], values["kernel"]
    if result == "dx":
        return _of_pixels(case, values["dy"], kernel[..., group])
    (h, above), (w, beside) = read
    inside = above[:, None, :, None] & beside[None, :, None, :]
    windows = x[:, h[:, None, :, None], w[None, :, None, :]]  # (B, Ho, Wo, Kh, Kw, C)
    windows = np.where(inside[None, ..., None], windows, x.dtype.type(0))
    if result == "y":
        weights = np.where(inside[None, ..., None], kernel[..., group], x.dtype.type(0))
        return _last(windows), _last(weights)
    members = np.argsort(group, kind="stable").reshape(where.groups, where.members)
    gradient = np.broadcast_to(values["dy"][:, :, :, None, None], windows.shape)
    gradient = np.where(inside[None, ..., None], gradient, x.dtype.type(0))
    return windows[..., members], gradient[..., members]


def _read(case: OperatorCase, axis: int) -> tuple[Array, Array]:
    """Pixel under each output and tap, and whether it lies inside: (outputs, taps) each."""
    where, size = case.geometry, case.size[axis]
    before = where.axes(case.size)[axis].before
    outputs, taps = np.arange(case.grid[axis]), np.arange(where.kernel_shape[axis])
    position = outputs[:, None] * where.stride[axis] + taps * where.dilation[axis] - before
    return np.clip(position, 0, size - 1), (position >= 0) & (position < size)


def _of_pixels(case: OperatorCase, dy: Array, weights: Array) -> tuple[Array, Array]:
    """For each pixel and tap the output that reads it: factors of dx."""
    found = []
    for axis in (0, 1):
        where, size = case.geometry, case.size[axis]
        before = where.axes(case.size)[axis].before
        taps = np.arange(where.kernel_shape[axis])
        start = np.arange(size)[:, None] + before - taps * where.dilation[axis]
        output = start // where.stride[axis]
        reads = (start % where.stride[axis] == 0) & (output >= 0) & (output < case.grid[axis])
        found.append((np.clip(output, 0, case.grid[axis] - 1), reads, taps))
    (i, above, u), (j, beside, v) = found
    i, j = i[:, None, :, None], j[None, :, None, :]
    live = (above[:, None, :, None] & beside[None, :, None, :])[None, ..., None]
    zero = dy.dtype.type(0)
    gradient = np.where(live, dy[:, i, j], zero)
    entries = np.where(live, weights[:, i, j, u[:, None], v[None, :]], zero)
    return _last(gradient), _last(entries)


def _last(array: Array) -> Array:
    """Move the axes of the taps, before the channels, to the end as one."""
    moved = np.moveaxis(array, 5, 3)
    return moved.reshape(*moved.shape[:4], -1)
