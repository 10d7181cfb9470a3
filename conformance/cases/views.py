"""Views of operands: the same values, otherwise placed in memory (FWD-6)."""

import numpy as np

from conformance.cases.case import Array


def transposed(array: Array) -> Array:
    """Give the array with its axes in the reverse order in memory."""
    return np.ascontiguousarray(array.T).T


def strided(array: Array) -> Array:
    """Give the array as every second entry of a row."""
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 99, array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def reversed_(array: Array) -> Array:
    """Give the array with negative steps along every axis."""
    flip = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[flip])[flip]


def broadcast(array: Array) -> Array:
    """Give the first entry of the first axis in the place of all, in one memory."""
    return np.broadcast_to(array[:1], array.shape)


def offset(array: Array) -> Array:
    """Give the array in memory that another entry begins."""
    return np.concatenate([array.reshape(-1)[:1], array.reshape(-1)])[1:].reshape(array.shape)


def read_only(array: Array) -> Array:
    """Give the array as a view that refuses to be written."""
    view = array.view()
    view.flags.writeable = False
    return view


VIEWS = (transposed, strided, reversed_, broadcast, offset, read_only)
