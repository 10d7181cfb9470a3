"""Operands of which every result is one rounding away from an exact sum (NUM-8).

A product alone has up to three bits more than the narrowest format of the arithmetic: enough for a
tie, for its neighbours on both sides, and for a second rounding to show. A sum of two numbers of
one binade has one bit more: whenever it is rounded it is a tie. Whoever rounds to nearest rounds
either of them once, in any order of summation, with or without compensation, and in any accumulator
that holds it or has the result's format. Nothing is judged.
"""

import numpy as np

from conformance.cases.case import Floats
from conformance.cases.integers import Three, groups_of, members_of
from conformance.cases.operator import OperatorCase

# The other factor of a product that is alone, of up to three bits; of two it is one.
_ODD = (3.0, 5.0, 7.0)


def nearest_x(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """y and dkernel are rounded: x is of all bits, what it meets is of few."""
    x = _long(case.shapes["x"], bits, rng)
    return x, _kernel(case, rng), _few_channels(case, rng)


def nearest_dy(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """dx is rounded: dy is of all bits; of each group one channel of x is one."""
    dy = _long(case.shapes["dy"], bits, rng)
    chosen = rng.integers(case.geometry.members)
    x = np.broadcast_to(members_of(case) == chosen, case.shapes["x"])
    return x.astype(np.float64), _kernel(case, rng), dy


def _long(shape: tuple[int, ...], bits: int, rng: np.random.Generator) -> Floats:
    """Integers of just so many bits, of either sign."""
    signed: Floats = rng.integers(2 ** (bits - 1), 2**bits, shape) * rng.choice([-1.0, 1.0], shape)
    return signed


def _kernel(case: OperatorCase, rng: np.random.Generator) -> Floats:
    """Zero but for two taps of each sample and group, or for one.

    The same taps at all outputs: then a pixel is read by each of them for one output at most, and
    the sums of dx have as few terms as those of y.
    """
    where, shape = case.geometry, case.shapes["kernel"]
    tap = np.arange(where.taps).reshape(1, 1, 1, *where.kernel_shape, 1)
    first = rng.integers(where.taps, size=(case.batch, where.groups))
    other = rng.integers(where.taps, size=first.shape)
    # Where both are one it is alone.
    alone = (rng.random(first.shape) < 0.5) | (first == other)
    first, other, alone = (a[:, None, None, None, None, :] for a in (first, other, alone))
    ones = np.where(alone, rng.choice(_ODD, shape), 1.0) * (tap == first)
    others = ~alone * (tap == other)
    kernel: Floats = (ones + others) * rng.choice([-1.0, 1.0], shape)
    return kernel


def _few_channels(case: OperatorCase, rng: np.random.Generator) -> Floats:
    """Zero but for two channels of each group, or for one; others at each output."""
    shape, groups = case.shapes["dy"], groups_of(case)
    outputs = (*shape[:3], case.geometry.groups)
    first, other = (rng.integers(case.geometry.members, size=outputs) for _ in range(2))
    alone = (rng.random(outputs) < 0.5) | (first == other)
    first, other, alone = (a[..., groups] for a in (first, other, alone))
    members = members_of(case)
    ones = np.where(alone, rng.choice(_ODD, shape), 1.0) * (members == first)
    others = ~alone * (members == other)
    dy: Floats = (ones + others) * rng.choice([-1.0, 1.0], shape)
    return dy
