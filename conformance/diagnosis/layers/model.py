"""What a layer is taken to compute: steps and their derivatives, each of which can be exchanged.

A step is a function of a run, and so is its derivative; the name of a derivative ends in a prime.
Where nothing is exchanged the run is the layer that is due (chapter LAY), in float64. What may be
put in the place of a step is in the files beside; nothing is asked of an implementation here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.bounds.windows import gathered, scattered, windows
from conformance.cases.case import Array, Floats
from conformance.cases.layer import LayerCase
from refimpl import involution
from refimpl.layer import STATISTICS, Config

PIXELS = (0, 1, 2)
Step = Callable[..., Any]


class LacksError(AttributeError, ValueError):
    """A layer of this configuration has no such value: an alternative does not go with it."""


@dataclass
class Run:
    """One call: its operands, and the value of each step that has run."""

    case: LayerCase
    given: Mapping[str, Floats]
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The layer's configuration."""
        return self.case.config

    @property
    def training(self) -> bool:
        """The mode."""
        return self.case.training

    def __getattr__(self, name: str) -> Floats:
        """Give a value by its name, or an operand."""
        for known in ("values", "given"):
            held: dict[str, Floats] = self.__dict__[known]
            if name in held:
                return held[name]
        raise LacksError(name)

    def over(self, array: Floats, like: Floats) -> Floats:
        """Sum over the pixels that share a statistic: all of the batch, or those of a sample."""
        axes = PIXELS if like.ndim == 1 else tuple(n for n in PIXELS if like.shape[n] == 1)
        summed: Floats = array.sum(axis=axes, keepdims=like.ndim > 1)
        return summed

    def bias(self, name: str) -> Any:
        """A bias, or zero where there is none."""
        return self.given.get(name, 0.0)


def pool(run: Run) -> Floats:
    """Average over the windows (LAY-3 to LAY-5)."""
    sides = windows(run.config, run.x.shape)
    number = gathered(np.ones((1, *run.x.shape[1:3], 1)), sides)
    averaged: Floats = gathered(run.x, sides) / number
    return averaged


def pool_vjp(run: Run, gradient: Floats) -> Floats:
    """Spread evenly over the pixels of each window."""
    sides = windows(run.config, run.x.shape)
    number = gathered(np.ones((1, *run.x.shape[1:3], 1)), sides)
    return scattered(gradient / number, sides)


def reduce(run: Run) -> Floats:
    """LAY-7."""
    hidden: Floats = run.pooled @ run.reduce_kernel + run.bias("reduce_bias")
    return hidden


def mean(run: Run) -> Floats:
    """LAY-8."""
    return run.h.mean(axis=PIXELS) if run.training else run.moving_mean


def mean_vjp(run: Run, gradient: Floats) -> Floats:
    """LAY-15."""
    return gradient / run.h[..., 0].size if run.training else 0 * gradient


def variance(run: Run) -> Floats:
    """LAY-8."""
    if not run.training:
        return run.moving_variance
    found: Floats = ((run.h - run.h.mean(axis=PIXELS)) ** 2).mean(axis=PIXELS)
    return found


def variance_vjp(run: Run, gradient: Floats) -> Floats:
    """LAY-15."""
    if not run.training:
        return np.zeros(run.h.shape)
    return 2 * (run.h - run.mean) * gradient / run.h[..., 0].size


def root(run: Run) -> Floats:
    """Give the reciprocal root (LAY-8)."""
    return 1 / np.sqrt(run.variance + run.config.epsilon)


def root_vjp(run: Run, gradient: Floats) -> Floats:
    """LAY-15."""
    return -gradient * run.root**3 / 2


def normalise(run: Run) -> Floats:
    """LAY-8."""
    scaled: Floats = run.gamma * (run.h - run.mean) * run.root + run.beta
    return scaled


def normalise_vjp(run: Run, gradient: Floats) -> tuple[Floats, Floats, Floats]:
    """Give what flows to h directly, to the mean and to the root."""
    scaled = gradient * run.gamma
    direct = scaled * run.root
    to_root = run.over(scaled * (run.h - run.mean), np.asarray(run.root))
    return direct, -run.over(direct, np.asarray(run.mean)), to_root


def activate(run: Run) -> Floats:
    """LAY-9."""
    return np.maximum(run.z, 0)


def activate_vjp(run: Run, gradient: Floats) -> Floats:
    """LAY-9."""
    return np.where(run.z > 0, gradient, 0)


def expand(run: Run) -> Floats:
    """LAY-10."""
    entries: Floats = run.a @ run.expand_kernel + run.bias("expand_bias")
    return entries


def arrange(run: Run) -> Floats:
    """LAY-11."""
    return laid(run, due_order(run), run.entries)


def arrange_vjp(run: Run, gradient: Floats) -> Floats:
    """LAY-11."""
    return flattened(run, due_order(run), gradient)


def due_order(run: Run) -> str:
    """The axes in the order in which their numbers make a channel's: "uvg", or "guv"."""
    return "uvg" if run.config.kernel_order == "tap_major" else "guv"


def laid(run: Run, order: str, entries: Floats) -> Floats:
    """Turn channels that lie in an order into kernels."""
    sizes = dict(zip("uvg", (*run.config.taps, run.config.groups), strict=True))
    apart = entries.reshape(*entries.shape[:3], *(sizes[name] for name in order))
    return apart.transpose(0, 1, 2, *(3 + order.index(name) for name in "uvg"))


def flattened(run: Run, order: str, kernel: Floats) -> Floats:  # noqa: ARG001
    """Turn kernels into channels that lie in an order."""
    moved = kernel.transpose(0, 1, 2, *(3 + "uvg".index(name) for name in order))
    return moved.reshape(*kernel.shape[:3], math.prod(kernel.shape[3:]))


