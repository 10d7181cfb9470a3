"""What a failing implementation is asked so that its fault can be told from others.

A probe is a call, or a few, on an implementation, and gives an outcome: arrays and words. Every
correct implementation gives the same outcome, bit for bit: sums are exact, or rounded once. No
probe repeats the shapes of another one, so that what an operator remembers does not blur it.
"""

import contextlib
import itertools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.capabilities import Capabilities, declared
from conformance.cases import Case, certificate, narrower_bits, with_outputs
from conformance.formats import FORMATS
from conformance.geometries import PADDINGS, pairs
from conformance.implementation import Array, Implementation
from conformance.recipes import operands, shapes

# Of the pairwise list of geometries that many are skipped: the rest tells the mutants apart.
_EVERY = 3

Outcome = dict[str, Any]
Values = dict[str, Array]
Question = tuple[Case, Callable[[Case], Values]]


@dataclass(frozen=True)
class Probe:
    """A question: `ask` puts it to an implementation.

    `behavioural` is one about what changes from call to call.
    """

    name: str
    ask: Callable[[Implementation], Outcome] = field(compare=False)
    behavioural: bool = False


def same(one: Outcome, other: Outcome) -> bool:
    """Compare two outcomes, numbers by value: NaN is NaN, and zero has no sign."""
    return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return type(one) is type(other) and bool(one == other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return np.array_equal(one.astype(np.float64), other.astype(np.float64), equal_nan=True)


def answer(implementation: Implementation, values: Values, options: Mapping[str, Any]) -> Outcome:
    """Call forward and backward on copies; an exception is an answer too."""
    own = {name: array.copy() for name, array in values.items()}
    got = _raw(implementation, own, options)
    return {
        name: result.copy() if isinstance(result, np.ndarray) else result
        for name, result in got.items()
    }


def _raw(implementation: Implementation, values: Values, options: Mapping[str, Any]) -> Outcome:
    """Call forward and backward on the very operands, and give the very results."""
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    outcome: Outcome = {"y": "raised", "dx": "raised", "dkernel": "raised"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Exception):
            outcome["y"] = np.asarray(implementation.forward(x, kernel, **options))
        with contextlib.suppress(Exception):
            gradients = implementation.backward(dy, x, kernel, **options)
            outcome["dx"], outcome["dkernel"] = map(np.asarray, gradients)
    return outcome


def probes(claimed: Capabilities, failing: Case | None = None) -> list[Probe]:
    """List the questions that fit what is claimed."""
    base = _base(claimed)
    questions = [*_geometry(claimed, failing), *_sizes(base), *_formats(base, claimed)]
    return [_values(*question) for question in _apart(questions)] + _behaviour(base, claimed)


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
    """Ask about every part of a geometry, with several groups and channels of a group."""
    listed = certificate(claimed, claimed.first_dtype, "integers")[::_EVERY]
    channels = itertools.cycle([(2, 3), (3, 2), (2, 2), (3, 1)])
    # Batches larger than those of the suite, whose calls may be remembered too.
    cases = [
        replace(case, batch=4, groups=g, members=m)
        for case, (g, m) in zip(listed, channels, strict=False)
    ]
    if failing is not None:
        bits = narrower_bits(claimed, failing.dtype)
        cases.insert(0, replace(failing, recipe="integers", bits=bits))
    return [(case, operands) for case in cases]


def _sizes(base: Case) -> list[Question]:
    """Ask about sizes past every usual block, and past narrow indices."""
    small: dict[str, Any] = {"batch": 1, "height": 3, "width": 4, "groups": 2, "members": 2}
    changed: list[dict[str, Any]] = [
        {"batch": 11}, {"height": 75}, {"width": 75}, {"width": 21}, {"height": 22},
        {"height": 37, "width": 38}, {"members": 37}, {"groups": 21}, {"members": 5},
        {"groups": 1, "members": 9}, {"height": 301, "width": 1, "members": 1},
        {"height": 1, "width": 2203, "members": 1},
        {"height": 261, "width": 263, "groups": 1, "members": 1},
    ]  # fmt: skip
    if base.kernel_shape == (3, 3):
        changed += [{"kernel_shape": (5, 5)}, {"kernel_shape": (7, 7)}]
    cases = [with_outputs(replace(base, **small | changes)) for changes in changed]
    return [(case, operands) for case in cases if 4 * case.members <= 2**case.exact_bits]


def _formats(base: Case, claimed: Capabilities) -> list[Question]:
    """Ask about precision, range and special values of every format.

    One product for each result, so that it is rounded once; or sums that the accumulator holds.
    """
    tap = pairs(((1, 1),), claimed.kernel_shapes)[0]
    one = replace(base, kernel_shape=tap, batch=4, height=5, width=9, members=1, groups=2)
    several = replace(base, batch=4, height=4, width=11, groups=2, members=3)
    asked: list[Question] = []
    for dtype in claimed.dtypes:
        each: dict[str, Any] = {"dtype": dtype, "bits": narrower_bits(claimed, dtype)}
        sums, products = (with_outputs(replace(case, **each)) for case in (several, one))
        asked += [(replace(sums, recipe="specials"), operands), (sums, operands)]
        if claimed.gradual_underflow:
            asked.append((products, _subnormal))
        # A declared accumulator that is narrower may round more than once.
        if each["bits"]:
            continue
        if tap == (1, 1):
            recipes = ("integers", "wide", "large")
            asked += [(replace(products, recipe=recipe), operands) for recipe in recipes]
            asked.append((products, _special_products))
        if dtype in {"float16", "bfloat16"}:
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


def _behaviour(base: Case, claimed: Capabilities) -> list[Probe]:
    """Ask what a call changes, shares, remembers, assumes and accepts."""
    case = replace(base, batch=2, groups=2, members=3, recipe="integers")
    sizes = iter([(13, n) for n in range(11, 30)])

    def fresh() -> Case:
        height, width = next(sizes)
        return with_outputs(replace(case, height=height, width=width))

    asked = [
        _behaves("memory", fresh(), _memory),
        _behaves("sequence", fresh(), _sequence),
        _behaves("gradients alone", fresh(), _gradients_alone),
        _behaves("repetition", replace(fresh(), recipe="normal"), _repetition),
        _behaves("transposed views", fresh(), _views),
        _behaves("empty batch", replace(fresh(), batch=0), _plain),
    ]
    if "explicit" in claimed.paddings:
        asked.append(_behaves("options of equal shapes", fresh(), _equal_shapes))
    if claimed.strides in ("any", "square") or (2, 2) in claimed.strides:
        asked.append(_behaves("integer stride", fresh(), _integer_stride))
    if "same" in claimed.paddings and "blocked" in claimed.group_layouts:
        plain = Case(case.dtype, case.recipe, batch=2, height=13, width=31, kernel_shape=(3, 3))
        asked.append(_behaves("defaults", plain, _defaults))
    if claimed.validates:
        asked.append(_behaves("bad input", fresh(), _bad_input))
    return asked


def _behaves(
    name: str, case: Case, ask: Callable[[Implementation, Case, Values], Outcome]
) -> Probe:
    return Probe(
        f"{name} {case.token}",
        lambda implementation: ask(implementation, case, operands(case)),
        behavioural=True,
    )


def _plain(implementation: Implementation, case: Case, values: Values) -> Outcome:
    return answer(implementation, values, case.options)


def _memory(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """Which operands are changed, and which results lie in the memory of operands."""
    own = {name: array.copy() for name, array in values.items()}
    got = _raw(implementation, own, case.options)
    outcome: Outcome = {f"{name} kept": bool((own[name] == values[name]).all()) for name in own}
    for result, array in got.items():
        for name, operand in own.items():
            shared = isinstance(array, np.ndarray) and np.shares_memory(array, operand)
            outcome[f"{result} apart from {name}"] = not shared
    return outcome


def _sequence(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """Which results are those of their own call: first one, then another, then the first again."""
    other = operands(replace(case, seed=case.seed + 7))
    first = _raw(implementation, {name: a.copy() for name, a in values.items()}, case.options)
    kept = {name: np.array(array) for name, array in first.items()}
    second = answer(implementation, other, case.options)
    outcome: Outcome = {f"first {name}": array for name, array in kept.items()}
    outcome |= {f"second {name}": array for name, array in second.items()}
    outcome |= {f"{name} stays": _same(kept[name], np.array(first[name])) for name in kept}
    third = answer(implementation, values, case.options)
    outcome |= {f"{name} repeats": _same(kept[name], np.array(third[name])) for name in kept}
    return outcome


def _gradients_alone(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """backward after a forward call on other operands."""
    other = operands(replace(case, seed=case.seed + 7))
    answer(implementation, other, case.options)
    try:
        gradients = implementation.backward(
            values["dy"].copy(), values["x"].copy(), values["kernel"].copy(), **case.options
        )
        return {"gradients alone": np.asarray(gradients[0]), "dkernel": np.asarray(gradients[1])}
    except Exception:
        return {"gradients alone": "raised"}


def _repetition(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """Whether twelve calls agree."""
    answers = [answer(implementation, values, case.options) for _ in range(12)]
    return {"repeats": all(same(answers[0], one) for one in answers[1:])}


def _views(implementation: Implementation, case: Case, values: Values) -> Outcome:
    transposed = {name: np.ascontiguousarray(array.T).T for name, array in values.items()}
    flipped = {name: array[::-1].copy()[::-1] for name, array in values.items()}
    outcome: Outcome = {}
    for view, own in (("transposed", transposed), ("flipped", flipped)):
        got = _raw(implementation, own, case.options)
        outcome |= {f"{view} {name}": array for name, array in got.items()}
    return outcome


def _equal_shapes(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """One call after another of the same shapes, with another padding."""
    around = with_outputs(replace(case, padding=((0, 2), (2, 0))))
    values = operands(around)
    answer(implementation, values, around.options)
    return answer(implementation, values, around.options | {"padding": ((2, 0), (0, 2))})


def _integer_stride(implementation: Implementation, case: Case, values: Values) -> Outcome:  # noqa: ARG001
    strided = with_outputs(replace(case, stride=(2, 2)))
    options = strided.options | {"stride": 2}
    return answer(implementation, operands(strided), options)


def _defaults(implementation: Implementation, case: Case, values: Values) -> Outcome:  # noqa: ARG001
    return answer(implementation, values, {})


def _bad_input(implementation: Implementation, case: Case, values: Values) -> Outcome:
    """Whether a few faulty calls are accepted by who claims to validate."""
    short = values | {"kernel": values["kernel"][:, :-1]}
    whole = {name: array.astype(np.int32) for name, array in values.items()}
    stride = case.options | {"stride": 0}
    got = {
        "short kernel grid": answer(implementation, short, case.options)["y"],
        "integers": answer(implementation, whole, case.options)["y"],
        "stride 0": answer(implementation, values, stride)["y"],
    }
    claims = declared(getattr(implementation, "capabilities", None)).validates
    return {
        f"accepts {name}": claims and isinstance(result, np.ndarray) for name, result in got.items()
    }
