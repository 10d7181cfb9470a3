"""Faults of the normalisation and of its moving statistics."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.implementations.layer.numpy_layer import Array, NumpyLayer, Pass


class EpsilonOfTheOther(NumpyLayer):
    """Epsilon of the other framework: 1e-5 for 1e-3 and the reverse."""

    def root(self, variance: Array, config: Any) -> Array:
        other = 1e-5 if config.epsilon > 1e-4 else 1e-3
        return super().root(variance, replace(config, epsilon=other))


class EpsilonMissing(NumpyLayer):
    """No epsilon under the root."""

    def root(self, variance: Array, config: Any) -> Array:
        return super().root(variance, replace(config, epsilon=0.0))


class EpsilonOutside(NumpyLayer):
    """Epsilon added to the root instead of under it."""

    def root(self, variance: Array, config: Any) -> Array:
        return 1 / (np.sqrt(variance) + variance.dtype.type(config.epsilon))


class RootMissing(NumpyLayer):
    """Division by the variance instead of its root."""

    def root(self, variance: Array, config: Any) -> Array:
        return np.square(super().root(variance, config))


class MeanKept(NumpyLayer):
    """The mean is not taken off."""

    def normalise(self, h: Array, mean: Array, root: Array, p: dict[str, Array]) -> Array:
        return super().normalise(h, 0 * mean, root, p)


class GammaMissing(NumpyLayer):
    """Gamma left out."""

    def normalise(self, h: Array, mean: Array, root: Array, p: dict[str, Array]) -> Array:
        return super().normalise(h, mean, root, p | {"gamma": np.ones_like(p["gamma"])})


class BetaMissing(NumpyLayer):
    """Beta left out."""

    def normalise(self, h: Array, mean: Array, root: Array, p: dict[str, Array]) -> Array:
        return super().normalise(h, mean, root, p | {"beta": np.zeros_like(p["beta"])})


class InferenceInTraining(NumpyLayer):
    """Normalised by the moving statistics in training too."""

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        return super().statistics(h, p, training=False)

    def through_statistics(self, dh: Array, centred: Array, done: Pass) -> Array:
        return np.zeros_like(dh)


class TrainingInInference(NumpyLayer):
    """Normalised by the batch's statistics in inference too."""

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        return super().statistics(h, p, training=True)


class UnbiasedNormalisation(NumpyLayer):
    """Normalised by the unbiased variance of the batch."""

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        mean, variance = super().statistics(h, p, training)
        n = h[..., 0].size
        return mean, variance * (n / max(n - 1, 1)) if training else variance


class StatisticsOfEachSample(NumpyLayer):
    """Statistics of each sample instead of the whole batch."""

    def normalise(self, h: Array, mean: Array, root: Array, p: dict[str, Array]) -> Array:
        own = h.mean((1, 2), keepdims=True)
        return super().normalise(h - own + mean, mean, root, p)


class StatisticsOfFirstSample(NumpyLayer):
    """Statistics of the first sample alone."""

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        return super().statistics(h[:1], p, training)


class StatisticsInHalf(NumpyLayer):
    """Statistics of half-precision layers summed up in half precision."""

    dtype: Any = np.float32

    def widened(self, array: Array) -> Array:
        self.dtype = array.dtype
        return super().widened(array)

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        if self.dtype.itemsize > 2 or not training:
            return super().statistics(h, p, training)
        mean = self.average(h)
        return mean, self.average(np.square(h - mean))

    def average(self, h: Array) -> Array:
        total = np.zeros(h.shape[3], self.dtype)
        for pixel in h.reshape(-1, h.shape[3]).astype(self.dtype):
            total = total + pixel
        return total.astype(h.dtype) / h[..., 0].size


class MovingBiased(NumpyLayer):
    """The moving variance takes in the biased variance where the unbiased one was asked for."""

    def taken_in(self, variance: Array, done: Pass, config: Any) -> Array:
        return variance


class MovingUnbiased(NumpyLayer):
    """The moving variance takes in the unbiased variance where the biased one was asked for."""

    def taken_in(self, variance: Array, done: Pass, config: Any) -> Array:
        unbiased = replace(config, unbiased_moving_variance=True)
        return super().taken_in(variance, done, unbiased) if done.h[..., 0].size > 1 else variance


class MovingDeviation(NumpyLayer):
    """The moving variance takes in the standard deviation."""

    def taken_in(self, variance: Array, done: Pass, config: Any) -> Array:
        return np.sqrt(super().taken_in(variance, done, config))


class MomentumOfTheNew(NumpyLayer):
    """Momentum taken for the weight of the new statistics, as PyTorch counts it."""

    def momentum(self, config: Any) -> float:
        return 1 - super().momentum(config)


class MomentumOfTheOther(NumpyLayer):
    """Momentum of the other framework: 0.9 for 0.99 and the reverse."""

    def momentum(self, config: Any) -> float:
        return 0.99 if super().momentum(config) < 0.95 else 0.9


class MovingKept(NumpyLayer):
    """Moving statistics that do not move."""

    def momentum(self, config: Any) -> float:
        return 1.0


class MovingMovedInInference(NumpyLayer):
    """Moving statistics that move in inference too."""

    def moving(
        self, done: Pass, p: dict[str, Array], config: Any, training: bool
    ) -> dict[str, Array]:
        mean = done.h.mean((0, 1, 2)) if done.h.size else done.mean
        return super().moving(done._replace(mean=mean), p, config, training=done.h.size > 0)


class MovingMeanOnly(NumpyLayer):
    """The moving mean moves, the moving variance does not."""

    def moving(
        self, done: Pass, p: dict[str, Array], config: Any, training: bool
    ) -> dict[str, Array]:
        moved = super().moving(done, p, config, training)
        return moved | {"moving_variance": p["moving_variance"]}


class NormalisationMissing(NumpyLayer):
    """No normalisation at all, but for its gamma and beta."""

    def normalise(self, h: Array, mean: Array, root: Array, p: dict[str, Array]) -> Array:
        return super().normalise(h, 0 * mean, np.ones_like(root), p)
