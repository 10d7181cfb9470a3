"""Cases of the layer, and the strategy that they are drawn from."""

import contextlib
import functools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from hypothesis import strategies as st

from conformance.cases.case import Case
from conformance.cases.geometries import Geometry, pairs
from conformance.claims.capabilities import HALF, LayerCapabilities, Pair, supports
from refimpl import layer
from refimpl.layer import Config

KERNEL_SHAPES: tuple[Pair, ...] = ((3, 3), (1, 1), (2, 2), (1, 3), (5, 5), (3, 2))
STRIDES: tuple[Pair, ...] = ((1, 1), (2, 2), (2, 1), (3, 3), (1, 3), (4, 2))
DILATIONS: tuple[Pair, ...] = ((1, 1), (2, 2), (1, 2))
# Where each configuration is compiled: how many beside the named ones, each on one size, and with
# kernels of few taps, which compile sooner.
COMPILED = 2
COMPILED_SHAPES: tuple[Pair, ...] = ((2, 2), (1, 3))
# Every stride divides one of the sizes up to it, on which all rules agree, if they ever do.
_LARGEST = 80
_PLAIN = Config(kernel_size=(3, 3), groups=2, reduced_channels=2, stride=(1, 1), dilation=(1, 1))


class NoSizeError(ValueError):
    """A configuration whose two grids agree on no size."""


