"""Value recipes of the operator: how the operands of a case are made from its seed.

Each recipe carries all that is known of it: its generator, whether its sums are exact, what it
decides, and which clause a wrong element breaks. `operands` rounds to the case's format. Nothing
here judges.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from conformance.cases.case import Array, Floats, Recipe
from conformance.cases.impulses import impulse_dy, impulse_x
from conformance.cases.integers import (
    Make,
    Three,
    constant,
    equal,
    integers,
    one,
    one_hot,
    repeated,
    sparse,
    split,
    structured,
    terms,
    zero,
)
from conformance.cases.nearest import nearest_dy, nearest_x
from conformance.cases.operator import OperatorCase
from conformance.cases.samples import sample_dy, sample_x
from conformance.claims.formats import FORMATS
from refimpl import involution

OPERANDS = ("x", "kernel", "dy")
# Of forward mode and of second derivatives.
FURTHER = (*OPERANDS, "tx", "tkernel", "ddx", "ddkernel")
SECOND = ("ty", "ddy", "d2x", "d2kernel")


def operands(case: OperatorCase, bits: int) -> dict[str, Array]:
    """Make x, kernel and dy of a case, in its dtype, and what else its recipe makes.

    Parameters
    ----------
    case : OperatorCase
        The call.
    bits : int
        Significand bits in which the sums of exact recipes must fit (NUM-1).
    """
    where = case.geometry
    entropy = [case.seed, *case.size, where.groups, where.members, *where.kernel_shape]
    recipe, dtype = RECIPES[case.recipe], FORMATS[case.dtype].dtype
    values = recipe.make(case, bits, np.random.default_rng(entropy))
    names = recipe.operands or OPERANDS
    # An overflow here would be a fault of the recipe; NaN and infinity pass silently.
    with np.errstate(over="raise"):
        # In the usual order of memory: what lies otherwise is for FWD-6 to ask.
        return {name: a.astype(dtype, order="C") for name, a in zip(names, values, strict=True)}


def read(case: OperatorCase) -> npt.NDArray[np.bool_]:
    """Tell, in the shape of x, which pixels some tap reads."""
    return _of_ones(case)[0] > 0


def inside(case: OperatorCase) -> npt.NDArray[np.bool_]:
    """Tell, in the shape of the kernel, which taps are not padded."""
    return _of_ones(case)[1] > 0


def _of_ones(case: OperatorCase) -> tuple[Floats, Floats]:
    ones = {name: np.ones(shape) for name, shape in case.shapes.items()}
    return involution.backward(ones["dy"], ones["x"], ones["kernel"], **case.geometry.options)


def _normal(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Standard normal numbers."""
    x, kernel, dy = (rng.standard_normal(shape) for shape in case.shapes.values())
    return x, kernel, dy


def _second(make: Make, share: float = 1.0) -> Callable[..., tuple[Floats, ...]]:
    """Make a recipe of tangents, and of gradients of gradients, beside x, kernel and dy.

    Sums of two parts must be exact: each has half of the room, which is a bit less. What is made
    beside x, kernel and dy is so much of what the recipe makes: of a sum of two parts half of each
    is no more than one of them.
    """

    def made(case: OperatorCase, bits: int, rng: np.random.Generator) -> tuple[Floats, ...]:
        first, *others = (make(case, bits - 1, rng) for _ in range(3))
        return (*first, *(array * share for other in others for array in other[:2]))

    return made


def further(recipe: str) -> str | None:
    """Name the recipe that makes the operands of every function as one makes x, kernel and dy."""
    name = f"second-{recipe}"
    return name if name in RECIPES else None


