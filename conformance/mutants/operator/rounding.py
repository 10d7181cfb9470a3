"""Right sums, rounded otherwise than to nearest and ties to even, though that is declared.

Each computes in more precision than the result has, and rounds once, or nearly once: it is within
the bounds wherever a sum has several terms.
"""

from typing import Any

import ml_dtypes
import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Unfold


class _Rounds(Unfold):
    """Sums in twice the precision; `whole` rounds a number of units in the last place."""

    def wide(self, array: Array) -> Array:
        return array.astype(np.longdouble if array.dtype == np.float64 else np.float64)

    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        near, info = result.astype(dtype), ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        bits = info.nmant + 1
        fraction, exponent = np.frexp(result)
        units = self.whole(np.ldexp(fraction, bits))
        other = np.ldexp(units, exponent - bits).astype(dtype)
        size = np.abs(near.astype(np.float64))
        plain = (size < float(info.smallest_normal)) | (size >= float(info.max)) | np.isnan(size)
        return np.where(plain, near, other)

    def whole(self, units: Array) -> Array:
        return np.rint(units)


class RoundsTowardsZero(_Rounds):
    """Results rounded towards zero."""

    def whole(self, units: Array) -> Array:
        return np.trunc(units)


class RoundsUp(_Rounds):
    """Results rounded towards plus infinity."""

    def whole(self, units: Array) -> Array:
        return np.ceil(units)


class TiesAway(_Rounds):
    """Results rounded to nearest, and ties away from zero."""

    def whole(self, units: Array) -> Array:
        return np.copysign(np.floor(np.abs(units) + 0.5), units)


class RoundsTwice(_Rounds):
    """Results rounded to two bits more first, and then to their format."""

    def whole(self, units: Array) -> Array:
        return np.rint(np.rint(units * 4) / 4)


class RoundsAtRandom(_Rounds):
    """Results rounded up or down at random, as often as they are near."""

    capabilities: dict[str, Any] = Unfold.capabilities | {"deterministic": False}

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def whole(self, units: Array) -> Array:
        return np.floor(units + self._rng.random(units.shape))


class SumsTowardsZero(Unfold):
    """float32 partial sums over the taps rounded towards zero."""

    def total(self, products: Array) -> Array:
        total = np.zeros(products.shape[:3] + products.shape[5:], products.dtype)
        for u, v in np.ndindex(products.shape[3:5]):
            exact = total.astype(np.float64) + products[:, :, :, u, v]
            near = exact.astype(products.dtype)
            over = np.isfinite(near) & (np.abs(near.astype(np.float64)) > np.abs(exact))
            total = np.where(over, np.nextafter(near, near.dtype.type(0)), near)
        return total
