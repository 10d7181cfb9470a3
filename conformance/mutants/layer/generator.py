"""Faults of the kernel's generation: pooling, convolutions, activation, order, layout, sizes."""

from typing import Any

import numpy as np

from conformance.implementations.layer.numpy_layer import Array, NumpyLayer
from conformance.mutants.operator import MUTANTS


class OrderExchanged(NumpyLayer):
    """Generated channels read in the other kernel order."""

    def kernel_order(self, config: Any) -> str:
        asked = super().kernel_order(config)
        return "group_major" if asked == "tap_major" else "tap_major"


class OrderAlwaysTapMajor(NumpyLayer):
    """Generated channels always read tap-major, as the Keras example does."""

    def kernel_order(self, config: Any) -> str:
        return "tap_major"


class OrderAlwaysGroupMajor(NumpyLayer):
    """Generated channels always read group-major, as the official code does."""

    def kernel_order(self, config: Any) -> str:
        return "group_major"


class _Layout(NumpyLayer):
    """Another group layout."""

    def options(self, config: Any) -> dict[str, Any]:
        options = super().options(config)
        return options | {"group_layout": self.layout(options["group_layout"])}

    def layout(self, asked: str) -> str:
        return "blocked" if asked == "interleaved" else "interleaved"


class LayoutExchanged(_Layout):
    """The other group layout: blocked for interleaved and the reverse."""


class LayoutAlwaysBlocked(_Layout):
    """Groups always blocked, as the official code has them."""

    def layout(self, asked: str) -> str:
        return "blocked"


class LayoutAlwaysInterleaved(_Layout):
    """Groups always interleaved, as the Keras example has them."""

    def layout(self, asked: str) -> str:
        return "interleaved"


class OrderAndLayoutExchanged(LayoutExchanged, OrderExchanged):
    """Both the kernel order and the group layout exchanged."""


class TapsColumnMajor(NumpyLayer):
    """Taps of the generated kernel read column by column."""

    def order(self, number: int, config: Any) -> Array:
        rows, columns = self.taps(config)
        order = super().order(number, config).reshape(columns, rows, -1)
        return order.swapaxes(0, 1).ravel()


class _Subsampled(NumpyLayer):
    """Pooling that reads one pixel of each window."""

    def pick(self, window: Array) -> Array:
        return window[:, 0, 0]

    def mean(self, window: Array) -> Array:
        return self.pick(window)

    def mean_vjp(self, gradient: Array, window: Array) -> Array:
        return gradient


class FirstPixelForMean(_Subsampled):
    """No average: the generator reads the first pixel of each window."""


class MaximumForMean(_Subsampled):
    """Maximum pooling instead of average pooling."""

    def pick(self, window: Array) -> Array:
        return window.max((1, 2))


class PaddingCounted(NumpyLayer):
    """Pooling at the ragged edge divides by the whole window, padding counted."""

    def pool(self, x: Array, config: Any) -> Array:
        self.whole = self.stride(0, config) * self.stride(1, config)
        return super().pool(x, config)

    def mean(self, window: Array) -> Array:
        return window.sum((1, 2)) / self.whole

    def mean_vjp(self, gradient: Array, window: Array) -> Array:
        return gradient / self.whole