@dataclass(frozen=True)
class LayerCase(Case):
    """One call of a layer, values included; sizes are in pixels."""

    training: bool = False
    seed: int = 0
    batch: int = 2
    height: int = 4
    width: int = 5
    members: int = 2
    config: Config = _PLAIN

    part: ClassVar[str] = "config"
    renamed: ClassVar[Mapping[str, str]] = {
        "kernel_size": "kernel_shape",
        "reduced_channels": "reduced",
    }

    @property
    def channels(self) -> int:
        """C."""
        return self.config.groups * self.members

    @property
    def grid(self) -> Pair:
        """(Ho, Wo)."""
        return self.config.grid(self.height, self.width)

    @property
    def pixels(self) -> int:
        """Pixels of the batch, n."""
        rows, columns = self.grid
        return self.batch * rows * columns

    @property
    def specified(self) -> bool:
        """Whether the grids agree, and there are pixels enough to take statistics of."""
        sizes = (self.height, self.width)
        least = 1 + self.config.unbiased_moving_variance if self.training else 0
        return all(_agree(self, axis, sizes[axis]) for axis in (0, 1)) and self.pixels >= least

    @property
    def geometry(self) -> Geometry:
        """What the operator within is asked."""
        config, dilation = self.config, self.config.dilation
        return Geometry(
            config.groups,
            self.members,
            config.taps,
            config.strides,
            dilation if isinstance(dilation, tuple) else (dilation, dilation),
            config.padding,
            config.group_layout,
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the operands: x, dy and the parameters (LAY-1)."""
        return {
            "x": (self.batch, self.height, self.width, self.channels),
            "dy": (self.batch, *self.grid, self.channels),
            **self.config.shapes(self.channels),
        }


def unclaimed(case: LayerCase, claimed: LayerCapabilities) -> str:
    """Say what of a case is not claimed; nothing if all of it is."""
    if case.training and not claimed.training:
        return "training"
    if not case.config.normalise and not claimed.optional_normalisation:
        return "optional_normalisation"
    if "any" not in claimed.conventions and not any(
        conventional(case, name) == case for name in claimed.conventions
    ):
        return f"conventions any (claimed: {', '.join(claimed.conventions)})"
    return claimed.unclaimed(case)


def call_of(case: LayerCase) -> str:
    """The call of a case in words."""
    mode = "training" if case.training else "inference"
    # Of the configuration what is not its default.
    chosen = ", ".join(
        f"{field.name}={value!r}"
        for field in fields(Config)
        if (value := getattr(case.config, field.name)) != field.default
    )
    return (
        f"x {case.shapes['x']} {case.dtype}, {mode}, Config({chosen}); "
        f"values: {case.recipe}, seed {case.seed}"
    )


def plain_case(claimed: LayerCapabilities, **changes: Any) -> LayerCase:
    """Give a case of the first dtype and convention, as near to the changes as is claimed."""
    case = LayerCase(claimed.first_dtype, "normal").changed(**changes)
    config = case.config
    case = case.changed(
        kernel_size=pairs((config.taps, (3, 3)), claimed.kernel_shapes)[0],
        stride=pairs((config.strides, (1, 1)), claimed.strides)[0],
        training=case.training and claimed.training,
    )
    if config.group_layout not in claimed.group_layouts:
        case = case.changed(group_layout=claimed.group_layouts[0])
    if "same" not in claimed.paddings:
        case = case.changed(**_padding(lambda *pool: pool[0], case, claimed))
    return with_pixels(conventional(case, claimed.conventions[0]), (0, 0))


@st.composite
def cases(
    draw: st.DrawFn,
    claimed: LayerCapabilities,
    /,
    *,
    dtype: str | None = None,
    recipe: str,
    training: bool,
    convention: str,
    pooling: str | None = None,
) -> LayerCase:
    """Draw a case of a convention that a layer claims.

    Parameters
    ----------
    claimed : LayerCapabilities
        Bounds every choice.
    dtype, recipe : str
        Format of the operands, by default the first that is claimed, and value recipe.
    training : bool
        The mode.
    convention : str
        One that is claimed.
    pooling : str, optional
        A rule to keep to.
    """
    dtype = dtype or claimed.first_dtype
    if claimed.compiles and dtype != claimed.first_dtype:
        # Free configurations are compiled in one dtype, the named ones in all.
        named = [one for one in claimed.conventions if one != "any"]
        convention = named[0] if named and convention == "any" else convention
    pick = _picker(draw, claimed, convention, COMPILED if convention == "any" else 1)
    case = LayerCase(dtype, recipe, training, seed=draw(st.integers(0, 999)))
    return picked(pick, claimed, case, convention, pooling)


def picked(
    pick: Callable[..., Any],
    claimed: LayerCapabilities,
    case: LayerCase,
    convention: str,
    pooling: str | None = None,
) -> LayerCase:
    """Choose sizes and a configuration of a convention for a case.

    Parameters
    ----------
    pick : callable
        ``pick(*pool)`` gives one of a pool.
    claimed : LayerCapabilities
        Bounds every choice.
    case : LayerCase
        Its format, recipe, mode and seed are kept.
    convention : str
        One that is claimed.
    pooling : str, optional
        A rule to keep to.
    """
    shapes = COMPILED_SHAPES if claimed.compiles else KERNEL_SHAPES
    case = case.changed(batch=pick(2, 1, 3)).changed(
        groups=pick(2, 1, 3),
        members=pick(2, 1, 3),
        reduced_channels=pick(2, 1, 3),
        kernel_size=pick(*pairs(shapes, claimed.kernel_shapes)),
        stride=pick(*pairs(STRIDES, claimed.strides)),
    )
    if convention == "any":
        case = case.changed(
            dilation=pick(*pairs(DILATIONS, claimed.dilations)),
            group_layout=pick(*claimed.group_layouts),
            kernel_order=pick("tap_major", "group_major"),
            reduce_bias=pick(True, False),
            expand_bias=pick(True, False),
            normalise=not claimed.optional_normalisation
            or (case.recipe != "integers" and pick(True, True, False)),
            epsilon=pick(1e-3, 1e-5, 0.25),
            momentum=pick(0.99, 0.9, 0.5),
            unbiased_moving_variance=pick(False, True),
        )
        case = _fitting(pick, case, claimed, pooling)
    else:
        case = conventional(case, convention)
    return with_pixels(case, (pick(*range(6)), pick(*range(6))))


@functools.lru_cache(maxsize=256, typed=True)
def _one_of(*pool: Any) -> st.SearchStrategy[Any]:
    """Give what draws one; made once, since making a strategy takes longer than drawing."""
    return st.sampled_from(pool)


def _picker(
    draw: st.DrawFn, claimed: LayerCapabilities, convention: str, few: int
) -> Callable[..., Any]:
    """Choose freely or, where each choice is traced or compiled, one of a few whole sets."""
    if not claimed.compiles:
        return lambda *pool: draw(_one_of(*pool))
    chosen = random.Random(f"{convention} {draw(st.integers(0, few - 1))}")
    return lambda *pool: chosen.choice(pool)


def conventional(case: LayerCase, convention: str) -> LayerCase:
    """Give a case the choices of a convention; a named one's kernels and strides are square."""
    if convention == "any":
        return case
    config = case.config
    size, stride = config.taps[0], config.strides[0]
    if convention == "keras_example":
        made = layer.keras_example(config.reduced_channels, config.groups, size, stride)
    else:
        # Even kernels shift the official grid, and are refused there.
        made = layer.official(
            case.channels,
            size | 1,
            stride,
            group_channels=case.members,
            reduction_ratio=max(1, case.channels // config.reduced_channels),
        )
    # Pairs, as cases have them.
    pair = {"kernel_size": made.taps, "stride": made.strides, "dilation": (1, 1)}
    return case.changed(config=made).changed(**pair)


def _fitting(
    pick: Callable[..., Any], case: LayerCase, claimed: LayerCapabilities, pooling: str | None
) -> LayerCase:
    """Choose padding and pooling whose grids agree (LAY-6), on some size at least."""
    stride = case.config.strides
    if pooling is None:
        rules = ["same", "valid"] if max(stride) > 1 else ["same", "valid", "none"]
        pooling = pick(*rules)
    if pooling == "none" and supports(claimed.strides, (1, 1)):
        stride = (1, 1)
    case = case.changed(pooling=pooling, stride=stride)
    return case.changed(**_padding(pick, case, claimed))


def _padding(
    pick: Callable[..., Any], case: LayerCase, claimed: LayerCapabilities
) -> dict[str, Any]:
    """Choose a padding that is claimed, and what has to go with it."""
    where, kind = case.geometry, pick(*claimed.paddings)
    extents = [(k - 1) * d + 1 for k, d in zip(where.kernel_shape, where.dilation, strict=True)]
    if kind == "explicit":
        before = [pick(*range(extent)) for extent in extents]
        sides = [(n, extent - 1 - n) for n, extent in zip(before, extents, strict=True)]
        return {"padding": (sides[0], sides[1])}
    if kind == "int" and extents[0] == extents[1] and extents[0] % 2:
        return {"padding": (extents[0] - 1) // 2}
    if kind == HALF and all(extent % 2 for extent in extents):
        return {"padding": where.half}
    if kind == "valid" or "same" not in claimed.paddings:
        # Windows of the operator that do not overlap are those of the pooling.
        shape = where.stride if supports(claimed.kernel_shapes, where.stride) else (1, 1)
        if supports(claimed.kernel_shapes, shape) and "valid" in claimed.paddings:
            return {"padding": "valid", "kernel_size": shape, "dilation": (1, 1)}
    return {"padding": "same"}


def weight(case: LayerCase) -> tuple[Any, ...]:
    """Order cases by how small they are, then by how plain."""
    size = sum(math.prod(shape) for shape in case.shapes.values())
    odd = sum(getattr(case.config, f.name) != getattr(_PLAIN, f.name) for f in fields(Config))
    return size, odd, case.token


def simpler(case: LayerCase) -> Iterator[LayerCase]:
    """Give cases with one thing made smaller or plainer, the boldest changes first."""
    return (one for one in _simpler(case) if one.specified)


def _simpler(case: LayerCase) -> Iterator[LayerCase]:
    if case.batch > 1:
        yield case.changed(batch=1)
    for name, size in (
        ("groups", case.config.groups),
        ("members", case.members),
        ("reduced_channels", case.config.reduced_channels),
    ):
        yield from (case.changed(**{name: n}) for n in (1, size - 1) if 0 < n < size)
    if case.training:
        yield case.changed(training=False)
    for changes in ({"stride": (1, 1)}, {"dilation": (1, 1)}, {"kernel_size": (1, 1)}):
        if any(getattr(case.config, name) != value for name, value in changes.items()):
            yield from _fits(case.changed(**changes), (0, 0))
    for spare in ((0, 0), (case.height - 2, case.width - 1), (case.height - 1, case.width - 2)):
        if min(spare) >= 0:
            yield from _fits(case, spare)
    if case.seed:
        yield case.changed(seed=0)


def _fits(case: LayerCase, spare: Pair) -> Iterator[LayerCase]:
    """Give the case on an image that fits, if there is a small one."""
    with contextlib.suppress(NoSizeError):
        yield with_pixels(case, spare)


def with_pixels(case: LayerCase, spare: Pair) -> LayerCase:
    """Give the case on the smallest image that both grids agree on, and some pixels more."""
    sizes = []
    for axis in (0, 1):
        size = 1 + spare[axis]
        while not _agree(case, axis, size):
            size += 1
            if size > _LARGEST:
                raise NoSizeError(f"no image up to {size} pixels fits {case.config} (LAY-6)")
        sizes.append(size)
    case = case.changed(height=sizes[0], width=sizes[1])
    if case.training and case.config.unbiased_moving_variance and case.pixels < 2:
        return case.changed(batch=case.batch + 1)
    return case


def _agree(case: LayerCase, axis: int, size: int) -> bool:
    config = case.config
    stride = 1 if config.pooling == "none" else config.strides[axis]
    pooled = -(-size // stride) if config.pooling == "same" else size // stride
    return pooled == config.grid(size, size)[axis] >= 1
