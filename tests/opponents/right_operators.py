"""Correct operators, each written or rounded in another way: none of them may be rejected.

`Terms` lists the two factors of every product along a last axis, for dx by asking each pixel which
outputs read it; what differs is how the products are added up. Shares no code with the oracle.
"""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from conformance.implementations.operator.numpy_unfold import Unfold
from tests.opponents.wrong_operators import Taps

Array = npt.NDArray[Any]
_SMALLEST_EXPONENT = {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022}


class Terms:
    """In order, half precision in single precision."""

    capabilities: dict[str, Any] = {"validates": False, "gradual_underflow": True}  # noqa: RUF012

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        rows, columns, group = self.geometry(x, kernel, **options)
        pixels, live = _windows(x, rows, columns)
        return self.taps_summed(pixels, kernel[..., group], live, x.dtype)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        rows, columns, group = self.geometry(x, kernel, **options)
        i, reads_row = _readers(rows, x.shape[1])
        j, reads_column = _readers(columns, x.shape[2])
        u, v = (np.arange(n) for n in kernel.shape[3:5])
        i, j = i[:, None, :, None], j[None, :, None, :]
        live = (reads_row[:, None, :, None] & reads_column[None, :, None, :])[None, ..., None]
        weights = kernel[:, i, j, u[:, None], v[None, :]][..., group]  # (B, H, W, Kh, Kw, C)
        dx = self.taps_summed(weights, dy[:, i, j], live, x.dtype)
        pixels, inside = _windows(x, rows, columns)
        members = np.argsort(group, kind="stable").reshape(kernel.shape[5], -1)
        gradient = np.broadcast_to(dy[:, :, :, None, None], pixels.shape)
        dkernel = self.summed(
            pixels[..., members], gradient[..., members], inside[..., None], x.dtype
        )
        return dx, dkernel

    def geometry(
        self, x: Array, kernel: Array, stride: Any = 1, dilation: Any = 1, padding: Any = "same",
        group_layout: str = "blocked",
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        """Pixel under each output and tap of either axis, and the group of each channel."""
        positions = []
        for axis in (0, 1):
            size, taps, outputs = x.shape[1 + axis], kernel.shape[3 + axis], kernel.shape[1 + axis]
            s, d = (n[axis] if isinstance(n, tuple) else n for n in (stride, dilation))
            if padding == "same":
                before = max((-(-size // s) - 1) * s + (taps - 1) * d + 1 - size, 0) // 2
            elif padding == "valid":
                before = 0
            else:
                before = padding[axis][0] if isinstance(padding, tuple) else padding
            positions.append(np.arange(outputs)[:, None] * s + np.arange(taps) * d - before)
        channels, groups = np.arange(x.shape[3]), kernel.shape[5]
        blocked = group_layout == "blocked"
        group = channels // (len(channels) // groups) if blocked else channels % groups
        return positions[0], positions[1], group

    def taps_summed(self, a: Array, b: Array, live: Array, dtype: Any) -> Array:
        """Sum over the axes of the taps, before the channels."""
        last = [np.moveaxis(np.broadcast_to(one, a.shape), 5, 3) for one in (a, b, live)]
        taps = a.shape[3] * a.shape[4]
        flat = [one.reshape(*one.shape[:4], taps) for one in last]
        return self.summed(*flat, dtype)

    def summed(self, a: Array, b: Array, live: Array, dtype: Any) -> Array:
        """Sum a * b over the last axis where it is live."""
        wide = self.accumulator(dtype)
        with np.errstate(all="ignore"):
            products = np.where(live, self.products(a.astype(wide), b.astype(wide)), wide.type(0))
            start = np.zeros(products.shape[:-1], wide)
            return self.rounded(self.added(products, start), dtype)

    def accumulator(self, dtype: Any) -> np.dtype[Any]:
        return np.dtype(np.float64 if dtype == np.float64 else np.float32)

    def products(self, a: Array, b: Array) -> Array:
        return a * b

    def added(self, products: Array, total: Array) -> Array:
        for k in range(products.shape[-1]):
            total = total + products[..., k]
        return total

    def rounded(self, total: Array, dtype: Any) -> Array:
        return total.astype(dtype)


def _windows(x: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    """Pixels (B, Ho, Wo, Kh, Kw, C), and which of them lie in the image."""
    h, w = np.clip(rows, 0, x.shape[1] - 1), np.clip(columns, 0, x.shape[2] - 1)
    live = (h == rows)[:, None, :, None] & (w == columns)[None, :, None, :]
    return x[:, h[:, None, :, None], w[None, :, None, :]], live[None, ..., None]


def _readers(position: Array, size: int) -> tuple[Array, Array]:
    """For each pixel and tap the output that reads it, and whether there is one."""
    pixels = np.arange(size)
    reader, reads = [], []
    for read in position.T:  # In ascending order.
        output = np.minimum(np.searchsorted(read, pixels), len(read) - 1)
        reader.append(output)
        reads.append(read[output] == pixels)
    return np.stack(reader, 1), np.stack(reads, 1)


class Reversed(Terms):
    """The last product first."""

    def added(self, products: Array, total: Array) -> Array:
        return super().added(products[..., ::-1], total)


class Pairwise(Terms):
    """A tree of sums."""

    def added(self, products: Array, total: Array) -> Array:  # noqa: ARG002
        while products.shape[-1] > 1:
            odd = products[..., -1:] if products.shape[-1] % 2 else products[..., :0]
            even = products[..., : products.shape[-1] // 2 * 2]
            products = np.concatenate([even[..., ::2] + even[..., 1::2], odd], -1)
        return products[..., 0]


class Blocked(Terms):
    """Four partial sums, added up at the end."""

    def added(self, products: Array, total: Array) -> Array:
        lanes = [super(Blocked, self).added(products[..., k::4], total) for k in range(4)]
        return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])


class Fused(Terms):
    """One rounding for a product and its addition.

    Through extended precision: a second rounding there is 2^-40 of a unit, and n of the 2n - 1
    roundings of the derivation are saved.
    """

    def products(self, a: Array, b: Array) -> Array:
        return a.astype(np.longdouble) * b.astype(np.longdouble)

    def summed(self, a: Array, b: Array, live: Array, dtype: Any) -> Array:
        wide = self.accumulator(dtype)
        with np.errstate(all="ignore"):
            products = np.where(
                live, self.products(a.astype(wide), b.astype(wide)), np.longdouble(0)
            )
            total = np.zeros(products.shape[:-1], wide)
            for k in range(products.shape[-1]):
                total = (total.astype(np.longdouble) + products[..., k]).astype(wide)
            return self.rounded(total, dtype)


class Compensated(Terms):
    """Kahan's sum."""

    def added(self, products: Array, total: Array) -> Array:
        carry, plain = total, super().added(products, total)
        for k in range(products.shape[-1]):
            step = products[..., k] - carry
            following = total + step
            carry, total = (following - total) - step, following
        return np.where(np.isfinite(total), total, plain)


class Wider(Terms):
    """Twice the precision, rounded once."""

    def accumulator(self, dtype: Any) -> np.dtype[Any]:
        return np.dtype(np.longdouble if dtype == np.float64 else np.float64)


class HalfInHalf(Terms):
    """Half precision accumulated in its own format, as declared."""

    capabilities: dict[str, Any] = Terms.capabilities | {
        "accumulator": {"float16": "float16", "bfloat16": "bfloat16"}
    }

    def accumulator(self, dtype: Any) -> np.dtype[Any]:
        return np.dtype(dtype)


class Flushing(Terms):
    """Subnormal operands, products, sums and results are zero."""

    capabilities: dict[str, Any] = {"validates": False}  # noqa: RUF012

    def summed(self, a: Array, b: Array, live: Array, dtype: Any) -> Array:
        return super().summed(_flushed(a, dtype), _flushed(b, dtype), live, dtype)

    def products(self, a: Array, b: Array) -> Array:
        return _flushed(a * b, a.dtype)

    def added(self, products: Array, total: Array) -> Array:
        for k in range(products.shape[-1]):
            total = _flushed(total + products[..., k], products.dtype)
        return total

    def rounded(self, total: Array, dtype: Any) -> Array:
        # Decided before rounding, as hardware may: up to a whole smallest normal number is lost.
        return _flushed(total, dtype).astype(dtype)


def _flushed(array: Array, dtype: Any) -> Array:
    tiny = 2.0 ** _SMALLEST_EXPONENT[np.dtype(dtype).name]
    return np.where(np.abs(array.astype(np.float64)) < tiny, array.dtype.type(0), array)


class TensorCores(Terms):
    """float32 factors truncated to TF32 and sums truncated, as declared."""

    capabilities: dict[str, Any] = Terms.capabilities | {"multiplier": {"float32": "tfloat32"}}

    def summed(self, a: Array, b: Array, live: Array, dtype: Any) -> Array:
        plain = super() if dtype == np.float32 else Terms()
        return plain.summed(a, b, live, dtype)

    def products(self, a: Array, b: Array) -> Array:
        return _truncated(a) * _truncated(b)

    def added(self, products: Array, total: Array) -> Array:
        for k in range(products.shape[-1]):
            exact = total.astype(np.float64) + products[..., k]
            near = exact.astype(np.float32)
            over = np.abs(near.astype(np.float64)) > np.abs(exact)
            total = np.where(over & np.isfinite(near), np.nextafter(near, np.float32(0)), near)
        return total


def _truncated(a: Array) -> Array:
    masked = (np.ascontiguousarray(a).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    return np.where(np.isfinite(a), masked, a)


class MatrixUnit(Terms):
    """float32 factors rounded to bfloat16, as declared."""

    capabilities: dict[str, Any] = Terms.capabilities | {"multiplier": {"float32": "bfloat16"}}

    def summed(self, a: Array, b: Array, live: Array, dtype: Any) -> Array:
        plain = super() if dtype == np.float32 else Terms()
        return plain.summed(a, b, live, dtype)

    def products(self, a: Array, b: Array) -> Array:
        narrow = ml_dtypes.bfloat16
        return a.astype(narrow).astype(np.float32) * b.astype(narrow).astype(np.float32)


RIGHT: dict[str, Callable[[], Any]] = {
    factory.__name__: factory
    for factory in (
        Terms, Reversed, Pairwise, Blocked, Fused, Compensated, Wider, HalfInHalf, Flushing,
        TensorCores, MatrixUnit, Unfold, Taps,
    )
}  # fmt: skip
