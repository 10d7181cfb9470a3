"""The language of explanations of layers: what may stand in the place of a step.

Each alternative is a step, or its derivative, in words. Numbers in them (an epsilon, a slope, a
limit) are not listed but read off the layer. To extend the language, add a line to a table. Nothing
is asked of an implementation here.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.cases.case import Array, Floats
from conformance.cases.operator import OperatorCase
from conformance.diagnosis import layer_model as due
from conformance.diagnosis.layer_model import PIXELS, Run, Step
from conformance.diagnosis.model import Model, Part
from refimpl import involution


@dataclass(frozen=True)
class Alternative:
    """Steps that stand in the place of the due ones.

    Attributes
    ----------
    words : str
        What is computed.
    instead : str
        What is due.
    clause : str
        Of the specification.
    steps : mapping of str to callable
        By the name of the step; derivatives are those of the steps.
    cost : float
        How far from the simplest.
    """

    words: str
    instead: str
    clause: str
    steps: Mapping[str, Step] = field(compare=False)
    cost: float = 1.0

    @property
    def slots(self) -> set[str]:
        """The steps that it exchanges, derivatives apart."""
        return {name for name in self.steps if not name.endswith("'")}


@dataclass(frozen=True)
class Numbers:
    """What was read off a layer as numbers: candidates for the constants in its steps."""

    epsilons: tuple[float, ...] = ()
    momenta: tuple[float, ...] = ()
    slopes: tuple[float, ...] = ()
    limits: tuple[float, ...] = ()
    times: tuple[float, ...] = ()
    operators: tuple[tuple[str, Part], ...] = ()


# Pooling: where the windows of an axis begin and end.

Sides = Callable[[int, int, int, int, str], tuple[Any, Any]]


def _from_first(size: int, stride: int, other: int, outputs: int, _: str) -> tuple[Any, Any]:  # noqa: ARG001
    start = np.arange(outputs) * stride
    return start, start + stride


def _odd_before(size: int, stride: int, other: int, outputs: int, pooling: str) -> tuple[Any, Any]:  # noqa: ARG001
    before = 0 if pooling == "valid" else (outputs * stride - size + 1) // 2
    start = np.arange(outputs) * stride - before
    return start, start + stride


def _last_repeated(size: int, stride: int, other: int, outputs: int, _: str) -> tuple[Any, Any]:  # noqa: ARG001
    start = np.minimum(np.arange(outputs), max(size // stride - 1, 0)) * stride
    return start, start + stride


def _place(size: int, stride: int, other: int, outputs: int, _: str) -> tuple[Any, Any]:  # noqa: ARG001
    start = np.minimum(np.arange(outputs), size - 1)
    return start, start + 1


def _strided(size: int, stride: int, other: int, outputs: int, _: str) -> tuple[Any, Any]:  # noqa: ARG001
    start = np.minimum(np.arange(outputs) * stride, size - 1)
    return start, start + 1


def _whole(size: int, stride: int, other: int, outputs: int, _: str) -> tuple[Any, Any]:  # noqa: ARG001
    return np.zeros(outputs, int), np.full(outputs, size)


def _adaptive(size: int, stride: int, other: int, outputs: int, _: str) -> tuple[Any, Any]:  # noqa: ARG001
    i = np.arange(outputs)
    return i * size // outputs, -(-(i + 1) * size // outputs)


def _other_stride(
    size: int, stride: int, other: int, outputs: int, pooling: str
) -> tuple[Any, Any]:  # noqa: ARG001
    own = size // other if pooling == "valid" else -(-size // other)
    before = 0 if pooling == "valid" else (own * other - size) // 2
    start = np.minimum(np.arange(outputs), own - 1) * other - before
    return start, start + other


WINDOWS: Mapping[str, tuple[Sides, Sides]] = {
    "windows begin at the first pixel, and the ragged one is the last": (_from_first,) * 2,
    "the odd pixel of padding goes before": (_odd_before,) * 2,
    "the ragged window is dropped and the last whole one repeated": (_last_repeated,) * 2,
    "no windows: output i reads pixel i": (_place,) * 2,
    "no windows: output i reads pixel i * stride": (_strided,) * 2,
    "one window: the whole image": (_whole,) * 2,
    "windows from floor(i * n / outputs) to ceil((i + 1) * n / outputs)": (_adaptive,) * 2,
}
_OF_STRIDES: Mapping[str, int] = {
    "windows of the vertical stride on both axes": 1,
    "windows of the horizontal stride on both axes": 0,
}


def _windows(run: Run, rule: Any) -> list[tuple[Any, Any]]:
    """Begin and end of each window, row by row and column by column."""
    config, found = run.config, []
    strides = (1, 1) if config.pooling == "none" else config.strides
    for axis, size in enumerate(run.x.shape[1:3]):
        stride, other = strides[axis], strides[1 - axis]
        outputs = size // stride if config.pooling == "valid" else -(-size // stride)
        if rule is None:
            before = 0 if config.pooling == "valid" else (outputs * stride - size) // 2
            start = np.arange(outputs) * stride - before
            stop = start + stride
        elif isinstance(rule, int):
            # The stride of the other axis on this one.
            wrong = _other_stride if axis == rule else _odd_after
            start, stop = wrong(size, stride, other, outputs, config.pooling)
        else:
            start, stop = rule[axis](size, stride, other, outputs, config.pooling)
        found.append((np.clip(start, 0, size), np.clip(stop, 0, size)))
    return found


def _odd_after(size: int, stride: int, other: int, outputs: int, pooling: str) -> tuple[Any, Any]:  # noqa: ARG001
    return _other_stride(size, stride, stride, outputs, pooling)


def _members(run: Run, rule: Any) -> list[Array]:
    """Which pixels each window of an axis has: (windows, pixels), once for each axis."""
    return [
        (np.arange(size) >= start[:, None]) & (np.arange(size) < stop[:, None])
        for (start, stop), size in zip(_windows(run, rule), run.x.shape[1:3], strict=True)
    ]


def _gathered(run: Run, rule: Any, x: Floats) -> Floats:
    rows, columns = _members(run, rule)
    return np.einsum("ih,bhwc,jw->bijc", rows, x, columns, optimize=True)


def _spread(run: Run, rule: Any, gradient: Floats) -> Floats:
    rows, columns = _members(run, rule)
    return np.einsum("ih,bijc,jw->bhwc", rows, gradient, columns, optimize=True)


def _number(run: Run, rule: Any, divisor: str) -> Any:
    if divisor == "whole":
        return 1.0 if run.config.pooling == "none" else float(math.prod(run.config.strides))
    if divisor == "one":
        return 1.0
    rows, columns = _members(run, rule)
    return np.maximum(np.outer(rows.sum(1), columns.sum(1)), 1)[None, :, :, None]


def _mean(run: Run, rule: Any = None, divisor: str = "number") -> Floats:
    return _gathered(run, rule, run.x) / _number(run, rule, divisor)


def _mean_vjp(run: Run, gradient: Floats, rule: Any = None, divisor: str = "number") -> Floats:
    return _spread(run, rule, gradient / _number(run, rule, divisor))


def _each(run: Run, of: Callable[[Floats], Floats]) -> Floats:
    """Apply something to the pixels of each window."""
    (top, bottom), (left, right) = _windows(run, None)
    found = np.zeros((len(run.x), len(top), len(left), run.x.shape[3]))
    for i, j in itertools.product(range(len(top)), range(len(left))):
        found[:, i, j] = of(run.x[:, top[i] : bottom[i], left[j] : right[j]])
    return found


STATISTICS: Mapping[str, Callable[[Floats], Floats]] = {
    "first pixel": lambda w: w[:, 0, 0],
    "last pixel": lambda w: w[:, -1, -1],
    "middle pixel": lambda w: w[:, w.shape[1] // 2, w.shape[2] // 2],
    "maximum": lambda w: w.max((1, 2)),
    "minimum": lambda w: w.min((1, 2)),
    "root of the mean of the squares": lambda w: np.sqrt((w * w).mean((1, 2))),
    "mean of the magnitudes": lambda w: np.abs(w).mean((1, 2)),
    "median": lambda w: np.median(w, axis=(1, 2)),
}


def _chosen_vjp(run: Run, gradient: Floats, of: Callable[[Floats], Floats]) -> Floats:
    """Differentiate what is one of a window's pixels: it takes the whole gradient."""
    (top, bottom), (left, right) = _windows(run, None)
    pooled, found = _each(run, of), np.zeros(run.x.shape)
    for i, j in itertools.product(range(len(top)), range(len(left))):
        at = np.s_[:, top[i] : bottom[i], left[j] : right[j]]
        met = run.x[at] == pooled[:, i, j][:, None, None]
        found[at] += met * gradient[:, i, j][:, None, None]
    return found


