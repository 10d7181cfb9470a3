"""One case: a geometry, a format, a value recipe and a seed; and the strategies that draw cases.

A case is a handful of small numbers, so that it shrinks, prints and replays; its operands are made
from it by `conformance.recipes`. Pools are small: whoever traces or compiles per geometry is not to
spend the run on that.
"""

import itertools
import re
from dataclasses import dataclass, fields, replace
from typing import Any

from hypothesis import strategies as st

from conformance.capabilities import Capabilities
from conformance.formats import FORMATS
from conformance.geometries import Geometry, Padding, Pair, Pools, every_pair, every_value, pools
from refimpl.geometry import Axis, extent, same_padding


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
        return token(self, Case(self.dtype, self.recipe))


def token(case: Any, default: Any) -> str:
    """Write what a case has beyond a default one in one word."""
    parts = [
        f"{field.name}={_compact(getattr(case, field.name))}"
        for field in fields(case)
        if field.name in {"dtype", "recipe"}
        or getattr(case, field.name) != getattr(default, field.name)
    ]
    return ",".join(parts)


def parse(written: str, kind: type[Any] = Case) -> Any:
    """Read a token back, as a case of that kind.

    Raises
    ------
    ValueError
        Naming the part that is no field of a case.
    """
    known = {field.name for field in fields(kind)}
    values: dict[str, Any] = {}
    for part in written.split(","):
        name, equals, text = part.partition("=")
        if name not in known or not equals:
            raise ValueError(
                f"--case has parts NAME=VALUE, NAME one of {sorted(known)}; got {part!r}"
            )
        values[name] = _value(text)
    if not {"dtype", "recipe"} <= set(values):
        raise ValueError(f"--case needs dtype and recipe, got {written!r}")
    return kind(**values)


def _compact(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ("/" if isinstance(value[0], tuple) else "x").join(_compact(part) for part in value)


def _value(text: str) -> Any:
    if "/" in text:
        return tuple(_value(part) for part in text.split("/"))
    if re.fullmatch(r"\d+x\d+", text):
        return tuple(int(part) for part in text.split("x"))
    if text in {"True", "False"}:
        return text == "True"
    if re.fullmatch(r"[\d.]+(e-?\d+)?", text):
        return int(text) if text.isdigit() else float(text)
    return text


def _before_after(padding: Padding, axis: int, n: int, k: int, s: int, d: int) -> Pair:
    if padding == "same":
        return same_padding(n, k, s, d)
    if padding == "valid":
        return 0, 0
    if isinstance(padding, int):
        return padding, padding
    assert not isinstance(padding, str), padding
    return padding[axis]


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
    channels = tuple((g, m) for m in members for g in groups)
    allowed = pools(claimed, paddings=paddings, group_layouts=group_layouts, channels=channels)
    few = _few(claimed, allowed, dtype) if claimed.compiles else []
    drawn = st.sampled_from(few) if few else st.tuples(*map(st.sampled_from, allowed))
    return at(
        Geometry(*draw(drawn)),
        claimed,
        dtype=dtype,
        recipe=recipe,
        seed=draw(st.integers(0, 999)),
        batch=draw(st.sampled_from(batches)),
        spare=(draw(st.integers(0, spare)), draw(st.integers(0, spare))),
    )


def at(
    geometry: Geometry,
    claimed: Capabilities,
    *,
    dtype: str,
    recipe: str,
    spare: Pair = (0, 0),
    **others: Any,
) -> Case:
    """Make the case of a geometry, on an image with `spare` pixels more than one output needs."""
    groups, members = geometry.channels
    options = geometry._asdict()
    del options["channels"]
    smallest = with_outputs(
        Case(
            dtype=dtype,
            recipe=recipe,
            bits=narrower_bits(claimed, dtype),
            groups=groups,
            members=members,
            **options,
            **others,
        )
    )
    height, width = smallest.height + spare[0], smallest.width + spare[1]
    return replace(smallest, height=height, width=width)


def certificate(
    claimed: Capabilities, dtype: str, recipe: str, *, brief: bool = False
) -> list[Case]:
    """List the cases that decide every claimed geometry, small ones first.

    Each value of each part of a geometry, ragged sizes included, meets each value of every other
    part; in brief, and where every geometry is compiled, each value occurs.
    """
    if brief or claimed.compiles:
        spares = itertools.cycle([(0, 1), (2, 0), (1, 3), (3, 2), (1, 0)])
        rows = [(*row, *next(spares)) for row in _compiled(claimed, dtype)]
    else:
        rows = every_pair([*pools(claimed), range(4), range(4)])
    listed = [
        at(Geometry(*row[:-2]), claimed, dtype=dtype, recipe=recipe, spare=row[-2:]) for row in rows
    ]
    return sorted(listed, key=lambda case: case.height * case.width * case.channels)


def narrower_bits(claimed: Capabilities, dtype: str) -> int:
    """Significand bits of the declared arithmetic, where they are fewer than those of `dtype`."""
    formats = claimed.accumulator_format(dtype), claimed.multiplier_format(dtype)
    bits = min(format_.bits for format_ in formats if format_ is not None)
    return bits if bits < FORMATS[dtype].bits else 0


def _few(claimed: Capabilities, allowed: Pools, dtype: str) -> list[tuple[Any, ...]]:
    """Of the geometries that are compiled anyway those that are allowed."""
    return [
        geometry
        for geometry in _compiled(claimed, dtype)
        if all(part in pool for part, pool in zip(geometry, allowed, strict=True))
    ]


def _compiled(claimed: Capabilities, dtype: str) -> list[tuple[Any, ...]]:
    """List a few geometries, the same for every test: each is traced or compiled once in a run.

    Each value of each part occurs; beyond the first format, which costs all of it again, in a part
    of the list with the fewest taps.
    """
    rows = sorted(every_value(pools(claimed)), key=lambda row: row[0][0] * row[0][1])
    return rows if dtype == claimed.first_dtype or not claimed.compiles else rows[:5]


def with_outputs(case: Case) -> Case:
    """Give the case on an image that is just large enough for one output, if its own is not."""
    height, width = (
        size if axis.outputs >= 1 else size + extent(axis.taps, axis.dilation) - _room(axis)
        for size, axis in zip((case.height, case.width), case.axes, strict=True)
    )
    return replace(case, height=height, width=width)


def _room(axis: Axis) -> int:
    return axis.size + axis.before + axis.after
