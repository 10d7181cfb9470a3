"""Integers whose sums are exact in any order (NUM-1): plain, split, and with structure.

The recipes of `operator_recipes` that demand equality, but for the certificate. Nothing is judged.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from conformance.cases.case import Array, Floats
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS

Three = tuple[Floats, Floats, Floats]
Make = Callable[[OperatorCase, int, np.random.Generator], Three]


def terms(case: OperatorCase) -> int:
    """Most terms that a sum of this geometry has: taps for y and dx, channels for dkernel."""
    return max(case.geometry.taps, case.geometry.members)


def integers(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Integers so small that every sum of products is exact in the case's format (NUM-1)."""
    amplitude = max(1, int((2**bits / terms(case)) ** 0.5))
    x, kernel, dy = (
        # No zeros: a dropped term is to show.
        rng.integers(1, amplitude, shape, endpoint=True) * rng.choice([-1.0, 1.0], shape)
        for shape in case.shapes.values()
    )
    if terms(case) <= 2**bits:
        return x, kernel, dy
    # More terms than are exact even of ones: some taps, and some channels of dy, are zero.
    taps, channels = case.geometry.taps, case.geometry.members
    kept = _some(taps, 2**bits, rng).reshape(*case.geometry.kernel_shape, 1)
    return x, kernel * kept, dy * _some(channels, 2**bits, rng)[members_of(case)]


