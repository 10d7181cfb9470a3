"""One case of a layer: its configuration, sizes, format, values; and the strategy that draws cases.

As with the operator a case is a handful of small numbers, so that it shrinks, prints and replays.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from conformance.cases import narrower_bits, token
from conformance.formats import FORMATS
from conformance.geometries import Padding, Pair, pairs
from conformance.implementation import Array
from conformance.layers.seam import LayerCapabilities
from refimpl import layer
from refimpl.layer import Config

KERNEL_SHAPES: tuple[Pair, ...] = ((3, 3), (1, 1), (2, 2), (1, 3), (5, 5), (3, 2))
STRIDES: tuple[Pair, ...] = ((1, 1), (2, 2), (2, 1), (3, 3), (1, 3), (4, 2))
DILATIONS: tuple[Pair, ...] = ((1, 1), (2, 2), (1, 2))
# Where each configuration is compiled: how many beside the named ones, each on one size, and with
# kernels of few taps, which compile sooner.
COMPILED = 2
COMPILED_SHAPES: tuple[Pair, ...] = ((2, 2), (1, 3))
RECIPES = ("integers", "plain", "normal", "faint")


@dataclass(frozen=True)
class LayerCase:
    """One call of a layer, values included; sizes as in `conformance.cases.Case`."""

    dtype: str
    recipe: str
    training: bool = False
    seed: int = 0
    batch: int = 2
    height: int = 4
    width: int = 5
    groups: int = 2
    members: int = 2
    reduced: int = 2
    kernel_shape: Pair = (3, 3)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: Padding = "same"
    group_layout: str = "interleaved"
    pooling: str = "same"
    kernel_order: str = "tap_major"
    reduce_bias: bool = True
    expand_bias: bool = True
    normalise: bool = True
    epsilon: float = 1e-3
    momentum: float = 0.99
    unbiased_moving_variance: bool = False
    bits: int = 0

    @property
    def channels(self) -> int:
        """C."""
        return self.groups * self.members

    @property
    def config(self) -> Config:
        """The reference's configuration."""
        names = (
            "stride", "dilation", "padding", "group_layout", "pooling", "kernel_order",
            "reduce_bias", "expand_bias", "normalise", "epsilon", "momentum",
            "unbiased_moving_variance",
        )  # fmt: skip
        chosen: dict[str, Any] = {name: getattr(self, name) for name in names}
        return Config(
            kernel_size=self.kernel_shape,
            groups=self.groups,
            reduced_channels=self.reduced,
            **chosen,
        )

    @property
    def token(self) -> str:
        """The case in one word, for ``python -m conformance --case=TOKEN``."""
        return token(self, LayerCase(self.dtype, self.recipe))


@st.composite
def layer_cases(
    draw: st.DrawFn,
    /,
    claimed: LayerCapabilities,
    *,
    dtype: str,
    recipe: str,
    training: bool,
    convention: str,
    pooling: str | None = None,
) -> LayerCase:
    """Draw a case of a convention that a layer claims."""
    if claimed.compiles and dtype != claimed.first_dtype:
        # Free configurations are compiled in one dtype, the named ones in all.
        named = [one for one in claimed.conventions if one != "any"]
        convention = named[0] if named and convention == "any" else convention
    pick = _picker(draw, claimed, convention, COMPILED if convention == "any" else 1)
    shapes = COMPILED_SHAPES if claimed.compiles else KERNEL_SHAPES
    case = LayerCase(
        dtype,
        recipe,
        training,
        seed=draw(st.integers(0, 999)),
        batch=pick(2, 1, 3),
        groups=pick(2, 1, 3),
        members=pick(2, 1, 3),
        reduced=pick(2, 1, 3),
        kernel_shape=pick(*pairs(shapes, claimed.kernel_shapes)),
        stride=pick(*pairs(STRIDES, claimed.strides)),
        bits=narrower_bits(claimed, dtype),
    )
    if convention == "any":
        case = replace(
            case,
            dilation=pick(*pairs(DILATIONS, claimed.dilations)),
            group_layout=pick(*claimed.group_layouts),
            kernel_order=pick("tap_major", "group_major"),
            reduce_bias=pick(True, False),
            expand_bias=pick(True, False),
            normalise=recipe != "integers" and pick(True, True, False),
            epsilon=pick(1e-3, 1e-5, 0.25),
            momentum=pick(0.99, 0.9, 0.5),
            unbiased_moving_variance=pick(False, True),
        )
        case = _fitting(pick, case, claimed, pooling)
    else:
        case = conventional(case, convention)
    return with_pixels(case, (pick(*range(6)), pick(*range(6))))


def _picker(
    draw: st.DrawFn, claimed: LayerCapabilities, convention: str, few: int
) -> Callable[..., Any]:
    """Choose freely or, where each choice is traced or compiled, one of a few whole sets."""
    if not claimed.compiles:
        return lambda *pool: draw(st.sampled_from(pool))
    chosen = random.Random(f"{convention} {draw(st.integers(0, few - 1))}")
    return lambda *pool: chosen.choice(pool)


