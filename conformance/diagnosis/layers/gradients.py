"""Other derivatives: of a step, of another step, and how a parameter's shares are summed.

Nothing is asked of an implementation here.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Floats
from conformance.diagnosis.layers import model as due
from conformance.diagnosis.layers.alternatives import Alternative, Numbers
from conformance.diagnosis.layers.kernels import (
    activated_vjp,
    biases,
    convolutions,
    curves,
    kernels,
    operators,
    transposed,
)
from conformance.diagnosis.layers.model import PIXELS, Run, Step
from conformance.diagnosis.layers.normalising import (
    mean_vjp_of,
    roots,
    scaled,
    statistics,
    variance_vjp_of,
)
from conformance.diagnosis.layers.pooling import pools
from refimpl import involution


def forward(numbers: Numbers) -> list[Alternative]:
    """Everything that may stand in the place of a step of the forward pass."""
    found = [
        *pools(), *convolutions(numbers), *statistics(), *roots(numbers), *scaled(),
        *curves(numbers), *kernels(), *biases(), *operators(numbers),
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.cost)


# Of what else the ReLU's mask may be taken.
MASKS: Mapping[str, Callable[[Run], Any]] = {
    "h": lambda r: r.h,
    "what is normalised, before gamma and beta": lambda r: (r.h - r.mean) * r.root,
    "z less beta": lambda r: r.z - r.beta,
}


def _masked(run: Run, gradient: Floats, of: Any) -> Floats:
    return np.where(of(run) > 0, gradient, 0)


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
    "dx is zero in pixels that no tap reads": lambda r, o, g: np.where(_read(r), o + g, 0),
    "dx is zero in pixels that are zero": lambda r, o, g: np.where(r.x == 0, 0, o + g),
}
# By how many pixels what flows through the statistics is divided.
PIXELS_OF: Mapping[str, Callable[[Run], float]] = {
    "the pixels of x": lambda r: r.x[..., 0].size,
    "the pixels of a sample": lambda r: r.h[0, ..., 0].size,
    "the pixels but one": lambda r: max(r.h[..., 0].size - 1, 1),
    "the samples": lambda r: len(r.h),
    "one": lambda _: 1,
}


def _read(run: Run) -> Any:
    """Tell which pixels a tap of the operator reads."""
    ones = np.ones(run.dy.shape), np.ones(run.x.shape), np.ones(run.kernel.shape)
    return involution.backward(*ones, **run.config.options)[0] != 0


def _divided(run: Run, gradient: Floats, step: Any, number: Any) -> Floats:
    found: Floats = step(run, gradient) * (run.h[..., 0].size / number(run))
    return found


def backward(numbers: Numbers) -> list[Alternative]:
    """Everything that may stand in the place of a derivative."""
    found = [
        Alternative(words, "one where z > 0, and zero elsewhere", "LAY-9",
                    {"activate'": functools.partial(activated_vjp, slope=slope)})
        for words, slope in SLOPES.items()
    ]  # fmt: skip
    found += [
        Alternative(f"the ReLU's mask is taken of {words}", "of z", "LAY-9",
                    {"activate'": functools.partial(_masked, of=of)})
        for words, of in MASKS.items()
    ]  # fmt: skip
    found += [
        Alternative(words, "the sum of both", "LAY-13", {"join'": step})
        for words, step in JOINED.items()
    ]
    constants, batch = "moving", "batch"
    for words, mean_, variance_ in (
        ("mean and variance of the batch are taken for constants", constants, constants),
        ("the variance of the batch is taken for a constant", None, constants),
        ("the mean of the batch is taken for a constant", constants, None),
        ("statistics are differentiated as those of the batch, whatever the mode", batch, batch),
    ):
        steps: dict[str, Step] = {}
        if mean_ is not None:
            steps["mean'"] = functools.partial(mean_vjp_of, of=mean_)
        if variance_ is not None:
            steps["variance'"] = functools.partial(variance_vjp_of, of=variance_)
        instead = "they are functions of h in training, and constants in inference"
        found.append(Alternative(words, instead, "LAY-15", steps))
    found.append(
        Alternative("the derivative of the root leaves epsilon out", "-root**3 / 2", "LAY-15",
                    {"root'": lambda r, g: -g * r.root / (2 * r.variance)})
    )  # fmt: skip
    for words, number in PIXELS_OF.items():
        instead = "by the pixels of h"
        divided = {
            f"{name}'": functools.partial(_divided, step=step, number=number)
            for name, step in (("mean", due.mean_vjp), ("variance", due.variance_vjp))
        }
        for some in (divided, *({name: step} for name, step in divided.items())):
            which = "the statistics" if len(some) > 1 else f"the {next(iter(some))[:-1]}"
            said = f"what flows back through {which} is divided by {words}"
            found.append(Alternative(said, instead, "LAY-15", some, 1.0 + 0.2 * (len(some) < 2)))
    for back in (False, True):
        step = functools.partial(transposed, back=back)
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
    "averaged over the samples, not summed": lambda _, t: t.sum(0) / len(t),
    "averaged over the pixels, not summed": lambda r, t: t.sum(0) / r.h[..., 0].size,
    "averaged over the pixels of a sample": lambda r, t: t.sum(0) / r.h[0, ..., 0].size,
    "of the first sample alone": lambda _, t: t[0],
    "of the last sample alone": lambda _, t: t[-1],
    "zero": lambda _, t: 0 * t.sum(0),
    "of the other sign": lambda _, t: -t.sum(0),
    "twice what is due": lambda _, t: 2 * t.sum(0),
    "half of what is due": lambda _, t: t.sum(0) / 2,
    "zero where gamma is zero": lambda r, t: np.where(r.gamma == 0, 0, t.sum(0)),
    "times gamma": lambda r, t: t.sum(0) * r.gamma,
    "times gamma / sqrt(variance + epsilon)": lambda r, t: t.sum(0) * (r.gamma * r.root),
    "times 1 / sqrt(variance + epsilon)": lambda r, t: t.sum(0) * r.root,
    "without the reciprocal root": lambda r, t: t.sum(0) / r.root,
    "divided by gamma": lambda r, t: t.sum(0) / r.gamma,
    "clipped at one": lambda _, t: np.clip(t.sum(0), -1, 1),
}  # fmt: skip
# Formats to which factors of a parameter's gradient may be rounded: significand bits.
ROUNDED: Mapping[str, int] = {"TF32": 11, "bfloat16": 8, "float16": 11}
# Pixels of the batch, in their order, after which nothing is summed.
FIRST = (32, 64, 128, 256, 512, 1024, 2048)
# Sizes of blocks of pixels; those that fill none are left out.
BLOCKS = (2, 4, 8, 16, 32)
"""How the samples' shares of a parameter's gradient are put together."""
FACTORS: Mapping[str, Callable[[Run], Any]] = {
    "(z - beta) / gamma": lambda r: (r.z - r.beta) / r.gamma,
    "(z - beta) / (gamma + 1e-5)": lambda r: (r.z - r.beta) / (r.gamma + 1e-5),
    "(z - beta) / (gamma + epsilon)": lambda r: (r.z - r.beta) / (r.gamma + r.config.epsilon),
    "z in the place of what it multiplies": lambda r: r.z,
    "h in the place of what it multiplies": lambda r: r.h,
    "h / sqrt(variance + epsilon), the mean not taken off": lambda r: r.h * r.root,
    "h - mean in the place of what it multiplies": lambda r: r.h - r.mean,
    "h normalised by the moving statistics": lambda r: (
        (r.h - r.moving_mean) / np.sqrt(r.moving_variance + r.config.epsilon)
    ),
    "h normalised by the statistics of the batch": lambda r: (
        (r.h - r.h.mean(PIXELS)) / np.sqrt(r.h.var(PIXELS) + r.config.epsilon)
    ),
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


def _rounded(array: Floats, bits: int) -> Floats:
    """Round to so many significand bits, to nearest."""
    fraction, exponent = np.frexp(array)
    scaled: Floats = np.ldexp(np.rint(fraction * 2.0**bits) / 2.0**bits, exponent)
    return scaled


def _of_rounded(run: Run, factor: Any, gradient: Floats, bits: int) -> Floats:
    factor = None if factor is None else _rounded(factor, bits)
    return due.leaf(run, factor, _rounded(gradient, bits))


def _of_constants(run: Run, factor: Any, gradient: Floats) -> Floats:
    # What flows to h directly; of a layer that does not normalise all does.
    return due.leaf(run, factor, run.values.get("direct", gradient))


def _of_whole(run: Run, factor: Any, gradient: Floats, block: int) -> Floats:
    return _of_first(run, factor, gradient, gradient[..., 0].size // block * block)


def _of_first(run: Run, factor: Any, gradient: Floats, most: int) -> Floats:
    number = np.arange(gradient[..., 0].size).reshape(gradient.shape[:3])
    return due.leaf(run, factor, np.where((number < most)[..., None], gradient, 0.0))


def _other_factor(run: Run, factor: Any, gradient: Floats, of: Any) -> Floats:
    return due.leaf(run, factor if factor is None else of(run), gradient)


def leaves(result: str) -> list[Alternative]:
    """Everything that may stand in the place of how a parameter's gradient is summed."""
    found = [
        Alternative(f"{result} is {words}", "the sum over the pixels of the batch", "LAY-14",
                    {result: functools.partial(_leaf, reduction=reduction)})
        for words, reduction in REDUCTIONS.items()
    ]  # fmt: skip
    found += [
        Alternative(f"{result} sums the first {most} pixels of the batch alone", "all", "LAY-14",
                    {result: functools.partial(_of_first, most=most)}, 1.5)
        for most in FIRST
    ]  # fmt: skip
    found += [
        Alternative(f"{result} leaves out the last pixels, which fill no block of {block}", "all",
                    "LAY-14", {result: functools.partial(_of_whole, block=block)}, 1.5)
        for block in BLOCKS
    ]  # fmt: skip
    if result in {"dreduce_kernel", "dreduce_bias"}:
        found.append(
            Alternative(f"{result} takes mean and variance for constants", "functions of h",
                        "LAY-15", {result: _of_constants})
        )  # fmt: skip
    if result in {"dexpand_kernel", "dreduce_kernel"}:
        found += [
            Alternative(f"{result} is of factors rounded to {words}", "not rounded", "LAY-14",
                        {result: functools.partial(_of_rounded, bits=bits)}, 1.5)
            for words, bits in ROUNDED.items()
        ]  # fmt: skip
    if result in {"dgamma", "dexpand_kernel", "dreduce_kernel"}:
        found += [
            Alternative(f"{result} is taken with {words}", "", "LAY-14",
                        {result: functools.partial(_other_factor, of=of)})
            for words, of in FACTORS.items()
        ]  # fmt: skip
    return found
