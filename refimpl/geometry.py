"""Output size and padding arithmetic (specification chapter GEO), in plain integers.

Knows nothing of arrays and checks nothing: `_validation` decides what may come in here.
"""

from typing import NamedTuple


class Axis(NamedTuple):
    """One spatial axis: how its outputs and taps meet its pixels.

    Output o and tap t read pixel ``o * stride + t * dilation - before`` (GEO-8).
    """

    size: int
    taps: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def outputs(self) -> int:
        """Number of outputs; not positive where the kernel exceeds the padded axis (GEO-3)."""
        room = self.size + self.before + self.after - extent(self.taps, self.dilation)
        return room // self.stride + 1


def extent(taps: int, dilation: int) -> int:
    """Pixels from the first tap to the last one, both included (GEO-3)."""
    return (taps - 1) * dilation + 1


def same_padding(size: int, taps: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding (before, after) with which an axis has ceil(size / stride) outputs (GEO-7).

    TensorFlow's rule: the odd pixel goes after.
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + extent(taps, dilation) - size, 0)
    return total // 2, total - total // 2
