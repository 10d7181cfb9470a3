"""Involution in plain NumPy: unfold the padded input into patches, contract them with the kernels.

Written independently of the oracle, in as few operations as NumPy allows. It trusts its arguments.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Axis = tuple[npt.NDArray[np.intp], tuple[int, int]]

capabilities: dict[str, Any] = {"gradual_underflow": True, "validates": False}


def forward(
    x: Array,
    kernel: Array,
    *,
    stride: Any = 1,
    dilation: Any = 1,
    padding: Any = "same",
    group_layout: str = "blocked",
) -> Array:
    """Return y (FWD-1)."""
    rows, columns = _axes(x, kernel, stride, dilation, padding)
    with np.errstate(all="ignore"):
        patches = _unfold(_wide(x), rows, columns)
        grouped = _split(patches, kernel.shape[5], group_layout)
        y = np.einsum("bijuvgm,bijuvg->bijgm", grouped, _wide(kernel))
        return _join(y, group_layout).astype(x.dtype)


def backward(
    dy: Array,
    x: Array,
    kernel: Array,
    *,
    stride: Any = 1,
    dilation: Any = 1,
    padding: Any = "same",
    group_layout: str = "blocked",
) -> tuple[Array, Array]:
    """Return dx (GRD-1) and dkernel (GRD-2)."""
    rows, columns = _axes(x, kernel, stride, dilation, padding)
    groups = kernel.shape[5]
    with np.errstate(all="ignore"):
        grouped = _split(_unfold(_wide(x), rows, columns), groups, group_layout)
        gradient = _split(_wide(dy), groups, group_layout)
        dkernel = np.einsum("bijuvgm,bijgm->bijuvg", grouped, gradient)
        dpatches = np.einsum("bijuvg,bijgm->bijuvgm", _wide(kernel), gradient)
        dx = _fold(_join(dpatches, group_layout), x.shape, rows, columns)
        return dx.astype(x.dtype), dkernel.astype(x.dtype)


def _wide(array: Array) -> Array:
    """Half precision is summed in single precision."""
    return array.astype(np.float64 if array.dtype == np.float64 else np.float32)


def _axes(x: Array, kernel: Array, stride: Any, dilation: Any, padding: Any) -> tuple[Axis, Axis]:
    """Give the padded pixel under each output and tap of an axis, and the axis's margins."""
    vertical, horizontal = (
        _axis(x.shape[1 + a], kernel.shape[3 + a], _of(stride, a), _of(dilation, a), padding, a)
        for a in (0, 1)
    )
    return vertical, horizontal


def _axis(size: int, taps: int, stride: int, dilation: int, padding: Any, axis: int) -> Axis:
    reach = dilation * (taps - 1)
    if padding == "same":
        last = (size - 1) // stride * stride
        total = max(last + reach + 1 - size, 0)
        margins = total // 2, total - total // 2
    elif padding == "valid":
        margins = 0, 0
    else:
        before, after = _of(padding, axis) if isinstance(padding, tuple) else (padding, padding)
        margins = before, after
    first = np.arange(0, size + sum(margins) - reach, stride)
    return first[:, None] + dilation * np.arange(taps), margins


def _of(pair: Any, axis: int) -> Any:
    return pair[axis] if isinstance(pair, tuple) else pair


def _window(rows: Axis, columns: Axis) -> tuple[Any, ...]:
    """Index the padded pixels as (B, Ho, Wo, Kh, Kw, C)."""
    return slice(None), rows[0][:, None, :, None], columns[0][None, :, None, :]


def _unfold(x: Array, rows: Axis, columns: Axis) -> Array:
    padded = np.pad(x, ((0, 0), rows[1], columns[1], (0, 0)))
    patches: Array = padded[_window(rows, columns)]
    return patches


def _fold(dpatches: Array, shape: tuple[int, ...], rows: Axis, columns: Axis) -> Array:
    """Add up what every patch says about a pixel; the derivative of `_unfold`."""
    batch, height, width, channels = shape
    top, left = rows[1][0], columns[1][0]
    padded = np.zeros(
        (batch, height + sum(rows[1]), width + sum(columns[1]), channels), dpatches.dtype
    )
    np.add.at(padded, _window(rows, columns), dpatches)
    return padded[:, top : top + height, left : left + width]


def _split(array: Array, groups: int, group_layout: str) -> Array:
    """Split the channels, which come last, into (G, M)."""
    members = array.shape[-1] // groups
    if group_layout == "blocked":
        return array.reshape(*array.shape[:-1], groups, members)
    return array.reshape(*array.shape[:-1], members, groups).swapaxes(-1, -2)


def _join(array: Array, group_layout: str) -> Array:
    """Undo `_split`."""
    ordered = array if group_layout == "blocked" else array.swapaxes(-1, -2)
    return ordered.reshape(*array.shape[:-2], array.shape[-2] * array.shape[-1])
