"""Faults of the backward pass alone."""

from typing import Any

import numpy as np

from conformance.implementations.layer.numpy_layer import Array, NumpyLayer, Pass


class NoGradientIntoGenerator(NumpyLayer):
    """No gradient reaches the input through the generator."""

    def generator_gradient(self, dx: Array) -> Array:
        return np.zeros_like(dx)


class NoGradientThroughStatistics(NumpyLayer):
    """Mean and variance of the batch taken for constants in the backward pass."""

    def through_statistics(self, dh: Array, centred: Array, done: Pass) -> Array:
        return np.zeros_like(dh)


class NoGradientThroughVariance(NumpyLayer):
    """The variance of the batch taken for a constant in the backward pass."""

    def through_variance(self, dh: Array, centred: Array, done: Pass) -> Array:
        return np.zeros_like(dh)


class NoGradientThroughMean(NumpyLayer):
    """The mean of the batch taken for a constant in the backward pass."""

    def through_mean(self, dh: Array) -> Array:
        return np.zeros_like(dh)


class GradientThroughMovingStatistics(NumpyLayer):
    """Moving statistics differentiated like the batch's, in inference."""

    def normalise_vjp(
        self, dz: Array, done: Pass, p: dict[str, Array], found: dict[str, Array], training: bool
    ) -> Array:
        return super().normalise_vjp(dz, done, p, found, training or dz.size > 0)


class SlopeOneAtZero(NumpyLayer):
    """The derivative of ReLU at zero is one."""

    def slope(self, z: Array) -> Array:
        return z >= 0


class SlopeHalfAtZero(NumpyLayer):
    """The derivative of ReLU at zero is a half."""

    def slope(self, z: Array) -> Array:
        return (z >= 0) * z.dtype.type(0.5) + (z > 0) * z.dtype.type(0.5)


class SlopeMissing(NumpyLayer):
    """The gradient passes the ReLU where it was cut off."""

    def slope(self, z: Array) -> Array:
        return np.ones_like(z)


class PoolGradientWhole(NumpyLayer):
    """Each pixel of a pooling window is given the whole gradient."""

    def mean_vjp(self, gradient: Array, window: Array) -> Array:
        return gradient


class PoolGradientPaddingCounted(NumpyLayer):
    """The gradient of a ragged pooling window divided by the whole window."""

    def pool(self, x: Array, config: Any) -> Array:
        self.whole = self.stride(0, config) * self.stride(1, config)
        return super().pool(x, config)

    def mean_vjp(self, gradient: Array, window: Array) -> Array:
        return gradient / self.whole


class _Convolution(NumpyLayer):
    """A fault in the gradients of the 1x1 convolutions."""

    def convolve_vjp(
        self, dh: Array, a: Array, name: str, p: dict[str, Array], found: dict[str, Array]
    ) -> Array:
        da = super().convolve_vjp(dh, a, name, p, found)
        self.spoil(dh, name, found)
        return da

    def spoil(self, dh: Array, name: str, found: dict[str, Array]) -> None:
        raise NotImplementedError


class WeightGradientMean(_Convolution):
    """Gradients of the convolutions' weights averaged over the batch, not summed."""

    def spoil(self, dh: Array, name: str, found: dict[str, Array]) -> None:
        found[f"{name}_kernel"] = found[f"{name}_kernel"] / max(len(dh), 1)


class BiasGradientFirstSample(_Convolution):
    """Gradients of the biases of the first sample alone."""

    def spoil(self, dh: Array, name: str, found: dict[str, Array]) -> None:
        found[f"{name}_bias"] = dh[:1].sum((0, 1, 2))


class BiasGradientMean(_Convolution):
    """Gradients of the biases averaged over pixels, not summed."""

    def spoil(self, dh: Array, name: str, found: dict[str, Array]) -> None:
        found[f"{name}_bias"] = found[f"{name}_bias"] / max(dh[..., 0].size, 1)


class BiasGradientZero(_Convolution):
    """No gradient for the biases."""

    def spoil(self, dh: Array, name: str, found: dict[str, Array]) -> None:
        found[f"{name}_bias"] = np.zeros(dh.shape[3], dh.dtype)


class ExpandGradientBeforeRelu(NumpyLayer):
    """The gradient of the expansion's weights taken with the values before the ReLU."""

    def run(self, x: Array, p: dict[str, Array], config: Any, training: bool) -> Pass:
        done = super().run(x, p, config, training)
        self.z = done.z
        return done

    def convolve_vjp(
        self, dh: Array, a: Array, name: str, p: dict[str, Array], found: dict[str, Array]
    ) -> Array:
        before = self.z if name == "expand" else a
        return super().convolve_vjp(dh, before, name, p, found)


class GammaGradientUnscaled(NumpyLayer):
    """The gradient of gamma without the reciprocal root."""

    def normalise_vjp(
        self, dz: Array, done: Pass, p: dict[str, Array], found: dict[str, Array], training: bool
    ) -> Array:
        dh = super().normalise_vjp(dz, done, p, found, training)
        found["gamma"] = (dz * (done.h - done.mean)).sum((0, 1, 2))
        return dh


class GammaGradientUncentred(NumpyLayer):
    """The gradient of gamma with the mean not taken off."""

    def normalise_vjp(
        self, dz: Array, done: Pass, p: dict[str, Array], found: dict[str, Array], training: bool
    ) -> Array:
        dh = super().normalise_vjp(dz, done, p, found, training)
        found["gamma"] = (dz * done.h).sum((0, 1, 2)) * done.root
        return dh


class BetaGradientOfInput(NumpyLayer):
    """The gradient of beta scaled like that of the input."""

    def normalise_vjp(
        self, dz: Array, done: Pass, p: dict[str, Array], found: dict[str, Array], training: bool
    ) -> Array:
        dh = super().normalise_vjp(dz, done, p, found, training)
        found["beta"] = found["beta"] * p["gamma"] * done.root
        return dh


class OrderForwardOnly(NumpyLayer):
    """The gradient of the generated channels in the other kernel order than the forward pass."""

    def channels(self, dkernel: Array, config: Any) -> Array:
        entries = super().channels(dkernel, config)
        groups = config.groups
        order = np.arange(entries.shape[3]).reshape(groups, -1).T.ravel()
        return entries[..., order]