def split(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Odd integers too long for any narrower format, whose sums use all bits and are exact.

    In float32 all of x has 12 significand bits, where TF32 and float16 have 11; so has one tap of
    the kernel and one channel of each group of dy, beside which the others are 1 or -1. A sum has
    one large product, of 24 bits, and many small ones.

    Why all sums are exact: let x < 2^a, kernel < 2^k, dy < 2^d. The large tap is the same for all
    outputs of a sample and group, and a pixel is read by it for one output at most. So the kernel
    entries that meet in a sum of y or dx add up to at most K + n, K being the largest of the large
    entries and n the number of small ones, and those of dy in a sum of dkernel to D + m.
    `_room` keeps K + n <= 2^(bits - max(a, d)) and D + m <= 2^(bits - max(a, k)), and NUM-1 holds.
    """
    long_x, long_kernel, long_dy = _lengths(case, bits)
    x = _odd(case.shapes["x"], long_x, 2**long_x - 1, rng)
    where, shape = case.geometry, case.shapes["kernel"]
    # One tap for each sample and group.
    large = rng.integers(where.taps, size=(case.batch, where.groups))
    tap = np.arange(where.taps).reshape(1, 1, 1, *where.kernel_shape, 1)
    most, few = _room(bits - max(long_x, long_dy), long_kernel, where.taps)
    kept = _beside(where.taps, few, rng).reshape(*where.kernel_shape, 1)
    kernel = np.where(
        tap == large[:, None, None, None, None, :],
        _odd(shape, long_kernel, most, rng),
        rng.choice([-1.0, 1.0], shape) * kept,
    )
    # One channel of each group, another one at each output.
    most, few = _room(bits - max(long_x, long_kernel), long_dy, where.members)
    chosen = rng.integers(where.members, size=(*case.shapes["dy"][:3], where.groups))
    shape, member = case.shapes["dy"], members_of(case)
    dy = np.where(
        chosen[..., groups_of(case)] == member,
        _odd(shape, long_dy, most, rng),
        rng.choice([-1.0, 1.0], shape) * _beside(where.members, few, rng)[member],
    )
    return x, kernel, dy


def _lengths(case: OperatorCase, bits: int) -> tuple[int, int, int]:
    """Significand bits of x, kernel and dy: longer than those of the next narrower format.

    Where a product has no room for two such factors one of the three is long, by the seed.
    """
    longer = 1 + max((one.bits for one in FORMATS.values() if one.bits < bits), default=0)
    if 2 * longer <= bits:
        return bits // 2, bits // 2, bits // 2
    long = [bits - longer] * 3
    long[case.seed % 3] = longer
    return long[0], long[1], long[2]


def _room(bits: int, length: int, count: int) -> tuple[int, int]:
    """Largest large entry, and how many small ones there may be beside it, of so many in all."""
    least = 2 ** (length - 1) + 1 if length > 1 else 1
    few = max(0, min(count - 1, 2**bits - least))
    return min(2**length - 1, 2**bits - few), few


def _beside(count: int, few: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Tell which are kept beside a large one: all, where there is room for all of the others."""
    return _some(count, few + (few == count - 1), rng)


def _odd(shape: tuple[int, ...], length: int, most: int, rng: np.random.Generator) -> Floats:
    """Odd integers of just so many bits, up to `most`, of either sign."""
    half = 2 ** (length - 1) // 2
    numbers = 2 * rng.integers(half, (most - 1) // 2, shape, endpoint=True) + 1
    signed: Floats = numbers * rng.choice([-1.0, 1.0], shape)
    return signed


def _some(count: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Tell which of so many are kept: at most so many, another choice from seed to seed."""
    return rng.permutation(count) < most


def members_of(case: OperatorCase) -> Array:
    """Place of each channel within its group."""
    channel, where = np.arange(case.channels), case.geometry
    return channel % where.members if where.group_layout == "blocked" else channel // where.groups


def groups_of(case: OperatorCase) -> Array:
    """Group of each channel (GRP-2, GRP-3)."""
    channel, where = np.arange(case.channels), case.geometry
    return channel // where.members if where.group_layout == "blocked" else channel % where.groups


# Structure: what shortcuts look for. Each changes one operand, x, kernel or dy by the seed, and
# makes no entry larger: sums stay exact. Where there are bits enough the others are those of
# `split`, so that a shortcut in narrow arithmetic shows; its large tap stays where it is in every
# change but `constant`.
_ENOUGH = 24


def structured(
    change: Callable[[Floats, np.random.Generator], Floats], others: Make | None = None
) -> Make:
    """Make a recipe of a change of one operand, of integers or of what else is given."""

    def make(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
        exact = split if bits >= _ENOUGH and change is not constant else integers
        changed = list((others or exact)(case, bits, rng))
        changed[case.seed % 3] = change(changed[case.seed % 3], rng)
        return changed[0], changed[1], changed[2]

    return make


def zero(array: Floats, rng: np.random.Generator) -> Floats:  # noqa: ARG001
    """Nothing but zeros."""
    return np.zeros_like(array)


def one(array: Floats, rng: np.random.Generator) -> Floats:  # noqa: ARG001
    """Nothing but ones."""
    return np.where(array != 0, 1.0, 0.0)


def constant(array: Floats, rng: np.random.Generator) -> Floats:  # noqa: ARG001
    """One number everywhere."""
    return np.where(array != 0, np.max(array, initial=0.0), 0.0)


def one_hot(array: Floats, rng: np.random.Generator) -> Floats:
    """Nothing but zeros, except at one place of an axis."""
    axis = int(rng.integers(array.ndim))
    place = np.arange(array.shape[axis]) == rng.integers(max(1, array.shape[axis]))
    return np.where(place.reshape(-1, *(1,) * (array.ndim - 1 - axis)), array, 0.0)


def sparse(array: Floats, rng: np.random.Generator) -> Floats:
    """Zeros, but for every tenth entry."""
    return np.where(rng.random(array.shape) < 0.1, array, 0.0)


def equal(array: Floats, rng: np.random.Generator) -> Floats:  # noqa: ARG001
    """The same in all pixels of a sample."""
    pixel: Floats = array[:, :1, :1]
    return np.broadcast_to(pixel, array.shape).copy()


def repeated(array: Floats, rng: np.random.Generator) -> Floats:  # noqa: ARG001
    """The same in all samples."""
    return np.broadcast_to(array[:1], array.shape).copy()
