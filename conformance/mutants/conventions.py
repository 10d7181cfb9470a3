"""What implementations disagree on: the same choice in forward, dx and dkernel.

Every step calls the one that it overrides, so that two of these classes can be combined.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.implementations.numpy_unfold import Array, Call, Entry, Pixel, Place, Unfold


class OddPixelBefore(Unfold):
    """SAME padding with the odd pixel before instead of after."""

    def same(self, call: Call, axis: int) -> int:
        size, stride = call.size[axis], call.stride[axis]
        total = max(self.reach(call, axis) + (size - 1) // stride * stride + 1 - size, 0)
        return total - super().same(call, axis)


class SymmetricPadding(Unfold):
    """SAME padding as (K - 1) // 2 times the dilation on both sides, whatever the stride."""

    def same(self, call: Call, axis: int) -> int:
        return (call.taps[axis] - 1) // 2 * call.dilation[axis]


class HalfKernelPadding(Unfold):
    """SAME padding as K // 2 times the dilation on both sides, whatever the stride."""

    def same(self, call: Call, axis: int) -> int:
        return call.taps[axis] // 2 * call.dilation[axis]


class PaddingWithoutDilation(Unfold):
    """SAME padding computed from K, the dilation forgotten."""

    def same(self, call: Call, axis: int) -> int:
        return super().same(replace(call, dilation=(1, 1)), axis)


class PaddingWithoutStride(Unfold):
    """SAME padding computed as if the stride were 1."""

    def same(self, call: Call, axis: int) -> int:
        return super().same(replace(call, stride=(1, 1)), axis)


class PaddingAfter(Unfold):
    """SAME padding all after the image."""

    def same(self, call: Call, axis: int) -> int:  # noqa: ARG002
        return 0


class PaddingBefore(Unfold):
    """SAME padding all before the image."""

    def same(self, call: Call, axis: int) -> int:
        size, stride = call.size[axis], call.stride[axis]
        return max(self.reach(call, axis) + (size - 1) // stride * stride + 1 - size, 0)


class PaddingAxesSwapped(Unfold):
    """Explicit padding read as ((left, right), (top, bottom))."""

    def before(self, call: Call, axis: int) -> int:
        swapped = call.padding[::-1] if isinstance(call.padding, tuple) else call.padding
        return super().before(replace(call, padding=swapped), axis)


class PaddingSidesSwapped(Unfold):
    """Explicit padding read as ((bottom, top), (right, left))."""

    def before(self, call: Call, axis: int) -> int:
        padding = call.padding
        swapped = tuple(p[::-1] for p in padding) if isinstance(padding, tuple) else padding
        return super().before(replace(call, padding=swapped), axis)


class IntegerPaddingIgnored(Unfold):
    """An integer padding shifts nothing: the window starts at the first pixel."""

    def before(self, call: Call, axis: int) -> int:
        return 0 if isinstance(call.padding, int) else super().before(call, axis)


class EdgeClamped(Unfold):
    """Pixels outside the image read as the nearest edge pixel instead of zero."""

    def border(self, position: Array, size: int) -> tuple[Array, Array]:
        index, inside = super().border(position, size)
        return index, np.ones_like(inside)


class EdgeWrapped(Unfold):
    """Pixels outside the image read from its other side."""

    def border(self, position: Array, size: int) -> tuple[Array, Array]:
        return position % size, np.ones_like(super().border(position, size)[1])


class EdgeReflected(Unfold):
    """Pixels outside the image read as its reflection."""

    def border(self, position: Array, size: int) -> tuple[Array, Array]:
        period = max(2 * size - 2, 1)
        folded = np.abs((position + size - 1) % period - (size - 1))
        return folded % size, np.ones_like(super().border(position, size)[1])


class KernelFlipped(Unfold):
    """The kernel flipped: convolution instead of correlation."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        return entry._replace(u=call.taps[0] - 1 - entry.u, v=call.taps[1] - 1 - entry.v)


class KernelFlippedVertically(Unfold):
    """The kernel flipped upside down."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        return entry._replace(u=call.taps[0] - 1 - entry.u)


class TapsColumnMajor(Unfold):
    """Kernel entries read column by column: the tap axes Kh and Kw exchanged."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        flat = entry.u + call.taps[0] * entry.v
        return entry._replace(u=flat // call.taps[1], v=flat % call.taps[1])


class KernelGroupMajor(Unfold):
    """Kernel channels read as (G, Kh, Kw) where they lie as (Kh, Kw, G)."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        flat = (entry.g * call.taps[0] + entry.u) * call.taps[1] + entry.v
        u, v, g = np.unravel_index(flat, (*call.taps, call.groups))
        return entry._replace(u=u, v=v, g=g)


class KernelGridTransposed(Unfold):
    """The kernel of output (i, j) read at (j, i), columns first."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        i, j = np.unravel_index(entry.i + call.grid[0] * entry.j, call.grid)
        return entry._replace(i=i, j=j)


class KernelAtItsPixel(Unfold):
    """The kernel grid read at the input resolution: output (i, j) uses kernel (i * s, j * s)."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        i, j = (
            np.minimum(index * stride, n - 1)
            for index, stride, n in zip((entry.i, entry.j), call.stride, call.grid, strict=True)
        )
        return entry._replace(i=i, j=j)


