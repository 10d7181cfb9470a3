"""What a failing operator is asked so that its fault can be told from others, and where it errs.

Every correct implementation gives the same outcome, bit for bit: sums are exact, or rounded once to
a half format. No probe repeats the shapes of another one, so that what is remembered blurs nothing.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.geometries import PADDINGS, Geometry, pairs
from conformance.cases.impulses import Meetings, meetings
from conformance.cases.operator import OperatorCase, certificate, plain_case, unclaimed
from conformance.cases.operator_recipes import RECIPES, operands
from conformance.cases.picture import localise
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from conformance.diagnosis import manners
from conformance.diagnosis.answers import Outcome, Probe, Question, Raised, Values
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.worker.host import Form, Host

# Of the pairwise list of geometries that many are skipped: the rest tells the mutants apart.
_EVERY = 3

Make = Callable[[OperatorCase, int], Values]
Asked = tuple[OperatorCase, Make | None]


def probes(claimed: Capabilities, failing: OperatorCase | None = None) -> list[Probe]:
    """List the questions that fit what is claimed."""
    base = _base(claimed)
    questions = [*_geometry(claimed, failing), *_sizes(base, claimed), *_formats(base, claimed)]
    asked = [Probe(case, make=make) for case, make in _apart(questions)]
    asked += behaviours(base, claimed)
    return [one for one in asked if not unclaimed(one.case, claimed)]


def _apart(questions: list[Asked]) -> list[Asked]:
    """Enlarge batches until no two questions have a kernel of the same shape."""
    seen: set[tuple[int, ...]] = set()
    result = []
    for case, make in questions:
        apart = case
        while apart.shapes["kernel"] in seen:
            apart = apart.changed(batch=apart.batch + 1)
        seen.add(apart.shapes["kernel"])
        result.append((apart, make))
    return result


def _base(claimed: Capabilities) -> OperatorCase:
    """Give the plainest geometry that is claimed, with one sample, group and channel."""
    case = plain_case(claimed, batch=1, height=1, width=1, groups=1, members=1)
    return case.changed(padding=PADDINGS[claimed.paddings[0]][0]).large_enough


def _geometry(claimed: Capabilities, failing: OperatorCase | None) -> list[Asked]:
    """Ask about every part of a geometry, with several groups and channels of a group.

    The channels of a group are a power of two, here and elsewhere, so that a mean is exact.
    """
    listed = certificate(claimed, claimed.first_dtype, "integers")[::_EVERY]
    channels = itertools.cycle([(2, 4), (3, 2), (2, 2), (3, 1)])
    # Batches larger than those of the suite, whose calls may be remembered too.
    cases = [
        case.changed(batch=4, groups=g, members=m)
        for case, (g, m) in zip(listed, channels, strict=False)
    ]
    if failing is not None and _affordable(failing):
        # As it failed where its values are exact; else its geometry.
        exact = RECIPES[failing.recipe].exact and not RECIPES[failing.recipe].certifies
        cases.insert(0, failing if exact else failing.changed(recipe="integers"))
    return [(case, None) for case in cases]


def _affordable(case: OperatorCase) -> bool:
    """Tell whether more than 150 candidates can answer it in passing; `_sizes` asks the rest."""
    return all(math.prod(shape) <= 2**16 for shape in case.shapes.values())


def _sizes(base: OperatorCase, claimed: Capabilities) -> list[Asked]:
    """Ask about sizes past every usual block, and past narrow indices."""
    small: dict[str, Any] = {"batch": 1, "height": 3, "width": 4, "groups": 2, "members": 2}
    changed: list[dict[str, Any]] = [
        {"batch": 11}, {"height": 75}, {"width": 75}, {"width": 21}, {"height": 22},
        {"height": 37, "width": 38}, {"members": 64}, {"groups": 21}, {"groups": 3},
        {"groups": 3, "members": 4}, {"height": 301, "width": 1, "members": 1},
        {"height": 1, "width": 2203, "members": 1},
        {"height": 261, "width": 263, "groups": 1, "members": 1},
    ]  # fmt: skip
    if base.geometry.kernel_shape == (3, 3):
        changed += [{"kernel_shape": (5, 5)}, {"kernel_shape": (7, 7)}]
    cases = [base.changed(**small | changes).large_enough for changes in changed]
    exact = 2 ** claimed.arithmetic(base.dtype).bits
    return [(case, None) for case in cases if 4 * case.geometry.members <= exact]


def _formats(base: OperatorCase, claimed: Capabilities) -> list[Asked]:
    """Ask about precision, range and special values of every format.

    One product for each result, which is exact; or sums that the accumulator holds.
    """
    tap = pairs(((1, 1),), claimed.kernel_shapes)[0]
    one = base.changed(kernel_shape=tap, batch=4, height=5, width=9, members=1, groups=2)
    several = base.changed(batch=4, height=4, width=11, groups=2, members=4)
    asked: list[Asked] = []
    for dtype in claimed.dtypes:
        arithmetic = claimed.arithmetic(dtype)
        sums, products = (case.changed(dtype=dtype).large_enough for case in (several, one))
        asked += [(sums.changed(recipe="specials"), _special_factors), (sums, None)]
        if claimed.gradual_underflow:
            asked.append((products, _subnormal))
        # A declared accumulator that is narrower may round more than once.
        if arithmetic.bits < FORMATS[dtype].bits:
            continue
        if tap == (1, 1):
            asked.append((products, None))
            asked += [(products.changed(recipe=recipe), _short) for recipe in ("wide", "large")]
            asked.append((products, _special_products))
        if arithmetic.rounds_once:
            # Sums of two at most, whatever the map: they are the same in any order.
            few = sums.changed(groups=1, members=2, kernel_shape=(1, 2)).large_enough
            asked += [(few.changed(recipe=recipe), None) for recipe in ("nearest-x", "nearest-dy")]
        if dtype in {"float16", "bfloat16"} and arithmetic.accumulator.bits >= 24:
            asked.append((sums, _rounded))
    return asked


def _rounded(case: OperatorCase, bits: int) -> Values:  # noqa: ARG001
    """Factors of all the bits of a half format: float32 holds the sums, the result must round."""
    rng = np.random.default_rng(case.height)
    format_ = FORMATS[case.dtype]
    most = 2**format_.bits
    return {
        name: (rng.integers(-most + 1, most, shape) * 2.0 ** (1 - format_.bits)).astype(
            format_.dtype
        )
        for name, shape in case.shapes.items()
    }


def _short(case: OperatorCase, bits: int) -> Values:
    """Of the recipe's numbers half of the bits: products are exact."""
    format_ = FORMATS[case.dtype]
    short = {}
    for name, array in operands(case, bits).items():
        fraction, exponent = np.frexp(array.astype(np.float64))
        scale = 2.0 ** (format_.bits // 2)
        short[name] = np.ldexp(np.trunc(fraction * scale) / scale, exponent).astype(format_.dtype)
    return short


def _special_factors(case: OperatorCase, bits: int) -> Values:
    """As the recipe, but with a finite dy: what another one does at padded taps is unspecified."""
    values = operands(case, bits)
    dy = values["dy"]
    return values | {"dy": np.where(np.isfinite(dy), dy, dy.dtype.type(1))}


def _special_products(case: OperatorCase, bits: int) -> Values:  # noqa: ARG001
    """Products of zeros, infinities, NaN and ones."""
    rng = np.random.default_rng(case.height)
    specials = [0.0, np.nan, np.inf, -np.inf, 1.0, -1.0]
    return {
        name: rng.choice(specials, shape).astype(FORMATS[case.dtype].dtype)
        for name, shape in case.shapes.items()
    }


def _subnormal(case: OperatorCase, bits: int) -> Values:  # noqa: ARG001
    """Powers of two whose products are subnormal and exact."""
    format_ = FORMATS[case.dtype]
    rng = np.random.default_rng(case.height)
    tiny = format_.smallest_normal / 2
    sizes = {"x": tiny, "kernel": 1.0, "dy": 1.0}
    return {
        name: (rng.choice([-1.0, 1.0], shape) * sizes[name]).astype(format_.dtype)
        for name, shape in case.shapes.items()
    }


def behaviours(base: OperatorCase, claimed: Capabilities) -> list[Probe]:
    """Ask what a call changes, shares, remembers, assumes and accepts."""
    case = base.changed(batch=2, groups=2, members=4)
    widths = iter(range(11, 40))

    def fresh(**changes: Any) -> OperatorCase:
        return case.changed(height=13, width=next(widths), **changes).large_enough

    asked = [
        Probe(fresh(), manner, behavioural=True)
        for manner in (
            manners.memory, manners.repeated, manners.kept, manners.after_another,
            manners.in_the_same_memory, manners.of_the_same_sum, manners.after_a_forward,
            manners.on_views, manners.on_reversed_views,
        )
    ]  # fmt: skip
    asked += [
        Probe(fresh(recipe="normal"), manners.varies, behavioural=True, dear=True),
        Probe(fresh(batch=0), behavioural=True),
        Probe(fresh(padding=((0, 2), (2, 0))), _equal_shapes, behavioural=True),
        Probe(fresh(stride=(2, 2)), _integer_stride, behavioural=True),
        Probe(fresh(**Geometry().options), _defaults, behavioural=True),
    ]
    if claimed.validates:
        asked.append(Probe(fresh(), _bad_input, behavioural=True))
    return asked


def _equal_shapes(question: Question) -> Outcome:
    """One call after another of the same shapes, with another padding."""
    question.ask()
    options = question.case.geometry.options | {"padding": ((2, 0), (0, 2))}
    return question.ask(**options)


def _integer_stride(question: Question) -> Outcome:
    options = question.case.geometry.options
    return question.ask(**options | {"stride": question.case.geometry.stride[0]})


def _defaults(question: Question) -> Outcome:
    # One option is given, so that the others are what is left out.
    return question.ask(group_layout="blocked")


def _bad_input(question: Question) -> Outcome:
    """Whether a few faulty calls are accepted by who claims to validate."""
    values, options = question.values, question.case.geometry.options
    whole = {name: array.astype(np.int32) for name, array in values.items()}
    short = values | {"kernel": values["kernel"][:, :-1]}
    got = {
        "short kernel grid": question.ask(short, **options)["y"],
        "integers": question.ask(whole, **options)["y"],
        "stride 0": question.ask(values, **options | {"stride": 0})["y"],
    }
    claims = question.judged.host.capabilities
    validates = claims.get("validates", True) if isinstance(claims, dict) else True
    return {
        f"accepts {name}": validates and not isinstance(one, Raised) for name, one in got.items()
    }


def where(judged: Any, failing: OperatorCase | None, *, brief: bool) -> tuple[str, ...]:
    """Read off the impulse certificate where an implementation is wrong; smallest case first."""
    return tuple(_where(judged, _certificates(judged.capabilities, failing, brief=brief)))


def _where(judged: Any, cases: Iterator[OperatorCase]) -> Iterator[str]:
    claimed = judged.capabilities
    right = replace(judged, host=Host(Unfold))
    for case in cases:
        got, due = (Question(one, case).ask() for one in (judged, right))
        for result in RECIPES[case.recipe].decides:
            if _form(got[result]) != _form(due[result]):
                yield f"{result} {_form(got[result])}; due was: {_form(due[result])}"
                yield f"case {case.token}"
                return
            found = localise(
                case, result, *(_meetings(case, claimed, result, one) for one in (got, due))
            )
            if found:
                yield from found.lines
                yield f"case {case.token}"
                return
    yield "every product of the impulse certificate is right:"
    yield "look at sums, formats, sizes, special values and what is remembered from call to call"


def _certificates(
    claimed: Capabilities, failing: OperatorCase | None, *, brief: bool
) -> Iterator[OperatorCase]:
    certifying = [recipe.name for recipe in RECIPES.values() if recipe.certifies]
    for recipe in certifying:
        if failing is not None and few_entries(failing):
            yield failing.changed(recipe=recipe, batch=1)
        yield from certificate(claimed, claimed.first_dtype, recipe, brief=True)
    if not brief:
        for recipe in certifying:
            yield from certificate(claimed, claimed.first_dtype, recipe)


def few_entries(case: OperatorCase) -> bool:
    """Tell whether one sample for each entry is affordable."""
    return math.prod(case.shapes["x"][1:]) <= 512 and math.prod(case.grid) <= 256


def _meetings(case: OperatorCase, claimed: Capabilities, result: str, outcome: Outcome) -> Meetings:
    return meetings(case, claimed.arithmetic(case.dtype).bits, result, outcome[result])


def _form(result: Any) -> str:
    if isinstance(result, np.ndarray | Form):
        kind = f" {result.type}" if isinstance(result, Form) else ""
        return f"has shape {result.shape} and is {result.dtype}{kind}"
    return str(result)
