"""What goes wrong in fast kernels: block edges, vector tails, narrow indices, stale sums."""

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


class RowsPast64Lost(Unfold):
    """Output rows past the 64th are zero."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        return super().inside(call, at, found) & (at.i < 64)


class ColumnsPast32Lost(Unfold):
    """Output columns past the 32nd are zero."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        return super().inside(call, at, found) & (at.j < 32)


class PixelsPast1024Lost(Unfold):
    """Outputs past the 1024th of an image are zero: no loop over blocks."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        return super().inside(call, at, found) & (at.i * call.grid[1] + at.j < 1024)


class SamplesPast8Lost(Unfold):
    """Samples past the 8th are zero."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        return super().inside(call, at, found) & (at.b < 8)


class ChannelsPast64Lost(Unfold):
    """Channels past the 64th are zero."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        return super().inside(call, at, found) & (at.c < 64)


class GroupsPast16ReadTheFirst(Unfold):
    """Groups past the 16th use the kernel of the group 16 before."""

    def group(self, call: Call, at: Place) -> Array:
        return super().group(call, at) % 16


class TapsPast32Lost(Unfold):
    """Taps past the 32nd are left out."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        return super().inside(call, at, found) & (at.u * call.taps[1] + at.v < 32)


class ChannelTailLost(Unfold):
    """Channels after the last whole vector of 4 are zero, where there is one."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        whole = call.channels // 4 * 4
        return super().inside(call, at, found) & ((at.c < whole) | (whole == 0))


class ColumnTailShifted(Unfold):
    """Columns after the last whole vector of 8 read one pixel to the left."""

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        whole = call.grid[1] // 8 * 8
        tail = (output >= whole) & (whole > 0) & (axis == 1)
        return super().position(call, axis, output, tap) - tail


class GroupOfTheVector(Unfold):
    """All channels of a vector of 4 use the group of its first one."""

    def group(self, call: Call, at: Place) -> Array:
        return super().group(call, at._replace(c=at.c // 4 * 4))


class HaloMissingRight(Unfold):
    """The last column of a block of 16 does not see the pixels of the next block."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        block = at.j // 16 * 16 + 15
        beyond = self.position(call, 1, at.j, at.v) > self.position(call, 1, block, at.v * 0)
        whole = call.grid[1] > 16
        return super().inside(call, at, found) & ~(beyond & whole & (at.j % 16 == 15))


class HaloMissingAbove(Unfold):
    """The first row of a block of 8 does not see the rows of the block before."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        first = (at.i % 8 == 0) & (at.i > 0)
        above = self.position(call, 0, at.i, at.u) < at.i * call.stride[0]
        return super().inside(call, at, found) & ~(first & above)


class StaleAccumulator(Unfold):
    """The first output of a block of 32 columns starts from the sum of the output before."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        y = super().y(call, x, kernel)
        y[:, :, 32::32] += y[:, :, 31:-1:32]
        return y


class StaleWhereNothingIsRead(Unfold):
    """An output whose taps are all padded keeps the value of the output before."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        y = super().y(call, x, kernel)
        shape = (1, *call.grid, *call.taps, 1)
        read = np.broadcast_to(self.plan(call).inside, shape).any((3, 4))[0, :, :, 0]
        for j in range(1, call.grid[1]):
            y[:, :, j] = np.where(read[:, j, None], y[:, :, j], y[:, :, j - 1])
        return y


class StaleDkernelOfPaddedTaps(Unfold):
    """dkernel of a padded tap keeps the value of the tap before."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        dkernel = super().dkernel(call, dy, x)
        shape = (1, *call.grid, *call.taps, 1)
        read = np.broadcast_to(self.plan(call).inside[:1, ..., :1], shape)
        for v in range(1, call.taps[1]):
            old = dkernel[:, :, :, :, v - 1]
            dkernel[:, :, :, :, v] = np.where(read[:, :, :, :, v], dkernel[:, :, :, :, v], old)
        return dkernel


class RowIndexInAByte(Unfold):
    """Rows are counted in 8 bits: row 256 reads row 0."""

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        return super().pixel(call, at, h % 256, w)


class ColumnIndexInHalf(Unfold):
    """Columns are computed in float16: exact up to 2048."""

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        with np.errstate(over="ignore"):
            narrow = np.minimum(w.astype(np.float16).astype(np.float64), call.size[1] - 1)
        return super().pixel(call, at, h, narrow.astype(int))


class FlatImageIndexIn16Bits(Unfold):
    """The flat index into the image is kept in 16 bits."""

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:
        pixel = super().pixel(call, at, h, w)
        flat = ((pixel.h * call.size[1] + pixel.w) * call.channels + pixel.c) % 2**16
        h, w, c = unflat(flat, (*call.size, call.channels))
        return pixel._replace(h=h, w=w, c=c)


class FlatKernelIndexIn16Bits(Unfold):
    """The flat index into the kernel of a sample is kept in 16 bits."""

    def entry(self, call: Call, at: Place) -> Entry:
        entry = super().entry(call, at)
        flat = np.ravel_multi_index(np.broadcast_arrays(*entry[1:]), call.kernel[1:]) % 2**16
        return Entry(entry.b, *unflat(flat, call.kernel[1:]))


class DxRowsPast64Lost(Unfold):
    """dx of rows past the 64th is zero."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        dx = super().dx(call, dy, kernel)
        dx[:, 64:] = 0
        return dx


class DxBlockEdgesOverwritten(Unfold):
    """dx where two blocks of 16 output columns meet holds the sum of the second block alone."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        total = np.zeros(call.image, dy.dtype)
        for start in range(0, call.grid[1], 16):
            own, one = np.zeros_like(dy), np.zeros_like(dy)
            own[:, :, start : start + 16], one[:, :, start : start + 16] = (
                dy[:, :, start : start + 16],
                1,
            )
            written = super().dx(call, one, np.ones_like(kernel)) != 0
            total = np.where(written, super().dx(call, own, kernel), total)
        return total


class DkernelChannelsPast32Lost(Unfold):
    """dkernel sums the first 32 channels of the image alone."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return super().dkernel(call, np.where(np.arange(call.channels) < 32, dy, 0), x)


class DkernelChannelTailTwice(Unfold):
    """dkernel counts the last channel twice where channels are no multiple of 8 but more."""

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        tail = (call.channels > 8) & (call.channels % 8 > 0)
        last = (np.arange(call.channels) == call.channels - 1) & tail
        return super().dkernel(call, np.where(last, 2 * dy, dy), x)
