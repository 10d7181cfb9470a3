"""What NumPy itself must do before a framework can take an array. No framework is known here."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def is_plain(array: Array) -> bool:
    """Tell whether every framework can take the array's own memory."""
    flags = array.flags
    return bool(flags.c_contiguous and flags.writeable and flags.aligned and array.dtype.isnative)


def copied(array: Array, order: Literal["C", "K"] = "C") -> Array:
    """Copy an array into writeable memory of its own, in the machine's byte order.

    Parameters
    ----------
    array : numpy.ndarray
        Any view.
    order : "C" or "K"
        C-contiguous, or dense with the axes in the order in which they lie.
    """
    return np.array(array, dtype=array.dtype.newbyteorder("="), order=order, copy=True)
