"""The operator's three sums over taps: y (FWD-1), dx (GRD-1) and dkernel (GRD-2), in `keras.ops`.

Each is bilinear in its two operands, and each is the derivative of the other two: y of x and kernel
is what flows back from dkernel to dy, and so on. `_derivative` tells a framework so. Operands and
sizes are right when they come here, and no patch is ever made: a sum goes from tap to tap, and
holds a few tensors of the size of an image, and one row of the kernel's taps.
"""

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
from keras import ops

# Of a group. Fewer are summed in another form where XLA compiles.
_FEW_MEMBERS = 4


class Reads(NamedTuple):
    """What taps read along an axis: for each tap a slice, and how many pixels it holds."""

    slices: dict[int, slice]
    number: Any


class Axis(NamedTuple):
    """One axis of the geometry. Sizes that are unknown when traced are scalar tensors."""

    size: Any
    outputs: Any
    before: Any
    after: Any
    taps: int
    stride: int
    dilation: int

    @property
    def firsts(self) -> range:
        """The first padded pixel that each tap reads (GEO-8)."""
        return range(0, self.taps * self.dilation, self.dilation)

    @property
    def reads(self) -> Reads:
        """The padded pixels that each tap reads, by the first of them (GEO-8)."""
        span = (self.outputs - 1) * self.stride + 1
        slices = {first: slice(first, first + span, self.stride) for first in self.firsts}
        return Reads(slices, self.outputs)

    @property
    def reads_of_phase(self) -> Reads:
        """The same, counted among the padded pixels of the tap's phase: neighbours there."""
        starts = {first: first // self.stride for first in self.firsts}
        slices = {first: slice(at, at + self.outputs) for first, at in starts.items()}
        return Reads(slices, self.outputs)

    @property
    def length(self) -> Any:
        """The pixels of a phase that are read, or skipped before the last that is."""
        return (self.taps - 1) * self.dilation // self.stride + self.outputs

    @property
    def phases(self) -> list[list[int]]:
        """For each pixel of a run of `stride`, the first padded pixels of the taps that read it."""
        firsts, stride = self.firsts, self.stride
        return [[f for f in firsts if f % stride == phase] for phase in range(stride)]

    @property
    def runs(self) -> tuple[Any, Any]:
        """The first and the number of the runs of `stride` padded pixels that hold the image."""
        first = self.before // self.stride
        return first, (self.before + self.size + self.stride - 1) // self.stride - first

    def readers(self) -> tuple[tuple[Any, Any], Reads]:
        """Give who reads the runs.

        The outputs that the runs would need beyond the first output and the last, and for each tap
        the outputs that read the runs through it, counted from the first of those.
        """
        first, number = self.runs
        lowest = first - (self.taps - 1) * self.dilation // self.stride
        before = _positive(-lowest)
        start = first + before
        starts = {one: start - one // self.stride for one in (0, *self.firsts)}
        margins = before, _positive(first + number - self.outputs)
        return margins, Reads({one: slice(at, at + number) for one, at in starts.items()}, number)


@dataclass(frozen=True)
class Sums:
    """The sums of one call.

    Attributes
    ----------
    vertical, horizontal : Axis
        The geometry.
    groups : int
        G.
    blocked : bool
        GRP-2 rather than GRP-3.
    fused : bool
        The operations are compiled into few loops, as XLA does, instead of run one by one. Fused,
        channels stay where they lie. One by one, a group's members stand before the columns:
        measured, TensorFlow then multiplies up to six times as fast where groups are small.
    """

    vertical: Axis
    horizontal: Axis
    groups: int
    blocked: bool
    fused: bool

    def shape(self, name: str, first: Any) -> tuple[Any, ...]:
        """Give the shape of the sum of a name, of which the first operand is an image."""
        samples, *_, channels = ops.shape(first)
        rows, columns = (a.size if name == "dx" else a.outputs for a in self._axes)
        if name == "dkernel":
            return samples, rows, columns, *(a.taps for a in self._axes), self.groups
        return samples, rows, columns, channels

    def y(self, x: Any, kernel: Any) -> Any:
        """Sum over the taps in index order: (B, H, W, C), (B, Ho, Wo, Kh, Kw, G) to y."""
        tops, lefts = (a.firsts for a in self._axes)
        read = self._reading(x)
        products = (
            read(top, left) * weights for top, left, weights in self._taps(kernel, tops, lefts)
        )
        return self._joined(_total(products))

    def dx(self, dy: Any, kernel: Any) -> Any:
        """Sum over the outputs that read a pixel: (B, Ho, Wo, C), as above, to dx.

        Padded pixels that lie `stride` apart are read through the same taps. Each such phase is
        summed by itself, over the whole image at once.
        """
        phases = self._placed if self._few_members(dy) else self._shifted
        return self._joined(self._interleaved(phases(dy, kernel)))

    def _few_members(self, dy: Any) -> bool:
        """Tell whether XLA takes longer for shifts than to put products where they belong.

        Measured on a CPU: up to four times as long with 1 to 3 members, as long with 4, and a third
        as long with 16.
        """
        channels = dy.shape[3]
        return self.fused and channels is not None and channels // self.groups < _FEW_MEMBERS

    def _shifted(self, dy: Any, kernel: Any) -> list[list[Any]]:
        """Give the phases of dx: a tap is one shift of dy and of weights."""
        readers = [a.readers() for a in self._axes]
        margins, where = zip(*readers, strict=True)
        outputs = self._padded(self._split(dy), *margins)
        return [
            [
                self._phase(outputs, self._taps(kernel, rows, columns, margins), where)
                for columns in self.horizontal.phases
            ]
            for rows in self.vertical.phases
        ]

    def _placed(self, dy: Any, kernel: Any) -> list[list[Any]]:
        """Give the phases of dx: a tap's products are put where the pixels lie that it read."""
        outputs, runs = self._split(dy), [a.runs for a in self._axes]
        samples, *_, groups, members = ops.shape(outputs)
        size = samples, *(number for _, number in runs), groups, members

        def placed(products: Any, top: int, left: int) -> Any:
            for axis, first, a in ((1, top, self.vertical), (2, left, self.horizontal)):
                products = _put(products, axis, a.outputs, first // a.stride, runs[axis - 1])
            return products

        def phase(rows: list[int], columns: list[int]) -> Any:
            taps = self._taps(kernel, rows, columns)
            total = _total(placed(outputs * weights, top, left) for top, left, weights in taps)
            return ops.zeros(size, dtype=dy.dtype) if total is None else total

        return [
            [phase(rows, columns) for columns in self.horizontal.phases]
            for rows in self.vertical.phases
        ]

    def _phase(self, outputs: Any, taps: Iterator[tuple[int, int, Any]], where: Any) -> Any:
        """Sum over some rows and columns of taps, over the runs that hold the image."""
        rows, columns = where
        taken, weighed = (
            self._window(outputs, rows, columns, members=members) for members in (None, 1)
        )
        products = (
            taken(outputs, top, left) * weighed(weights, top, left) for top, left, weights in taps
        )
        total = _total(products)
        if total is not None:
            return total
        return ops.zeros_like(taken(outputs, 0, 0))

    def dkernel(self, dy: Any, x: Any) -> Any:
        """Sum over the members of a group: (B, Ho, Wo, C), (B, H, W, C) to dkernel."""
        row = self._fused_row if self.fused else self._row
        return ops.stack(list(_in_turn(row(x, self._split(dy)))), axis=3)

    @property
    def _axes(self) -> tuple[Axis, Axis]:
        return self.vertical, self.horizontal

    def _row(self, x: Any, dy: Any) -> Iterator[Any]:
        """Give dkernel row by row of taps, one tap after the other."""
        read = self._reading(x)
        for top in self.vertical.firsts:
            views = (read(top, left) for left in self.horizontal.firsts)
            taps = _in_turn(ops.sum(view * dy, axis=self._members) for view in views)
            yield ops.transpose(ops.stack(list(taps)), (1, 2, 3, 0, 4))

    def _fused_row(self, x: Any, dy: Any) -> Iterator[Any]:
        """Give the same, a row as one sum: XLA takes seconds to compile one for each tap."""
        padded = self._padded(self._split(x), *((a.before, a.after) for a in self._axes))
        axis = self.horizontal
        outputs = ops.arange(axis.outputs, dtype="int32")[:, None] * axis.stride
        where = outputs + ops.convert_to_tensor(list(axis.firsts), dtype="int32")
        dy = ops.expand_dims(dy, 3)
        for rows in self.vertical.reads.slices.values():
            read = self._cut(padded, rows, slice(None))
            yield ops.sum(ops.take(read, where, axis=2) * dy, axis=self._members + 1)

    def _reading(self, x: Any) -> Callable[[int, int], Any]:
        """Give what reads of an image, split, the pixels that a tap reads.

        One by one, TensorFlow takes five times as long to read pixels that lie apart: those of a
        phase are brought together first, and each tap reads neighbours.
        """
        if self.fused:
            padded = self._padded(self._split(x), *((a.before, a.after) for a in self._axes))
            cut = self._window(padded, self.vertical.reads, self.horizontal.reads)
            return functools.partial(cut, padded)
        down, across = (a.stride for a in self._axes)
        phases = self._phases(x)
        cut = self._window(
            phases[0][0], self.vertical.reads_of_phase, self.horizontal.reads_of_phase
        )
        return lambda top, left: cut(phases[top % down][left % across], top, left)

    def _phases(self, x: Any) -> list[list[Any]]:
        """Give the padded pixels of each phase, split: [row of a run][column of a run]."""
        if all(a.stride == 1 for a in self._axes):
            rows, columns = ((a.before, a.after) for a in self._axes)
            return [[self._padded(self._split(x), rows, columns)]]
        due = [a.length * a.stride for a in self._axes]
        margins = [
            (a.before, _positive(length - a.before - a.size))
            for a, length in zip(self._axes, due, strict=True)
        ]
        x = ops.pad(x, ((0, 0), *margins, (0, 0)))[:, : due[0], : due[1]]
        samples, *_, channels = ops.shape(x)
        runs = (number for a in self._axes for number in (a.length, a.stride))
        x = ops.reshape(x, (samples, *runs, *self._parts(channels)))
        members, groups = (6, 5) if self.blocked else (5, 6)
        x = ops.transpose(x, (2, 4, 0, 1, members, 3, groups))
        return [ops.unstack(row) for row in ops.unstack(x)]

    @property
    def _members(self) -> int:
        """Where the members of a group stand in an image that is split."""
        if not self.fused:
            return 2
        return 4 if self.blocked else 3

    def _split(self, image: Any) -> Any:
        """Give members of groups an axis of their own: (B, H, W, C) to (B, H, M, W, G).

        Fused to (B, H, W, G, M), or (B, H, W, M, G) where they are interleaved.
        """
        *outer, channels = ops.shape(image)
        image = ops.reshape(image, (*outer, *self._parts(channels)))
        return image if self.fused else ops.transpose(image, self._order)

    def _parts(self, channels: Any) -> tuple[Any, Any]:
        members = channels // self.groups
        return (self.groups, members) if self.blocked else (members, self.groups)

    def _joined(self, image: Any) -> Any:
        """Undo `_split`."""
        if not self.fused:
            inverse = sorted(range(5), key=self._order.__getitem__)
            image = ops.transpose(image, inverse)
        *outer, first, second = ops.shape(image)
        return ops.reshape(image, (*outer, first * second))

    @property
    def _order(self) -> tuple[int, ...]:
        return (0, 1, 4, 2, 3) if self.blocked else (0, 1, 3, 2, 4)

    def _taps(
        self, kernel: Any, tops: Any, lefts: Any, margins: Any = None
    ) -> Iterator[tuple[int, int, Any]]:
        """Give taps by where they begin, and weights that spread over an image that is split.

        With margins, zeros stand around the weights. A row at a time is brought into order:
        TensorFlow takes eight times as long to unstack taps.
        """
        for top in tops if lefts else ():
            row = ops.transpose(kernel[:, :, :, top // self.vertical.dilation], (3, 0, 1, 2, 4))
            if margins is not None:
                row = ops.pad(row, ((0, 0), (0, 0), *margins, (0, 0)))
            weights = ops.unstack(ops.expand_dims(row, self._members + 1), axis=0)
            for left in lefts:
                yield top, left, weights[left // self.horizontal.dilation]

    def _padded(self, image: Any, rows: Any, columns: Any) -> Any:
        margins: list[Any] = [(0, 0)] * 5
        margins[1], margins[2 if self.fused else 3] = rows, columns
        return ops.pad(image, margins)

    def _window(
        self, image: Any, rows: Reads, columns: Reads, members: int | None = None
    ) -> Callable[[Any, int, int], Any]:
        """Give what cuts out of such an image the pixels that a tap reads."""
        tops, lefts = rows.slices, columns.slices
        strided = any(one.step not in {None, 1} for one in (tops[0], lefts[0]))
        if strided or all(isinstance(reads.number, int) for reads in (rows, columns)):
            return lambda image, top, left: self._cut(image, tops[top], lefts[left])
        # Unknown numbers are made into one tensor, for all taps: a graph has half the nodes.
        size = list(ops.shape(image))
        at = 2 if self.fused else 3
        size[1], size[at] = rows.number, columns.number
        if members is not None:
            size[self._members] = members
        number = ops.stack(size)

        def cut(image: Any, top: int, left: int) -> Any:
            first: list[Any] = [0] * len(size)
            first[1], first[at] = tops[top].start, lefts[left].start
            return ops.slice(image, first, number)

        return cut

    def _cut(self, image: Any, rows: slice, columns: slice) -> Any:
        return image[:, rows, columns] if self.fused else image[:, rows, :, columns]

    def _interleaved(self, phases: list[list[Any]]) -> Any:
        """Put the pixels of all phases where they lie in the image."""
        rows = [self._zipped(row, 2 if self.fused else 3) for row in phases]
        starts = (a.before - a.runs[0] * a.stride for a in self._axes)
        where = (slice(one, one + a.size) for one, a in zip(starts, self._axes, strict=True))
        return self._cut(self._zipped(rows, 1), *where)

    def _zipped(self, images: list[Any], axis: int) -> Any:
        """Give pixels of images in turn along an axis."""
        if len(images) == 1:
            return images[0]
        together = ops.stack(images, axis=axis + 1)
        size = list(ops.shape(together))
        size[axis : axis + 2] = [size[axis] * size[axis + 1]]
        return ops.reshape(together, size)


def _total(products: Iterator[Any]) -> Any:
    """Add up, and hold one product at a time; None of nothing.

    Each begins after the sum of those before, which TensorFlow's graphs can then not put off.
    """
    last = deque(_in_turn(itertools.accumulate(products)), maxlen=1)
    return last[0] if last else None


def _in_turn(tensors: Iterator[Any]) -> Iterator[Any]:
    """Make each tensor after the one before: a TensorFlow graph begins with all, and holds them."""
    made = None
    while True:
        with _after(made):
            made = next(tensors, None)
        if made is None:
            return
        yield made


def _after(made: Any) -> Any:
    if made is None or keras.backend.backend() != "tensorflow":
        return nullcontext()
    import tensorflow as tf

    return tf.control_dependencies([made])


def _put(pixels: Any, axis: int, number: Any, first: int, runs: tuple[Any, Any]) -> Any:
    """Give runs along an axis, zero but where the pixels lie: from the run `first` on.

    Of `number` pixels those that lie beyond the runs are cut off.
    """
    start, length = runs
    offset = first - start
    skipped, before = _positive(-offset), _least(_positive(offset), length)
    kept = _positive(_least(number, length - offset) - skipped)
    where: list[Any] = [slice(None)] * len(pixels.shape)
    where[axis] = slice(skipped, skipped + kept)
    margins: list[Any] = [(0, 0)] * len(pixels.shape)
    margins[axis] = before, length - before - kept
    return ops.pad(pixels[tuple(where)], margins)


def _positive(number: Any) -> Any:
    return max(number, 0) if isinstance(number, int) else ops.maximum(number, 0)


def _least(one: Any, other: Any) -> Any:
    plain = isinstance(one, int) and isinstance(other, int)
    return min(one, other) if plain else ops.minimum(one, other)
