"""The geometries that cases are made of: small pools, and lists that cover them."""

import itertools
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from conformance.capabilities import Capabilities, Supported

Pair = tuple[int, int]
Padding = str | int | tuple[Pair, Pair]

KERNEL_SHAPES: tuple[Pair, ...] = (
    (1, 1), (3, 3), (2, 2), (2, 3), (3, 1), (1, 4), (5, 5), (4, 2), (7, 7),
)  # fmt: skip
STRIDES: tuple[Pair, ...] = ((1, 1), (2, 2), (1, 2), (3, 1), (3, 3), (2, 3), (5, 4))
DILATIONS: tuple[Pair, ...] = ((1, 1), (2, 2), (1, 2), (3, 1), (2, 5))
PADDINGS: dict[str, tuple[Padding, ...]] = {
    # As often as the other kinds: it is the rule that goes wrong most.
    "same": ("same", "same", "same"),
    "valid": ("valid",),
    "int": (0, 1, 4),
    "explicit": (((0, 1), (2, 0)), ((2, 3), (1, 0)), ((0, 0), (3, 3))),
}
# Several groups of several channels first: there the layouts differ.
CHANNELS: tuple[Pair, ...] = ((2, 2), (1, 1), (3, 2), (2, 1), (1, 2))


class Geometry(NamedTuple):
    """What an operator is traced or compiled for; `channels` is (G, M)."""

    kernel_shape: Pair
    stride: Pair
    dilation: Pair
    padding: Padding
    group_layout: str
    channels: Pair


class Pools(NamedTuple):
    """What each part of a geometry is chosen from."""

    kernel_shapes: tuple[Pair, ...]
    strides: tuple[Pair, ...]
    dilations: tuple[Pair, ...]
    paddings: tuple[Padding, ...]
    group_layouts: tuple[str, ...]
    channels: tuple[Pair, ...]


def pools(
    claimed: Capabilities,
    *,
    paddings: Sequence[str] | None = None,
    group_layouts: Sequence[str] | None = None,
    channels: tuple[Pair, ...] = CHANNELS,
) -> Pools:
    """Of every pool what is claimed, and of that what is asked for."""
    kinds = [kind for kind in paddings or claimed.paddings if kind in claimed.paddings]
    layouts = group_layouts or claimed.group_layouts
    return Pools(
        pairs(KERNEL_SHAPES, claimed.kernel_shapes),
        pairs(STRIDES, claimed.strides),
        pairs(DILATIONS, claimed.dilations),
        tuple(padding for kind in kinds for padding in PADDINGS[kind]),
        tuple(name for name in layouts if name in claimed.group_layouts),
        channels,
    )


def pairs(pool: tuple[Pair, ...], supported: Supported) -> tuple[Pair, ...]:
    """Of the pool what is claimed; what is claimed where the pool has none of it."""
    if supported == "any":
        return pool
    if supported == "square":
        return tuple(pair for pair in pool if pair[0] == pair[1])
    return tuple(pair for pair in pool if pair in supported) or tuple(supported)


def every_value(factors: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Give rows in which each value of each factor occurs.

    Each factor turns in an order of its own, so that the second values do not always meet.
    """
    number = max(map(len, factors))
    columns = []
    for index, factor in enumerate(factors):
        column = [factor[i % len(factor)] for i in range(number)]
        random.Random(index).shuffle(column)
        columns.append(column)
    return list(zip(*columns, strict=True))


def every_pair(factors: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Give rows in which each value of each factor meets each value of every other one.

    Greedy: a row begins with a pair that is missing and goes on with what adds most.
    """
    factors = [list(dict.fromkeys(factor)) for factor in factors]
    sizes = [range(len(factor)) for factor in factors]
    missing = {
        ((f, i), (g, j))
        for f, g in itertools.combinations(range(len(factors)), 2)
        for i in sizes[f]
        for j in sizes[g]
    }
    rows = []
    while missing:
        row = dict(min(missing))
        for f in range(len(factors)):
            if f not in row:
                row[f] = max(sizes[f], key=lambda i, f=f: (_added(row, f, i, missing), -i))  # type: ignore[misc]
        missing -= set(itertools.combinations(sorted(row.items()), 2))
        rows.append(tuple(factors[f][row[f]] for f in range(len(factors))))
    return rows


def _added(row: dict[int, int], f: int, i: int, missing: set[Any]) -> int:
    """Count the missing pairs that value i of factor f would add to a row."""
    return sum(tuple(sorted(((f, i), other))) in missing for other in row.items())
