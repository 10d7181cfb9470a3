"""Products that read the wrong factor or are left out: in forward, dx and dkernel alike."""

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


class CentreTapDropped(Unfold):
    """The centre tap is left out."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        centre = (at.u == call.taps[0] // 2) & (at.v == call.taps[1] // 2)
        return super().inside(call, at, found) & ~centre


class LastTapDropped(Unfold):
    """The last tap is left out."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        last = (at.u == call.taps[0] - 1) & (at.v == call.taps[1] - 1)
        return super().inside(call, at, found) & ~last


class FirstTapTwice(Unfold):
    """The first tap is read in place of the last one of its row."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        return entry._replace(v=np.where(entry.v == call.taps[1] - 1, 0, entry.v))


class WindowMustFitBelow(Unfold):
    """A window that crosses the bottom edge adds nothing."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        last = self.position(call, 0, at.i, np.array(call.taps[0] - 1))
        return super().inside(call, at, found) & (last < call.size[0])


class LastRowUnread(Unfold):
    """The last row of the image is never read: a bound one too small."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        row = self.position(call, 0, at.i, at.u)
        return super().inside(call, at, found) & (row < call.size[0] - 1)


class LastColumnUnread(Unfold):
    """The last column of the image is never read: a bound one too small."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        column = self.position(call, 1, at.j, at.v)
        return super().inside(call, at, found) & (column < call.size[1] - 1)


class FirstRowUnread(Unfold):
    """The first row of the image is never read: > 0 where >= 0 was meant."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        return super().inside(call, at, found) & (self.position(call, 0, at.i, at.u) > 0)


class BoundsExchanged(Unfold):
    """Rows are checked against the width of the image, columns against its height."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        rows, columns = self.position(call, 0, at.i, at.u), self.position(call, 1, at.j, at.v)
        return super().inside(call, at, found) & (rows < call.size[1]) & (columns < call.size[0])


class NextRowInMemory(Unfold):
    """Columns are not checked: a tap beside the image reads the neighbouring row in memory."""

    def border(self, position: Array, size: int) -> tuple[Array, Array]:
        index, inside = super().border(position, size)
        # The columns lie along the third of the six axes of the products.
        return (position, np.ones_like(inside)) if position.shape[2] > 1 else (index, inside)

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        flat = np.clip(h * call.size[1] + w, 0, call.size[0] * call.size[1] - 1)
        h, w = unflat(flat, call.size)
        return super().pixel(call, at, h, w)


class KernelOfFirstSample(Unfold):
    """The kernel of the first sample for the whole batch."""

    def entry(self, call: Call, at: Place) -> Entry:
        return super().entry(call, at)._replace(b=np.zeros_like(at.b))


class KernelOfNextSample(Unfold):
    """The kernel of the next sample, of the first one for the last."""

    def entry(self, call: Call, at: Place) -> Entry:
        return super().entry(call, at)._replace(b=(at.b + 1) % call.batch)


class ImageOfFirstSample(Unfold):
    """The image of the first sample for the whole batch."""

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        return super().pixel(call, at, h, w)._replace(b=np.zeros_like(at.b))


class KernelOfLeftNeighbour(Unfold):
    """The kernel of the output to the left."""

    def entry(self, call: Call, at: Place) -> Entry:
        return super().entry(call, at)._replace(j=np.maximum(at.j - 1, 0))


class KernelOfUpperNeighbour(Unfold):
    """The kernel of the output above."""

    def entry(self, call: Call, at: Place) -> Entry:
        return super().entry(call, at)._replace(i=np.maximum(at.i - 1, 0))


class KernelOfFirstPixel(Unfold):
    """One kernel, that of the first output, for the whole image: a convolution."""

    def entry(self, call: Call, at: Place) -> Entry:
        return super().entry(call, at)._replace(i=np.zeros_like(at.i), j=np.zeros_like(at.j))


class FirstGroupForAll(Unfold):
    """The kernel of the first group for all channels."""

    def group(self, call: Call, at: Place) -> Array:
        return np.zeros_like(super().group(call, at))


class LastGroupLost(Unfold):
    """The last of several groups adds nothing."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        lost = (self.group(call, at) == call.groups - 1) & (call.groups > 1)
        return super().inside(call, at, found) & ~lost


class GroupOfNextChannel(Unfold):
    """The group of the next channel."""

    def group(self, call: Call, at: Place) -> Array:
        return super().group(call, at._replace(c=np.minimum(at.c + 1, call.channels - 1)))


class ChannelOfNeighbour(Unfold):
    """The image's next channel."""

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        return super().pixel(call, at, h, w)._replace(c=(at.c + 1) % call.channels)


class ChannelPastTheLastGroup(Unfold):
    """M rounded up to even before channels are given to groups."""

    def group(self, call: Call, at: Place) -> Array:
        members = call.channels // call.groups
        if call.group_layout != "blocked":
            return super().group(call, at)
        return np.minimum(at.c // (members + members % 2), call.groups - 1)
