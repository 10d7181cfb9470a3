"""What a result is expected to be, whatever computed it."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]


class Expected(NamedTuple):
    """The expected value of one result, and how far a correct one may be from it.

    Attributes
    ----------
    value : ndarray of float64
        The oracle's, or the reference layer's.
    bound : ndarray of float64
        Largest error allowed, element by element: zero demands equality, infinity leaves the
        element open.
    """

    value: Floats
    bound: Floats