def _reread(run: Run) -> Floats:
    pooled = due.pool(run)
    return pooled.swapaxes(1, 2).reshape(pooled.shape)


def _pools() -> Iterator[Alternative]:
    what = "the mean of the pixels of each window"
    for words, rule in {**WINDOWS, **_OF_STRIDES}.items():
        yield _pooled(f"the generator's pooling: {words}", what, rule, "number")
    yield _pooled("the generator's pooling divides by the whole window, padding counted",
                  "divided by the pixels inside the image", None, "whole")  # fmt: skip
    yield _pooled("the generator's pooling is a sum", what, None, "one")
    for words, of in STATISTICS.items():
        steps = {"pool": functools.partial(_each, of=of)}
        if not words.startswith(("root", "mean")):
            steps["pool'"] = functools.partial(_chosen_vjp, of=of)
        yield Alternative(f"the generator pools the {words} of each window", what, "LAY-3", steps)
    yield Alternative("the pooled grid is read as (Wo, Ho)", "(Ho, Wo)", "LAY-3", {"pool": _reread})


def _pooled(words: str, instead: str, rule: Any, divisor: str) -> Alternative:
    options = {"rule": rule, "divisor": divisor}
    return Alternative(words, instead, "LAY-3", {
        "pool": functools.partial(_mean, **options),
        "pool'": functools.partial(_mean_vjp, **options),
    })  # fmt: skip


# The two convolutions.


def _convolved(run: Run, name: str, times: float, limit: float) -> Floats:
    factor = run.pooled if name == "reduce" else run.a
    product = factor @ run.given[f"{name}_kernel"] + times * run.bias(f"{name}_bias")
    return np.clip(product, -limit, limit)


