"""Involution in NumPy, fast enough for the sizes of networks: add one shifted image for each tap.

Written independently of the oracle. It reads its arguments as `numpy_unfold` does, and trusts them.
"""

from collections.abc import Iterator

import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Call, Unfold


class Shifted(Unfold):
    """The operator; channels lie by group, so that a group's share one kernel entry."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        """Add the products of one tap after another."""
        image, weights = self._padded(call, x), self._over_members(call, kernel)
        y = np.zeros((call.batch, *call.grid, *self._split(call)), x.dtype)
        for tap, window in self._windows(call):
            y += image[window] * weights[:, :, :, *tap]
        return y.reshape(call.batch, *call.grid, call.channels)

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        """Add dy back to each window."""
        image = self._padded(call, np.zeros(call.image, dy.dtype))
        weights = self._over_members(call, kernel)
        gradient = dy.reshape(*dy.shape[:3], *self._split(call))
        for tap, window in self._windows(call):
            image[window] += gradient * weights[:, :, :, *tap]
        top, left = self.before(call, 0), self.before(call, 1)
        dx = image[:, top : top + call.size[0], left : left + call.size[1]]
        return dx.reshape(call.image)

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        """Sum over the channels of each group, where the tap lies inside."""
        dkernel, image = np.zeros(call.kernel, x.dtype), self._padded(call, x)
        inside = self._padded(call, np.ones((1, *call.size, call.channels), bool))[..., :1, :1]
        gradient = dy.reshape(*dy.shape[:3], *self._split(call))
        members = -1 if call.group_layout == "blocked" else -2
        for tap, window in self._windows(call):
            products = image[window] * gradient
            if not inside[window].all():
                products = np.where(inside[window], products, x.dtype.type(0))
            dkernel[:, :, :, *tap] = products.sum(members)
        return dkernel

    def _split(self, call: Call) -> tuple[int, int]:
        members = call.channels // call.groups
        blocked = call.group_layout == "blocked"
        return (call.groups, members) if blocked else (members, call.groups)

    def _over_members(self, call: Call, kernel: Array) -> Array:
        return np.expand_dims(kernel, -1 if call.group_layout == "blocked" else -2)

    def _padded(self, call: Call, image: Array) -> Array:
        margins = [(0, 0)]
        for axis in (0, 1):
            last = (call.grid[axis] - 1) * call.stride[axis] + self.reach(call, axis)
            before = self.before(call, axis)
            margins.append((before, max(last - before - call.size[axis] + 1, 0)))
        padded = np.pad(image, [*margins, (0, 0)])
        return padded.reshape(*padded.shape[:3], *self._split(call))

    def _windows(self, call: Call) -> Iterator[tuple[tuple[int, int], tuple[slice, ...]]]:
        for tap in np.ndindex(call.taps):
            starts = [t * d for t, d in zip(tap, call.dilation, strict=True)]
            rows, columns = (
                slice(start, start + (n - 1) * s + 1, s)
                for start, n, s in zip(starts, call.grid, call.stride, strict=True)
            )
            yield (tap[0], tap[1]), (slice(None), rows, columns)
