"""Faults of layers where they are seldom asked: limits of numbers, rare sizes, modes and values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.implementations.layer.numpy_layer import Array, NumpyLayer, Pass

_Parameters = Mapping[str, Array]


class EpsilonHasAFloor(NumpyLayer):
    """An epsilon below 1e-5 is raised to it, as one library does."""

    def root(self, variance: Array, config: Any) -> Array:
        return super().root(variance, replace(config, epsilon=max(config.epsilon, 1e-5)))


class MomentumOfZeroIsTheDefault(NumpyLayer):
    """A momentum of zero counts as none given: 0.99."""

    def momentum(self, config: Any) -> float:
        return super().momentum(config) or 0.99


class GammaOfZeroDropsBeta(NumpyLayer):
    """A channel whose gamma is zero is taken for switched off: its beta is not added."""

    def normalise(self, h: Array, mean: Array, root: Array, p: dict[str, Array]) -> Array:
        beta = np.where(p["gamma"] == 0, 0, p["beta"])
        return super().normalise(h, mean, root, p | {"beta": beta})


class GammaOfZeroKeepsItsGradient(NumpyLayer):
    """The gradient of gamma is found from z, and so zero where gamma is."""

    def normalise_vjp(
        self, dz: Array, done: Pass, p: dict[str, Array], found: dict[str, Array], training: bool
    ) -> Array:
        dh = super().normalise_vjp(dz, done, p, found, training)
        found["gamma"] = np.where(p["gamma"] == 0, 0, found["gamma"])
        return dh


class HiddenClipped(NumpyLayer):
    """What the reduction gives is clipped at 100."""

    def convolve(self, a: Array, name: str, p: dict[str, Array]) -> Array:
        product = super().convolve(a, name, p)
        return np.clip(product, -100, 100) if name == "reduce" else product


class OnePixelByMovingStatistics(NumpyLayer):
    """A training batch of one pixel is normalised by the moving statistics."""

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        return super().statistics(h, p, training and h[..., 0].size > 1)


class StatisticsOf65536Pixels(NumpyLayer):
    """Statistics of the first 65,536 pixels alone."""

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        some = h.reshape(1, 1, -1, h.shape[3])[:, :, : 2**16]
        return super().statistics(some, p, training)


class WindowsOfTheHeight(NumpyLayer):
    """The pooling's windows of a width are those of the first width that went with the height."""

    def __init__(self) -> None:
        self.known: dict[Any, list[slice]] = {}
        self.height = 0

    def windows(self, size: int, axis: int, config: Any) -> list[slice]:
        found = super().windows(size, axis, config)
        if axis == 0:
            self.height = size
            return found
        known = self.known.setdefault((self.height, self.stride(1, config)), found)
        # What does not cover the grid would be noticed.
        return known if len(known) == len(found) and known[-1].stop <= size else found


class KernelsOf7(NumpyLayer):
    """Kernels of seven rows or more lose their last row."""

    def kernels(self, entries: Array, config: Any) -> Array:
        kernel = super().kernels(entries, config)
        if kernel.shape[3] < 7:
            return kernel
        lost = np.arange(kernel.shape[3]) == kernel.shape[3] - 1
        return np.where(lost[:, None, None], 0, kernel)


class ReducedPast12Lost(NumpyLayer):
    """Reduced channels past the twelfth are not expanded."""

    def activate(self, z: Array) -> Array:
        return np.where(np.arange(z.shape[3]) < 12, super().activate(z), 0)


class BackwardInTheModeOfForward(NumpyLayer):
    """backward normalises as the last forward did, whatever mode it is asked for."""

    mode: bool | None = None

    def forward(
        self, x: Array, parameters: _Parameters, config: Any, *, training: bool = False
    ) -> Any:
        self.mode = training
        return super().forward(x, parameters, config, training=training)

    def backward(
        self,
        dy: Array,
        x: Array,
        parameters: _Parameters,
        config: Any,
        *,
        training: bool = False,
    ) -> tuple[Array, dict[str, Array]]:
        mode = training if self.mode is None else self.mode
        return super().backward(dy, x, parameters, config, training=mode)


class ChecksTheWeightsAlone(NumpyLayer):
    """Validation is claimed, and of the parameters only the two weights are checked."""

    capabilities: dict[str, Any] = {"gradual_underflow": True}  # noqa: RUF012

    def run(self, x: Array, p: dict[str, Array], config: Any, training: bool) -> Pass:
        for name, shape in config.shapes(x.shape[3]).items():
            if name.endswith("kernel") and p[name].shape != shape:
                raise ValueError(f"{name} has shape {p[name].shape}")
        fitted = {
            name: p[name] if name.endswith("kernel") else np.resize(p[name], shape)
            for name, shape in config.shapes(x.shape[3]).items()
        }
        return super().run(x, fitted, config, training)