def _convolutions(numbers: Numbers) -> Iterator[Alternative]:
    for name, clause in (("reduce", "LAY-7"), ("expand", "LAY-10")):
        for times in dict.fromkeys((0.0, 2.0, -1.0, *numbers.times)):
            step = functools.partial(_convolved, name=name, times=times, limit=np.inf)
            said = {0.0: "is left out", 2.0: "is added twice", -1.0: "is taken off"}
            words = said.get(times, f"counts {times:.6g} times")
            yield Alternative(f"{name}_bias {words}", "added once", clause, {name: step})
        for limit in numbers.limits:
            step = functools.partial(_convolved, name=name, times=1.0, limit=limit)
            words = f"what {name}_kernel gives is clipped at {limit:.6g}"
            yield Alternative(words, "not clipped", clause, {name: step})


# Statistics.


def _axes_mean(array: Floats, of: str) -> Floats:
    if of == "sample":
        return array.mean(axis=(1, 2), keepdims=True)
    if of == "first":
        return array[:1].mean(axis=PIXELS)
    if of == "channels":
        return np.full(array.shape[3], array.mean())
    if of == "pixel":
        return array.mean(axis=3, keepdims=True)
    if of == "images":
        return array.mean(axis=0, keepdims=True)
    return array.mean(axis=PIXELS)


_GROUPS: Mapping[str, str] = {
    "batch": "the whole batch", "sample": "each sample", "first": "the first sample alone",
    "channels": "the batch, all channels together", "pixel": "each pixel's channels",
    "images": "each place over the samples",
}  # fmt: skip


def _mean_of(run: Run, of: str, only: bool | None = None) -> Floats:
    if only is not None and run.training is not only:
        return due.mean(run)
    if of == "moving":
        return run.moving_mean
    return np.zeros(run.h.shape[3]) if of == "zero" else _axes_mean(run.h, of)


def _variance_of(run: Run, of: str, only: bool | None = None, unbiased: bool = False) -> Floats:
    if only is not None and run.training is not only:
        return due.variance(run)
    if of == "moving":
        return run.moving_variance
    if of == "one":
        return np.ones(run.h.shape[3])
    if of == "squares":
        return (run.h**2).mean(axis=PIXELS)
    if of == "mad":
        return np.abs(run.h - run.h.mean(axis=PIXELS)).mean(axis=PIXELS)
    found = _axes_mean((run.h - _axes_mean(run.h, of)) ** 2, of)
    n = run.h[..., 0].size
    return found * n / max(n - 1, 1) if unbiased else found


def _shared(gradient: Floats, run: Run, of: str) -> Floats:
    """Share out the gradient of a mean among what it is the mean of."""
    if of in {"moving", "zero", "one"}:
        return np.zeros(run.h.shape)
    if of == "first":
        found = np.zeros(run.h.shape)
        found[:1] = gradient / run.h[:1, ..., 0].size
        return found
    number = run.h[..., 0].size if gradient.ndim == 1 else run.h.size / gradient.size
    return np.broadcast_to(gradient / number, run.h.shape)


def _mean_vjp_of(run: Run, gradient: Floats, of: str, only: bool | None = None) -> Floats:
    if only is not None and run.training is not only:
        return due.mean_vjp(run, gradient)
    return _shared(gradient, run, of)


def _variance_vjp_of(
    run: Run, gradient: Floats, of: str, only: bool | None = None, unbiased: bool = False
) -> Floats:
    if only is not None and run.training is not only:
        return due.variance_vjp(run, gradient)
    if of in {"squares", "mad"}:
        of = "batch"
    n = run.h[..., 0].size
    factor = n / max(n - 1, 1) if unbiased else 1.0
    return 2 * (run.h - run.mean) * _shared(gradient, run, of) * factor


_IN_MODE: Mapping[bool | None, str] = {None: "", True: " in training", False: " in inference"}


def _statistics() -> Iterator[Alternative]:
    instead = "the batch's in training, the moving ones in inference"

    def both(words: str, mean: str, var: str, only: bool | None, cost: float, **more: Any) -> Any:
        return Alternative(words + _IN_MODE[only], instead, "LAY-8", {
            "mean": functools.partial(_mean_of, of=mean, only=only),
            "mean'": functools.partial(_mean_vjp_of, of=mean, only=only),
            "variance": functools.partial(_variance_of, of=var, only=only, **more),
            "variance'": functools.partial(_variance_vjp_of, of=var, only=only, **more),
        }, cost)  # fmt: skip

    moving = "normalises by the moving statistics"
    yield both(moving, "moving", "moving", True, 1.0)
    for of, said in _GROUPS.items():
        for only in (None,) if of == "batch" else (True, None):
            yield both(f"normalises by the statistics of {said}", of, of, only, 1.1)
            yield _one("mean", f"takes off the mean of {said}", of, only)
            yield _one("variance", f"divides by the deviation of {said}", of, only)
    for only in (None, True, False):
        yield _one("mean", "the mean is not taken off", "zero", only)
        yield _one("variance", "takes one for the variance", "one", only)
        yield both("does not normalise, but for gamma and beta", "zero", "one", only, 1.2)
    yield _one("mean", "takes off the moving mean", "moving", True)
    yield _one("variance", "divides by the moving deviation", "moving", True)
    for only in (True, None):
        yield _one("variance", "takes the mean of the squares for the variance", "squares", only)
        yield _one("variance", "takes the mean deviation for the variance", "mad", only)
        yield _one("variance", "normalises by the unbiased variance", "batch", only, unbiased=True)


