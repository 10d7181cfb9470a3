"""A whole layer in plain NumPy, around `numpy_unfold`.

Written independently of the reference, by other formulas. It is taken apart into the steps that
real layers get wrong, so that `conformance.layers.mutants` can plant a fault in each. It trusts its
arguments.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from conformance.implementations.operator.numpy_unfold import Unfold

Array = npt.NDArray[Any]
_PIXELS = (0, 1, 2)


class Pass(NamedTuple):
    """Values of one forward pass."""

    x: Array
    pooled: Array
    h: Array
    mean: Array
    root: Array
    z: Array
    a: Array
    kernel: Array


class NumpyLayer:
    """The layer. Half precision is computed in float32 and rounded once."""

    capabilities: dict[str, Any] = {  # noqa: RUF012
        "gradual_underflow": True,
        "validates": False,
        "fork_safe": True,
    }
    operator: Any = Unfold()

    def forward(
        self, x: Array, parameters: Mapping[str, Array], config: Any, *, training: bool = False
    ) -> tuple[Array, Array, dict[str, Array]]:
        """Return y, the kernel and the moving statistics."""
        p = self.wide(parameters)
        done = self.run(self.widened(x), p, config, training)
        y = self.operator.forward(done.x, done.kernel, **self.options(config))
        moving = self.moving(done, p, config, training) if config.normalise else {}
        narrow = {name: value.astype(x.dtype) for name, value in moving.items()}
        return y.astype(x.dtype), done.kernel.astype(x.dtype), narrow

    def backward(
        self,
        dy: Array,
        x: Array,
        parameters: Mapping[str, Array],
        config: Any,
        *,
        training: bool = False,
    ) -> tuple[Array, dict[str, Array]]:
        """Return dx and the gradient of each parameter."""
        p = self.wide(parameters)
        done = self.run(self.widened(x), p, config, training)
        options = self.options(config)
        dx, dkernel = self.operator.backward(self.widened(dy), done.x, done.kernel, **options)
        found: dict[str, Array] = {}
        dentries = self.channels(dkernel, config)
        da = self.convolve_vjp(dentries, done.a, "expand", p, found)
        dz = da * self.slope(done.z)
        dh = self.normalise_vjp(dz, done, p, found, training) if config.normalise else dz
        dpooled = self.convolve_vjp(dh, done.pooled, "reduce", p, found)
        dx = dx + self.generator_gradient(self.unpool(dpooled, done.x, config))
        kept = {name: value.astype(x.dtype) for name, value in found.items() if name in p}
        return dx.astype(x.dtype), kept

    def run(self, x: Array, p: dict[str, Array], config: Any, training: bool) -> Pass:
        """Compute the kernel."""
        pooled = self.pool(x, config)
        z = h = self.convolve(pooled, "reduce", p)
        mean = root = np.zeros(h.shape[3], h.dtype)
        if config.normalise:
            mean, variance = self.statistics(h, p, training)
            root = self.root(variance, config)
            z = self.normalise(h, mean, root, p)
        a = self.activate(z)
        kernel = self.kernels(self.convolve(a, "expand", p), config)
        return Pass(x, pooled, h, mean, root, z, a, kernel)

    def options(self, config: Any) -> dict[str, Any]:
        """The operator's options."""
        names = ("stride", "dilation", "padding", "group_layout")
        return {name: getattr(config, name) for name in names}

    def pool(self, x: Array, config: Any) -> Array:
        """Average over windows, one window after another."""
        rows, columns = self.windows(x.shape[1], 0, config), self.windows(x.shape[2], 1, config)
        return np.stack([np.stack([self.mean(x[:, r, c]) for c in columns], 1) for r in rows], 1)

    def unpool(self, dpooled: Array, x: Array, config: Any) -> Array:
        """Share the gradient out among the pixels of each window."""
        dx = np.zeros_like(x)
        for i, r in enumerate(self.windows(x.shape[1], 0, config)):
            for j, c in enumerate(self.windows(x.shape[2], 1, config)):
                share = self.mean_vjp(dpooled[:, i, j], x[:, r, c])
                dx[:, r, c] += share[:, None, None]
        return dx

    def mean(self, window: Array) -> Array:
        """Average over one window's pixels."""
        return window.sum((1, 2)) / (window.shape[1] * window.shape[2])

    def mean_vjp(self, gradient: Array, window: Array) -> Array:
        """Share of each pixel of a window."""
        return gradient / (window.shape[1] * window.shape[2])

    def windows(self, size: int, axis: int, config: Any) -> list[slice]:
        """Give the pixels of each window of an axis."""
        stride = self.stride(axis, config)
        if config.pooling == "valid":
            return [slice(i * stride, (i + 1) * stride) for i in range(size // stride)]
        first = -((-size % stride) // 2)
        return [
            slice(max(first + i * stride, 0), min(first + (i + 1) * stride, size))
            for i in range(-(-size // stride))
        ]

    def stride(self, axis: int, config: Any) -> int:
        """Size of the pooling's windows."""
        stride = config.stride[axis] if isinstance(config.stride, tuple) else config.stride
        return 1 if config.pooling == "none" else int(stride)

    def convolve(self, a: Array, name: str, p: dict[str, Array]) -> Array:
        """Compute a 1x1 convolution."""
        product = np.einsum("bijc,cr->bijr", a, p[f"{name}_kernel"])
        return product + p[f"{name}_bias"] if f"{name}_bias" in p else product

    def convolve_vjp(
        self, dh: Array, a: Array, name: str, p: dict[str, Array], found: dict[str, Array]
    ) -> Array:
        """Give the gradient of a, and note those of weight and bias."""
        found[f"{name}_kernel"] = np.einsum("bijc,bijr->cr", a, dh)
        found[f"{name}_bias"] = dh.sum(_PIXELS)
        return np.einsum("bijr,cr->bijc", dh, p[f"{name}_kernel"])

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        """Mean and variance to normalise by."""
        if not training:
            return p["moving_mean"], p["moving_variance"]
        mean = h.mean(_PIXELS)
        return mean, np.square(h - mean).mean(_PIXELS)

    def root(self, variance: Array, config: Any) -> Array:
        """1 / sqrt(variance + epsilon)."""
        root: Array = 1 / np.sqrt(variance + variance.dtype.type(config.epsilon))
        return root

    def normalise(self, h: Array, mean: Array, root: Array, p: dict[str, Array]) -> Array:
        """Scale and shift, with the scale folded first."""
        scale = p["gamma"] * root
        return h * scale + (p["beta"] - mean * scale)

    def normalise_vjp(
        self, dz: Array, done: Pass, p: dict[str, Array], found: dict[str, Array], training: bool
    ) -> Array:
        """Give the gradient of h, and note those of gamma and beta."""
        centred = done.h - done.mean
        found["beta"] = dz.sum(_PIXELS)
        found["gamma"] = (dz * centred).sum(_PIXELS) * done.root
        dh = dz * (p["gamma"] * done.root)
        if training:
            dh = dh + self.through_statistics(dh, centred, done)
        return dh

    def through_statistics(self, dh: Array, centred: Array, done: Pass) -> Array:
        """What flows through variance and mean."""
        return self.through_variance(dh, centred, done) + self.through_mean(dh)

    def through_variance(self, dh: Array, centred: Array, done: Pass) -> Array:
        """What flows through the variance."""
        dvariance = -(dh * centred).sum(_PIXELS) * done.root**2 / 2
        return 2 * centred * dvariance / dh[..., 0].size

    def through_mean(self, dh: Array) -> Array:
        """What flows through the mean."""
        return -dh.mean(_PIXELS)

    def moving(
        self, done: Pass, p: dict[str, Array], config: Any, training: bool
    ) -> dict[str, Array]:
        """Moving statistics after the call."""
        old = {name: p[name] for name in ("moving_mean", "moving_variance")}
        if not training:
            return old
        variance = self.taken_in(np.square(done.h - done.mean).mean(_PIXELS), done, config)
        new = {"moving_mean": done.mean, "moving_variance": variance}
        m = self.momentum(config)
        return {name: m * old[name] + (1 - m) * new[name] for name in old}

    def taken_in(self, variance: Array, done: Pass, config: Any) -> Array:
        """The variance that the moving one takes in."""
        pixels = done.h[..., 0].size
        return variance * (pixels / (pixels - 1)) if config.unbiased_moving_variance else variance

    def momentum(self, config: Any) -> float:
        """Weight of the old statistics."""
        return float(config.momentum)

    def activate(self, z: Array) -> Array:
        """Cut off below zero."""
        return np.where(z > 0, z, 0)

    def slope(self, z: Array) -> Array:
        """Derivative of `activate`."""
        slope: Array = z > 0
        return slope

    def kernels(self, entries: Array, config: Any) -> Array:
        """Turn channels into kernels."""
        order = self.order(entries.shape[3], config)
        taps = self.taps(config)
        return entries[..., order].reshape(*entries.shape[:3], *taps, config.groups)

    def channels(self, dkernel: Array, config: Any) -> Array:
        """Turn the gradient of kernels into that of channels."""
        flat = dkernel.reshape(*dkernel.shape[:3], math.prod(dkernel.shape[3:]))
        entries = np.empty_like(flat)
        entries[..., self.order(flat.shape[3], config)] = flat
        return entries

    def order(self, number: int, config: Any) -> Array:
        """Channel of each kernel entry, tap by tap and group by group."""
        if self.kernel_order(config) == "tap_major":
            return np.arange(number)
        return np.arange(number).reshape(config.groups, -1).T.ravel()

    def kernel_order(self, config: Any) -> str:
        """How the channels lie."""
        return str(config.kernel_order)

    def taps(self, config: Any) -> tuple[int, int]:
        """Kh and Kw."""
        size = config.kernel_size
        return size if isinstance(size, tuple) else (size, size)

    def generator_gradient(self, dx: Array) -> Array:
        """What reaches the input through the generator."""
        return dx

    def widened(self, array: Array) -> Array:
        """Widen half precision."""
        return array.astype(np.float64 if array.dtype == np.float64 else np.float32)

    def wide(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Widen every parameter."""
        return {name: self.widened(np.asarray(value)) for name, value in parameters.items()}
