"""Operators whose arithmetic is known, since each is written for one: what `reveal` must find.

All sum the products of `Terms` over a last axis. Shares no code with the oracle, nor with what
reveals an arithmetic.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np

from tests.opponents.right_operators import Array, Terms


class EightLanes(Terms):
    """Eight partial sums, added up in order at the end."""

    def added(self, products: Array, total: Array) -> Array:
        lanes = [super(EightLanes, self).added(products[..., k::8], total) for k in range(8)]
        return super().added(np.stack(lanes, -1), total)


class Rows(Terms):
    """Each row of taps, then the rows."""

    def added(self, products: Array, total: Array) -> Array:
        side = round(products.shape[-1] ** 0.5)
        if side**2 != products.shape[-1]:
            return super().added(products, total)
        rows = products.reshape(*products.shape[:-1], side, side)
        return super().added(super().added(rows, total[..., None]), total)


class SumsInDouble(Terms):
    """float64 sums, rounded once."""

    def accumulator(self, dtype: Any) -> np.dtype[Any]:  # noqa: ARG002
        return np.dtype(np.float64)


class SumsInHalf(Terms):
    """Partial sums of float32 rounded to float16."""

    def added(self, products: Array, total: Array) -> Array:
        for k in range(products.shape[-1]):
            total = (total + products[..., k]).astype(np.float16).astype(np.float32)
        return total


class OperandsInBfloat16(Terms):
    """float32 operands rounded to bfloat16."""

    def products(self, a: Array, b: Array) -> Array:
        narrow = ml_dtypes.bfloat16
        return a.astype(narrow).astype(a.dtype) * b.astype(narrow).astype(a.dtype)


class OperandsInTf32(Terms):
    """float32 operands rounded to 11 bits, to nearest and ties to even."""

    def products(self, a: Array, b: Array) -> Array:
        return self.narrow(a) * self.narrow(b)

    def narrow(self, a: Array) -> Array:
        bits = np.ascontiguousarray(a).view(np.uint32)
        last = (bits >> np.uint32(13)) & np.uint32(1)
        near = (bits + np.uint32(0xFFF) + last) & np.uint32(0xFFFFE000)
        return np.where(np.isfinite(a), near.view(np.float32), a)


class OperandsTruncatedToTf32(OperandsInTf32):
    """float32 operands truncated to 11 bits."""

    def narrow(self, a: Array) -> Array:
        bits = np.ascontiguousarray(a).view(np.uint32) & np.uint32(0xFFFFE000)
        return np.where(np.isfinite(a), bits.view(np.float32), a)


class KernelInHalf(Terms):
    """The second factor rounded to float16."""

    def products(self, a: Array, b: Array) -> Array:
        return a * b.astype(np.float16).astype(b.dtype)


class FusedExactly(Terms):
    """float32 multiply and add with one rounding, ties and all.

    A float64 sum is rounded to odd, so that rounding it again is rounding once.
    """

    def products(self, a: Array, b: Array) -> Array:
        return a.astype(np.float64) * b

    def added(self, products: Array, total: Array) -> Array:
        for k in range(products.shape[-1]):
            total = _added(total.astype(np.float64), products[..., k]).astype(np.float32)
        return total

    def accumulator(self, dtype: Any) -> np.dtype[Any]:  # noqa: ARG002
        return np.dtype(np.float32)


def _added(a: Array, b: Array) -> Array:
    """Add float64 numbers, rounded to odd."""
    near = a + b
    back = near - a
    rest = (a - (near - back)) + (b - back)
    odd = near.view(np.int64) & 1 == 1
    inexact = np.isfinite(rest) & (rest != 0) & ~odd
    return np.where(inexact, np.nextafter(near, np.where(rest > 0, np.inf, -np.inf)), near)


class SumsTruncated(Terms):
    """float32 sums rounded towards zero."""

    def added(self, products: Array, total: Array) -> Array:
        for k in range(products.shape[-1]):
            exact = _added(total.astype(np.float64), products[..., k].astype(np.float64))
            total = _towards_zero(exact, np.float32)
        return total


class ResultTruncated(Terms):
    """Results of half formats rounded towards zero."""

    def rounded(self, total: Array, dtype: Any) -> Array:
        return _towards_zero(total, dtype)


def _towards_zero(exact: Array, dtype: Any) -> Array:
    near = exact.astype(dtype)
    above = np.abs(near.astype(np.float64)) > np.abs(exact.astype(np.float64))
    whole = near.view({2: np.uint16, 4: np.uint32}[near.dtype.itemsize])
    return (whole - above.astype(whole.dtype)).view(near.dtype)


class ResultThroughHalf(Terms):
    """float32 results rounded to float16 on their way."""

    def rounded(self, total: Array, dtype: Any) -> Array:
        return total.astype(np.float16).astype(dtype)


class FlushesResults(Terms):
    """Subnormal results are zero, and nothing else is."""

    def rounded(self, total: Array, dtype: Any) -> Array:
        near = total.astype(dtype)
        tiny = ml_dtypes.finfo(dtype).smallest_normal
        return np.where(np.abs(near) < tiny, near.dtype.type(0), near)


class Clipped(Terms):
    """Results clipped to the range of float16."""

    def rounded(self, total: Array, dtype: Any) -> Array:
        return np.clip(total, -65504, 65504).astype(dtype)


class ProductsInHalf(Terms):
    """Products of half formats rounded to their format, sums in float32."""

    def summed(self, a: Array, b: Array, live: Array, dtype: Any) -> Array:
        with np.errstate(all="ignore"):
            products = (a * b).astype(np.float32)
            return self.added(np.where(live, products, 0), products[..., 0] * 0).astype(dtype)


class Exact(Terms):
    """The exact sum, rounded once."""

    def summed(self, a: Array, b: Array, live: Array, dtype: Any) -> Array:
        a, b = (np.where(live, one, 0).astype(np.float64) for one in (a, b))
        with np.errstate(all="ignore"):
            sums = (a * b).sum(-1)
        for at in zip(*np.nonzero(np.isfinite(sums) & (a * b != 0).any(-1)), strict=True):
            used = (a[at] != 0) & (b[at] != 0)
            pairs = zip(a[at][used].tolist(), b[at][used].tolist(), strict=True)
            sums[at] = _odd(sum(Fraction(x) * Fraction(k) for x, k in pairs))
        return sums.astype(dtype)


def _odd(exact: Any) -> float:
    """Round a fraction to float64, to odd."""
    near = float(exact)
    if Fraction(near) == exact or np.float64(near).view(np.int64) & 1:
        return near
    return float(np.nextafter(near, np.inf if exact > Fraction(near) else -np.inf))


class Uncertain(Terms):
    """Sums in an order that changes from call to call."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def added(self, products: Array, total: Array) -> Array:
        order = self._rng.permutation(products.shape[-1])
        return super().added(products[..., order], total)


class Squares(Terms):
    """Products through squares, which is in no list of arithmetics."""

    def products(self, a: Array, b: Array) -> Array:
        squares: Array = ((a + b) ** 2 - (a - b) ** 2) / a.dtype.type(4)
        return np.where(np.isfinite(squares) & (a != 0) & (b != 0), squares, a * b)


ARITHMETICS: dict[str, Callable[[], Any]] = {
    one.__name__: one
    for one in (
        EightLanes, Rows, SumsInDouble, SumsInHalf, OperandsInBfloat16, OperandsInTf32,
        OperandsTruncatedToTf32, KernelInHalf, FusedExactly, SumsTruncated, ResultTruncated,
        ResultThroughHalf, FlushesResults, Clipped, ProductsInHalf, Exact,
    )
}  # fmt: skip