def _one(step: str, words: str, of: str, only: bool | None, **more: Any) -> Alternative:
    forward, back = {"mean": (_mean_of, _mean_vjp_of), "variance": (
        _variance_of, _variance_vjp_of)}[step]  # fmt: skip
    options = {"of": of, "only": only, **more}
    return Alternative(words + _IN_MODE[only], f"the {step} of the batch, or the moving one",
        "LAY-8", {step: functools.partial(forward, **options),
                  f"{step}'": functools.partial(back, **options)}, 1.0 + 0.1 * (only is None),
    )  # fmt: skip


# The root, and what is scaled by it.

ROOTS: Mapping[str, tuple[Callable[[Floats, float], Floats], Callable[[Floats, float], Floats]]] = {
    "sqrt(variance + {e})": (
        lambda v, e: 1 / np.sqrt(v + e), lambda v, e: -((v + e) ** -1.5) / 2,
    ),
    "sqrt(variance) + {e}": (
        lambda v, e: 1 / (np.sqrt(v) + e),
        lambda v, e: -((np.sqrt(v) + e) ** -2.0) / (2 * np.sqrt(v)),
    ),
    "variance + {e}": (lambda v, e: 1 / (v + e), lambda v, e: -((v + e) ** -2.0)),
    "sqrt(max(variance, {e}))": (
        lambda v, e: 1 / np.sqrt(np.maximum(v, e)),
        lambda v, e: np.where(v > e, -(np.maximum(v, e) ** -1.5) / 2, 0),
    ),
    "1 / sqrt(variance + {e})": (
        lambda v, e: np.sqrt(v + e), lambda v, e: 0.5 * (v + e) ** -0.5,
    ),
    "sqrt(variance + {e}**2)": (
        lambda v, e: 1 / np.sqrt(v + e * e), lambda v, e: -((v + e * e) ** -1.5) / 2,
    ),
}  # fmt: skip
"""What it divides by, from variance and epsilon: its reciprocal, and the derivative of that."""
EPSILONS: Mapping[str, Callable[[float], float]] = {
    "epsilon": lambda e: e,
    "0": lambda e: 0.0,
    "max(epsilon, 1e-5)": lambda e: max(e, 1e-5),
    "max(epsilon, 1e-3)": lambda e: max(e, 1e-3),
    "1e-5 for 1e-3 and the reverse": lambda e: 1e-5 if e > 1e-4 else 1e-3,
}


def _roots(numbers: Numbers) -> Iterator[Alternative]:
    epsilons: dict[str, Any] = dict(EPSILONS)
    for one in numbers.epsilons:
        epsilons.setdefault(f"{one:.4g}", functools.partial(_constant, one))
    for (form, (on, slope)), (said, of) in itertools.product(ROOTS.items(), epsilons.items()):
        if form == "sqrt(variance + {e})" and said == "epsilon":
            continue
        words = form.replace(" + {e}", "") if said == "0" else form.replace("{e}", said)
        cost = 1.0 + 0.3 * (said != "epsilon") + 0.2 * (form != "sqrt(variance + {e})")
        yield Alternative(f"divides by {words}", "sqrt(variance + epsilon)", "LAY-8", {
            "root": functools.partial(_root, on=on, of=of),
            "root'": functools.partial(_root_vjp, slope=slope, of=of),
        }, cost)  # fmt: skip


def _constant(value: float, _: float) -> float:
    return value


def _root(run: Run, on: Any, of: Any) -> Floats:
    found: Floats = on(run.variance, of(run.config.epsilon))
    return found


def _root_vjp(run: Run, gradient: Floats, slope: Any, of: Any) -> Floats:
    found: Floats = gradient * slope(run.variance, of(run.config.epsilon))
    return found


SCALED: Mapping[str, tuple[str, Step]] = {
    "gamma is left out": ("gamma times", lambda r: (r.h - r.mean) * r.root + r.beta),
    "beta is left out": ("plus beta", lambda r: r.gamma * (r.h - r.mean) * r.root),
    "beta is left out where gamma is zero": (
        "plus beta",
        lambda r: r.gamma * (r.h - r.mean) * r.root + np.where(r.gamma == 0, 0, r.beta),
    ),
    "beta is added before gamma": ("after", lambda r: r.gamma * ((r.h - r.mean) * r.root + r.beta)),
    "the mean is taken off after the division": (
        "before", lambda r: r.gamma * (r.h * r.root - r.mean) + r.beta,
    ),
    "1 + gamma for gamma": ("gamma", lambda r: (1 + r.gamma) * (r.h - r.mean) * r.root + r.beta),
    "gamma and beta are exchanged": ("not", lambda r: r.beta * (r.h - r.mean) * r.root + r.gamma),
}  # fmt: skip
_NO_GAMMA = {"gamma is left out"}


def _scaled() -> Iterator[Alternative]:
    for words, (instead, step) in SCALED.items():
        steps = {"normalise": step}
        if words in _NO_GAMMA:
            steps["normalise'"] = _vjp_without_gamma
        yield Alternative(words, instead, "LAY-8", steps)


