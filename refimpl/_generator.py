"""The kernel generator's steps, forward and backward, in float64 (specification chapter LAY).

Each step is a function of arrays and gives what the next one and its own derivative need. Nothing
is checked here, and nothing is fused: every formula stands as the specification has it.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
PIXELS = (0, 1, 2)


class Windows(NamedTuple):
    """How the pooling windows of one axis lie: outputs, and padded pixels before the first."""

    outputs: int
    before: int
    stride: int


def windows(size: int, stride: int, pooling: str) -> Windows:
    """Lay out an axis by LAY-3, LAY-4 or LAY-5."""
    if pooling == "none":
        return Windows(size, 0, 1)
    if pooling == "valid":
        return Windows(size // stride, 0, stride)
    # One window holds the whole image, however far beyond it a stride reaches.
    stride = min(stride, size)
    outputs = -(-size // stride)
    return Windows(outputs, (outputs * stride - size) // 2, stride)


def pool(x: Floats, vertical: Windows, horizontal: Windows) -> tuple[Floats, Floats]:
    """Average over each window's pixels inside the image; also give their number (Ho, Wo)."""
    # x (B, H, W, C) is laid on a canvas of whole windows, and so is a count of its pixels.
    canvas = _on_canvas(x, vertical, horizontal)
    counts = _on_canvas(np.ones((1, *x.shape[1:3], 1)), vertical, horizontal)
    number = counts.sum(axis=(2, 4))
    return canvas.sum(axis=(2, 4)) / number, number


def pool_vjp(
    dpooled: Floats, number: Floats, vertical: Windows, horizontal: Windows, x: Floats
) -> Floats:
    """Spread each window's gradient evenly over its pixels."""
    share = dpooled / number
    spread = share.repeat(vertical.stride, axis=1).repeat(horizontal.stride, axis=2)
    top, left = vertical.before, horizontal.before
    inside = spread[:, top : top + x.shape[1], left : left + x.shape[2]]
    dx = np.zeros(x.shape)
    # Pixels beyond the last whole window (LAY-4) keep zero.
    dx[:, : inside.shape[1], : inside.shape[2]] = inside
    return dx


def _on_canvas(x: Floats, vertical: Windows, horizontal: Windows) -> Floats:
    """Lay x out as (B, Ho, sh, Wo, sw, C), zero outside the image."""
    batch, height, width, channels = x.shape
    rows, columns = vertical.outputs * vertical.stride, horizontal.outputs * horizontal.stride
    canvas = np.zeros((batch, rows, columns, channels))
    top, left = vertical.before, horizontal.before
    h, w = min(height, rows - top), min(width, columns - left)
    canvas[:, top : top + h, left : left + w] = x[:, :h, :w]
    return canvas.reshape(
        batch, vertical.outputs, vertical.stride, horizontal.outputs, horizontal.stride, channels
    )


def pointwise(p: Floats, weight: Floats, bias: Floats | None) -> Floats:
    """Compute a 1x1 convolution (LAY-7, LAY-10)."""
    product = p @ weight
    return product if bias is None else product + bias


def pointwise_vjp(dh: Floats, p: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Give the gradients with respect to p, the weight and the bias."""
    dweight = np.einsum("bijc,bijr->cr", p, dh)
    return dh @ weight.T, dweight, dh.sum(axis=PIXELS)


class Normalised(NamedTuple):
    """A normalisation's result and what its derivative needs."""

    z: Floats
    standard: Floats
    scale: Floats
    mean: Floats
    variance: Floats


def normalise(
    h: Floats, gamma: Floats, beta: Floats, mean: Floats, variance: Floats, epsilon: float
) -> Normalised:
    """Compute gamma * (h - mean) / sqrt(variance + epsilon) + beta (LAY-8)."""
    scale = 1 / np.sqrt(variance + epsilon)
    standard = (h - mean) * scale
    return Normalised(gamma * standard + beta, standard, scale, mean, variance)


def statistics(h: Floats) -> tuple[Floats, Floats]:
    """Mean and biased variance of each channel over all pixels of the batch (LAY-8)."""
    mean = h.mean(axis=PIXELS)
    return mean, ((h - mean) ** 2).mean(axis=PIXELS)


def normalise_vjp(
    dz: Floats, normalised: Normalised, gamma: Floats, *, through_statistics: bool
) -> tuple[Floats, Floats, Floats]:
    """Give the gradients with respect to h, gamma and beta (LAY-15).

    `through_statistics`: mean and variance are functions of h, not constants.
    """
    dgamma = (dz * normalised.standard).sum(axis=PIXELS)
    dbeta = dz.sum(axis=PIXELS)
    change = dz
    if through_statistics:
        pixels = dz[..., 0].size
        change = dz - dbeta / pixels - normalised.standard * (dgamma / pixels)
    return gamma * normalised.scale * change, dgamma, dbeta


def relu_vjp(da: Floats, z: Floats) -> Floats:
    """Pass the gradient on where z > 0; at zero the derivative is zero (LAY-9)."""
    return np.where(z > 0, da, 0.0)


def arrange(entries: Floats, taps: tuple[int, int], groups: int, kernel_order: str) -> Floats:
    """Turn generated channels into kernels (B, Ho, Wo, Kh, Kw, G) (LAY-11)."""
    grid = entries.shape[:3]
    if kernel_order == "tap_major":
        return entries.reshape(*grid, *taps, groups)
    return np.moveaxis(entries.reshape(*grid, groups, *taps), 3, 5)


def arrange_vjp(dkernel: Floats, kernel_order: str) -> Floats:
    """Turn the gradient of kernels back into that of channels."""
    grid = dkernel.shape[:3]
    ordered = dkernel if kernel_order == "tap_major" else np.moveaxis(dkernel, 5, 3)
    return ordered.reshape(*grid, math.prod(dkernel.shape[3:]))
