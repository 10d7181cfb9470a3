"""What implementations disagree on: the same choice in forward, dx and dkernel.

Every step calls the one that it overrides, so that two of these classes can be combined.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.implementations.operator.numpy_unfold import (
    Array,
    Call,
    Entry,
    Pixel,
    Place,
    Unfold,
    unflat,
)


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
    """Kernel entries read column by column: the tap axes (Kw, Kh) in memory."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        flat = entry.u + call.taps[0] * entry.v
        return entry._replace(u=flat // call.taps[1], v=flat % call.taps[1])


class TapsFromColumns(Unfold):
    """Kernel entries that lie row by row taken to lie column by column."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        flat = entry.u * call.taps[1] + entry.v
        return entry._replace(u=flat % call.taps[0], v=flat // call.taps[0])


class KernelGroupMajor(Unfold):
    """Kernel channels read as (G, Kh, Kw) where they lie as (Kh, Kw, G)."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        flat = (entry.g * call.taps[0] + entry.u) * call.taps[1] + entry.v
        u, v, g = unflat(flat, (*call.taps, call.groups))
        return entry._replace(u=u, v=v, g=g)


class KernelGridTransposed(Unfold):
    """The kernel of output (i, j) read at (j, i), columns first."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        i, j = unflat(entry.i + call.grid[0] * entry.j, call.grid)
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
        h, w, c = unflat(flat, (*call.size, call.channels))
        return pixel._replace(h=h, w=w, c=c)


class WidthFirst(Unfold):
    """The image read as (W, H) where it lies as (H, W)."""

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        pixel = super().pixel(call, at, h, w)
        h, w = unflat(pixel.w * call.size[0] + pixel.h, call.size)
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
