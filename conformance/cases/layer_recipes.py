"""Value recipes of the layer: how the operands of a case are made from its seed.

Where a result of theirs is exact the bounds find out. Nothing here judges.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from conformance.cases.case import Array, Recipe
from conformance.cases.layer import LayerCase
from conformance.claims.formats import FORMATS


def operands(case: LayerCase, bits: int) -> dict[str, Array]:
    """Make x, dy and the parameters of a case, in its dtype.

    Parameters
    ----------
    case : LayerCase
        The call.
    bits : int
        Significand bits of exact sums; a layer's integers are as small as they can be.
    """
    config = case.config
    sizes = [case.height, case.width, config.groups, case.members, config.reduced_channels]
    rng = np.random.default_rng([case.seed, *sizes, *config.taps])
    values = RECIPES[case.recipe].make(case, bits, rng)
    dtype = FORMATS[case.dtype].dtype
    return {name: a.astype(dtype, order="C") for name, a in zip(case.shapes, values, strict=True)}


def _small(case: LayerCase, bits: int, rng: np.random.Generator) -> Iterator[Array]:  # noqa: ARG001
    """Give small integers; averages over 2, 4 or 8 pixels are integers too."""
    for name, shape in case.shapes.items():
        values = _integers(rng, name, shape) * (8 if name == "x" else 1)
        yield np.abs(values) if name == "moving_variance" else values


def _scaled(case: LayerCase, bits: int, rng: np.random.Generator) -> Iterator[Array]:  # noqa: ARG001
    """Give normal numbers, of the size that they have in networks."""
    values = {name: rng.standard_normal(shape) for name, shape in case.shapes.items()}
    _to_scale(case, values, rng)
    return iter(values.values())


def _integers(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    """Minus one, zero and one: sums of products of five of them still fit into half precision."""
    values = rng.integers(-1, 2, shape).astype(np.float64)
    # Weights without zeros: each term is to count.
    return (
        values if name in {"x", "dy"} else np.where(values == 0, rng.choice([-1, 1], shape), values)
    )


def _to_scale(case: LayerCase, values: dict[str, Array], rng: np.random.Generator) -> None:
    """Give weights the size that they have in networks, and statistics some that they can have."""
    for name, fan in (
        ("reduce_kernel", case.channels),
        ("expand_kernel", case.config.reduced_channels),
    ):
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
    if case.config.normalise:
        values["moving_variance"] = rng.uniform(0.5, 2, case.config.reduced_channels)
        if case.recipe == "faint":
            values["moving_variance"] /= 1024
    _to_shape(case, values, rng)


def _to_shape(case: LayerCase, values: dict[str, Array], rng: np.random.Generator) -> None:
    """Give values what seldom is drawn: zeros, a slope, numbers far from one."""
    if case.recipe == "sparse":
        values["x"] = np.where(rng.random(values["x"].shape) < 0.1, values["x"], 0)
    if case.recipe == "still" and "gamma" in values:
        # From the first channel on every other gamma is zero.
        values["gamma"][::2] = 0
    if case.recipe == "drift":
        # From row to row larger, and of one sign: the last pixels show in every sum and mean.
        rows = np.linspace(0, 1, case.height).reshape(-1, 1, 1)
        values["x"], values["dy"] = values["x"] / 8 + 2 * rows, np.abs(values["dy"])
    if case.recipe == "far":
        _to_far(values, tuple(FAR))
    if case.recipe == "one-far":
        _to_far(values, (str(rng.choice([name for name in FAR if name in values])),))


# What moves values away from one, no further than half precision reaches: h and its statistics are
# some hundreds, the kernel some tens, y some thousands.
FAR: Mapping[str, float] = {
    "x": 16.0, "dy": 1 / 16, "reduce_kernel": 8.0, "reduce_bias": 64.0, "gamma": 8.0,
    "moving_mean": 64.0, "moving_variance": 4096.0, "expand_kernel": 1 / 16, "expand_bias": 4.0,
}  # fmt: skip


def _to_far(values: dict[str, Array], names: tuple[str, ...]) -> None:
    for name in names:
        if name in values:
            values[name] = values[name] * FAR[name]


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("integers", _small),
        Recipe("plain", _scaled),
        Recipe("normal", _scaled),
        Recipe("faint", _scaled),
        Recipe("still", _scaled),
        Recipe("far", _scaled),
        Recipe("one-far", _scaled),
        Recipe("sparse", _scaled),
        Recipe("drift", _scaled),
    )
}
