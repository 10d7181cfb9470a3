"""The operator by unfolding and einsum: an independent slow twin of the oracle's loops.

Nothing in common with them but the specification: windows are gathered by index arrays from an
explicitly padded image, and the gradients are einsum and scatter-add.
"""

import numpy as np
import numpy.typing as npt

from conformance.cases.operator import OperatorCase
from tests.opponents.exact import padding_before

Floats = npt.NDArray[np.float64]


def forward(case: OperatorCase, x: Floats, kernel: Floats) -> Floats:
    """y."""
    y = np.einsum("bijuvg,bijuvgm->bijgm", kernel, _grouped(case, _windows(case, x, kernel)))
    return _ungrouped(case, y)


def backward(case: OperatorCase, dy: Floats, x: Floats, kernel: Floats) -> tuple[Floats, Floats]:
    """dx and dkernel."""
    gradient = _grouped(case, dy)
    windows = _grouped(case, _windows(case, x, kernel))
    dkernel = np.einsum("bijgm,bijuvgm->bijuvg", gradient, windows)
    spread = _ungrouped(case, np.einsum("bijuvg,bijgm->bijuvgm", kernel, gradient))
    padded = np.zeros(_padded(case, x, kernel).shape)
    rows, columns = _indices(case, kernel)
    np.add.at(padded, (slice(None), rows, columns), spread)
    top, left = padding_before(case, 0), padding_before(case, 1)
    return padded[:, top : top + x.shape[1], left : left + x.shape[2]], dkernel


def _indices(
    case: OperatorCase, kernel: Floats
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """Padded rows and columns under each tap, of shape (Ho, Wo, Kh, Kw) when broadcast."""
    i, j, u, v = np.ogrid[tuple(slice(n) for n in kernel.shape[1:5])]
    rows = i * case.geometry.stride[0] + u * case.geometry.dilation[0]
    columns = j * case.geometry.stride[1] + v * case.geometry.dilation[1]
    return rows, columns


def _padded(case: OperatorCase, x: Floats, kernel: Floats) -> Floats:
    """The image in a frame of zeros that holds every window."""
    rows, columns = _indices(case, kernel)
    top, left = padding_before(case, 0), padding_before(case, 1)
    height = max(int(rows.max()) + 1, top + x.shape[1])
    width = max(int(columns.max()) + 1, left + x.shape[2])
    padded = np.zeros((x.shape[0], height, width, x.shape[3]))
    padded[:, top : top + x.shape[1], left : left + x.shape[2]] = x
    return padded


def _windows(case: OperatorCase, x: Floats, kernel: Floats) -> Floats:
    rows, columns = _indices(case, kernel)
    return _padded(case, x, kernel)[:, rows, columns]


def _grouped(case: OperatorCase, array: Floats) -> Floats:
    """Channels as (G, M)."""
    if case.geometry.group_layout == "blocked":
        return array.reshape(*array.shape[:-1], case.geometry.groups, case.geometry.members)
    return array.reshape(*array.shape[:-1], case.geometry.members, case.geometry.groups).swapaxes(
        -1, -2
    )


def _ungrouped(case: OperatorCase, array: Floats) -> Floats:
    if case.geometry.group_layout == "interleaved":
        array = array.swapaxes(-1, -2)
    return array.reshape(*array.shape[:-2], case.channels)
