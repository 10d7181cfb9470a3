"""Other ways to move the moving statistics. Nothing is asked of an implementation here."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conformance.cases.case import Floats
from conformance.diagnosis.layers.alternatives import Alternative, Numbers
from conformance.diagnosis.layers.model import PIXELS, Run
from conformance.diagnosis.layers.normalising import constant

MOMENTA: Mapping[str, Callable[[float], float]] = {
    "momentum": lambda m: m,
    "1 - momentum": lambda m: 1 - m,
    "0.99 for none": lambda m: m or 0.99,
    "0.9 for 0.99 and the reverse": lambda m: 0.99 if m < 0.95 else 0.9,
}


def _unbiased(variance: Floats, number: int) -> Floats:
    return variance * number / (number - 1) if number > 1 else variance


def _due(variance: Floats, run: Run) -> Floats:
    unbiased = run.config.unbiased_moving_variance
    return _unbiased(variance, run.h[..., 0].size) if unbiased else variance


def _of_a_sample(variance: Floats, run: Run) -> Floats:
    unbiased = run.config.unbiased_moving_variance
    return _unbiased(variance, run.h[0, ..., 0].size) if unbiased else variance


TAKEN_IN: Mapping[str, Callable[[Floats, Run], Floats]] = {
    "": _due,
    "the biased variance": lambda v, _: v,
    "the unbiased variance": lambda v, r: _unbiased(v, r.h[..., 0].size),
    "the standard deviation": lambda v, r: np.sqrt(_due(v, r)),
    "the other of biased and unbiased variance": lambda v, r: (
        v if r.config.unbiased_moving_variance else _unbiased(v, r.h[..., 0].size)
    ),
    "the variance unbiased by the pixels of a sample": _of_a_sample,
    "the variance unbiased by the pixels of x": lambda v, r: (
        _unbiased(v, r.x[..., 0].size) if r.config.unbiased_moving_variance else v
    ),
    "the variance unbiased by the samples": lambda v, r: (
        _unbiased(v, len(r.h)) if r.config.unbiased_moving_variance else v
    ),
}
"""What the moving variance takes in, of the variance of the batch."""
_BOTH, _MEAN, _VARIANCE = ("moving_mean", "moving_variance"), ("moving_mean",), ("moving_variance",)


def _moved(
    run: Run, name: str, weight: Any, taken: Any, source: str, mode: str, shift: float = 0.0
) -> Floats:
    old = run.given[name]
    if mode == "never" or (mode == "training" and not run.training):
        return old
    flat = tuple(axis for axis in range(3))
    if source == "given":
        new = run.moving_mean if name == "moving_mean" else run.moving_variance
    elif source == "used":
        new = np.asarray(run.mean if name == "moving_mean" else run.variance)
    elif name == "moving_mean":
        new = np.asarray(run.mean) if source == "about" else run.h.mean(axis=PIXELS)
    else:
        centre = run.mean if source == "about" else run.h.mean(axis=PIXELS)
        new = ((run.h - centre) ** 2).mean(axis=PIXELS)
    new = new.mean(axis=flat) if new.ndim > 1 else new
    if name == "moving_variance":
        new = taken(new, run)
    m = weight(run.config.momentum)
    made: Floats = m * old + (1 - m) * new + shift
    return made


def moving(numbers: Numbers) -> list[Alternative]:
    """Everything that may stand in the place of how moving statistics move."""
    weights: dict[str, Any] = dict(MOMENTA)
    for one in numbers.momenta:
        weights.setdefault(f"{one:.4g}", functools.partial(constant, one))
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
                Alternative(
                    f"{whose}: {words}", instead, "LAY-12", dict.fromkeys(names, step), cost
                )
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
