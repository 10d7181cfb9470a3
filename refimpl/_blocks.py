"""Which part of which operand a block of a result is made of, in plain integers.

Knows neither arrays nor dask. A sum of the oracle is rounded once, so a block of a result is made
of everything that its sums read, and never of parts that were rounded before.
"""

import itertools
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from refimpl.geometry import Axis

Span = tuple[int, int]


def in_blocks(operands: Mapping[str, object]) -> bool:
    """Whether an operand is a ``dask.array.Array``; does not import dask."""
    dask = sys.modules.get("dask.array")
    return dask is not None and any(issubclass(type(v), dask.Array) for v in operands.values())


class Cut(NamedTuple):
    """A part of an axis that is an axis of its own."""

    outputs: Span
    pixels: Span
    axis: Axis


class Part(NamedTuple):
    """What one block of a result is computed from, and how.

    Attributes
    ----------
    sources : dict of str to tuple of (int, int)
        From where to where each operand is read, on each of its axes.
    shapes : dict of str to tuple of int
        Of `x` and `kernel` of the call that computes the part.
    place : tuple of (int, int)
        Where in the block its answer stands; all else is zero (GRD-3, GRD-5).
    axes : (Axis, Axis)
        Its vertical and its horizontal axis.
    picks : dict of str to tuple of int
        Along the last axis of a source, the entries to take.
    """

    sources: dict[str, tuple[Span, ...]]
    shapes: dict[str, tuple[int, ...]]
    place: tuple[Span, ...]
    axes: tuple[Axis, Axis]
    picks: dict[str, tuple[int, ...]]


def part(
    name: str,
    block: tuple[Span, ...],
    x: tuple[int, ...],
    kernel: tuple[int, ...],
    axes: tuple[Axis, Axis],
    blocked: bool,
) -> Part | None:
    """Plan a block of a result.

    Parameters
    ----------
    name : "y", "dx" or "dkernel"
        The result.
    block : tuple of (int, int)
        From where to where the block goes, on each axis of the result.
    x, kernel : tuple of int
        Shapes of the whole operands.
    axes : (Axis, Axis)
        The whole geometry.
    blocked : bool
        Whether the group layout is "blocked".

    Returns
    -------
    Part or None
        None where no tap reads: such a block is zero.
    """
    if any(first == last for first, last in block):
        return None
    batch, layout = block[0], (x[3], kernel[5], blocked)
    taps: tuple[Span, ...] = ((0, kernel[3]), (0, kernel[4]))
    if name == "dx":
        outputs = [touching(axis, block[i + 1]) for i, axis in enumerate(axes)]
        windows = block[1:3]
    else:
        outputs, windows = list(block[1:3]), ((0, x[1]), (0, x[2]))
    if name == "dkernel":
        taps = block[3:5]
    cuts = [cut(axis, outputs[i], taps[i], windows[i]) for i, axis in enumerate(axes)]
    if any(one.outputs[0] >= one.outputs[1] or one.axis.size < 1 for one in cuts):
        return None
    picks: dict[str, tuple[int, ...]] = {}
    if name == "dkernel":
        groups = block[5]
        channels, pick = members_of(groups, *layout)
        picks = {} if pick is None else {"x": pick, "dy": pick}
        width, count = len(pick or range(*channels)), groups[1] - groups[0]
    else:
        channels = block[3]
        groups, pick = groups_of(channels, *layout)
        picks = {} if pick is None else {"kernel": pick}
        width, count = channels[1] - channels[0], len(pick or range(*groups))
    rows, columns = (one.pixels for one in cuts)
    grid = tuple(one.outputs for one in cuts)
    spans = {
        "x": (batch, rows, columns, channels),
        "kernel": (batch, *grid, *taps, groups),
        "dy": (batch, *grid, channels),
    }
    shapes = {name: tuple(last - first for first, last in span) for name, span in spans.items()}
    place = tuple((0, last - first) for first, last in block)
    if name == "dx":
        inner = [
            (one.pixels[0] - w[0], one.pixels[1] - w[0])
            for one, w in zip(cuts, windows, strict=True)
        ]
        place = (place[0], *inner, place[3])
    needed = {"y": ("x", "kernel"), "dx": ("dy", "kernel"), "dkernel": ("dy", "x")}[name]
    return Part(
        {source: spans[source] for source in needed},
        {"x": (*shapes["x"][:3], width), "kernel": (*shapes["kernel"][:5], count)},
        place,
        (cuts[0].axis, cuts[1].axis),
        picks,
    )