def _vjp_without_gamma(run: Run, gradient: Floats) -> tuple[Floats, Floats, Floats]:
    direct = gradient * run.root
    to_root = run.over(gradient * (run.h - run.mean), np.asarray(run.root))
    return direct, -run.over(direct, np.asarray(run.mean)), to_root


# The activation.

Curve = tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]
CURVES: Mapping[str, Curve] = {
    "no ReLU": (lambda z: z, np.ones_like),
    "the magnitude instead of ReLU": (np.abs, np.sign),
    "tanh instead of ReLU": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "a sigmoid instead of ReLU": (
        lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    ),
    "swish instead of ReLU": (
        lambda z: z / (1 + np.exp(-z)),
        lambda z: (1 + np.exp(-z) * (1 + z)) / (1 + np.exp(-z)) ** 2,
    ),
    "softplus instead of ReLU": (lambda z: np.logaddexp(z, 0), lambda z: 1 / (1 + np.exp(-z))),
    "the square of ReLU": (lambda z: np.maximum(z, 0) ** 2, lambda z: 2 * np.maximum(z, 0)),
    "the tanh form of GELU instead of ReLU": (
        lambda z: z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2, np.ones_like,
    ),
    "ELU instead of ReLU": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0))),
    ),
}  # fmt: skip


def _curves(numbers: Numbers) -> Iterator[Alternative]:
    curves = dict(CURVES)
    for slope in numbers.slopes:
        curves[f"a leaky ReLU, of slope {slope:.4g} below zero"] = (
            functools.partial(_leaky, slope=slope),
            functools.partial(_leaky_slope, slope=slope),
        )
    for limit in numbers.limits:
        curves[f"a ReLU that is cut off at {limit:.6g}"] = (
            functools.partial(np.clip, a_min=0, a_max=limit),
            functools.partial(_inside, limit=limit),
        )
    for words, (on, slope_) in curves.items():
        yield Alternative(words, "max(z, 0)", "LAY-9", {
            "activate": functools.partial(_activated, on=on),
            "activate'": functools.partial(_activated_vjp, slope=slope_),
        })  # fmt: skip
    for last in (1, 2, 4, 8, 12, 16):
        yield Alternative(
            f"hidden channels from {last} on are zero", "all R count", "LAY-10",
            {"activate": functools.partial(_first_channels, last=last)}, 1.5,
        )  # fmt: skip


def _leaky(z: Floats, slope: float) -> Floats:
    return np.where(z > 0, z, slope * z)


def _leaky_slope(z: Floats, slope: float) -> Floats:
    return np.where(z > 0, 1.0, slope)


def _inside(z: Floats, limit: float) -> Array:
    return (z > 0) & (z < limit)


def _activated(run: Run, on: Any) -> Floats:
    found: Floats = on(run.z)
    return found


def _activated_vjp(run: Run, gradient: Floats, slope: Any) -> Floats:
    found: Floats = gradient * slope(run.z)
    return found


def _first_channels(run: Run, last: int) -> Floats:
    return np.where(np.arange(run.z.shape[3]) < last, np.maximum(run.z, 0), 0)


# How channels become kernels.

_RELATIVE: Mapping[str, Mapping[str, str]] = {
    "the other kernel order": {"uvg": "guv", "guv": "uvg"},
    "taps lie column by column": {"uvg": "vug", "guv": "gvu"},
    "the other kernel order, column by column": {"uvg": "gvu", "guv": "vug"},
}


def _orders() -> Iterator[tuple[str, Callable[[Run], str], float]]:
    for words, table in _RELATIVE.items():
        yield f"generated channels: {words}", functools.partial(_by, table=table), 1.0
    sizes = {"u": "Kh", "v": "Kw", "g": "G"}
    for order in map("".join, itertools.permutations("uvg")):
        named = ", ".join(sizes[name] for name in order)
        yield f"generated channels always lie as ({named})", functools.partial(_fixed, order), 1.2


def _by(run: Run, table: Mapping[str, str]) -> str:
    return table[due.due_order(run)]


def _fixed(order: str, _: Run) -> str:
    return order


def _laid(run: Run, order: Any) -> Floats:
    return due.laid(run, order(run), run.entries)


def _laid_vjp(run: Run, gradient: Floats, order: Any) -> Floats:
    return due.flattened(run, order(run), gradient)


def _transposed(run: Run, gradient: Floats, *, back: bool) -> Floats:
    """Lay out channels, and take them for (G, taps), or (taps, G), in the other order."""
    flat = due.arrange_vjp(run, gradient)
    rows = (run.config.groups, -1) if not back else (-1, run.config.groups)
    order = np.arange(flat.shape[3]).reshape(rows).T.ravel()
    return flat[..., order]


def _softmax(k: Floats) -> Floats:
    raised = np.exp(k - k.max((3, 4), keepdims=True))
    return raised / raised.sum((3, 4), keepdims=True)


def _softmax_vjp(k: Floats, gradient: Floats) -> Floats:
    s = _softmax(k)
    return s * (gradient - (s * gradient).sum((3, 4), keepdims=True))