def operate(run: Run) -> Floats:
    """LAY-2."""
    return involution.forward(run.x, run.kernel, **run.config.options)


def operate_vjp(run: Run, gradient: Floats) -> tuple[Floats, Floats]:
    """Give what flows to x and to the kernel."""
    return involution.backward(gradient, run.x, run.kernel, **run.config.options)


def join(run: Run, of_operator: Floats, of_generator: Floats) -> Floats:  # noqa: ARG001
    """LAY-13."""
    return of_operator + of_generator


def leaf(run: Run, factor: Floats | None, gradient: Floats) -> Floats:
    """Sum over the pixels of the batch (LAY-14); `factor` is what the parameter multiplies."""
    found: Floats
    if factor is None:
        found = gradient.sum(axis=PIXELS)
    elif run.values["of"] == "gamma":
        found = (gradient * factor).sum(axis=PIXELS)
    else:
        found = np.einsum("bijc,bijr->cr", factor, gradient)
    return found


def moved(run: Run, name: str) -> Floats:
    """LAY-12."""
    old = run.given[name]
    if not run.training:
        return old
    m, n = run.config.momentum, run.h[..., 0].size
    centre = run.h.mean(axis=PIXELS)
    new = centre
    if name == "moving_variance":
        new = ((run.h - centre) ** 2).mean(axis=PIXELS)
        new = new * (n / (n - 1)) if run.config.unbiased_moving_variance and n > 1 else new
    found: Floats = m * old + (1 - m) * new
    return found


DUE: Mapping[str, Step] = {
    "pool": pool, "pool'": pool_vjp, "reduce": reduce, "mean": mean, "mean'": mean_vjp,
    "variance": variance, "variance'": variance_vjp, "root": root, "root'": root_vjp,
    "normalise": normalise, "normalise'": normalise_vjp, "activate": activate,
    "activate'": activate_vjp, "expand": expand, "arrange": arrange, "arrange'": arrange_vjp,
    "operate": operate, "operate'": operate_vjp, "join'": join,
    "moving_mean": moved, "moving_variance": moved,
    **{f"d{name}": leaf for name in (
        "expand_bias", "expand_kernel", "gamma", "beta", "reduce_bias", "reduce_kernel",
    )},
}  # fmt: skip
"""Each step and each derivative as the specification has it."""
# The value that each step gives, in order.
_STEPS = {"pool": "pooled", "reduce": "h"}
_NORMALISED = {"mean": "mean", "variance": "variance", "root": "root", "normalise": "z"}
_REST = {"activate": "a", "expand": "entries", "arrange": "kernel", "operate": "y"}
FORWARD = ("y", "kernel")


class LayerModel:
    """A layer some of whose steps are exchanged.

    Parameters
    ----------
    steps : mapping of str to callable
        What stands in the place of the step, or of the derivative, of that name.
    """

    def __init__(self, steps: Mapping[str, Step] | None = None) -> None:
        self.exchanged = dict(steps or {})
        self.steps = {**DUE, **self.exchanged}

    def forward(self, case: LayerCase, values: Mapping[str, Array]) -> Run:
        """Run the steps."""
        wide = {name: array.astype(np.float64) for name, array in values.items()}
        run = Run(case, wide)
        run.values["of"] = ""
        names = dict(_STEPS)
        names |= _NORMALISED if case.config.normalise else {}
        with np.errstate(all="ignore"):
            for step, value in (names | _REST).items():
                if step == "activate" and not case.config.normalise:
                    run.values["z"] = run.h
                run.values[value] = self.steps[step](run)
        return run

    def moving(self, run: Run) -> dict[str, Floats]:
        """Give the moving statistics after a run."""
        if not run.config.normalise:
            return {}
        with np.errstate(all="ignore"):
            return {name: self.steps[name](run, name) for name in STATISTICS}

    def backward(self, run: Run) -> dict[str, Floats]:
        """Give the gradients of a run."""
        with np.errstate(all="ignore"):
            return self._backward(run)

    def _backward(self, run: Run) -> dict[str, Floats]:
        steps, found = self.steps, dict[str, Floats]()
        of_operator, dkernel = steps["operate'"](run, run.dy)
        dentries = steps["arrange'"](run, dkernel)
        self._keep(run, found, "expand_bias", None, dentries)
        self._keep(run, found, "expand_kernel", run.a, dentries)
        dz = steps["activate'"](run, dentries @ run.expand_kernel.T)
        if run.config.normalise:
            self._keep(run, found, "beta", None, dz)
            self._keep(run, found, "gamma", (run.h - run.mean) * run.root, dz)
            dz, dmean, droot = steps["normalise'"](run, dz)
            run.values["direct"] = dz
            dvariance = steps["root'"](run, droot)
            dz = dz + steps["mean'"](run, dmean) + steps["variance'"](run, dvariance)
        self._keep(run, found, "reduce_bias", None, dz)
        self._keep(run, found, "reduce_kernel", run.pooled, dz)
        of_generator = steps["pool'"](run, dz @ run.reduce_kernel.T)
        found["dx"] = steps["join'"](run, of_operator, of_generator)
        return found

    def _keep(
        self, run: Run, found: dict[str, Floats], name: str, factor: Any, gradient: Floats
    ) -> None:
        if name in run.given:
            run.values["of"] = name
            found[f"d{name}"] = self.steps[f"d{name}"](run, factor, gradient)

    def __call__(self, case: LayerCase, values: Mapping[str, Array]) -> dict[str, Floats]:
        """Foretell every result."""
        run = self.forward(case, values)
        return {"y": run.y, "kernel": run.kernel, **self.moving(run), **self.backward(run)}