class PoolingFloor(NumpyLayer):
    """Pooling drops the ragged edge: floor(n / s) windows."""

    def windows(self, size: int, axis: int, config: Any) -> list[slice]:
        stride = self.stride(axis, config)
        return [slice(i * stride, (i + 1) * stride) for i in range(size // stride)]


class PoolingFloorRepeated(NumpyLayer):
    """Pooling drops the ragged edge and repeats the last window for the missing one."""

    def windows(self, size: int, axis: int, config: Any) -> list[slice]:
        stride = self.stride(axis, config)
        due = len(super().windows(size, axis, config))
        starts = [min(i, max(size // stride - 1, 0)) * stride for i in range(due)]
        return [slice(start, min(start + stride, size)) for start in starts]


class RaggedWindowLast(NumpyLayer):
    """Pooling windows begin at the first pixel: the ragged one is the last."""

    def windows(self, size: int, axis: int, config: Any) -> list[slice]:
        if config.pooling != "same":
            return super().windows(size, axis, config)
        stride = self.stride(axis, config)
        return [slice(i, min(i + stride, size)) for i in range(0, size, stride)]


class RaggedOddPixelBefore(NumpyLayer):
    """Pooling puts the odd pixel of padding before instead of after."""

    def windows(self, size: int, axis: int, config: Any) -> list[slice]:
        stride = self.stride(axis, config)
        if config.pooling != "same":
            return super().windows(size, axis, config)
        first = -((-size % stride + 1) // 2)
        starts = [first + i * stride for i in range(-(-size // stride))]
        return [slice(max(start, 0), min(start + stride, size)) for start in starts]


class _Unpooled(NumpyLayer):
    """The generator without pooling, its kernels taken at some pixels."""

    def place(self, i: int, stride: int) -> int:
        return i

    def windows(self, size: int, axis: int, config: Any) -> list[slice]:
        stride = self.stride(axis, config)
        number = len(super().windows(size, axis, config))
        starts = [min(self.place(i, stride), size - 1) for i in range(number)]
        return [slice(start, start + 1) for start in starts]


class UnpooledCorner(_Unpooled):
    """The generator fed the unpooled input, its grid cropped to the output's."""


class UnpooledStrided(_Unpooled):
    """The generator fed the unpooled input, at every stride-th pixel."""

    def place(self, i: int, stride: int) -> int:
        return i * stride


class StrideVerticalForBoth(NumpyLayer):
    """Pooling takes the vertical stride for both axes."""

    def stride(self, axis: int, config: Any) -> int:
        return super().stride(0, config)


class PoolingAfterReduction(NumpyLayer):
    """Pooling of the wrong thing: of the squared input, root taken."""

    def mean(self, window: Array) -> Array:
        return np.sqrt(np.square(window).mean((1, 2)))


class ReduceBiasMissing(NumpyLayer):
    """The reduction's bias left out."""

    left_out = "reduce"

    def convolve(self, a: Array, name: str, p: dict[str, Array]) -> Array:
        without = {key: value for key, value in p.items() if key != f"{self.left_out}_bias"}
        return super().convolve(a, name, without)


class ExpandBiasMissing(ReduceBiasMissing):
    """The expansion's bias left out."""

    left_out = "expand"


class BiasAddedTwice(NumpyLayer):
    """The expansion's bias added twice."""

    def convolve(self, a: Array, name: str, p: dict[str, Array]) -> Array:
        product = super().convolve(a, name, p)
        return product + p["expand_bias"] if name == "expand" and "expand_bias" in p else product


class ReluMissing(NumpyLayer):
    """No ReLU between the two convolutions."""

    def activate(self, z: Array) -> Array:
        return z

    def slope(self, z: Array) -> Array:
        return np.ones_like(z)


class ReluLeaky(NumpyLayer):
    """A leaky ReLU: a hundredth passes below zero."""

    def activate(self, z: Array) -> Array:
        return np.where(z > 0, z, z / 100)

    def slope(self, z: Array) -> Array:
        return np.where(z > 0, z.dtype.type(1), z.dtype.type(0.01))


class ReluSix(NumpyLayer):
    """A ReLU that is cut off at one."""

    def activate(self, z: Array) -> Array:
        return np.clip(z, 0, 1)

    def slope(self, z: Array) -> Array:
        return (z > 0) & (z < 1)


class ReluTwice(NumpyLayer):
    """A second ReLU, on the generated kernel."""

    def kernels(self, entries: Array, config: Any) -> Array:
        return np.maximum(super().kernels(entries, config), 0)


class KernelSoftmax(NumpyLayer):
    """A softmax over the taps of the generated kernel."""

    def kernels(self, entries: Array, config: Any) -> Array:
        kernel = super().kernels(entries, config)
        kernel = np.exp(kernel - kernel.max((3, 4), keepdims=True))
        return kernel / kernel.sum((3, 4), keepdims=True)


class ReducedChannelsOfInput(NumpyLayer):
    """Reduced channels taken from the input's channels, not from the argument."""

    def convolve(self, a: Array, name: str, p: dict[str, Array]) -> Array:
        reduced, channels = p["expand_kernel"].shape[0], p["reduce_kernel"].shape[0]
        own = channels // max(1, channels // reduced)
        if own != reduced:
            raise ValueError(f"cannot give weights for {reduced} channels to a layer of {own}")
        return super().convolve(a, name, p)


class HeightForWidth(NumpyLayer):
    """Pooled height and width exchanged."""

    def pool(self, x: Array, config: Any) -> Array:
        pooled = super().pool(x, config)
        return pooled.swapaxes(1, 2).reshape(pooled.shape)


class NeighbourSample(NumpyLayer):
    """Each sample given the kernel of the next one."""

    def kernels(self, entries: Array, config: Any) -> Array:
        return np.roll(super().kernels(entries, config), 1, 0)


class OperatorFlipped(NumpyLayer):
    """The operator a convolution: its kernel flipped."""

    operator = MUTANTS["KernelFlipped"]()


class OperatorSameBefore(NumpyLayer):
    """The operator's SAME padding with the odd pixel before instead of after."""

    operator = MUTANTS["OddPixelBefore"]()
