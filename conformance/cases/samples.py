"""Samples of the impulse certificate, for images too large for an impulse at every place.

Each channel of each sample has a few impulses, at corners, borders, edges of blocks and inside,
and meets tags: each result is the tag of what met it, so that one product that is read from
elsewhere shows. Which pixels and entries have which tags follows from the seed. Nothing is judged.
"""

import itertools
import math

import numpy as np

from conformance.cases.case import Floats
from conformance.cases.integers import Three, groups_of
from conformance.cases.operator import OperatorCase

# So many impulses a call has at least, if the tags leave room: where sums have several of them,
# they share the bits.
LEAST = 32
# Bits that are left to the tags at least, and bits that they have at most.
_TAGS, _MOST = 6, 24
# Where fast code begins another block.
_BLOCKS = (4, 7, 8, 14, 16, 28, 32, 56, 64, 128, 256, 512, 1024)


def sample_x(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Some one-hot images meet tagged kernels."""
    several = _several(case, bits)
    x = _impulses(case.shapes["x"], several, rng)
    kernel = _tags(case.shapes["kernel"], bits, several, rng)
    return x, kernel, np.zeros(case.shapes["dy"])


def sample_dy(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Some one-hot dy meet tagged kernels and tagged images."""
    several = _several(case, bits)
    dy = _impulses(case.shapes["dy"], several, rng)
    # So many products a sum of dkernel has.
    of = groups_of(case)
    for group in range(case.geometry.groups):
        several = max(several, int(dy[..., of == group].sum(-1).max(initial=0)))
    x = _tags(case.shapes["x"], bits, several, rng)
    return x, _tags(case.shapes["kernel"], bits, several, rng), dy


def places(n: int, rng: np.random.Generator) -> list[int]:
    """List places of an axis: both ends first, edges of blocks, some inside."""
    edges = [one for block in _BLOCKS for one in (block - 1, block)]
    listed = [0, n - 1, 1, n - 2, *edges, *rng.integers(n, size=4).tolist()]
    return list(dict.fromkeys(one for one in listed if 0 <= one < n))


def _several(case: OperatorCase, bits: int) -> int:
    """Impulses of a channel of a sample: more than one where there are few of both."""
    few = -(-LEAST // max(1, case.batch * case.channels))
    return int(min(few, 2 ** max(0, bits - _TAGS)))


def _impulses(shape: tuple[int, ...], several: int, rng: np.random.Generator) -> Floats:
    """Give zeros, with so many ones in each channel of each sample, at other places in each."""
    batch, height, width, channels = shape
    rows, columns = places(height, rng), places(width, rng)
    number = batch * channels * several
    drawn = zip(*(rng.choice(one, number).tolist() for one in (rows, columns)), strict=True)
    # The corners first, in other channels and samples from seed to seed.
    chosen = [*itertools.product(rows[:2], columns[:2]), *drawn][:number]
    array, first = np.zeros(shape), int(rng.integers(max(1, batch * channels)))
    for place, (i, j) in enumerate(chosen, first):
        b, c = divmod(place % (batch * channels), channels)
        array[b, i, j, c] = 1.0
    return array


def _tags(shape: tuple[int, ...], bits: int, several: int, rng: np.random.Generator) -> Floats:
    """Give the entries of each sample integers, all different if the format has enough.

    So many of them sum exactly. From entry to entry it is one odd step, modulo a power of two: no
    number comes twice in a round, and near entries have tags far apart.
    """
    size = 2 ** min(_MOST, max(0, bits - math.ceil(math.log2(several))))
    step = 2 * int(rng.integers(size // 2 + 1)) + 1
    starts = rng.integers(size, size=(shape[0], 1))
    numbers = (np.arange(math.prod(shape[1:])) * step + starts) % size + 1
    tags: Floats = numbers.reshape(shape).astype(np.float64)
    return tags