def _wide(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Magnitudes spread evenly over the exponents of which no product overflows or underflows."""
    bound = FORMATS[case.dtype]
    high = (bound.largest_exponent - np.ceil(np.log2(terms(case)))) / 2 - 1
    low = max(bound.smallest_exponent / 2, -high)
    x, kernel, dy = (
        rng.choice([-1.0, 1.0], shape) * 2.0 ** rng.uniform(low, high, shape)
        for shape in case.shapes.values()
    )
    return x, kernel, dy


def _cancelling(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Sums whose value is far below their magnitude.

    Nearly constant x and dy, and signs that alternate from tap to tap and channel to channel.
    """
    noise = 8 * FORMATS[case.dtype].unit_roundoff
    x, kernel, dy = (
        rng.uniform(1, 2) * (1 + noise * rng.standard_normal(shape))
        for shape in case.shapes.values()
    )
    taps = np.indices(kernel.shape[3:5]).sum(0) % 2 * 2 - 1
    channel, where = np.arange(case.channels), case.geometry
    blocked = where.group_layout == "blocked"
    member = channel % where.members if blocked else channel // where.groups
    return x, kernel * taps[..., None], dy * (member % 2 * 2 - 1)


def _subnormal(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Operands and results around the underflow threshold, some of each below it."""
    tiny = FORMATS[case.dtype].smallest_normal
    x, kernel, dy = (
        rng.standard_normal(shape) * 2.0 ** rng.integers(-3, 4, shape)
        for shape in case.shapes.values()
    )
    # y and dkernel underflow through x; dx through the kernel's few small entries.
    return x * tiny, np.where(rng.random(kernel.shape) < 0.25, kernel * tiny, kernel), dy


def _large(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Sums of magnitude near, but never above, half the largest number (NUM-6)."""
    limit = FORMATS[case.dtype].largest / (2 * terms(case))
    # Rounding to the format may add an ulp to each factor; 1 + 2^-6 squared covers bfloat16.
    root = np.sqrt(limit) / (1 + 2.0**-6)
    return tuple(
        rng.choice([-1.0, 1.0, 1.0, 1.0], shape) * rng.uniform(0.5, 1, shape) * root
        for shape in case.shapes.values()
    )


def _ties(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Integers whose sums are of one bit more than the format has: many lie between two numbers."""
    size = 2.0 ** (FORMATS[case.dtype].bits + 1)
    amplitude = max(1, int((size / terms(case) ** 0.5) ** 0.5))
    x, kernel, dy = (
        rng.integers(-amplitude, amplitude, shape, endpoint=True).astype(np.float64)
        for shape in case.shapes.values()
    )
    return x, kernel, dy


def _beyond(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Products near the largest number of the format: sums pass it, and some come back.

    Decided where the accumulator has a wider range. Nowhere in float64: the oracle has no wider
    one either, so that sums are kept as `large` has them.
    """
    if case.dtype == "float64":
        return _large(case, bits, rng)
    x, kernel, dy = (
        rng.choice([-1.0, 1.0], shape)
        * rng.uniform(0.5, 1, shape)
        * FORMATS[case.dtype].largest ** 0.5
        for shape in case.shapes.values()
    )
    return x, kernel, dy


# Of special cases so many have an operand that is zero everywhere; not of the first seeds, of which
# the published vectors are made: their values stay what they are.
_EMPTY, _OWN = 0.5, 16


def _specials(case: OperatorCase, bits: int, rng: np.random.Generator) -> Three:
    """Small integers, many zeros and a few NaN and infinities among them (SPC-1 to SPC-3).

    Zeros so many that they meet the others; one operand in six is zero everywhere, which a shortcut
    would look for. No NaN or infinity in the kernel at a padded tap: what it does there is
    unspecified.
    """
    result = []
    for name, array in zip(OPERANDS, integers(case, bits, rng), strict=True):
        zeros = rng.choice([0.0, -0.0], array.shape)
        array = np.where(rng.random(array.shape) < 0.3, zeros, array)  # noqa: PLW2901
        chosen = rng.random(array.shape) < min(0.2, 2 / max(1, array.size))
        chosen &= inside(case) if name == "kernel" else True
        result.append(np.where(chosen, rng.choice([np.nan, np.inf, -np.inf], array.shape), array))
    if case.seed >= _OWN and rng.random() < _EMPTY:
        which = rng.integers(len(result))
        result[which] = np.zeros_like(result[which])
    return result[0], result[1], result[2]


def _of_specials(result: str, got: float, expected: float) -> str:
    """Which clause a wrong element breaks where NaN and infinities are about."""
    if math.isfinite(got) and math.isfinite(expected):
        return ""
    if result in {"dx", "dkernel"}:
        return "SPC-3"
    return "SPC-2" if math.isinf(expected) else "SPC-1"


def _of_large(result: str, got: float, expected: float) -> str:
    """An overflow is one, a wrong number is within no bound."""
    return "" if math.isfinite(got) else "NUM-6"


def _of_rounding(result: str, got: float, expected: float) -> str:
    return "NUM-8"


def _of_subnormal(result: str, got: float, expected: float) -> str:
    return "SPC-5"


STRUCTURE: Mapping[str, Callable[[Floats, np.random.Generator], Floats]] = {
    "zero": zero,
    "one": one,
    "constant": constant,
    "one-hot": one_hot,
    "sparse": sparse,
    "equal": equal,
    "repeated": repeated,
}

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("integers", integers, exact=True),
        Recipe("split", split, exact=True),
        *(Recipe(name, structured(change), exact=True) for name, change in STRUCTURE.items()),
        *(
            Recipe(f"{name}-real", structured(change, _normal))
            for name, change in STRUCTURE.items()
        ),
        Recipe("impulse-x", impulse_x, exact=True, decides=("y",), certifies=True),
        Recipe("impulse-dy", impulse_dy, exact=True, decides=("dx", "dkernel"), certifies=True),
        Recipe("sample-x", sample_x, exact=True, decides=("y",)),
        Recipe("sample-dy", sample_dy, exact=True, decides=("dx", "dkernel")),
        Recipe("nearest-x", nearest_x, exact=True, rounds=True, rule=_of_rounding),
        Recipe("nearest-dy", nearest_dy, exact=True, rounds=True, rule=_of_rounding),
        Recipe("normal", _normal),
        Recipe("wide", _wide),
        Recipe("cancelling", _cancelling),
        Recipe("subnormal", _subnormal, rule=_of_subnormal),
        Recipe("large", _large, rule=_of_large),
        Recipe("ties", _ties),
        Recipe("beyond", _beyond),
        Recipe("specials", _specials, exact=True, rule=_of_specials),
        *(
            replace(recipe, name=f"second-{recipe.name}", decides=SECOND, operands=FURTHER)
            for recipe in (
                Recipe("integers", _second(integers), exact=True),
                Recipe("normal", _second(_normal)),
                Recipe("wide", _second(_wide)),
                Recipe("subnormal", _second(_subnormal), rule=_of_subnormal),
                Recipe("large", _second(_large, 0.5), rule=_of_large),
                Recipe("specials", _second(_specials), exact=True, rule=_of_specials),
            )
        ),
    )
}