KERNELS: Mapping[str, tuple[Callable[[Floats], Floats], Callable[[Floats, Floats], Floats]]] = {
    "a second ReLU, on the kernel": (lambda k: np.maximum(k, 0), lambda k, d: d * (k > 0)),
    "a softmax over the taps of the kernel": (_softmax, _softmax_vjp),
    "a sigmoid on the kernel": (
        lambda k: 1 / (1 + np.exp(-k)), lambda k, d: d * np.exp(-k) / (1 + np.exp(-k)) ** 2,
    ),
    "tanh on the kernel": (np.tanh, lambda k, d: d * (1 - np.tanh(k) ** 2)),
    "the kernel divided by the number of taps": (
        lambda k: k / math.prod(k.shape[3:5]), lambda k, d: d / math.prod(k.shape[3:5]),
    ),
    "the kernel divided by the sum of its taps": (
        lambda k: k / k.sum((3, 4), keepdims=True), lambda k, d: d / k.sum((3, 4), keepdims=True),
    ),
    "the mean of the taps is taken off": (
        lambda k: k - k.mean((3, 4), keepdims=True), lambda k, d: d - d.mean((3, 4), keepdims=True),
    ),
    "the kernel's last row is zero": (
        lambda k: np.where((np.arange(k.shape[3]) == k.shape[3] - 1)[:, None, None], 0, k),
        lambda k, d: np.where((np.arange(k.shape[3]) == k.shape[3] - 1)[:, None, None], 0, d),
    ),
    "each sample is given the kernel of the one before": (
        lambda k: np.roll(k, 1, 0), lambda k, d: np.roll(d, -1, 0),
    ),
    "each sample is given the kernel of the next": (
        lambda k: np.roll(k, -1, 0), lambda k, d: np.roll(d, 1, 0),
    ),
    "every sample is given the kernel of the first": (
        lambda k: np.repeat(k[:1], len(k), 0), lambda k, d: d,
    ),
    "every pixel is given the same kernel, the mean": (
        lambda k: np.broadcast_to(k.mean((1, 2), keepdims=True), k.shape), lambda k, d: d,
    ),
    "every group is given the kernel of the first": (
        lambda k: np.broadcast_to(k[..., :1], k.shape), lambda k, d: d,
    ),
    "the kernel is flipped": (
        lambda k: k[:, :, :, ::-1, ::-1], lambda k, d: d[:, :, :, ::-1, ::-1],
    ),
}  # fmt: skip


def _kernels() -> Iterator[Alternative]:
    instead = "(u * Kw + v) * G + g, or g * Kh * Kw + u * Kw + v"
    for words, order, cost in _orders():
        yield Alternative(words, instead, "LAY-11", {
            "arrange": functools.partial(_laid, order=order),
            "arrange'": functools.partial(_laid_vjp, order=order),
        }, cost)  # fmt: skip
    for words, (on, back) in KERNELS.items():
        yield Alternative(words, "the channels as they are", "LAY-11", {
            "arrange": functools.partial(_after, on=on),
            "arrange'": functools.partial(_after_vjp, back=back),
        })  # fmt: skip


def _after(run: Run, on: Any) -> Floats:
    found: Floats = on(due.arrange(run))
    return found


def _after_vjp(run: Run, gradient: Floats, back: Any) -> Floats:
    return due.arrange_vjp(run, back(due.arrange(run), gradient))


# The operator.


def _operated(run: Run, **options: Any) -> Floats:
    return involution.forward(run.x, run.kernel, **(run.config.options | _options(run, options)))


def _operated_vjp(run: Run, gradient: Floats, **options: Any) -> tuple[Floats, Floats]:
    changed = run.config.options | _options(run, options)
    return involution.backward(gradient, run.x, run.kernel, **changed)


