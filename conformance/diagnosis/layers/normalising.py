"""Other ways to normalise: which statistics, which root, which scale. Nothing is asked here."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conformance.cases.case import Floats
from conformance.diagnosis.layers import model as due
from conformance.diagnosis.layers.alternatives import Alternative, Numbers
from conformance.diagnosis.layers.model import PIXELS, Run, Step

# Statistics.


def _axes_mean(array: Floats, of: str) -> Floats:
    axes, kept = _AXES.get(of, (PIXELS, False))
    some = array[:1] if of == "first" else array
    averaged: Floats = np.asarray(some.mean(axis=axes, keepdims=kept))
    return np.full(array.shape[3], averaged) if of == "channels" else averaged


# Over which axes a mean is taken, and whether they are kept.
_AXES: Mapping[str, tuple[Any, bool]] = {
    "sample": ((1, 2), True),
    "channels": (None, False),
    "pixel": (3, True),
    "images": (0, True),
}
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
    if of in _SPREADS:
        return _SPREADS[of](run.h)
    if of == "about":
        spread: Floats = ((run.h - run.moving_mean) ** 2).mean(axis=PIXELS)
        return spread
    found = _axes_mean((run.h - _axes_mean(run.h, of)) ** 2, of)
    n = run.h[..., 0].size
    return found * n / max(n - 1, 1) if unbiased else found


_SPREADS: Mapping[str, Callable[[Floats], Floats]] = {
    "squares": lambda h: (h**2).mean(axis=PIXELS),
    "mad": lambda h: np.abs(h - h.mean(axis=PIXELS)).mean(axis=PIXELS),
    "within": lambda h: ((h - h.mean(axis=(1, 2), keepdims=True)) ** 2).mean(axis=PIXELS),
}


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


def mean_vjp_of(run: Run, gradient: Floats, of: str, only: bool | None = None) -> Floats:
    """Share out the gradient of another mean."""
    if only is not None and run.training is not only:
        return due.mean_vjp(run, gradient)
    return _shared(gradient, run, of)


def variance_vjp_of(
    run: Run, gradient: Floats, of: str, only: bool | None = None, unbiased: bool = False
) -> Floats:
    """Differentiate another variance."""
    if only is not None and run.training is not only:
        return due.variance_vjp(run, gradient)
    if of == "within" and run.training:
        off = run.h - run.h.mean(axis=(1, 2), keepdims=True)
        found: Floats = 2 * off * _shared(gradient, run, "batch")
        return found
    if of == "about" and run.training:
        about: Floats = 2 * (run.h - run.moving_mean) * _shared(gradient, run, "batch")
        return about
    if of in _SPREADS:
        of = "batch"
    n = run.h[..., 0].size
    factor = n / max(n - 1, 1) if unbiased else 1.0
    return 2 * (run.h - run.mean) * _shared(gradient, run, of) * factor


_IN_MODE: Mapping[bool | None, str] = {None: "", True: " in training", False: " in inference"}


def statistics() -> Iterator[Alternative]:
    """Give every other choice of statistics."""
    instead = "the batch's in training, the moving ones in inference"

    def both(words: str, mean: str, var: str, only: bool | None, cost: float, **more: Any) -> Any:
        return Alternative(words + _IN_MODE[only], instead, "LAY-8", {
            "mean": functools.partial(_mean_of, of=mean, only=only),
            "mean'": functools.partial(mean_vjp_of, of=mean, only=only),
            "variance": functools.partial(_variance_of, of=var, only=only, **more),
            "variance'": functools.partial(variance_vjp_of, of=var, only=only, **more),
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
        yield _one("variance", "takes the mean of each sample's own variance", "within", only)
        yield _one("variance", "takes the variance about the moving mean", "about", only)
        yield _one("variance", "normalises by the unbiased variance", "batch", only, unbiased=True)


def _one(step: str, words: str, of: str, only: bool | None, **more: Any) -> Alternative:
    forward, back = {"mean": (_mean_of, mean_vjp_of), "variance": (
        _variance_of, variance_vjp_of)}[step]  # fmt: skip
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
    "0": lambda _: 0.0,
    "max(epsilon, 1e-5)": lambda e: max(e, 1e-5),
    "max(epsilon, 1e-3)": lambda e: max(e, 1e-3),
    "1e-5 for 1e-3 and the reverse": lambda e: 1e-5 if e > 1e-4 else 1e-3,
}


def roots(numbers: Numbers) -> Iterator[Alternative]:
    """Give every other divisor."""
    epsilons: dict[str, Any] = dict(EPSILONS)
    for one in numbers.epsilons:
        epsilons.setdefault(f"{one:.4g}", functools.partial(constant, one))
    for (form, (on, slope)), (said, of) in itertools.product(ROOTS.items(), epsilons.items()):
        if form == "sqrt(variance + {e})" and said == "epsilon":
            continue
        words = form.replace(" + {e}", "") if said == "0" else form.replace("{e}", said)
        cost = 1.0 + 0.3 * (said != "epsilon") + 0.2 * (form != "sqrt(variance + {e})")
        yield Alternative(f"divides by {words}", "sqrt(variance + epsilon)", "LAY-8", {
            "root": functools.partial(_root, on=on, of=of),
            "root'": functools.partial(_root_vjp, slope=slope, of=of),
        }, cost)  # fmt: skip


def constant(value: float, _: float) -> float:
    """Give a number, whatever was asked for."""
    return value


def _root(run: Run, on: Any, of: Any) -> Floats:
    found: Floats = on(run.variance, of(run.config.epsilon))
    return found


def _root_vjp(run: Run, gradient: Floats, slope: Any, of: Any) -> Floats:
    found: Floats = gradient * slope(run.variance, of(run.config.epsilon))
    return found


SCALED: Mapping[str, tuple[str, Step]] = {
    "the mean is not taken off": ("h - mean", lambda r: r.gamma * r.h * r.root + r.beta),
    "does not normalise, but for gamma and beta": ("LAY-8", lambda r: r.gamma * r.h + r.beta),
    "takes off the mean of each sample": (
        "of the batch, or the moving one",
        lambda r: r.gamma * (r.h - r.h.mean((1, 2), keepdims=True)) * r.root + r.beta,
    ),
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


def scaled() -> Iterator[Alternative]:
    """Give other ways to scale and shift."""
    for words, (instead, step) in SCALED.items():
        steps = {"normalise": step}
        if words in _NO_GAMMA:
            steps["normalise'"] = _vjp_without_gamma
        yield Alternative(words, instead, "LAY-8", steps)


def _vjp_without_gamma(run: Run, gradient: Floats) -> tuple[Floats, Floats, Floats]:
    direct = gradient * run.root
    to_root = run.over(gradient * (run.h - run.mean), np.asarray(run.root))
    return direct, -run.over(direct, np.asarray(run.mean)), to_root
