"""One case: a geometry, a format, a value recipe and a seed; and the strategies that draw cases.

A case is a handful of small numbers, so that it shrinks, prints and replays; its operands are made
from it by `conformance.recipes`. Pools are small: whoever traces or compiles per geometry is not to
spend the run on that.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from conformance.capabilities import Capabilities, Supported
from conformance.formats import FORMATS
from refimpl._geometry import Axis, extent, same_padding

Pair = tuple[int, int]
Padding = str | int | tuple[Pair, Pair]

KERNEL_SHAPES: tuple[Pair, ...] = (
    (1, 1), (3, 3), (2, 2), (2, 3), (3, 1), (1, 4), (5, 5), (4, 2), (7, 7),
)  # fmt: skip
STRIDES: tuple[Pair, ...] = ((1, 1), (2, 2), (1, 2), (3, 1), (3, 3), (2, 3))
DILATIONS: tuple[Pair, ...] = ((1, 1), (2, 2), (1, 2), (3, 1))
PADDINGS: dict[str, tuple[Padding, ...]] = {
    "same": ("same",),
    "valid": ("valid",),
    "int": (0, 1, 2, 4),
    "explicit": (((0, 1), (2, 0)), ((1, 0), (0, 2)), ((2, 3), (1, 0)), ((0, 0), (3, 3))),
}


@dataclass(frozen=True)
class Case:
    """One call of forward and backward, values included.

    Sizes are in pixels; `kernel_shape`, `stride` and `dilation` are (vertical, horizontal);
    `members` is the number M of channels of a group; `bits` is set where an implementation
    accumulates in fewer bits than `dtype` has.
    """

    dtype: str
    recipe: str
    seed: int = 0
    batch: int = 1
    height: int = 1
    width: int = 1
    groups: int = 1
    members: int = 1
    kernel_shape: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = "same"
    group_layout: str = "blocked"
    bits: int = 0

    @property
    def exact_bits(self) -> int:
        """Significand bits in which sums of the exact recipes must fit (NUM-1)."""
        return self.bits or FORMATS[self.dtype].bits

    @property
    def channels(self) -> int:
        """C."""
        return self.groups * self.members

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Vertical and horizontal axis."""
        sizes = self.height, self.width
        return tuple(  # type: ignore[return-value]
            Axis(n, k, s, d, *_before_after(self.padding, axis, n, k, s, d))
            for axis, (n, k, s, d) in enumerate(
                zip(sizes, self.kernel_shape, self.stride, self.dilation, strict=True)
            )
        )

    @property
    def grid(self) -> Pair:
        """(Ho, Wo)."""
        vertical, horizontal = self.axes
        return vertical.outputs, horizontal.outputs

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments of the call."""
        return {
            "stride": self.stride,
            "dilation": self.dilation,
            "padding": self.padding,
            "group_layout": self.group_layout,
        }

    @property
    def token(self) -> str:
        """The case in one word, for ``python -m conformance --case=TOKEN``."""
        default = Case(self.dtype, self.recipe)
        parts = [
            f"{field.name}={_compact(getattr(self, field.name))}"
            for field in fields(self)
            if field.name in {"dtype", "recipe"}
            or getattr(self, field.name) != getattr(default, field.name)
        ]
        return ",".join(parts)


def parse(token: str) -> Case:
    """Read a token back.

    Raises
    ------
    ValueError
        Naming the part that is no field of a case.
    """
    known = {field.name for field in fields(Case)}
    values: dict[str, Any] = {}
    for part in token.split(","):
        name, equals, text = part.partition("=")
        if name not in known or not equals:
            raise ValueError(
                f"--case has parts NAME=VALUE, NAME one of {sorted(known)}; got {part!r}"
            )
        values[name] = _value(text)
    if not {"dtype", "recipe"} <= set(values):
        raise ValueError(f"--case needs dtype and recipe, got {token!r}")
    return Case(**values)


def _compact(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ("/" if isinstance(value[0], tuple) else "x").join(_compact(part) for part in value)


def _value(text: str) -> Any:
    if "/" in text:
        return tuple(_value(part) for part in text.split("/"))
    if re.fullmatch(r"\d+x\d+", text):
        return tuple(int(part) for part in text.split("x"))
    return int(text) if text.isdigit() else text


def _before_after(padding: Padding, axis: int, n: int, k: int, s: int, d: int) -> Pair:
    if padding == "same":
        return same_padding(n, k, s, d)
    if padding == "valid":
        return 0, 0
    if isinstance(padding, int):
        return padding, padding
    assert not isinstance(padding, str), padding
    return padding[axis]


def pairs(pool: tuple[Pair, ...], supported: Supported) -> tuple[Pair, ...]:
    """Of the pool what is claimed; what is claimed where the pool has none of it."""
    if supported == "any":
        return pool
    if supported == "square":
        return tuple(pair for pair in pool if pair[0] == pair[1])
    return tuple(pair for pair in pool if pair in supported) or tuple(supported)


@st.composite
def cases(
    draw: st.DrawFn,
    claimed: Capabilities,
    *,
    dtype: str,
    recipe: str,
    batches: tuple[int, ...] = (1, 2, 3),
    groups: tuple[int, ...] = (1, 2, 3),
    members: tuple[int, ...] = (1, 2, 3, 5),
    paddings: tuple[str, ...] | None = None,
    group_layouts: tuple[str, ...] | None = None,
    spare: int = 6,
) -> Case:
    """Draw a case that an implementation claims to support.

    Parameters
    ----------
    claimed : Capabilities
        Bounds every choice.
    dtype, recipe : str
        Format and value recipe of the operands.
    batches, groups, members : tuple of int
        Pools of B, G and M.
    paddings, group_layouts : tuple of str, optional
        Kinds to choose from; all claimed ones by default.
    spare : int
        Most pixels by which an axis exceeds the smallest size that has an output.
    """
    kinds = [kind for kind in paddings or claimed.paddings if kind in claimed.paddings]
    layouts = group_layouts or claimed.group_layouts
    allowed = _Pools(
        pairs(KERNEL_SHAPES, claimed.kernel_shapes),
        pairs(STRIDES, claimed.strides),
        pairs(DILATIONS, claimed.dilations),
        tuple(padding for kind in kinds for padding in PADDINGS[kind]),
        tuple(name for name in layouts if name in claimed.group_layouts),
        tuple((g, m) for m in members for g in groups),
    )
    few = _few_geometries(claimed, allowed) if claimed.compiles else []
    geometry = draw(st.sampled_from(few) if few else st.tuples(*map(st.sampled_from, allowed)))
    shape, stride, dilation, padding, layout, channels = geometry
    sizes = [
        draw(st.integers(low, low + spare))
        for low in (_smallest(padding, axis, shape[axis], dilation[axis]) for axis in (0, 1))
    ]
    return Case(
        dtype=dtype,
        bits=narrower_bits(claimed, dtype),
        recipe=recipe,
        seed=draw(st.integers(0, 999)),
        batch=draw(st.sampled_from(batches)),
        height=sizes[0],
        width=sizes[1],
        groups=channels[0],
        members=channels[1],
        kernel_shape=shape,
        stride=stride,
        dilation=dilation,
        padding=padding,
        group_layout=layout,
    )


def narrower_bits(claimed: Capabilities, dtype: str) -> int:
    """Significand bits of the declared arithmetic, where they are fewer than those of `dtype`."""
    formats = claimed.accumulator_format(dtype), claimed.multiplier_format(dtype)
    bits = min(format_.bits for format_ in formats if format_ is not None)
    return bits if bits < FORMATS[dtype].bits else 0


class _Pools(NamedTuple):
    """What each part of a geometry is chosen from."""

    shapes: tuple[Pair, ...]
    strides: tuple[Pair, ...]
    dilations: tuple[Pair, ...]
    paddings: tuple[Padding, ...]
    layouts: tuple[str, ...]
    channels: tuple[Pair, ...]


def _few_geometries(claimed: Capabilities, allowed: _Pools) -> list[tuple[Any, ...]]:
    """Of a fixed list of geometries those that are allowed.

    The list is the same for every test, so that an implementation that traces or compiles per
    geometry does it once for the whole run.
    """
    number = max(8, settings().max_examples // 4)
    # In turn: each padding kind with both layouts, several groups of several channels with both.
    kinds = [claimed.paddings[i % len(claimed.paddings)] for i in range(number)]
    listed = [
        (
            _turn(pairs(KERNEL_SHAPES[1:], claimed.kernel_shapes), i),
            _turn(pairs(STRIDES, claimed.strides), 5 * i + 1),
            _turn(pairs(DILATIONS, claimed.dilations), 3 * i),
            _turn(PADDINGS[kinds[i]], i // len(claimed.paddings)),
            _turn(claimed.group_layouts, i // 2),
            _turn(((2, 2), (1, 2), (2, 2), (2, 1)), i),
        )
        for i in range(number)
    ]
    return [
        geometry
        for geometry in listed
        if all(part in pool for part, pool in zip(geometry, allowed, strict=True))
    ]


def _turn(pool: Sequence[Any], index: int) -> Any:
    return pool[index % len(pool)]


def _smallest(padding: Padding, axis: int, taps: int, dilation: int) -> int:
    """Fewest pixels of an axis that give an output."""
    if padding == "same":
        return 1
    return max(1, extent(taps, dilation) - sum(_before_after(padding, axis, 0, 0, 0, 0)))
