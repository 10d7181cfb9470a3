"""The oracle on dask arrays: lazy, block by block, with the bits of a call in memory.

It computes nothing itself: `refimpl._blocks` says what each block is made of, and
`refimpl.involution` computes it. The only file of the oracle that imports dask, which is imported
when a user brings a dask array along and never before.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from refimpl import involution
from refimpl._blocks import Part, Piece, Span, part, pieces, refined, spans
from refimpl._validation import Problem, check, operand


def results(
    names: tuple[str, ...], operands: Mapping[str, object], *options: Any
) -> tuple[Any, ...]:
    """Plan results of one call.

    Parameters
    ----------
    names : tuple of str
        Of "y", "dx" and "dkernel".
    operands : mapping of str to array_like
        As of the call; what is no dask array counts as one block.
    *options
        Stride, dilation, padding and group layout, as the caller received them.

    Raises
    ------
    TypeError, ValueError
        As a call in memory, and for chunks of unknown sizes (ERR-10).
    """
    arrays = {name: _blocks(name, value) for name, value in operands.items()}
    stand_ins = {name: _stand_in(array.shape, array.dtype) for name, array in arrays.items()}
    problem = check(stand_ins, *options)
    return tuple(_lazy(name, arrays, problem) for name in names)


def _blocks(name: str, value: Any) -> Any:
    if not issubclass(type(value), da.Array):
        return da.from_array(operand(name, value), chunks=-1)
    if type(value._meta) is not np.ndarray:
        got = f"blocks of {type(value._meta).__module__}.{type(value._meta).__qualname__}"
        raise TypeError(f"{name} must have blocks that are plain NumPy arrays (ERR-10), got {got}")
    if any(math.isnan(length) for lengths in value.chunks for length in lengths):
        raise ValueError(
            f"{name} must have chunks of known sizes (ERR-10; compute_chunk_sizes() finds them), "
            f"got chunks {value.chunks}"
        )
    return value


def _stand_in(shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    """Give an array that takes no memory, for those who read its shape and its dtype alone."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _lazy(name: str, arrays: dict[str, Any], problem: Problem) -> Any:
    """Plan one result: a task for each block, which is given the chunks that it reads.

    Small tasks that cut the parts out would hold less each. In dask's own order, followed on paper
    and not in memory, half of all chunks are then held at a time, and without them a dozen.
    """
    x, kernel = arrays["x"].chunks, arrays["kernel"].chunks
    rows = {"y": (refined(x[0], kernel[0]), *kernel[1:3], x[3]), "dx": x, "dkernel": kernel}
    chunks, axes = rows[name], (problem.vertical, problem.horizontal)
    label = f"involution-{name}-{tokenize(name, arrays, axes, problem.blocked)}"
    graph: dict[Any, Any] = {}
    # A chunk that nobody reads would be made, and kept, all the same.
    read: dict[str, Any] = {}
    for block in itertools.product(*(enumerate(spans(lengths)) for lengths in chunks)):
        index, bounds = zip(*block, strict=True)
        shape = tuple(last - first for first, last in bounds)
        plan = part(name, bounds, arrays["x"].shape, arrays["kernel"].shape, axes, problem.blocked)
        if plan is None:
            graph[label, *index] = (partial(np.zeros, shape),)
            continue
        sources: dict[str, list[Piece]] = {}
        keys: list[Any] = []
        for source, region in plan.sources.items():
            found = pieces(arrays[source].chunks, region)
            keys += [(arrays[source].name, *one.chunk) for one in found]
            sources[source] = found
            read[source] = arrays[source]
        task = partial(_block, name, shape, plan, sources, arrays["x"].dtype, problem.blocked)
        graph[label, *index] = (task, *keys)
    layers = HighLevelGraph.from_collections(label, graph, dependencies=list(read.values()))
    return da.Array(layers, label, chunks=chunks, meta=np.empty((0,) * len(chunks)))


def _slices(bounds: tuple[Span, ...]) -> tuple[slice, ...]:
    return tuple(slice(first, last) for first, last in bounds)


def _block(
    name: str,
    shape: tuple[int, ...],
    plan: Part,
    sources: dict[str, list[Piece]],
    dtype: Any,
    blocked: bool,
    *chunks: npt.NDArray[Any],
) -> npt.NDArray[np.float64]:
    """Compute one block from the chunks of the operands that it reads."""
    remaining = iter(chunks)
    stand_ins = {source: _stand_in(lengths, dtype) for source, lengths in plan.shapes.items()}
    operands: dict[str, npt.NDArray[Any]] = dict(stand_ins)
    for source, found in sources.items():
        region = _joined(plan.sources[source], found, remaining)
        pick = plan.picks.get(source)
        operands[source] = region if pick is None else region[..., list(pick)]
    answer = involution.result(name, Problem(operands, *plan.axes, blocked))
    if answer.shape == shape:
        return answer
    block = np.zeros(shape)
    block[_slices(plan.place)] = answer
    return block


def _joined(
    region: tuple[Span, ...], found: list[Piece], chunks: Iterator[npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Lay the parts of a region together."""
    first = next(chunks)
    if len(found) == 1:
        return first[_slices(found[0].within)]
    whole = np.empty([last - start for start, last in region], first.dtype)
    whole[_slices(found[0].at)] = first[_slices(found[0].within)]
    for piece in found[1:]:
        whole[_slices(piece.at)] = next(chunks)[_slices(piece.within)]
    return whole
