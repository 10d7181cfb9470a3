"""Correct layers, each computed or rounded in another way: none of them may be rejected."""

from typing import Any

import numpy as np

from conformance.implementations.layer.numpy_layer import Array, NumpyLayer, Pass

PIXELS = (0, 1, 2)


class OnePass(NumpyLayer):
    """Variance as the mean of squares minus the square of the mean."""

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        if not training:
            return super().statistics(h, p, training)
        mean = h.mean(PIXELS)
        return mean, np.maximum(np.square(h).mean(PIXELS) - np.square(mean), 0)


class Stored(NumpyLayer):
    """Every intermediate value rounded to the format of the operands."""

    dtype: Any = np.float32

    def stored(self, array: Array) -> Array:
        return array.astype(self.dtype).astype(array.dtype)

    def forward(self, x: Array, *arguments: Any, **options: Any) -> Any:
        self.dtype = x.dtype
        return super().forward(x, *arguments, **options)

    def backward(self, dy: Array, *arguments: Any, **options: Any) -> Any:
        self.dtype = dy.dtype
        return super().backward(dy, *arguments, **options)

    def pool(self, x: Array, config: Any) -> Array:
        return self.stored(super().pool(x, config))

    def convolve(self, a: Array, name: str, p: dict[str, Array]) -> Array:
        without = {f"{name}_kernel": p[f"{name}_kernel"]}
        product = self.stored(super().convolve(a, name, without))
        bias = p.get(f"{name}_bias")
        return product if bias is None else self.stored(product + bias)

    def convolve_vjp(self, dh: Array, *arguments: Any) -> Array:
        return self.stored(super().convolve_vjp(self.stored(dh), *arguments))

    def normalise(self, *arguments: Any) -> Array:
        return self.stored(super().normalise(*arguments))

    def normalise_vjp(self, *arguments: Any) -> Array:
        return self.stored(super().normalise_vjp(*arguments))


class Wide(NumpyLayer):
    """Everything in float64, rounded once."""

    def widened(self, array: Array) -> Array:
        return array.astype(np.float64)


class Backwards(NumpyLayer):
    """Sums in the reverse order."""

    def convolve(self, a: Array, name: str, p: dict[str, Array]) -> Array:
        turned = p | {f"{name}_kernel": p[f"{name}_kernel"][::-1]}
        return super().convolve(np.ascontiguousarray(a[..., ::-1]), name, turned)

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        return super().statistics(np.ascontiguousarray(h[::-1, ::-1, ::-1]), p, training)


class Textbook(NumpyLayer):
    """Normalisation and its derivative as the specification writes them."""

    def normalise(self, h: Array, mean: Array, root: Array, p: dict[str, Array]) -> Array:
        return p["gamma"] * ((h - mean) * root) + p["beta"]

    def normalise_vjp(
        self, dz: Array, done: Pass, p: dict[str, Array], found: dict[str, Array], training: bool
    ) -> Array:
        standard = (done.h - done.mean) * done.root
        found["beta"], found["gamma"] = dz.sum(PIXELS), (dz * standard).sum(PIXELS)
        change = dz
        if training:
            n = dz[..., 0].size
            change = dz - found["beta"] / n - standard * (found["gamma"] / n)
        return p["gamma"] * done.root * change


class OneByOne(NumpyLayer):
    """Sums over the pixels one pixel after another."""

    def convolve_vjp(
        self, dh: Array, a: Array, name: str, p: dict[str, Array], found: dict[str, Array]
    ) -> Array:
        da = super().convolve_vjp(dh, a, name, p, found)
        total = np.zeros_like(p[f"{name}_kernel"])
        for index in np.ndindex(dh.shape[:3]):
            total = total + np.multiply.outer(a[index], dh[index])
        found[f"{name}_kernel"] = total
        return da


RIGHT_LAYERS = {
    kind.__name__: kind
    for kind in (NumpyLayer, OnePass, Stored, Wide, Backwards, Textbook, OneByOne)
}
