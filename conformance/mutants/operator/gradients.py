"""Wrong vector-Jacobian products behind a forward pass that is right."""

from dataclasses import replace

import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Call, Unfold
from conformance.mutants.operator.conventions import (
    DilationIgnored,
    KernelAtItsPixel,
    KernelFlipped,
    LayoutsExchanged,
    TapsColumnMajor,
    VerticalStrideForBoth,
)
from conformance.mutants.operator.padding import EdgeClamped, OddPixelBefore
from conformance.mutants.operator.taps import FirstGroupForAll, LastRowUnread, LastTapDropped


class DxByAssignment(Unfold):
    """dx assigned instead of added up: the last output that reads a pixel wins."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        plan = self.plan(call)
        products = kernel[plan.entry] * self.spread(dy)
        target, inside = np.broadcast_arrays(*plan.pixel), plan.inside
        inside = np.broadcast_to(inside, products.shape)
        dx = np.zeros(call.image, products.dtype)
        dx[tuple(np.broadcast_to(t, products.shape)[inside] for t in target)] = products[inside]
        return dx


class DxCorrelates(Unfold):
    """dx with the kernel flipped: dy is correlated where the transpose was due."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return KernelFlipped().dx(call, dy, kernel)


class DxOtherLayout(Unfold):
    """dx with the other group layout."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return LayoutsExchanged().dx(call, dy, kernel)


class DxOddPixelBefore(Unfold):
    """dx with the odd pixel of SAME padding before instead of after."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return OddPixelBefore().dx(call, dy, kernel)


class DxVerticalStride(Unfold):
    """dx with the vertical stride on both axes."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return VerticalStrideForBoth().dx(call, dy, kernel)


class DxWithoutDilation(Unfold):
    """dx as if the dilation were 1."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return DilationIgnored().dx(call, dy, kernel)


class DxIntoTheEdge(Unfold):
    """dx of padded taps added to the edge of the image."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return EdgeClamped().dx(call, dy, kernel)


class DxKernelOfThePixel(Unfold):
    """dx with the kernel at the input's position instead of the output's."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return KernelAtItsPixel().dx(call, dy, kernel)


class DxLastTapDropped(Unfold):
    """dx without the last tap."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return LastTapDropped().dx(call, dy, kernel)


class DxLastRowLost(Unfold):
    """dx of the last row of the image is zero."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return LastRowUnread().dx(call, dy, kernel)


class DxFirstGroupOnly(Unfold):
    """dx with the kernel of the first group for all channels."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return FirstGroupForAll().dx(call, dy, kernel)


class DxAveraged(Unfold):
    """dx divided by the number of outputs that read the pixel."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        readers = super().dx(call, np.ones_like(dy), np.ones_like(kernel))
        return super().dx(call, dy, kernel) / np.maximum(readers, 1)


class DxOfUnreadPixelsIsDy(Unfold):
    """dx of pixels that no tap reads is left as it was allocated, not zero."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        readers = super().dx(call, np.ones_like(dy), np.ones_like(kernel))
        return np.where(readers == 0, dy.dtype.type(1), super().dx(call, dy, kernel))


class DxOverwrittenPerOutputRow(Unfold):
    """dx of one output row overwrites that of the row before where their windows overlap."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        total = np.zeros(call.image, dy.dtype)
        # The last output row that reads a pixel does so by the topmost tap that reads it at all.
        for u in reversed(range(call.taps[0])):
            row, read = np.zeros_like(kernel), np.zeros_like(kernel)
            row[:, :, :, u], read[:, :, :, u] = kernel[:, :, :, u], 1
            touched = super().dx(call, np.ones_like(dy), read) != 0
            total = np.where(touched, super().dx(call, dy, row), total)
        return total


class DkernelMean(Unfold):
    """dkernel averaged over the channels of a group instead of summed."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return super().dkernel(call, dy / (call.channels // call.groups), x)


class DkernelFirstChannel(Unfold):
    """dkernel of the first channel of a group instead of the sum over all."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        members = call.channels // call.groups
        channel = np.arange(call.channels)
        member = channel % members if call.group_layout == "blocked" else channel // call.groups
        return super().dkernel(call, np.where(member == 0, dy, 0), np.where(member == 0, x, 0))


class DkernelLastChannelLost(Unfold):
    """dkernel without the last channel."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        kept = np.arange(call.channels) < max(call.channels - 1, 1)
        return super().dkernel(call, np.where(kept, dy, 0), x)


class DkernelOtherLayout(Unfold):
    """dkernel with the other group layout."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return LayoutsExchanged().dkernel(call, dy, x)


class DkernelColumnMajor(Unfold):
    """dkernel with its tap axes exchanged."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return TapsColumnMajor().dkernel(call, dy, x)


class DkernelFlipped(Unfold):
    """dkernel with its taps flipped."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return KernelFlipped().dkernel(call, dy, x)


class DkernelOfPaddedTaps(Unfold):
    """dkernel of padded taps is that of the nearest edge pixel instead of zero."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return EdgeClamped().dkernel(call, dy, x)


class DkernelOverTheBatch(Unfold):
    """dkernel summed over the batch and given to every sample."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        total = super().dkernel(call, dy, x).sum(0, keepdims=True)
        return np.broadcast_to(total, call.kernel)


class DkernelLastGroupLost(Unfold):
    """dkernel of the last of several groups is zero."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        dkernel = super().dkernel(call, dy, x)
        dkernel[..., max(call.groups - 1, 1) :] = 0
        return dkernel


class DkernelWithoutDilation(Unfold):
    """dkernel as if the dilation were 1."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return DilationIgnored().dkernel(call, dy, x)


class DkernelOddPixelBefore(Unfold):
    """dkernel with the odd pixel of SAME padding before instead of after."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return OddPixelBefore().dkernel(call, dy, x)


class DkernelPaddingIgnored(Unfold):
    """dkernel as if nothing were padded before the image."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        none = ((0, 0), (0, 0))
        return super().dkernel(replace(call, padding=none), dy, x)


class GradientsOfTheFirstSample(Unfold):
    """dx and dkernel read dy of the first sample for the whole batch."""

    def spread(self, dy: Array) -> Array:
        return super().spread(np.broadcast_to(dy[:1], dy.shape))


class DkernelLastRowLost(Unfold):
    """dkernel of the last row of outputs is zero."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        dkernel = super().dkernel(call, dy, x)
        dkernel[:, max(call.grid[0] - 1, 1) :] = 0
        return dkernel
