"""What a failing implementation is asked so that its fault can be told from others.

A probe is a call, or a few, on an implementation, and gives an outcome: arrays and words. Every
correct implementation gives the same outcome, bit for bit: sums are exact, or rounded once to a
half format. No probe repeats the shapes of another one, so that what is remembered blurs nothing.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.answers import Outcome, Probe, Values, answer
from conformance.behaviours import behaviours
from conformance.capabilities import Capabilities
from conformance.cases import Case, certificate, narrower_bits, with_outputs
from conformance.formats import FORMATS
from conformance.geometries import PADDINGS, pairs
from conformance.implementation import Implementation
from conformance.recipes import operands, shapes

# Of the pairwise list of geometries that many are skipped: the rest tells the mutants apart.
_EVERY = 3

Question = tuple[Case, Callable[[Case], Values]]


def probes(claimed: Capabilities, failing: Case | None = None) -> list[Probe]:
    """List the questions that fit what is claimed."""
    base = _base(claimed)
    questions = [*_geometry(claimed, failing), *_sizes(base), *_formats(base, claimed)]
    return [_values(*question) for question in _apart(questions)] + behaviours(base, claimed)


def _apart(questions: list[Question]) -> list[Question]:
    """Enlarge batches until no two questions have a kernel of the same shape."""
    seen: set[tuple[int, ...]] = set()
    result = []
    for case, make in questions:
        batch = case.batch
        while (batch, *case.grid, *case.kernel_shape, case.groups) in seen:
            batch += 1
        seen.add((batch, *case.grid, *case.kernel_shape, case.groups))
        result.append((replace(case, batch=batch), make))
    return result


def _base(claimed: Capabilities) -> Case:
    """Give the plainest geometry that is claimed, a tap wide and high where it can be."""
    return Case(
        dtype=claimed.first_dtype,
        recipe="integers",
        bits=narrower_bits(claimed, claimed.first_dtype),
        kernel_shape=pairs(((3, 3),), claimed.kernel_shapes)[0],
        stride=pairs(((1, 1),), claimed.strides)[0],
        dilation=pairs(((1, 1),), claimed.dilations)[0],
        padding=PADDINGS[claimed.paddings[0]][0],
        group_layout=claimed.group_layouts[0],
    )


def _values(case: Case, make: Callable[[Case], Values]) -> Probe:
    def ask(implementation: Implementation) -> Outcome:
        return answer(implementation, make(case), case.options)

    return Probe(f"{make.__name__} {case.token}", ask)


def _geometry(claimed: Capabilities, failing: Case | None) -> list[Question]:
    """Ask about every part of a geometry, with several groups and channels of a group.

    The channels of a group are a power of two, here and elsewhere, so that a mean is exact.
    """
    listed = certificate(claimed, claimed.first_dtype, "integers")[::_EVERY]
    channels = itertools.cycle([(2, 4), (3, 2), (2, 2), (3, 1)])
    # Batches larger than those of the suite, whose calls may be remembered too.
    cases = [
        replace(case, batch=4, groups=g, members=m)
        for case, (g, m) in zip(listed, channels, strict=False)
    ]
    if failing is not None and _affordable(failing):
        bits = narrower_bits(claimed, failing.dtype)
        cases.insert(0, replace(failing, recipe="integers", bits=bits))
    return [(case, operands) for case in cases]


def _affordable(case: Case) -> bool:
    """Tell whether more than 150 candidates can answer it in passing; `_sizes` asks the rest."""
    return all(math.prod(shape) <= 2**16 for shape in shapes(case))


def _sizes(base: Case) -> list[Question]:
    """Ask about sizes past every usual block, and past narrow indices."""
    small: dict[str, Any] = {"batch": 1, "height": 3, "width": 4, "groups": 2, "members": 2}
    changed: list[dict[str, Any]] = [
        {"batch": 11}, {"height": 75}, {"width": 75}, {"width": 21}, {"height": 22},
        {"height": 37, "width": 38}, {"members": 64}, {"groups": 21}, {"groups": 3},
        {"groups": 3, "members": 4}, {"height": 301, "width": 1, "members": 1},
        {"height": 1, "width": 2203, "members": 1},
        {"height": 261, "width": 263, "groups": 1, "members": 1},
    ]  # fmt: skip
    if base.kernel_shape == (3, 3):
        changed += [{"kernel_shape": (5, 5)}, {"kernel_shape": (7, 7)}]
    cases = [with_outputs(replace(base, **small | changes)) for changes in changed]
    return [(case, operands) for case in cases if 4 * case.members <= 2**case.exact_bits]


def _formats(base: Case, claimed: Capabilities) -> list[Question]:
    """Ask about precision, range and special values of every format.

    One product for each result, which is exact; or sums that the accumulator holds.
    """
    tap = pairs(((1, 1),), claimed.kernel_shapes)[0]
    one = replace(base, kernel_shape=tap, batch=4, height=5, width=9, members=1, groups=2)
    several = replace(base, batch=4, height=4, width=11, groups=2, members=4)
    asked: list[Question] = []
    for dtype in claimed.dtypes:
        each: dict[str, Any] = {"dtype": dtype, "bits": narrower_bits(claimed, dtype)}
        sums, products = (with_outputs(replace(case, **each)) for case in (several, one))
        asked += [(replace(sums, recipe="specials"), _special_factors), (sums, operands)]
        if claimed.gradual_underflow:
            asked.append((products, _subnormal))
        # A declared accumulator that is narrower may round more than once.
        if each["bits"]:
            continue
        if tap == (1, 1):
            asked.append((products, operands))
            asked += [(replace(products, recipe=recipe), _short) for recipe in ("wide", "large")]
            asked.append((products, _special_products))
        if dtype in {"float16", "bfloat16"} and claimed.accumulator_format(dtype).bits >= 24:
            asked.append((sums, _rounded))
    return asked


def _rounded(case: Case) -> Values:
    """Factors of all the bits of a half format: float32 holds the sums, the result must round."""
    rng = np.random.default_rng(case.height)
    format_ = FORMATS[case.dtype]
    most = 2**format_.bits
    return {
        name: (rng.integers(-most + 1, most, shape) * 2.0 ** (1 - format_.bits)).astype(
            format_.dtype
        )
        for name, shape in zip(("x", "kernel", "dy"), shapes(case), strict=True)
    }


def _short(case: Case) -> Values:
    """Of the recipe's numbers half of the bits: products are exact."""
    format_ = FORMATS[case.dtype]
    short = {}
    for name, array in operands(case).items():
        fraction, exponent = np.frexp(array.astype(np.float64))
        scale = 2.0 ** (format_.bits // 2)
        short[name] = np.ldexp(np.trunc(fraction * scale) / scale, exponent).astype(format_.dtype)
    return short


def _special_factors(case: Case) -> Values:
    """As the recipe, but with a finite dy: what another one does at padded taps is unspecified."""
    values = operands(case)
    dy = values["dy"]
    return values | {"dy": np.where(np.isfinite(dy), dy, dy.dtype.type(1))}


def _special_products(case: Case) -> Values:
    """Products of zeros, infinities, NaN and ones."""
    rng = np.random.default_rng(case.height)
    specials = [0.0, np.nan, np.inf, -np.inf, 1.0, -1.0]
    return {
        name: rng.choice(specials, shape).astype(FORMATS[case.dtype].dtype)
        for name, shape in zip(("x", "kernel", "dy"), shapes(case), strict=True)
    }


def _subnormal(case: Case) -> Values:
    """Powers of two whose products are subnormal and exact."""
    format_ = FORMATS[case.dtype]
    rng = np.random.default_rng(case.height)
    tiny = format_.smallest_normal / 2
    sizes = {"x": tiny, "kernel": 1.0, "dy": 1.0}
    return {
        name: (rng.choice([-1.0, 1.0], shape) * sizes[name]).astype(format_.dtype)
        for name, shape in zip(("x", "kernel", "dy"), shapes(case), strict=True)
    }
