"""The geometries that cases are made of: small pools, and lists that cover them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.claims.capabilities import HALF, Capabilities, Pair, Supported, supports
from conformance.claims.numbers import nearest
from refimpl.geometry import WORDS, Axis, Padding, axes, extent

KERNEL_SHAPES: tuple[Pair, ...] = (
    (1, 1), (3, 3), (2, 2), (2, 3), (3, 1), (1, 4), (5, 5), (4, 2), (7, 7),
)  # fmt: skip
STRIDES: tuple[Pair, ...] = ((1, 1), (2, 2), (1, 2), (3, 1), (3, 3), (2, 3), (5, 4))
DILATIONS: tuple[Pair, ...] = ((1, 1), (2, 2), (1, 2), (3, 1), (2, 5))
PADDINGS: dict[str, tuple[Padding, ...]] = {
    **{word: (word,) for word in WORDS},
    # As often as the other kinds: it is the rule that goes wrong most.
    "same": ("same", "same", "same"),
    "int": (0, 1, 4),
    "explicit": (((0, 1), (2, 0)), ((2, 3), (1, 0)), ((0, 0), (3, 3))),
    # Pixels that follow from the geometry, at every stride: see `Geometry.pixels`.
    HALF: (HALF,),
}
# Several groups of several channels first: there the layouts differ.
CHANNELS: tuple[Pair, ...] = ((2, 2), (1, 1), (3, 2), (2, 1), (1, 2))


@dataclass(frozen=True)
class Geometry:
    """What an operator is traced or compiled for: everything but batch, height and width.

    `kernel_shape`, `stride` and `dilation` are (vertical, horizontal); `groups` is G and `members`
    is M, the channels of a group. `padding` may be "half", which a call gets as pixels.
    """

    groups: int = 1
    members: int = 1
    kernel_shape: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding | str = "same"
    group_layout: str = "blocked"

    @property
    def channels(self) -> int:
        """C."""
        return self.groups * self.members

    @property
    def taps(self) -> int:
        """Kh * Kw."""
        return self.kernel_shape[0] * self.kernel_shape[1]

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of a call."""
        names = ("stride", "dilation", "padding", "group_layout")
        return {name: getattr(self, name) for name in names} | {"padding": self.pixels}

    @property
    def half(self) -> tuple[Pair, Pair]:
        """The padding of d * (K - 1) // 2 pixels on each side."""
        rows, columns = (
            d * (k - 1) // 2 for k, d in zip(self.kernel_shape, self.dilation, strict=True)
        )
        return (rows, rows), (columns, columns)

    @property
    def pixels(self) -> Any:
        """The padding as a call has it."""
        return self.half if self.padding == HALF else self.padding

    def axes(self, size: Pair) -> tuple[Axis, Axis]:
        """Vertical and horizontal axis of an image of so many pixels."""
        return axes(size, self.kernel_shape, self.stride, self.dilation, self.pixels)

    def large_enough(self, size: Pair) -> Pair:
        """Give the size, enlarged where it has no output to one that has just one."""
        height, width = (
            axis.size
            if axis.outputs >= 1
            else extent(axis.taps, axis.dilation) - axis.before - axis.after
            for axis in self.axes(size)
        )
        return height, width


def pools(
    claimed: Capabilities,
    *,
    paddings: Sequence[str] | None = None,
    group_layouts: Sequence[str] | None = None,
    channels: tuple[Pair, ...] = CHANNELS,
) -> dict[str, tuple[Any, ...]]:
    """Of every pool what is claimed, and of that what is asked for; "channels" is (G, M)."""
    kinds = [kind for kind in paddings or claimed.paddings if kind in claimed.paddings]
    layouts = group_layouts or claimed.group_layouts
    strides = pairs(STRIDES, claimed.strides)
    if not claimed.resizes:
        # What of other kinds keeps the size would be chance.
        kinds = [kind for kind in kinds if kind in {"same", HALF}] or kinds
        strides = tuple(pair for pair in strides if pair == (1, 1)) or strides
    allowed = (claimed.groups, claimed.group_channels, claimed.channels)
    channels = tuple(dict.fromkeys(nearest(*pair, allowed) for pair in channels))
    return {
        "kernel_shape": pairs(KERNEL_SHAPES, claimed.kernel_shapes),
        "stride": strides,
        "dilation": pairs(DILATIONS, claimed.dilations),
        "padding": tuple(padding for kind in kinds for padding in PADDINGS[kind]),
        "group_layout": tuple(name for name in layouts if name in claimed.group_layouts),
        "channels": channels,
    }


def geometry(choice: Mapping[str, Any]) -> Geometry:
    """Give the geometry of one value from each pool."""
    groups, members = choice["channels"]
    return Geometry(groups, members, **{n: v for n, v in choice.items() if n != "channels"})


def within(claimed: Capabilities) -> Callable[[Mapping[str, Any]], bool]:
    """Give what tells whether the geometry of one value from each pool can be claimed at all.

    A part of a choice can: what is not chosen yet may be what goes with it.
    """

    def can(choice: Mapping[str, Any]) -> bool:
        if claimed.resizes or not {"kernel_shape", "dilation", "stride", "padding"} <= set(choice):
            return True
        where = Geometry(
            **{n: choice[n] for n in ("kernel_shape", "dilation", "stride", "padding")}
        )
        return all(axis.outputs == axis.size for axis in where.axes((64, 64)))

    return can


def pairs(pool: tuple[Pair, ...], supported: Supported) -> tuple[Pair, ...]:
    """Of the pool what is claimed; what is claimed where the pool has none of it."""
    found = tuple(pair for pair in pool if supports(supported, pair))
    if found:
        return found
    if not isinstance(supported, str):
        return supported
    odd = "odd" in supported
    return tuple((vertical | odd, vertical | odd) for vertical, _ in pool)


def every_value(factors: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Give rows in which each value of each factor occurs.

    Each factor turns in an order of its own, so that the second values do not always meet.
    """
    number = max(map(len, factors.values()))
    columns = []
    for index, factor in enumerate(factors.values()):
        column = [factor[i % len(factor)] for i in range(number)]
        random.Random(index).shuffle(column)
        columns.append(column)
    return [dict(zip(factors, row, strict=True)) for row in zip(*columns, strict=True)]
