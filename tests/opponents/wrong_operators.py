"""Operators with one fault each: ``--implementation=tests.opponents.wrong_operators:NAME``.

`Taps` is right: it adds one shifted image for each tap, in NumPy, and shares no code with the
oracle. Each fault overrides the one step that it gets wrong.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[int, int]


class Taps:
    """A right operator, taken apart into the steps that real code gets wrong."""

    capabilities: dict[str, Any] = {"validates": False}  # noqa: RUF012

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        stride, dilation, sides, blocked = self.options(x, kernel, **options)
        padded = np.pad(x.astype(float), ((0, 0), *sides, (0, 0)))
        weights = self.weights(kernel, x.shape[3], blocked)
        y = np.zeros((*kernel.shape[:3], x.shape[3]))
        for u, v in np.ndindex(kernel.shape[3:5]):
            window = self.window((u, v), stride, dilation, kernel.shape[1:3])
            y += weights[:, :, :, *self.entry((u, v), kernel.shape[3:5])] * padded[window]
        return y.astype(x.dtype)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        stride, dilation, sides, blocked = self.options(x, kernel, **options)
        padded = np.pad(x.astype(float), ((0, 0), *sides, (0, 0)))
        weights, gradient = self.weights(kernel, x.shape[3], blocked), dy.astype(float)
        dpadded, dkernel = np.zeros(padded.shape), np.zeros(kernel.shape)
        for u, v in np.ndindex(kernel.shape[3:5]):
            window = self.window((u, v), stride, dilation, kernel.shape[1:3])
            entry = self.entry((u, v), kernel.shape[3:5])
            dpadded[window] += weights[:, :, :, *entry] * gradient
            dkernel[:, :, :, *entry] += self.by_group(padded[window] * gradient, kernel, blocked)
        dx = self.crop(dpadded, sides, x.shape[1:3])
        return dx.astype(x.dtype), dkernel.astype(x.dtype)

    def options(
        self, x: Array, kernel: Array, stride: Any = 1, dilation: Any = 1, padding: Any = "same",
        group_layout: str = "blocked",
    ) -> tuple[Pair, Pair, tuple[Pair, Pair], bool]:  # fmt: skip
        stride, dilation = (
            value if isinstance(value, tuple) else (value, value) for value in (stride, dilation)
        )
        axes = list(zip(x.shape[1:3], kernel.shape[3:5], stride, dilation, strict=True))
        if padding == "same":
            sides = tuple(self.same(*axis) for axis in axes)
        elif padding == "valid":
            sides = ((0, 0), (0, 0))
        else:
            sides = padding if isinstance(padding, tuple) else ((padding, padding),) * 2
        return stride, dilation, sides, self.blocked(group_layout)

    def same(self, n: int, k: int, s: int, d: int) -> Pair:
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        return total // 2, total - total // 2

    def blocked(self, group_layout: str) -> bool:
        return group_layout == "blocked"

    def entry(self, tap: Pair, taps: Pair) -> Pair:  # noqa: ARG002
        return tap

    def window(self, tap: Pair, stride: Pair, dilation: Pair, grid: Pair) -> tuple[slice, ...]:
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        rows, columns = (
            slice(start, start + (n - 1) * s + 1, s)
            for start, n, s in zip(starts, grid, stride, strict=True)
        )
        return slice(None), rows, columns

    def weights(self, kernel: Array, channels: int, blocked: bool) -> Array:
        members = channels // kernel.shape[5]
        wide = kernel.astype(float)
        return np.repeat(wide, members, -1) if blocked else np.tile(wide, members)

    def by_group(self, products: Array, kernel: Array, blocked: bool) -> Array:
        groups, members = kernel.shape[5], products.shape[3] // kernel.shape[5]
        shape = (groups, members) if blocked else (members, groups)
        return products.reshape(*products.shape[:3], *shape).sum(-1 if blocked else -2)

    def crop(self, dpadded: Array, sides: tuple[Pair, Pair], size: Pair) -> Array:
        (top, _), (left, _) = sides
        return dpadded[:, top : top + size[0], left : left + size[1]]


class FlippedKernel(Taps):
    """A convolution instead of a correlation."""

    def entry(self, tap: Pair, taps: Pair) -> Pair:
        return taps[0] - 1 - tap[0], taps[1] - 1 - tap[1]


class TransposedTaps(Taps):
    """Kernel entries read column by column."""

    def entry(self, tap: Pair, taps: Pair) -> Pair:
        flat = tap[0] * taps[1] + tap[1]
        return flat % taps[0], flat // taps[0]


class OddPixelBefore(Taps):
    """SAME padding with the odd pixel before instead of after."""

    def same(self, n: int, k: int, s: int, d: int) -> Pair:
        before, after = super().same(n, k, s, d)
        return after, before


class OtherLayout(Taps):
    """Blocked groups where interleaved ones are due, and the reverse."""

    def blocked(self, group_layout: str) -> bool:
        return group_layout != "blocked"


class StridePhase(Taps):
    """Each output reads from the end of its stride instead of from its beginning."""

    def window(self, tap: Pair, stride: Pair, dilation: Pair, grid: Pair) -> tuple[slice, ...]:
        batch, rows, columns = super().window(tap, stride, dilation, grid)
        shift = stride[0] - 1
        indices = np.arange(rows.start, rows.stop, rows.step) + shift
        return batch, np.minimum(indices, rows.stop - 1), columns


class OneStrideForBoth(Taps):
    """The vertical dilation on both axes."""

    def window(self, tap: Pair, stride: Pair, dilation: Pair, grid: Pair) -> tuple[slice, ...]:
        least = min(dilation)
        return super().window(tap, stride, (least, least), grid)


class NoBorderGradient(Taps):
    """dx forgets the first and last row."""

    def crop(self, dpadded: Array, sides: tuple[Pair, Pair], size: Pair) -> Array:
        dx = super().crop(dpadded, sides, size)
        dx[:, [0, -1]] = 0
        return dx


class MeanKernelGradient(Taps):
    """dkernel averaged over the channels of a group instead of summed."""

    def by_group(self, products: Array, kernel: Array, blocked: bool) -> Array:
        return super().by_group(products, kernel, blocked) * kernel.shape[5] / products.shape[3]


class FirstSampleKernel(Taps):
    """The kernel of the first sample for the whole batch."""

    def weights(self, kernel: Array, channels: int, blocked: bool) -> Array:
        return super().weights(np.broadcast_to(kernel[:1], kernel.shape), channels, blocked)


class KernelInHalf(Taps):
    """A float32 kernel passes through float16."""

    def weights(self, kernel: Array, channels: int, blocked: bool) -> Array:
        with np.errstate(over="ignore"):
            narrow = kernel.astype(np.float16) if kernel.dtype == np.float32 else kernel
            return super().weights(narrow, channels, blocked)


class ChangesItsInput(Taps):
    """The image is scaled in place, and not scaled back."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        y = super().forward(x, kernel, **options)
        if x.flags.writeable:
            x *= 2
        return y


class ChannelsThatAreOneAreANumber(Taps):
    """A dy that lies in memory as one channel for all is taken for one number."""

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        if dy.size and dy.strides[-1] == 0:
            dy = np.full_like(dy, dy.flat[0])
        return super().backward(dy, x, kernel, **options)


class ZerosReturnEarly(Taps):
    """Where dy is zero everywhere nothing is computed: zero times infinity is lost."""

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        if not dy.any():
            return np.zeros_like(x), np.zeros_like(kernel)
        return super().backward(dy, x, kernel, **options)


class Remembers(Taps):
    """The first kernel of each shape is cached."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, ...], Array] = {}

    def weights(self, kernel: Array, channels: int, blocked: bool) -> Array:
        return super().weights(self._seen.setdefault(kernel.shape, kernel), channels, blocked)


class Double(Taps):
    """Answers in float64 whatever it was asked in."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        return super().forward(x.astype(float), kernel, **options)


class AcceptsEverything(Taps):
    """Claims to validate and does not."""

    capabilities: dict[str, Any] = {}  # noqa: RUF012


class PercentTooMuch(Taps):
    """A percent too much: no wrong map, and far beyond any rounding."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        return (super().forward(x, kernel, **options) * 1.01).astype(x.dtype)
