"""Cases of the operator, and the strategies and lists that they are drawn from.

Pools are small: whoever traces or compiles per geometry is not to spend the run on that.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import strategies as st

from conformance.cases.case import Case
from conformance.cases.covering import cover
from conformance.cases.geometries import (
    PADDINGS,
    Geometry,
    every_value,
    geometry,
    pairs,
    pools,
    within,
)
from conformance.claims.capabilities import Capabilities, Pair
from conformance.claims.formats import FORMATS
from conformance.claims.numbers import nearest

_ONE = Geometry()


@dataclass(frozen=True)
class OperatorCase(Case):
    """One call of the operator and of its derivatives; sizes are in pixels."""

    seed: int = 0
    batch: int = 1
    height: int = 1
    width: int = 1
    geometry: Geometry = _ONE

    part: ClassVar[str] = "geometry"

    @property
    def size(self) -> Pair:
        """H and W."""
        return self.height, self.width

    @property
    def channels(self) -> int:
        """C."""
        return self.geometry.channels

    # Asked for again and again: most of what makes and judges a case depends on it.
    @functools.cached_property
    def grid(self) -> Pair:
        """(Ho, Wo)."""
        vertical, horizontal = self.geometry.axes(self.size)
        return vertical.outputs, horizontal.outputs

    @property
    def products(self) -> int:
        """Products that are summed in y, those of padded taps among them."""
        return self.batch * math.prod(self.grid) * self.geometry.taps * self.channels

    @property
    def samples(self) -> int:
        """The batch; of impulses one for each entry, and in narrow formats for each digit of a tag.

        There are no more than four digits.
        """
        if not self.recipe.startswith("impulse"):
            return self.batch
        entries = math.prod(self.size if self.recipe == "impulse-x" else self.grid) * self.channels
        return entries if FORMATS[self.dtype].bits >= FORMATS["float32"].bits else 4 * entries

    @property
    def specified(self) -> bool:
        """Whether the image has an output."""
        return min(self.grid) >= 1

    @property
    def large_enough(self) -> "OperatorCase":
        """The case on an image that has an output."""
        height, width = self.geometry.large_enough(self.size)
        return self.changed(height=height, width=width)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the operands x, kernel and dy (GEO-1)."""
        return {
            "x": (self.batch, *self.size, self.channels),
            "kernel": (self.batch, *self.grid, *self.geometry.kernel_shape, self.geometry.groups),
            "dy": (self.batch, *self.grid, self.channels),
        }


def unclaimed(case: OperatorCase, claimed: Capabilities) -> str:
    """Say what of a case is not claimed; nothing if all of it is."""
    return claimed.unclaimed(case)


# No image is made larger than this for a claim's sake.
_MOST_PIXELS = 512