class LayoutsExchanged(Unfold):
    """Interleaved groups where blocked was asked, and blocked where interleaved was asked."""

    def group(self, call: Call, at: Place) -> Array:
        other = "interleaved" if call.group_layout == "blocked" else "blocked"
        return super().group(replace(call, group_layout=other), at)


class AlwaysBlocked(Unfold):
    """Blocked groups whatever was asked."""

    def group(self, call: Call, at: Place) -> Array:
        return super().group(replace(call, group_layout="blocked"), at)


class AlwaysInterleaved(Unfold):
    """Interleaved groups whatever was asked."""

    def group(self, call: Call, at: Place) -> Array:
        return super().group(replace(call, group_layout="interleaved"), at)


class GroupsAreTheirSize(Unfold):
    """The number of groups taken for the channels of a group."""

    def group(self, call: Call, at: Place) -> Array:
        members = call.channels // call.groups
        return super().group(replace(call, groups=members), at) % call.groups


class GroupsReversed(Unfold):
    """The groups in reverse order."""

    def group(self, call: Call, at: Place) -> Array:
        return call.groups - 1 - super().group(call, at)


class ChannelsFirstMemory(Unfold):
    """The image read as if it lay in memory as (C, H, W)."""

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        pixel = super().pixel(call, at, h, w)
        flat = (pixel.c * call.size[0] + pixel.h) * call.size[1] + pixel.w
        h, w, c = np.unravel_index(flat, (*call.size, call.channels))
        return pixel._replace(h=h, w=w, c=c)


class WidthFirst(Unfold):
    """The image read as (W, H) where it lies as (H, W)."""

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        pixel = super().pixel(call, at, h, w)
        h, w = np.unravel_index(pixel.w * call.size[0] + pixel.h, call.size)
        return pixel._replace(h=h, w=w)


class StrideAxesSwapped(Unfold):
    """The stride read as (horizontal, vertical)."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        return super().position(replace(call, stride=call.stride[::-1]), axis, output, tap)


class VerticalStrideForBoth(Unfold):
    """The vertical stride on both axes."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        return super().position(replace(call, stride=call.stride[:1] * 2), axis, output, tap)


class HorizontalStrideForBoth(Unfold):
    """The horizontal stride on both axes."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        return super().position(replace(call, stride=call.stride[1:] * 2), axis, output, tap)


class DilationAxesSwapped(Unfold):
    """The dilation read as (horizontal, vertical)."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        return super().position(replace(call, dilation=call.dilation[::-1]), axis, output, tap)


class VerticalDilationForBoth(Unfold):
    """The vertical dilation on both axes."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        return super().position(replace(call, dilation=call.dilation[:1] * 2), axis, output, tap)


class HorizontalDilationForBoth(Unfold):
    """The horizontal dilation on both axes."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        return super().position(replace(call, dilation=call.dilation[1:] * 2), axis, output, tap)


class DilationIgnored(Unfold):
    """Taps next to each other, whatever the dilation."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        return super().position(replace(call, dilation=(1, 1)), axis, output, tap)


class StridePhase(Unfold):
    """Each output at the end of its stride instead of at the beginning."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        return super().position(call, axis, output, tap) + call.stride[axis] - 1


class MeanOverTaps(Unfold):
    """The mean over the taps instead of the sum."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        return super().y(call, x, kernel) / int(np.prod(call.taps))

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return super().dx(call, dy / int(np.prod(call.taps)), kernel)

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return super().dkernel(call, dy / int(np.prod(call.taps)), x)


class PaddingNotCounted(Unfold):
    """Sums over windows that cross the border scaled up by the share of padded taps."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        inside = np.broadcast_to(self.plan(call).inside, (1, *call.grid, *call.taps, 1))
        share = inside.mean((3, 4))
        return super().y(call, x, kernel) / np.where(share == 0, 1, share).astype(x.dtype)


class RaggedRowsDropped(Unfold):
    """No output for the rows and columns that the stride leaves over: floor instead of ceil."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        call = self.call(x.shape, kernel.shape, **options)
        whole = [
            slice(max(n // s, 1)) if call.padding == "same" else slice(None)
            for n, s in zip(call.size, call.stride, strict=True)
        ]
        return super().forward(x, kernel, **options)[:, whole[0], whole[1]]
