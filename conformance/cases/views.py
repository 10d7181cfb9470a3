"""Views of operands: the same values, otherwise placed in memory (FWD-6)."""

import zlib

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


def one_channel(array: Array) -> Array:
    """Give the first entry of the last axis in the place of all, in one memory."""
    return np.broadcast_to(array[..., :1], array.shape)


def one_pixel(array: Array) -> Array:
    """Give one row and column in the place of all, in one memory, as the gradient of a mean has."""
    return np.broadcast_to(array[:, :1, :1], array.shape) if array.ndim > 3 else array


def offset(array: Array) -> Array:
    """Give the array in memory that other entries begin, at every address in turn that fits."""
    # Some number of entries, which the array itself decides: one to sixteen.
    entries = 1 + zlib.crc32(array.tobytes()) % 16
    flat = array.reshape(-1)
    return np.concatenate([np.resize(flat, entries), flat])[entries:].reshape(array.shape)


def cropped(array: Array) -> Array:
    """Give the array as a crop of one that is larger along every axis but the first."""
    wide = np.full((array.shape[0], *(size + 2 for size in array.shape[1:])), 99, array.dtype)
    inside = (slice(None), *(slice(1, 1 + size) for size in array.shape[1:]))
    wide[inside] = array
    return wide[inside]


def sliced(array: Array) -> Array:
    """Give the array as some channels of a wider one, which lie side by side."""
    wide = np.full((*array.shape[:-1], array.shape[-1] + 3), 99, array.dtype)
    wide[..., 1:-2] = array
    return wide[..., 1:-2]


def channels_first(array: Array) -> Array:
    """Give the array with its last axis behind the first in memory, as NCHW has it."""
    if array.ndim < 3:
        return array
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -1, 1)), 1, -1)


def constant(array: Array) -> Array:
    """Give the first entry in the place of all, in one memory."""
    return np.broadcast_to(array.reshape(-1)[0], array.shape) if array.size else array


def read_only(array: Array) -> Array:
    """Give the array as a view that refuses to be written."""
    view = array.view()
    view.flags.writeable = False
    return view


# Views that hold an entry in the place of others; the rest hold the values themselves.
REPEATED = (broadcast, one_channel, one_pixel, constant)
VIEWS = (
    transposed, strided, reversed_, *REPEATED, offset, cropped, sliced, channels_first, read_only,
)  # fmt: skip