def fitted(case: OperatorCase, claimed: Capabilities) -> OperatorCase:
    """Give the nearest case whose numbers of groups, channels and pixels are claimed.

    Images are only made larger. Where there is none near, the case stays, and is not claimed.
    """
    where = case.geometry
    allowed = (claimed.groups, claimed.group_channels, claimed.channels)
    groups, members = nearest(where.groups, where.members, allowed)
    size, steps = case.size, where.stride if not claimed.ragged else (1, 1)
    if claimed.images == "square":
        size, steps = (max(size), max(size)), (math.lcm(*steps), math.lcm(*steps))
    height, width = (-(-n // step) * step for n, step in zip(size, steps, strict=True))
    if (height, width) != case.size and max(height, width) > _MOST_PIXELS:
        height, width = case.size
    return case.changed(height=height, width=width, groups=groups, members=members)


def call_of(case: OperatorCase) -> str:
    """The call of a case as one would write it."""
    shapes = {name: ", ".join(map(str, shape[1:])) for name, shape in case.shapes.items()}
    # An impulse recipe makes one sample of every entry.
    batch = "B" if case.recipe.startswith("impulse") else case.batch
    options = ", ".join(f"{name}={value!r}" for name, value in case.geometry.options.items())
    return (
        f"x ({batch}, {shapes['x']}) {case.dtype}, kernel ({batch}, {shapes['kernel']}), {options}"
        f"; values: {case.recipe}, seed {case.seed}"
    )


def plain_case(claimed: Capabilities, **changes: Any) -> OperatorCase:
    """Give a case of moderate sizes in the plainest geometry that is claimed, with changes."""
    kind = "same" if "same" in claimed.paddings else claimed.paddings[0]
    plain = Geometry(
        groups=2,
        members=2,
        kernel_shape=pairs(((3, 3),), claimed.kernel_shapes)[0],
        stride=pairs(((1, 1),), claimed.strides)[0],
        dilation=pairs(((1, 1),), claimed.dilations)[0],
        padding=PADDINGS[kind][0],
        group_layout=claimed.group_layouts[0],
    )
    case = OperatorCase(claimed.first_dtype, "integers", 0, 2, 9, 8, plain)
    return fitted(case.changed(**changes).large_enough, claimed)


def cases(
    claimed: Capabilities,
    *,
    dtype: str | None = None,
    recipe: str = "integers",
    batches: tuple[int, ...] = (1, 2, 3),
    groups: tuple[int, ...] = (1, 2, 3),
    members: tuple[int, ...] = (1, 2, 3, 5),
    paddings: tuple[str, ...] | None = None,
    group_layouts: tuple[str, ...] | None = None,
    spare: int = 6,
) -> st.SearchStrategy[OperatorCase]:
    """Give what draws cases that an implementation claims to support.

    Parameters
    ----------
    claimed : Capabilities
        Bounds every choice.
    dtype, recipe : str
        Format of the operands, by default the first that is claimed, and value recipe.
    batches, groups, members : tuple of int
        Pools of B, G and M.
    paddings, group_layouts : tuple of str, optional
        Kinds to choose from; all claimed ones by default.
    spare : int
        Most pixels by which an axis exceeds the smallest size that has an output.
    """
    dtype = dtype or claimed.first_dtype
    channels = tuple((g, m) for m in members for g in groups)
    allowed = pools(claimed, paddings=paddings, group_layouts=group_layouts, channels=channels)
    # Of the geometries that are compiled anyway those that are allowed.
    few = [
        row
        for row in (_compiled(claimed, dtype) if claimed.compiles else [])
        if all(row[name] in pool for name, pool in allowed.items())
    ]
    chosen: st.SearchStrategy[Any] = (
        st.sampled_from(few)
        if few
        else st.tuples(*map(st.sampled_from, allowed.values()))
        .map(lambda row: dict(zip(allowed, row, strict=True)))
        .filter(within(claimed))
    )
    beyond = st.tuples(st.integers(0, spare), st.integers(0, spare))

    def case(row: Any) -> OperatorCase:
        choice, seed, batch, spared = row
        made = at(
            geometry(choice), dtype=dtype, recipe=recipe, seed=seed, batch=batch, spare=spared
        )
        return fitted(made, claimed)

    return st.tuples(chosen, st.integers(0, 999), st.sampled_from(batches), beyond).map(case)


def at(
    where: Geometry, *, dtype: str, recipe: str, spare: Pair = (0, 0), **others: Any
) -> OperatorCase:
    """Make the case of a geometry, on an image with `spare` pixels more than one output needs."""
    height, width = where.large_enough((1, 1))
    return OperatorCase(
        dtype, recipe, height=height + spare[0], width=width + spare[1], geometry=where, **others
    )


def certificate(
    claimed: Capabilities, dtype: str, recipe: str, *, brief: bool = False
) -> list[OperatorCase]:
    """List the cases that decide every claimed geometry, small ones first.

    Each value of each part of a geometry, ragged sizes included, meets each value of every other
    part; in brief, and where every geometry is compiled, each value occurs.
    """
    if brief or claimed.compiles:
        spares = itertools.cycle([(0, 1), (2, 0), (1, 3), (3, 2), (1, 0)])
        rows = [(row, next(spares)) for row in _compiled(claimed, dtype)]
    else:
        spared: dict[str, Any] = {"high": range(4), "wide": range(4)}
        rows = [
            (row, (row.pop("high"), row.pop("wide")))
            for row in cover(pools(claimed) | spared, 2, within(claimed))
        ]
    listed = [at(geometry(row), dtype=dtype, recipe=recipe, spare=spare) for row, spare in rows]
    fitting = dict.fromkeys(fitted(case, claimed) for case in listed)
    fitting = dict.fromkeys(case for case in fitting if not unclaimed(case, claimed)) or fitting
    return sorted(fitting, key=lambda case: case.height * case.width * case.channels)


def _compiled(claimed: Capabilities, dtype: str) -> list[dict[str, Any]]:
    """List a few geometries, the same for every test: each is traced or compiled once in a run.

    Each value of each part occurs; beyond the first format, which costs all of it again, in a part
    of the list with the fewest taps.
    """
    rows = [row for row in every_value(pools(claimed)) if within(claimed)(row)]
    rows.sort(key=lambda row: row["kernel_shape"][0] * row["kernel_shape"][1])
    return rows if dtype == claimed.first_dtype or not claimed.compiles else rows[:5]


def weight(case: OperatorCase) -> tuple[Any, ...]:
    """Order cases by how small they are, then by how plain."""
    where = case.geometry
    size = sum(math.prod(shape[1:]) for shape in case.shapes.values()) * max(1, case.batch)
    odd = sum(getattr(where, name) != getattr(Geometry(), name) for name in where.options)
    return size, odd, case.token


def simpler(case: OperatorCase) -> Iterator[OperatorCase]:
    """Give cases with one thing made smaller or plainer, the boldest changes first."""
    where, least = case.geometry, case.geometry.large_enough((1, 1))
    if case.batch:
        yield from (case.changed(batch=n) for n in (1, case.batch - 1) if 0 < n < case.batch)
    for name in ("groups", "members"):
        size = getattr(where, name)
        yield from (case.changed(**{name: n}) for n in {1, 2, size // 2} if 0 < n < size)
    for name, value in Geometry().options.items():
        if getattr(where, name) != value:
            yield case.changed(**{name: value}).large_enough
    for name in ("stride", "dilation", "kernel_shape"):
        pair = getattr(where, name)
        for axis in (0, 1):
            for n in (1, pair[axis] - 1):
                smaller = (n, pair[1]) if axis == 0 else (pair[0], n)
                if 0 < n < pair[axis]:
                    yield case.changed(**{name: smaller}).large_enough
    for axis, name in enumerate(("height", "width")):
        size = case.size[axis]
        for n in sorted({least[axis], (size + least[axis]) // 2, size - 1}):
            if least[axis] <= n < size:
                yield case.changed(**{name: n})
    if case.seed:
        yield case.changed(seed=0)
