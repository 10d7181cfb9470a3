"""Other ways to pool: which windows, which statistic, which divisor. Nothing is asked here."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conformance.cases.case import Array, Floats
from conformance.diagnosis.layers import model as due
from conformance.diagnosis.layers.alternatives import Alternative
from conformance.diagnosis.layers.model import Run

# From size, stride, the other stride, outputs and the rule: begin and end of each window.
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


def _other_stride(size: int, _: int, other: int, outputs: int, pooling: str) -> tuple[Any, Any]:
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
    made: Floats = np.einsum("ih,bhwc,jw->bijc", rows, x, columns, optimize=True)
    return made


def _spread(run: Run, rule: Any, gradient: Floats) -> Floats:
    rows, columns = _members(run, rule)
    made: Floats = np.einsum("ih,bijc,jw->bhwc", rows, gradient, columns, optimize=True)
    return made


def _number(run: Run, rule: Any, divisor: str) -> Any:
    if divisor == "whole":
        return 1.0 if run.config.pooling == "none" else float(math.prod(run.config.strides))
    if divisor == "one":
        return 1.0
    rows, columns = _members(run, rule)
    return np.maximum(np.outer(rows.sum(1), columns.sum(1)), 1)[None, :, :, None]


def _mean(run: Run, rule: Any = None, divisor: str = "number") -> Floats:
    made: Floats = _gathered(run, rule, run.x) / _number(run, rule, divisor)
    return made


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


def pools() -> Iterator[Alternative]:
    """Give every other pooling."""
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