def conventional(case: LayerCase, convention: str) -> LayerCase:
    """Give a case the choices of a convention; a named one's kernels and strides are square."""
    if convention == "any":
        return case
    size, stride = case.kernel_shape[0], case.stride[0]
    if convention == "keras_example":
        made = layer.keras_example(case.reduced, case.groups, size, stride)
    else:
        # Even kernels shift the official grid, and are refused there.
        made = layer.official(
            case.channels,
            size | 1,
            stride,
            group_channels=case.members,
            reduction_ratio=max(1, case.channels // case.reduced),
        )
    names = (
        "padding", "group_layout", "pooling", "kernel_order", "reduce_bias", "expand_bias",
        "epsilon", "momentum", "unbiased_moving_variance",
    )  # fmt: skip
    chosen: dict[str, Any] = {name: getattr(made, name) for name in names}
    return replace(
        case,
        kernel_shape=made.taps,
        stride=made.strides,
        reduced=made.reduced_channels,
        **chosen,
    )


def _fitting(
    pick: Callable[..., Any], case: LayerCase, claimed: LayerCapabilities, pooling: str | None
) -> LayerCase:
    """Choose padding and pooling whose grids agree (LAY-6), on some size at least."""
    if pooling is None:
        rules = ["same", "valid"] if max(case.stride) > 1 else ["same", "valid", "none"]
        pooling = pick(*rules)
    case = replace(case, pooling=pooling, stride=(1, 1) if pooling == "none" else case.stride)
    kind = pick(*claimed.paddings)
    extents = [(k - 1) * d + 1 for k, d in zip(case.kernel_shape, case.dilation, strict=True)]
    if kind == "explicit":
        before = [pick(*range(extent)) for extent in extents]
        sides = [(n, extent - 1 - n) for n, extent in zip(before, extents, strict=True)]
        return replace(case, padding=(sides[0], sides[1]))
    if kind == "int" and extents[0] == extents[1] and extents[0] % 2:
        return replace(case, padding=(extents[0] - 1) // 2)
    if kind == "valid":
        # Windows of the operator that do not overlap are those of the pooling.
        if case.stride in pairs((case.stride,), claimed.kernel_shapes):
            return replace(case, padding="valid", kernel_shape=case.stride, dilation=(1, 1))
        return replace(case, padding="valid", kernel_shape=(1, 1))
    return replace(case, padding="same")


def with_pixels(case: LayerCase, spare: Pair) -> LayerCase:
    """Give the case on the smallest image that both grids agree on, and some pixels more."""
    sizes = []
    for axis in (0, 1):
        size = 1 + spare[axis]
        while not _agree(case, axis, size):
            size += 1
            # Every stride divides one of the next sizes, on which all rules agree.
            assert size < 40, case.token
        sizes.append(size)
    case = replace(case, height=sizes[0], width=sizes[1])
    if case.training and case.unbiased_moving_variance and pixels(case) < 2:
        return replace(case, batch=case.batch + 1)
    return case


def _agree(case: LayerCase, axis: int, size: int) -> bool:
    stride = 1 if case.pooling == "none" else case.stride[axis]
    pooled = -(-size // stride) if case.pooling == "same" else size // stride
    return pooled == case.config.grid(size, size)[axis] >= 1


def pixels(case: LayerCase) -> int:
    """Pixels of the batch, n."""
    rows, columns = case.config.grid(case.height, case.width)
    return case.batch * rows * columns


def layer_operands(case: LayerCase) -> dict[str, Array]:
    """Make x, dy and the parameters of a case, in its dtype."""
    sizes = [case.height, case.width, case.groups, case.members, case.reduced]
    rng = np.random.default_rng([case.seed, *sizes, *case.kernel_shape])
    config = case.config
    shapes = {
        "x": (case.batch, case.height, case.width, case.channels),
        "dy": (case.batch, *config.grid(case.height, case.width), case.channels),
        **config.shapes(case.channels),
    }
    if case.recipe == "integers":
        values = {name: _integers(rng, name, shape) for name, shape in shapes.items()}
        # Averages over 2, 4 or 8 pixels are integers then.
        values["x"] *= 8
    else:
        values = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        _to_scale(case, values, rng)
    dtype = FORMATS[case.dtype].dtype
    return {name: value.astype(dtype) for name, value in values.items()}


def _integers(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Minus one, zero and one: sums of products of five of them still fit into half precision."""
    values = rng.integers(-1, 2, shape).astype(np.float64)
    # Weights without zeros: each term is to count.
    return (
        values if name in {"x", "dy"} else np.where(values == 0, rng.choice([-1, 1], shape), values)
    )


def _to_scale(case: LayerCase, values: dict[str, Array], rng: np.random.Generator) -> None:
    """Give weights the size that they have in networks, and statistics some that they can have."""
    for name, fan in (("reduce_kernel", case.channels), ("expand_kernel", case.reduced)):
        values[name] /= np.sqrt(fan)
    if case.recipe == "plain":
        # The kernel is its bias, so that what the operator makes of it is exact.
        values["expand_kernel"] *= 0
        for name in ("x", "dy", "expand_bias"):
            if name in values:
                values[name] = rng.integers(-2, 3, values[name].shape).astype(np.float64)
    if case.recipe == "faint":
        # Variances of the size of epsilon, which therefore shows.
        for name in ("reduce_kernel", "reduce_bias", "moving_mean"):
            if name in values:
                values[name] = values[name] / 32
    if case.normalise:
        values["moving_variance"] = rng.uniform(0.5, 2, case.reduced)
        if case.recipe == "faint":
            values["moving_variance"] /= 1024
