"""Involution in exact rational arithmetic, written from the specification and from nothing else.

Shares no code with the oracle, its geometry included. Slow on purpose: every sum is spelled out.
"""

from collections import defaultdict
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase

Index = tuple[int, ...]


class Sum(NamedTuple):
    """A sum of products: its value, the sum of the absolute values, the number of products."""

    value: Fraction = Fraction(0)
    magnitude: Fraction = Fraction(0)
    terms: int = 0

    def plus(self, product: Fraction) -> "Sum":
        return Sum(self.value + product, self.magnitude + abs(product), self.terms + 1)


def padding_before(case: OperatorCase, axis: int) -> int:
    """Rows or columns of zeros before the image (GEO-4 to GEO-7)."""
    if case.geometry.padding == "valid":
        return 0
    if case.geometry.padding == "same":
        size = (case.height, case.width)[axis]
        stride, dilation = case.geometry.stride[axis], case.geometry.dilation[axis]
        last_output = -(-size // stride) - 1
        last_pixel = last_output * stride + (case.geometry.kernel_shape[axis] - 1) * dilation
        missing = max(last_pixel - (size - 1), 0)
        return missing // 2
    return (
        case.geometry.padding
        if isinstance(case.geometry.padding, int)
        else case.geometry.padding[axis][0]
    )


def sums(case: OperatorCase, operands: dict[str, Array]) -> dict[str, dict[Index, Sum]]:
    """Every element of y, dx and dkernel that has a term; the others are zero."""
    x, kernel, dy = (_fractions(operands[name]) for name in ("x", "kernel", "dy"))
    top, left = padding_before(case, 0), padding_before(case, 1)
    result: dict[str, dict[Index, Sum]] = {n: defaultdict(Sum) for n in ("y", "dx", "dkernel")}
    for (b, i, j, u, v, g), weight in kernel.items():
        h = i * case.geometry.stride[0] + u * case.geometry.dilation[0] - top
        w = j * case.geometry.stride[1] + v * case.geometry.dilation[1] - left
        if not (0 <= h < case.height and 0 <= w < case.width):
            continue
        for c in range(case.channels):
            blocked = c // (case.channels // case.geometry.groups)
            if (
                blocked if case.geometry.group_layout == "blocked" else c % case.geometry.groups
            ) != g:
                continue
            pixel, gradient = x[b, h, w, c], dy[b, i, j, c]
            for name, index, product in (
                ("y", (b, i, j, c), weight * pixel),
                ("dx", (b, h, w, c), weight * gradient),
                ("dkernel", (b, i, j, u, v, g), pixel * gradient),
            ):
                result[name][index] = result[name][index].plus(product)
    return result


def _fractions(array: Array) -> dict[Index, Fraction]:
    return {index: Fraction(float(array[index])) for index in np.ndindex(array.shape)}
