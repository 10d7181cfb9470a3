"""The impulse certificate: operands that make every product visible, and what their results show.

One-hot images meet kernels whose entries are all different integers, one image for each entry of x:
each result is the tag of the kernel entry that met the pixel, or 0. One-hot dy do the same for dx
and dkernel. A format too narrow for the tags gets them digit by digit, in a batch for each digit.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.cases.case import Floats
from conformance.cases.operator import OperatorCase

Index = tuple[int, ...]
# For each output (i, j, c) the pixels (h, w, c) that met a kernel entry, and that entry
# (i, j, u, v, g); None where the result is the tag of no single entry.
Meetings = dict[Index, dict[Index, Index | None]]


def impulse_x(
    case: OperatorCase, bits: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """One-hot images meet tagged kernels."""
    images = np.eye(int(np.prod(_image(case)))).reshape(-1, *_image(case))
    number = len(images)
    kernels = [_tags(bits, _kernel(case), number, digit) for digit in range(_digits(case, bits))]
    x = np.concatenate([images] * len(kernels))
    return x, np.concatenate(kernels), np.zeros((len(x), *_output(case)))


def impulse_dy(
    case: OperatorCase, bits: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """One-hot dy meet tagged kernels and tagged images."""
    gradients = np.eye(int(np.prod(_output(case)))).reshape(-1, *_output(case))
    number, digits = len(gradients), range(_digits(case, bits))
    x = [_tags(bits, _image(case), number, digit) for digit in digits]
    kernel = [_tags(bits, _kernel(case), number, digit) for digit in digits]
    return np.concatenate(x), np.concatenate(kernel), np.concatenate([gradients] * len(x))


def meetings(case: OperatorCase, bits: int, result: str, array: npt.NDArray[Any]) -> Meetings:
    """Read off a result which pixel met which kernel entry.

    Parameters
    ----------
    case : OperatorCase
        With the recipe impulse-x for y, impulse-dy for dx and dkernel.
    bits : int
        Those that the operands were made with.
    result : str
        "y", "dx" or "dkernel".
    array : ndarray
        The result.
    """
    blocks = array.astype(np.float64).reshape(_digits(case, bits), -1, *array.shape[1:])
    weights = float(1 << bits) ** np.arange(len(blocks))
    with np.errstate(invalid="ignore", over="ignore"):
        tags = np.tensordot(weights, blocks, 1)
    tagged = _image(case) if result == "dkernel" else _kernel(case)
    found: Meetings = {}
    for sample, *place in np.argwhere(tags != 0).tolist():
        tag = float(tags[(sample, *place)])
        count = int(np.prod(tagged))
        known = 1 <= tag <= count and tag == int(tag)
        entry = _unravel((int(tag) - 1 - sample) % count, tagged) if known else None
        if result == "y":
            found.setdefault(tuple(place), {})[_unravel(sample, _image(case))] = entry
        elif result == "dx":
            found.setdefault(_unravel(sample, _output(case)), {})[tuple(place)] = entry
        elif entry is not None:
            found.setdefault(_unravel(sample, _output(case)), {})[entry] = tuple(place)
    return found


def _image(case: OperatorCase) -> Index:
    return case.shapes["x"][1:]


def _kernel(case: OperatorCase) -> Index:
    return case.shapes["kernel"][1:]


def _output(case: OperatorCase) -> Index:
    return case.shapes["dy"][1:]


def _unravel(flat: int, shape: Index) -> Index:
    return tuple(int(i) for i in np.unravel_index(flat, shape))


def _tags(bits: int, shape: Index, batch: int, digit: int) -> Floats:
    """Give the entries of each sample different integers, as one digit each.

    The integers 1, 2, ... are turned by one entry from sample to sample, so that another sample's
    entry shows as well.
    """
    count, base = int(np.prod(shape)), 1 << bits
    tags = (np.arange(count) + np.arange(batch)[:, None]) % count + 1
    digits: Floats = (tags // base**digit % base).reshape(batch, *shape)
    return digits.astype(float)


def _digits(case: OperatorCase, bits: int) -> int:
    """Digits of the largest tag."""
    largest = int(np.prod(_kernel(case)))
    if case.recipe == "impulse-dy":
        largest = max(largest, int(np.prod(_image(case))))
    digits = 1
    while (1 << bits) ** digits <= largest:
        digits += 1
    return digits
