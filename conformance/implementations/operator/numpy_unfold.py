"""Involution in plain NumPy: look up the factors of every product, multiply, add up.

Written independently of the oracle. It is taken apart into the steps that real code gets wrong, so
that `conformance.mutants` can plant a fault in each. It trusts its arguments.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Call:
    """Sizes and options of one call; pairs are (vertical, horizontal)."""

    batch: int
    size: Pair
    channels: int
    grid: Pair
    taps: Pair
    groups: int
    stride: Pair
    dilation: Pair
    padding: Any
    group_layout: str

    @property
    def image(self) -> tuple[int, ...]:
        """Shape of x."""
        return self.batch, *self.size, self.channels

    @property
    def kernel(self) -> tuple[int, ...]:
        """Shape of kernel."""
        return self.batch, *self.grid, *self.taps, self.groups


class Place(NamedTuple):
    """Indices of a product: sample, output, tap and channel, as an open grid over all products."""

    b: Array
    i: Array
    j: Array
    u: Array
    v: Array
    c: Array


class Pixel(NamedTuple):
    """Indices into x, for each product."""

    b: Array
    h: Array
    w: Array
    c: Array


class Entry(NamedTuple):
    """Indices into kernel, for each product."""

    b: Array
    i: Array
    j: Array
    u: Array
    v: Array
    g: Array


class Plan(NamedTuple):
    """What is multiplied: x at `pixel` by kernel at `entry`, where `inside`."""

    pixel: Pixel
    entry: Entry
    inside: Array


class Unfold:
    """The operator. Products have the shape (B, Ho, Wo, Kh, Kw, C)."""

    capabilities: dict[str, Any] = {  # noqa: RUF012
        "gradual_underflow": True,
        "validates": False,
        "fork_safe": True,
    }
    # Of a faulty one: what must be claimed so that it is a fault, if no value shows it.
    needs = ""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        """Return y (FWD-1)."""
        call = self.call(x.shape, kernel.shape, **options)
        with np.errstate(all="ignore"):
            return self.rounded(self.y(call, self.wide(x), self.wide(kernel)), x.dtype)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        """Return dx (GRD-1) and dkernel (GRD-2)."""
        call = self.call(x.shape, kernel.shape, **options)
        with np.errstate(all="ignore"):
            dx = self.dx(call, self.wide(dy), self.wide(kernel))
            dkernel = self.dkernel(call, self.wide(dy), self.wide(x))
            return self.rounded(dx, x.dtype), self.rounded(dkernel, x.dtype)

    def call(
        self,
        image: tuple[int, ...],
        kernel: tuple[int, ...],
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: str = "blocked",
    ) -> Call:
        """Read shapes and options."""
        batch, height, width, channels = image
        _, rows, columns, *taps, groups = kernel
        size, grid = (height, width), (rows, columns)
        stride, dilation = (n if isinstance(n, tuple) else (n, n) for n in (stride, dilation))
        return Call(
            batch, size, channels, grid, (taps[0], taps[1]), groups,
            stride, dilation, padding, group_layout,
        )  # fmt: skip

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        """Sum over the taps."""
        plan = self.plan(call)
        return self.total(self.read(x, plan) * taken(kernel, plan.entry))

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        """Add the product to the pixel that it came from."""
        plan = self.plan(call)
        products = taken(kernel, plan.entry) * self.spread(dy)
        return self.scatter(products, plan, plan.pixel, call.image)

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        """Add the product to the kernel entry that it came from."""
        plan = self.plan(call)
        return self.scatter(self.read(x, plan) * self.spread(dy), plan, plan.entry, call.kernel)

    def plan(self, call: Call) -> Plan:
        """Look up the factors of every product."""
        at = Place(*np.ogrid[tuple(slice(n) for n in (*call.kernel[:5], call.channels))])
        h, above = self.border(self.position(call, 0, at.i, at.u), call.size[0])
        w, beside = self.border(self.position(call, 1, at.j, at.v), call.size[1])
        inside = self.inside(call, at, above & beside)
        return Plan(self.pixel(call, at, h, w), self.entry(call, at), inside)

    def inside(self, call: Call, at: Place, found: Array) -> Array:  # noqa: ARG002
        """Tell which products are summed: those whose pixel was found."""
        return found

    def pixel(self, call: Call, at: Place, h: Array, w: Array) -> Pixel:  # noqa: ARG002
        """Give the pixel that a product reads."""
        return Pixel(at.b, h, w, at.c)

    def entry(self, call: Call, at: Place) -> Entry:
        """Give the kernel entry that a product reads."""
        return Entry(*at[:5], self.group(call, at))

    def group(self, call: Call, at: Place) -> Array:
        """Group of a channel (GRP-2, GRP-3)."""
        if call.group_layout == "blocked":
            return at.c // (call.channels // call.groups)
        return at.c % call.groups

    def position(self, call: Call, axis: int, output: Array, tap: Array) -> Array:
        """Row or column under a tap of an output; outside the image it is not that of a pixel."""
        before = self.before(call, axis)
        position: Array = output * call.stride[axis] + tap * call.dilation[axis] - before
        return position

    def before(self, call: Call, axis: int) -> int:
        """Padding before the first pixel of an axis (GEO-4 to GEO-7)."""
        if call.padding == "same":
            return self.same(call, axis)
        if call.padding == "valid":
            return 0
        return call.padding[axis][0] if isinstance(call.padding, tuple) else int(call.padding)

    def same(self, call: Call, axis: int) -> int:
        """Half of what the last window lacks, rounded down (GEO-7)."""
        size, stride = call.size[axis], call.stride[axis]
        return max(self.reach(call, axis) + (size - 1) // stride * stride + 1 - size, 0) // 2

    def reach(self, call: Call, axis: int) -> int:
        """Pixels from the first tap to the last one."""
        return (call.taps[axis] - 1) * call.dilation[axis]

    def border(self, position: Array, size: int) -> tuple[Array, Array]:
        """Give an index that can be read, and whether it is that of the position (GEO-9)."""
        return np.clip(position, 0, size - 1), (position >= 0) & (position < size)

    def read(self, x: Array, plan: Plan) -> Array:
        """Pixel of each product, 0 outside the image."""
        return np.where(plan.inside, taken(x, plan.pixel), x.dtype.type(0))

    def spread(self, dy: Array) -> Array:
        """Give dy of each product."""
        return dy[:, :, :, None, None]

    def total(self, products: Array) -> Array:
        """Sum over the taps."""
        total: Array = products.sum((3, 4))
        return total

    def scatter(
        self, products: Array, plan: Plan, target: tuple[Array, ...], shape: tuple[int, ...]
    ) -> Array:
        """Add each product inside to its target."""
        # Nothing is added where there is no pixel, to the one that its index is clipped to.
        products = np.where(plan.inside, products, products.dtype.type(0))
        index = np.broadcast_to(flat(target, shape), products.shape)
        result = np.zeros(int(np.prod(shape)), products.dtype)
        np.add.at(result, index.ravel(), products.ravel())
        return result.reshape(shape)

    def wide(self, array: Array) -> Array:
        """Half precision is summed in single precision."""
        return array.astype(np.float64 if array.dtype == np.float64 else np.float32)

    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        """Round to the format of the operands."""
        return result.astype(dtype)


class Twice(Unfold):
    """The operator with forward mode and second derivatives: its own sums, of other operands."""

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        """Return ty (GRD-7)."""
        return self.of_both((tx, kernel), (x, tkernel), **options)

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        """Return ddy, d2x and d2kernel (GRD-8)."""
        ddy = self.of_both((ddx, kernel), (x, ddkernel), **options)
        return ddy, *self.backward(dy, ddx, ddkernel, **options)

    def of_both(self, *pairs: tuple[Array, Array], **options: Any) -> Array:
        """Add what two images under two kernels give, each in the format of the operands."""
        one, other = (self.forward(x, kernel, **options) for x, kernel in pairs)
        with np.errstate(all="ignore"):
            total: Array = one + other
            return total


def taken(array: Array, index: tuple[Array, ...]) -> Array:
    """Give array[index], for an open grid of indices, in less than half of the time."""
    return np.take(array, flat(index, array.shape))


def flat(index: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
    """Give an open grid of indices as one index into the elements in their order."""
    whole: Any = 0
    step = math.prod(shape)
    for one, size in zip(index, shape, strict=True):
        # Multiplied while it is small: a sum of open grids is as large as all of them together.
        step //= max(size, 1)
        whole = whole + (one if _within(one, size) else _from_the_end(one, size)) * step
    return np.asarray(whole)


def unflat(whole: Array, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Give the indices along each axis of elements that are numbered in their order.

    NumPy 2.3 and 2.4 have a function for this (unravel_index) that is wrong beyond 8,192 elements
    where the last axis has length 1 (its issue 31980), as it has with one channel.
    """
    found: list[Array] = []
    for size in reversed(shape[1:]):
        whole, index = np.divmod(whole, max(size, 1))
        found.append(index)
    return (whole, *reversed(found))


def _within(index: Array, size: int) -> bool:
    return index.size == 0 or bool(index.min() >= 0 and index.max() < size)


def _from_the_end(index: Array, size: int) -> Array:
    """Count what is negative from the end, as NumPy's indexing does."""
    if index.min() < -size or index.max() >= size:
        raise IndexError(f"indices from {index.min()} to {index.max()} of an axis of {size}")
    return np.where(index < 0, index + size, index)


_unfold = Unfold()
forward, backward, capabilities = _unfold.forward, _unfold.backward, _unfold.capabilities
