"""The layer in exact or high-precision numbers, clause by clause, and its derivatives as such.

Elements are rational or mpmath numbers, or pairs of a value and its derivative along one direction
(forward differentiation): no formula of a gradient is written down here. Slow; shares no code with
what it checks.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Dual:
    """A number and its derivative along a direction."""

    value: Any
    slope: Any

    def __add__(self, other: Any) -> "Dual":
        other = dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other: Any) -> "Dual":
        other = dual(other)
        return Dual(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other: Any) -> "Dual":
        other = dual(other)
        return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)

    def __truediv__(self, other: Any) -> "Dual":
        other = dual(other)
        quotient = self.value / other.value
        return Dual(quotient, (self.slope - quotient * other.slope) / other.value)

    __radd__ = __add__
    __rmul__ = __mul__


def dual(number: Any) -> Dual:
    return number if isinstance(number, Dual) else Dual(number, 0 * number)


def sqrt(number: Any) -> Any:
    """Of a rational number only if it is a rational square."""
    if isinstance(number, Dual):
        root = sqrt(number.value)
        return Dual(root, number.slope / (2 * root))
    if isinstance(number, Fraction):
        root = Fraction(math.isqrt(number.numerator), math.isqrt(number.denominator))
        assert root * root == number
        return root
    return mpmath.sqrt(number)


def relu(number: Any) -> Any:
    """LAY-9, its derivative at zero being zero."""
    if isinstance(number, Dual):
        return number if number.value > 0 else Dual(0 * number.value, 0 * number.value)
    return number if number > 0 else 0 * number


def each(function: Callable[[Any], Any], array: Array) -> Array:
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        result[index] = function(array[index])
    return result


def windows(size: int, stride: int, pooling: str) -> list[range]:
    """LAY-3 to LAY-5, as pixels inside the image."""
    if pooling == "none":
        return [range(i, i + 1) for i in range(size)]
    if pooling == "valid":
        return [range(i * stride, (i + 1) * stride) for i in range(size // stride)]
    number = math.ceil(size / stride)
    first = -((number * stride - size) // 2)
    starts = [first + i * stride for i in range(number)]
    return [range(max(start, 0), min(start + stride, size)) for start in starts]


def pooled(x: Array, config: Any) -> Array:
    strides = config.stride if isinstance(config.stride, tuple) else (config.stride,) * 2
    rows, columns = (
        windows(size, stride, config.pooling)
        for size, stride in zip(x.shape[1:3], strides, strict=True)
    )
    result = np.empty((x.shape[0], len(rows), len(columns), x.shape[3]), object)
    for b, i, j, c in np.ndindex(result.shape):
        inside = [x[b, h, w, c] for h in rows[i] for w in columns[j]]
        result[b, i, j, c] = sum(inside[1:], inside[0]) / len(inside)
    return result


def pointwise(a: Array, weight: Array, bias: Array | None) -> Array:
    result = np.empty((*a.shape[:3], weight.shape[1]), object)
    for b, i, j, r in np.ndindex(result.shape):
        terms = [a[b, i, j, c] * weight[c, r] for c in range(weight.shape[0])]
        total = sum(terms[1:], terms[0])
        result[b, i, j, r] = total if bias is None else total + bias[r]
    return result


def normalised(
    h: Array, given: Mapping[str, Array], epsilon: Any, training: bool
) -> tuple[Array, list[Any], list[Any]]:
    """LAY-8; also mean and variance of the batch."""
    result, means, variances = np.empty(h.shape, object), [], []
    for r in range(h.shape[3]):
        pixels = list(h[..., r].ravel())
        mean = sum(pixels[1:], pixels[0]) / len(pixels)
        squares = [(pixel - mean) * (pixel - mean) for pixel in pixels]
        variance = sum(squares[1:], squares[0]) / len(pixels)
        means.append(mean)
        variances.append(variance)
        if not training:
            mean, variance = given["moving_mean"][r], given["moving_variance"][r]
        root = sqrt(variance + epsilon)
        for index in np.ndindex(h.shape[:3]):
            centred = h[index][r] - mean
            result[index][r] = given["gamma"][r] * centred / root + given["beta"][r]
    return result, means, variances


def kernels(entries: Array, config: Any) -> Array:
    """LAY-11."""
    rows, columns = config.taps
    groups = config.groups
    result = np.empty((*entries.shape[:3], rows, columns, groups), object)
    for b, i, j, u, v, g in np.ndindex(result.shape):
        tap = u * columns + v
        tap_major = config.kernel_order == "tap_major"
        channel = tap * groups + g if tap_major else g * rows * columns + tap
        result[b, i, j, u, v, g] = entries[b, i, j, channel]
    return result


def operated(x: Array, kernel: Array, config: Any) -> Array:
    """FWD-1, the padding being given as pixels before."""
    before = padding_before(x, kernel, config)
    strides, dilations = config.strides, pair(config.dilation)
    members = x.shape[3] // config.groups
    result = np.empty((*kernel.shape[:3], x.shape[3]), object)
    for b, i, j, c in np.ndindex(result.shape):
        g = c // members if config.group_layout == "blocked" else c % config.groups
        total: Any = 0 * x.flat[0]
        for u, v in np.ndindex(kernel.shape[3:5]):
            h = i * strides[0] + u * dilations[0] - before[0]
            w = j * strides[1] + v * dilations[1] - before[1]
            if 0 <= h < x.shape[1] and 0 <= w < x.shape[2]:
                total = total + kernel[b, i, j, u, v, g] * x[b, h, w, c]
        result[b, i, j, c] = total
    return result


def pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def padding_before(x: Array, kernel: Array, config: Any) -> list[int]:
    if config.padding == "valid":
        return [0, 0]
    if config.padding != "same":
        sides = config.padding
        return [sides, sides] if isinstance(sides, int) else [sides[0][0], sides[1][0]]
    before = []
    for axis in (0, 1):
        stride, dilation = config.strides[axis], pair(config.dilation)[axis]
        extent = (kernel.shape[3 + axis] - 1) * dilation + 1
        lack = (kernel.shape[1 + axis] - 1) * stride + extent - x.shape[1 + axis]
        before.append(max(lack, 0) // 2)
    return before


def forward(
    x: Array, given: Mapping[str, Array], config: Any, number: Callable[[Any], Any], training: bool
) -> dict[str, Array]:
    """Every result of the forward pass."""
    z = h = pointwise(pooled(x, config), given["reduce_kernel"], given.get("reduce_bias"))
    moving = {}
    if config.normalise:
        epsilon, momentum = number(config.epsilon), number(config.momentum)
        z, means, variances = normalised(h, given, epsilon, training)
        n = h[..., 0].size
        share = number(n) / number(n - 1) if config.unbiased_moving_variance and n > 1 else 1
        for name, new, factor in (
            ("moving_mean", means, 1), ("moving_variance", variances, share)
        ):  # fmt: skip
            old = given[name]
            moved = [
                momentum * o + (1 - momentum) * (m * factor) for o, m in zip(old, new, strict=True)
            ]
            moving[name] = np.array(moved, object) if training else old
    a = each(relu, z)
    kernel = kernels(pointwise(a, given["expand_kernel"], given.get("expand_bias")), config)
    return {"y": operated(x, kernel, config), "kernel": kernel, **moving}


def gradients(
    values: Mapping[str, Array], config: Any, number: Callable[[Any], Any], training: bool
) -> dict[str, Array]:
    """The derivative of the sum over dy * y along every coordinate of every operand."""
    numbers = {name: each(number, array) for name, array in values.items()}
    wanted = [n for n in numbers if n not in {"dy", "moving_mean", "moving_variance"}]
    found = {}
    for name in wanted:
        gradient = np.empty(numbers[name].shape, object)
        for index in np.ndindex(gradient.shape):
            direction = {other: each(lambda one: 0 * one, numbers[other]) for other in numbers}
            direction[name][index] = number(1)
            gradient[index] = along(numbers, direction, config, number, training)
        found[f"d{name}"] = gradient
    return found


def along(
    numbers: Mapping[str, Array],
    direction: Mapping[str, Array],
    config: Any,
    number: Callable[[Any], Any],
    training: bool,
) -> Any:
    """The derivative of the sum over dy * y along a direction."""
    duals = {}
    for name in numbers:
        duals[name] = np.empty(numbers[name].shape, object)
        for index in np.ndindex(numbers[name].shape):
            duals[name][index] = Dual(numbers[name][index], direction[name][index])
    given = {name: array for name, array in duals.items() if name not in {"x", "dy"}}
    y = forward(duals["x"], given, config, number, training)["y"]
    terms = [y[index].slope * numbers["dy"][index] for index in np.ndindex(y.shape)]
    return sum(terms[1:], terms[0])
