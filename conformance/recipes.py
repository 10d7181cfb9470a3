"""Value recipes: how the operands of a case are made from its seed.

Each recipe is a function of the case and a random generator that gives (x, kernel, dy) in float64;
`operands` rounds them to the case's format. Nothing here judges.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from conformance.cases import Case
from conformance.formats import FORMATS
from conformance.implementation import Array
from conformance.impulses import impulse_dy, impulse_x
from refimpl import involution

Floats = npt.NDArray[np.float64]
Recipe = Callable[[Case, np.random.Generator], tuple[Floats, Floats, Floats]]


def operands(case: Case) -> dict[str, Array]:
    """Make x, kernel and dy of a case, in its dtype."""
    entropy = [case.seed, case.height, case.width, case.groups, case.members, *case.kernel_shape]
    values = RECIPES[case.recipe](case, np.random.default_rng(entropy))
    dtype = FORMATS[case.dtype].dtype
    # An overflow here would be a fault of the recipe; NaN and infinity pass silently.
    with np.errstate(over="raise"):
        return {
            name: array.astype(dtype)
            for name, array in zip(("x", "kernel", "dy"), values, strict=True)
        }


def shapes(case: Case, batch: int | None = None) -> tuple[tuple[int, ...], ...]:
    """Shapes of x, kernel and dy (GEO-1)."""
    batch = case.batch if batch is None else batch
    grid = case.grid
    return (
        (batch, case.height, case.width, case.channels),
        (batch, *grid, *case.kernel_shape, case.groups),
        (batch, *grid, case.channels),
    )


def inside(case: Case) -> npt.NDArray[np.bool_]:
    """Tell, in the shape of the kernel, which taps are not padded."""
    x, kernel, dy = (np.ones(shape) for shape in shapes(case))
    return involution.backward(dy, x, kernel, **case.options)[1] > 0


def terms(case: Case) -> int:
    """Most terms that a sum of this geometry has: taps for y and dx, channels for dkernel."""
    return max(case.kernel_shape[0] * case.kernel_shape[1], case.members)


def _integers(case: Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Integers so small that every sum of products is exact in the case's format (NUM-1)."""
    amplitude = int((2**case.exact_bits / terms(case)) ** 0.5)
    assert amplitude >= 1, f"too many terms for exact sums: {case.token}"
    return tuple(
        # No zeros: a dropped term is to show.
        rng.integers(1, amplitude, shape, endpoint=True) * rng.choice([-1.0, 1.0], shape)
        for shape in shapes(case)
    )


def _normal(case: Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Standard normal numbers."""
    return tuple(rng.standard_normal(shape) for shape in shapes(case))  # type: ignore[return-value]


def _wide(case: Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Magnitudes spread evenly over the exponents of which no product overflows or underflows."""
    bound = FORMATS[case.dtype]
    high = (bound.largest_exponent - np.ceil(np.log2(terms(case)))) / 2 - 1
    low = max(bound.smallest_exponent / 2, -high)
    return tuple(  # type: ignore[return-value]
        rng.choice([-1.0, 1.0], shape) * 2.0 ** rng.uniform(low, high, shape)
        for shape in shapes(case)
    )


def _cancelling(case: Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Sums whose value is far below their magnitude.

    Nearly constant x and dy, and signs that alternate from tap to tap and channel to channel.
    """
    noise = 8 * FORMATS[case.dtype].unit_roundoff
    x, kernel, dy = (
        rng.uniform(1, 2) * (1 + noise * rng.standard_normal(shape)) for shape in shapes(case)
    )
    taps = np.indices(kernel.shape[3:5]).sum(0) % 2 * 2 - 1
    channel = np.arange(case.channels)
    member = channel % case.members if case.group_layout == "blocked" else channel // case.groups
    return x, kernel * taps[..., None], dy * (member % 2 * 2 - 1)


def _subnormal(case: Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Operands and results around the underflow threshold, some of each below it."""
    tiny = FORMATS[case.dtype].smallest_normal
    x, kernel, dy = (
        rng.standard_normal(shape) * 2.0 ** rng.integers(-3, 4, shape) for shape in shapes(case)
    )
    # y and dkernel underflow through x; dx through the kernel's few small entries.
    return x * tiny, np.where(rng.random(kernel.shape) < 0.25, kernel * tiny, kernel), dy


def _large(case: Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Sums of magnitude near, but never above, half the largest number (NUM-6)."""
    limit = FORMATS[case.dtype].largest / (2 * terms(case))
    # Rounding to the format may add an ulp to each factor; 1 + 2^-6 squared covers bfloat16.
    root = np.sqrt(limit) / (1 + 2.0**-6)
    return tuple(
        rng.choice([-1.0, 1.0, 1.0, 1.0], shape) * rng.uniform(0.5, 1, shape) * root
        for shape in shapes(case)
    )


def _specials(case: Case, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Small integers, many zeros and a few NaN and infinities among them (SPC-1 to SPC-3).

    Zeros so many that they meet the others. No NaN or infinity in the kernel at a padded tap: what
    it does there is unspecified.
    """
    result = []
    for name, array in zip(("x", "kernel", "dy"), _integers(case, rng), strict=True):
        zeros = rng.choice([0.0, -0.0], array.shape)
        array = np.where(rng.random(array.shape) < 0.3, zeros, array)  # noqa: PLW2901
        chosen = rng.random(array.shape) < min(0.2, 2 / max(1, array.size))
        chosen &= inside(case) if name == "kernel" else True
        result.append(np.where(chosen, rng.choice([np.nan, np.inf, -np.inf], array.shape), array))
    return result[0], result[1], result[2]


RECIPES: Mapping[str, Recipe] = {
    "integers": _integers,
    "impulse-x": impulse_x,
    "impulse-dy": impulse_dy,
    "normal": _normal,
    "wide": _wide,
    "cancelling": _cancelling,
    "subnormal": _subnormal,
    "large": _large,
    "specials": _specials,
}

# Recipes whose results are exact in any order of summation: equality is demanded (NUM-1).
EXACT = frozenset({"integers", "specials", "impulse-x", "impulse-dy"})

# The results that a recipe decides, where that is not all of them.
DECIDES: Mapping[str, tuple[str, ...]] = {"impulse-x": ("y",), "impulse-dy": ("dx", "dkernel")}
