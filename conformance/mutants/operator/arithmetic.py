"""Right products in the wrong arithmetic: precision, formats, overflow, special values."""

from typing import Any

import ml_dtypes
import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Call, Plan, Unfold

_HALF = np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)


class SumsInHalf(Unfold):
    """float32 partial sums rounded to float16."""

    def total(self, products: Array) -> Array:
        wide = products.dtype == np.float64
        total = np.zeros(products.shape[:3] + products.shape[5:], products.dtype)
        for u, v in np.ndindex(products.shape[3:5]):
            total = total + products[:, :, :, u, v]
            total = total if wide else total.astype(np.float16).astype(np.float32)
        return total


class HalfSumsInHalf(Unfold):
    """float16 and bfloat16 products and partial sums rounded to their own format."""

    def wide(self, array: Array) -> Array:
        return array if array.dtype in _HALF else super().wide(array)

    def total(self, products: Array) -> Array:
        if products.dtype not in _HALF:
            return super().total(products)
        total = np.zeros(products.shape[:3] + products.shape[5:], products.dtype)
        for u, v in np.ndindex(products.shape[3:5]):
            total = (total + products[:, :, :, u, v]).astype(products.dtype)
        return total


class OperandsThroughHalf(Unfold):
    """float32 operands rounded to float16."""

    def wide(self, array: Array) -> Array:
        narrow = array.astype(np.float16) if array.dtype == np.float32 else array
        return super().wide(narrow)


class KernelThroughHalf(Unfold):
    """A float32 kernel rounded to float16."""

    def wide(self, array: Array) -> Array:
        narrow = array.dtype == np.float32 and array.ndim == 6
        return super().wide(array.astype(np.float16) if narrow else array)


class OperandsThroughBfloat16(Unfold):
    """float32 operands rounded to bfloat16."""

    def wide(self, array: Array) -> Array:
        narrow = array.astype(ml_dtypes.bfloat16) if array.dtype == np.float32 else array
        return super().wide(narrow.astype(array.dtype))


class OperandsThroughTensorCores(Unfold):
    """float32 operands truncated to TF32, undeclared."""

    def wide(self, array: Array) -> Array:
        wide = super().wide(array)
        if array.dtype != np.float32:
            return wide
        return (wide.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


class DoubleThroughSingle(Unfold):
    """float64 computed in float32."""

    def wide(self, array: Array) -> Array:
        return array.astype(np.float32)


class HalfThroughBfloat16(Unfold):
    """float16 operands rounded to bfloat16."""

    def wide(self, array: Array) -> Array:
        narrow = array.astype(ml_dtypes.bfloat16) if array.dtype == np.float16 else array
        return super().wide(narrow.astype(array.dtype))


class Bfloat16ThroughHalf(Unfold):
    """bfloat16 computed in float16, whose range is smaller."""

    def wide(self, array: Array) -> Array:
        narrow = array.astype(np.float16) if array.dtype == ml_dtypes.bfloat16 else array
        return super().wide(narrow)


class ResultTruncated(Unfold):
    """float16 and bfloat16 results truncated instead of rounded."""

    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        near = result.astype(dtype)
        if dtype not in _HALF:
            return near
        above = np.abs(near.astype(np.float64)) > np.abs(result.astype(np.float64))
        bits = near.view(np.uint16)
        return np.where(above & (bits & 0x7FFF > 0), bits - above.astype(np.uint16), bits).view(
            dtype
        )


class AnswersInDouble(Unfold):
    """Computed and answered in float64 whatever the operands are."""

    def wide(self, array: Array) -> Array:
        return array.astype(np.float64)

    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        return result.astype(np.float64)


class HalfAnswersInSingle(Unfold):
    """Results in float32 for float16 and bfloat16 operands."""

    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        return super().rounded(result, np.dtype(np.float32) if dtype in _HALF else dtype)


class GradientsInDouble(Unfold):
    """dkernel in float64 whatever the operands are."""

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        dx, dkernel = super().backward(dy, x, kernel, **options)
        return dx, dkernel.astype(np.float64)


class DkernelThroughHalf(Unfold):
    """float32 dkernel rounded to float16."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        dkernel = super().dkernel(call, dy, x)
        narrow = dkernel.astype(np.float16) if dkernel.dtype == np.float32 else dkernel
        return narrow.astype(dkernel.dtype)


class DxRoundedPerOutput(Unfold):
    """float16 and bfloat16 dx rounded to its format after each product that is added."""

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        dx, dkernel = super().backward(dy, x, kernel, **options)
        if x.dtype not in _HALF:
            return dx, dkernel
        call = self.call(x.shape, kernel.shape, **options)
        with np.errstate(all="ignore"):
            return self.dx(call, dy, kernel).astype(x.dtype), dkernel


class QuarterSquares(Unfold):
    """Products through squares, a * b = ((a + b)^2 - (a - b)^2) / 4, which cancel."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        plan = self.plan(call)
        one, other = self.read(x, plan), kernel[plan.entry]
        products = ((one + other) ** 2 - (one - other) ** 2) / 4
        special = ~np.isfinite(products) | (one == 0) | (other == 0)
        return self.total(np.where(special, one * other, products))


class RunningSums(Unfold):
    """Sums over the taps as differences of running sums along the output row."""

    def total(self, products: Array) -> Array:
        sums = super().total(products)
        if not np.isfinite(sums).all():
            return sums
        running = np.cumsum(sums, axis=2, dtype=sums.dtype)
        return np.concatenate([running[:, :, :1], np.diff(running, axis=2)], axis=2)


class ScaledUp(Unfold):
    """Sums computed at 16 times their size: they overflow early."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        return super().y(call, x * 16, kernel) / x.dtype.type(16)

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return super().dx(call, dy * 16, kernel) / dy.dtype.type(16)


class Saturates(Unfold):
    """Results clipped to the range of float16, infinity included."""

    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        return super().rounded(np.clip(result, -65504, 65504), dtype)


class NanToZero(Unfold):
    """NaN and infinite results replaced by finite numbers."""

    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        return super().rounded(np.nan_to_num(result), dtype)


class ZeroWeightsSkipped(Unfold):
    """Products with a zero kernel entry skipped: a NaN or infinite pixel does not show."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        plan = self.plan(call)
        weights = kernel[plan.entry]
        return self.total(np.where(weights == 0, 0, self.read(x, plan) * weights))


class FlushesSubnormals(Unfold):
    """Subnormal results flushed to zero though gradual underflow is declared."""

    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        rounded = super().rounded(result, dtype)
        tiny = 2.0 ** {"float16": -14, "float64": -1022}.get(dtype.name, -126)
        return np.where(np.abs(rounded.astype(np.float64)) < tiny, rounded * 0, rounded)


class EpsilonAdded(Unfold):
    """1e-7 added to every output."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        return super().y(call, x, kernel) + x.dtype.type(1e-7)


class ClippedAtZero(Unfold):
    """Negative outputs clipped to zero: an activation left in."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        return np.maximum(super().y(call, x, kernel), 0)


class KernelNormalised(Unfold):
    """The kernel divided by the sum of its taps' magnitudes."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        sums = np.abs(kernel).sum((3, 4), keepdims=True)
        return super().y(call, x, kernel / np.where(sums == 0, 1, sums))


class PaddedTapsMultiplied(Unfold):
    """Padded taps read the first pixel times zero: its NaN and infinity show."""

    def read(self, x: Array, plan: Plan) -> Array:
        return x[plan.pixel] * plan.inside