def touching(axis: Axis, pixels: Span) -> Span:
    """Give the outputs whose taps may reach some of the pixels; the halo of dx (GRD-1)."""
    reach = (axis.taps - 1) * axis.dilation
    first = -((reach - axis.before - pixels[0]) // axis.stride)
    last = (pixels[1] - 1 + axis.before) // axis.stride + 1
    return max(first, 0), min(last, axis.outputs)


def cut(axis: Axis, outputs: Span, taps: Span, window: Span) -> Cut:
    """Give the pixels within a window that some taps of some outputs reach, with their padding.

    The padding is what of that reach lies outside the window, so the cut has these outputs and no
    others (GEO-3, GEO-8).
    """
    first = outputs[0] * axis.stride + taps[0] * axis.dilation - axis.before
    last = (outputs[1] - 1) * axis.stride + (taps[1] - 1) * axis.dilation - axis.before + 1
    low, high = max(first, window[0]), min(last, window[1])
    inner = Axis(
        high - low, taps[1] - taps[0], axis.stride, axis.dilation, low - first, last - high
    )
    return Cut(outputs, (low, high), inner)


@lru_cache
def groups_of(channels: Span, C: int, G: int, blocked: bool) -> tuple[Span, tuple[int, ...] | None]:
    """Give the groups of some channels, and, unless they lie as in a whole call, each one's."""
    groups = [_group(c, C // G, G, blocked) for c in range(*channels)]
    span = min(groups), max(groups) + 1
    pick = tuple(group - span[0] for group in groups)
    members, spare = divmod(len(groups), span[1] - span[0])
    if not spare and pick == tuple(
        _group(c, members, span[1] - span[0], blocked) for c in range(len(groups))
    ):
        return span, None
    return span, pick


@lru_cache
def members_of(groups: Span, C: int, G: int, blocked: bool) -> tuple[Span, tuple[int, ...] | None]:
    """Give the span of the channels of some groups, and which within it, unless all."""
    members = [c for c in range(C) if groups[0] <= _group(c, C // G, G, blocked) < groups[1]]
    span = members[0], members[-1] + 1
    if len(members) == span[1] - span[0]:
        return span, None
    return span, tuple(c - span[0] for c in members)


def _group(channel: int, members: int, groups: int, blocked: bool) -> int:
    return channel // members if blocked else channel % groups


class Piece(NamedTuple):
    """Where a chunk and a region overlap: which chunk, where in it, where in the region."""

    chunk: tuple[int, ...]
    within: tuple[Span, ...]
    at: tuple[Span, ...]


def pieces(chunks: Sequence[Sequence[int]], region: tuple[Span, ...]) -> list[Piece]:
    """Give the pieces of chunks that a region is made of."""
    found = []
    for along in itertools.product(*map(_along, chunks, region)):
        found.append(Piece(*zip(*along, strict=True)))
    return found


def _along(lengths: Sequence[int], span: Span) -> list[tuple[int, Span, Span]]:
    found, start = [], 0
    for index, length in enumerate(lengths):
        low, high = max(start, span[0]), min(start + length, span[1])
        if low < high:
            within, at = (low - start, high - start), (low - span[0], high - span[0])
            found.append((index, within, at))
        start += length
    return found


def spans(lengths: Sequence[int]) -> list[Span]:
    """Give the first and the last entry of each chunk of an axis."""
    return list(itertools.pairwise(itertools.accumulate(lengths, initial=0)))


def refined(*chunkings: Sequence[int]) -> tuple[int, ...]:
    """Give the chunks of an axis that end wherever one of some chunkings does."""
    ends = {end for lengths in chunkings for end in itertools.accumulate(lengths)}
    return tuple(b - a for a, b in itertools.pairwise(sorted(ends | {0}))) or (0,)