def _options(run: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    if options.get("group_layout") == "other":
        layout = "blocked" if run.config.group_layout == "interleaved" else "interleaved"
        return {"group_layout": layout}
    return dict(options)


def _of_part(run: Run, part: Part) -> Floats:
    found = Model({"y": part})(operator_case(run), _operands(run, run.dy), ("y",))["y"]
    return found


def _of_part_vjp(run: Run, gradient: Floats, part: Part) -> tuple[Floats, Floats]:
    model = Model({"dx": part, "dkernel": part})
    found = model(operator_case(run), _operands(run, gradient), ("dx", "dkernel"))
    return found["dx"], found["dkernel"]


def _operands(run: Run, dy: Floats) -> dict[str, Floats]:
    return {"dy": dy, "x": run.x, "kernel": run.kernel}


def operator_case(run: Run) -> OperatorCase:
    """The operator's call within a layer's."""
    case, where = run.case, run.case.geometry
    return OperatorCase(case.dtype, "integers", 0, case.batch, case.height, case.width, where)


def _operators(numbers: Numbers) -> Iterator[Alternative]:
    for words, layout in (
        ("the other group layout", "other"), ("groups are always blocked", "blocked"),
        ("groups are always interleaved", "interleaved"),
    ):  # fmt: skip
        yield Alternative(words, "as group_layout says", "GRP-2", {
            "operate": functools.partial(_operated, group_layout=layout),
            "operate'": functools.partial(_operated_vjp, group_layout=layout),
        }, 1.0 + 0.2 * (layout != "other"))  # fmt: skip
    for words, part in numbers.operators:
        yield Alternative(f"the operator {words}", "", "LAY-2", {
            "operate": functools.partial(_of_part, part=part),
            "operate'": functools.partial(_of_part_vjp, part=part),
        }, 1.3)  # fmt: skip


def forward(numbers: Numbers) -> list[Alternative]:
    """Everything that may stand in the place of a step of the forward pass."""
    found = [
        *_pools(), *_convolutions(numbers), *_statistics(), *_roots(numbers), *_scaled(),
        *_curves(numbers), *_kernels(), *_operators(numbers),
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.cost)


# Moving statistics.

MOMENTA: Mapping[str, Callable[[float], float]] = {
    "momentum": lambda m: m,
    "1 - momentum": lambda m: 1 - m,
    "0.99 for none": lambda m: m or 0.99,
    "0.9 for 0.99 and the reverse": lambda m: 0.99 if m < 0.95 else 0.9,
}
TAKEN_IN: Mapping[str, Callable[[Floats, int, bool], Floats]] = {
    "": lambda v, n, unbiased: v * (n / max(n - 1, 1) if unbiased else 1),
    "the biased variance": lambda v, n, unbiased: v,  # noqa: ARG005
    "the unbiased variance": lambda v, n, unbiased: v * n / (n - 1) if n > 1 else v,  # noqa: ARG005
    "the standard deviation": (
        lambda v, n, unbiased: np.sqrt(v * (n / max(n - 1, 1) if unbiased else 1))
    ),
    "the other of biased and unbiased variance": (
        lambda v, n, unbiased: v * (n / max(n - 1, 1) if not unbiased else 1)
    ),
}
_BOTH, _MEAN, _VARIANCE = ("moving_mean", "moving_variance"), ("moving_mean",), ("moving_variance",)


def _moved(
    run: Run, name: str, weight: Any, taken: Any, source: str, mode: str, shift: float = 0.0
) -> Floats:
    old = run.given[name]
    if mode == "never" or (mode == "training" and not run.training):
        return old
    n = run.h[..., 0].size
    flat = tuple(axis for axis in range(3))
    if source == "given":
        new = run.moving_mean if name == "moving_mean" else run.moving_variance
    elif source == "used":
        new = np.asarray(run.mean if name == "moving_mean" else run.variance)
    elif name == "moving_mean":
        new = run.h.mean(axis=PIXELS)
    else:
        centre = run.mean if source == "about" else run.h.mean(axis=PIXELS)
        new = ((run.h - centre) ** 2).mean(axis=PIXELS)
    new = new.mean(axis=flat) if new.ndim > 1 else new
    if name == "moving_variance":
        new = taken(new, n, run.config.unbiased_moving_variance)
    m = weight(run.config.momentum)
    return m * old + (1 - m) * new + shift


def moving(numbers: Numbers) -> list[Alternative]:
    """Everything that may stand in the place of how moving statistics move."""
    weights: dict[str, Any] = dict(MOMENTA)
    for one in numbers.momenta:
        weights.setdefault(f"{one:.4g}", functools.partial(_constant, one))
    found = []
    for (said, weight), (taken_in, taken), source, mode in itertools.product(
        weights.items(), TAKEN_IN.items(), ("batch", "used", "about"),
        ("training", "always", "never"),
    ):  # fmt: skip
        odd = [said != "momentum", bool(taken_in), source != "batch", mode != "training"]
        if not any(odd) or sum(odd) > 2 or (mode == "never" and sum(odd) > 1):
            continue
        words = "; ".join(_moving_words(said, taken_in, source, mode))
        for names in (_BOTH, _MEAN, _VARIANCE):
            if taken_in and names != _VARIANCE:
                continue
            step = functools.partial(_moved, weight=weight, taken=taken, source=source, mode=mode)
            whose = "the moving statistics" if names == _BOTH else names[0]
            cost = sum(odd) + 0.1 * (names != _BOTH) + 0.2 * (said not in MOMENTA)
            instead = "momentum*old + (1 - momentum)*new, in training"
            found.append(
                Alternative(f"{whose}: {words}", instead, "LAY-12", dict.fromkeys(names, step), cost)
            )
    return sorted(found, key=lambda one: one.cost)


def _moving_words(said: str, taken_in: str, source: str, mode: str) -> Iterator[str]:
    if mode == "never":
        yield "do not move"
    if mode == "always":
        yield "move in inference too"
    if said != "momentum":
        yield f"old ones weigh {said}"
    if taken_in:
        yield f"takes in {taken_in}"
    if source != "batch":
        yield "take in those that it normalised by" + (
            ", the variance about that mean" if source == "about" else ""
        )


# Gradients.

SLOPES: Mapping[str, Callable[[Floats], Any]] = {
    "the derivative of ReLU at zero is one": lambda z: z >= 0,
    "the derivative of ReLU at zero is a half": lambda z: ((z >= 0) + (z > 0) * 1.0) / 2,
    "the gradient passes the ReLU where it was cut off": np.ones_like,
    "no gradient passes the ReLU": np.zeros_like,
}
JOINED: Mapping[str, Step] = {
    "no gradient reaches the input through the generator": lambda r, o, g: o,  # noqa: ARG005
    "no gradient reaches the input through the operator": lambda r, o, g: g,  # noqa: ARG005
    "the gradient through the generator is taken off": lambda r, o, g: o - g,  # noqa: ARG005
    "dx is twice what is due": lambda r, o, g: 2 * (o + g),  # noqa: ARG005
}


def backward(numbers: Numbers) -> list[Alternative]:
    """Everything that may stand in the place of a derivative."""
    found = [
        Alternative(words, "one where z > 0, and zero elsewhere", "LAY-9",
                    {"activate'": functools.partial(_activated_vjp, slope=slope)})
        for words, slope in SLOPES.items()
    ]  # fmt: skip
    found += [
        Alternative(words, "the sum of both", "LAY-13", {"join'": step})
        for words, step in JOINED.items()
    ]
    constants, batch = {"of": "moving"}, {"of": "batch"}
    for words, mean_, variance_ in (
        ("mean and variance of the batch are taken for constants", constants, constants),
        ("the variance of the batch is taken for a constant", None, constants),
        ("the mean of the batch is taken for a constant", constants, None),
        ("statistics are differentiated as those of the batch, whatever the mode", batch, batch),
    ):
        steps: dict[str, Step] = {}
        if mean_ is not None:
            steps["mean'"] = functools.partial(_mean_vjp_of, **mean_)
        if variance_ is not None:
            steps["variance'"] = functools.partial(_variance_vjp_of, **variance_)
        instead = "they are functions of h in training, and constants in inference"
        found.append(Alternative(words, instead, "LAY-15", steps))
    for back in (False, True):
        step = functools.partial(_transposed, back=back)
        rows = "(taps, G)" if back else "(G, taps)"
        words = f"the generated channels' gradient is taken for {rows} and transposed"
        found.append(Alternative(words, "in the order of LAY-11", "LAY-14", {"arrange'": step}))
    found.append(
        Alternative("the generated channels' gradient is zero", "not zero", "LAY-14",
                    {"arrange'": lambda r, d: 0 * due.arrange_vjp(r, d)})
    )  # fmt: skip
    # The derivative of what was not computed.
    for one in forward(numbers):
        primed = {name: step for name, step in one.steps.items() if name.endswith("'")}
        if primed:
            words = f"backward differentiates another thing: {one.words}"
            found.append(replace(one, words=words, steps=primed, cost=one.cost + 0.5))
    return sorted(found, key=lambda one: one.cost)


REDUCTIONS: Mapping[str, Callable[[Run, Floats], Any]] = {
    "averaged over the samples, not summed": lambda r, t: t.sum(0) / len(t),
    "averaged over the pixels, not summed": lambda r, t: t.sum(0) / r.h[..., 0].size,
    "averaged over the pixels of a sample": lambda r, t: t.sum(0) / r.h[0, ..., 0].size,
    "of the first sample alone": lambda r, t: t[0],
    "of the last sample alone": lambda r, t: t[-1],
    "zero": lambda r, t: 0 * t.sum(0),
    "of the other sign": lambda r, t: -t.sum(0),
    "twice what is due": lambda r, t: 2 * t.sum(0),
    "half of what is due": lambda r, t: t.sum(0) / 2,
    "zero where gamma is zero": lambda r, t: np.where(r.gamma == 0, 0, t.sum(0)),
    "times gamma": lambda r, t: t.sum(0) * r.gamma,
    "times gamma / sqrt(variance + epsilon)": lambda r, t: t.sum(0) * (r.gamma * r.root),
    "times 1 / sqrt(variance + epsilon)": lambda r, t: t.sum(0) * r.root,
    "without the reciprocal root": lambda r, t: t.sum(0) / r.root,
    "divided by gamma": lambda r, t: t.sum(0) / r.gamma,
    "clipped at one": lambda r, t: np.clip(t.sum(0), -1, 1),
}  # fmt: skip
"""How the samples' shares of a parameter's gradient are put together."""
FACTORS: Mapping[str, Callable[[Run], Any]] = {
    "z in the place of what it multiplies": lambda r: r.z,
    "h in the place of what it multiplies": lambda r: r.h,
    "h / sqrt(variance + epsilon), the mean not taken off": lambda r: r.h * r.root,
    "h - mean in the place of what it multiplies": lambda r: r.h - r.mean,
    "what follows the ReLU in the place of what it multiplies": lambda r: r.a,
}


def _leaf(run: Run, factor: Any, gradient: Floats, reduction: Any) -> Floats:
    if factor is None:
        terms = gradient.sum(axis=(1, 2))
    elif run.values["of"] == "gamma":
        terms = (gradient * factor).sum(axis=(1, 2))
    else:
        terms = np.einsum("bijc,bijr->bcr", factor, gradient)
    found: Floats = reduction(run, terms)
    return found


def _other_factor(run: Run, factor: Any, gradient: Floats, of: Any) -> Floats:
    return due.leaf(run, factor if factor is None else of(run), gradient)


def leaves(result: str) -> list[Alternative]:
    """Everything that may stand in the place of how a parameter's gradient is summed."""
    found = [
        Alternative(f"{result} is {words}", "the sum over the pixels of the batch", "LAY-14",
                    {result: functools.partial(_leaf, reduction=reduction)})
        for words, reduction in REDUCTIONS.items()
    ]  # fmt: skip
    if result in {"dgamma", "dexpand_kernel", "dreduce_kernel"}:
        found += [
            Alternative(f"{result} is taken with {words}", "", "LAY-14",
                        {result: functools.partial(_other_factor, of=of)})
            for words, of in FACTORS.items()
        ]  # fmt: skip
    return found


def all_of(chosen: Sequence[Alternative]) -> dict[str, Step]:
    """Put the steps of several together."""
    found: dict[str, Step] = {}
    for one in chosen:
        found |= one.steps
    return found
