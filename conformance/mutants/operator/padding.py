"""What implementations disagree on at the border: the same choice in forward, dx and dkernel.

Every step calls the one that it overrides, so that two of these classes can be combined.
"""

from dataclasses import replace

import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Call, Unfold


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

    def same(self, call: Call, axis: int) -> int:
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
