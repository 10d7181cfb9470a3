"""Memory that tells who touched it: guarded operands, and poison where results may be put."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .messages import DTYPES, Tensors
from .pages import PLACES, between_pages, make_read_only

# Bytes of operands of one call that are held while the next ones are placed, at most.
_HELD = 1 << 20
# Bytes on either side of an operand, and what its memory begins at a multiple of.
_GUARD, _ALIGNED = 4096, 64
# Results of so many calls, and no more than so many bytes of them, are looked at again.
_CALLS, _BYTES = 8, 1 << 25
# Arrays of fewer bytes are compared sooner as copies than by NumPy, which takes 5 microseconds.
_COPIED = 1 << 17


def layout_of(array: Any) -> dict[str, Any]:
    """Say how an array lies in memory, where it is not plainly C-contiguous and aligned.

    Returns
    -------
    dict
        "strides" in bytes; "offset", in bytes modulo 64, of its lowest address from the beginning
        of its memory; "writeable"; and "dtype", where no message can carry it.
    """
    how: dict[str, Any] = {}
    if array.dtype not in DTYPES.values():
        how["dtype"] = array.dtype.str if array.dtype.isbuiltin else array.dtype.name
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    # Of what memory of its own begins with, which may lie anywhere.
    offset = (_low(array) - _low(base)) % _ALIGNED
    if array.size and (offset or not array.flags.c_contiguous or not array.flags.writeable):
        how |= {"strides": list(array.strides), "offset": offset}
        how["writeable"] = bool(array.flags.writeable)
    return how


def _low(array: Any) -> int:
    """Lowest address of an array's entries."""
    steps = zip(array.shape, array.strides, strict=True)
    back = sum(min(0, stride * (size - 1)) for size, stride in steps)
    return int(array.__array_interface__["data"][0] + back)


class Operands:
    """Copies of operands, each between two guards, and what has become of them.

    The guards, and the gaps of a view, are NaN in every format: who reads there gets it, and who
    writes there is seen.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self._memory: dict[str, Any] = {}
        self._before: dict[str, Any] = {}
        # Of each operand how it lay when it was last placed, its view and its memory.
        self._kept: dict[str, tuple[Any, Any, Any]] = {}
        self._left: deque[list[Any]] = deque(maxlen=_CALLS)

    def place(self, tensors: Tensors, layouts: Mapping[str, Any], *, again: bool = False) -> None:
        """Lay the operands into memory; `again`: each into that which it had before, if it fits.

        Whichever function was called in between: forward has no dy, and comes again after backward.
        """
        kept = self._kept if again else {}
        self._leave()
        self.arrays, self._memory, self._kept = {}, {}, dict(kept)
        for name, array in tensors.items():
            how = array.shape, str(array.dtype), layouts.get(name)
            if name in kept and kept[name][0] == how:
                _, self.arrays[name], memory = kept[name]
                self.arrays[name][...] = array
                if memory is not None:
                    self._memory[name] = memory
            else:
                self.arrays[name] = self._placed(name, array, layouts.get(name) or {})
            self._kept[name] = how, self.arrays[name], self._memory.get(name)
        self._before = {name: memory.copy() for name, memory in self._memory.items()}

    def _leave(self) -> None:
        """Hold the memory of the last few calls, so that new operands lie elsewhere.

        Not of large ones: who keeps an image by its address is told by `again`, and not by luck.
        """
        memory = list(self._memory.values())
        if sum(one.nbytes for one in memory) <= _HELD:
            self._left.append(memory)

    def _placed(self, name: str, array: Any, how: Mapping[str, Any]) -> Any:
        if "dtype" in how:
            array = array.astype(how["dtype"])
        if array.dtype.hasobject:
            return array
        strides = how.get("strides") or np.empty(array.shape, array.dtype).strides
        steps = [(size - 1) * stride for size, stride in zip(array.shape, strides, strict=True)]
        low = sum(step for step in steps if step < 0) if array.size else 0
        span = sum(map(abs, steps)) + array.itemsize if array.size else 0
        memory, start = _room(span, how)
        view: Any = np.ndarray(array.shape, array.dtype, memory.data, start - low, strides)
        view[...] = array
        if not how.get("writeable", True):
            view.flags.writeable = False
        if how.get("page") == "read-only":
            make_read_only(memory)
        self._memory[name] = memory
        return view

    def changed(self) -> list[str]:
        """Name the operands that do not hold, or are not surrounded by, what they were."""
        memory = self._memory
        return [name for name, before in self._before.items() if not _same(memory[name], before)]

    def shared(self, results: Tensors) -> list[tuple[str, str]]:
        """Name the results that share memory, each with the operand or result that it does with."""
        arrays = {name: one for name, one in results.items() if isinstance(one, np.ndarray)}
        pairs = [
            (result, name)
            for result, array in arrays.items()
            for name, memory in self._memory.items()
            if array.size and np.may_share_memory(array, memory)
        ]
        named = list(arrays)
        for at, result in enumerate(named):
            pairs += [(result, other) for other in named[:at] if _shares(arrays, result, other)]
        return pairs


def _room(span: int, how: Mapping[str, Any]) -> tuple[Any, int]:
    """Give memory that is NaN in every format, and where in it so many bytes begin."""
    page = how.get("page")
    if page in PLACES:
        memory = between_pages(span)
        memory[...] = 0xFF
        return memory, memory.size - span if page == "ends" else 0
    memory = np.full(span + 2 * _GUARD + 2 * _ALIGNED, 0xFF, np.uint8)
    return memory, -_low(memory) % _ALIGNED + _GUARD + int(how.get("offset", 0))


def _shares(arrays: Tensors, one: str, other: str) -> bool:
    if not arrays[one].size or not arrays[other].size:
        return False
    return bool(np.shares_memory(arrays[one], arrays[other]))


def _same(one: Any, other: Any) -> bool:
    """Tell whether two arrays have the same entries, bit for bit."""
    if one.nbytes < _COPIED or not (one.flags.c_contiguous and other.flags.c_contiguous):
        return bool(one.tobytes() == other.tobytes())
    return bool((_bytes(one) == _bytes(other)).all()) if one.nbytes == other.nbytes else False


def _bytes(array: Any) -> Any:
    return array.reshape(-1).view(np.uint8)


class Kept:
    """Results of the last few calls, and what has become of them."""

    def __init__(self) -> None:
        self._calls = 0
        # Number of the call, name, the very array that was returned, and its entries then.
        self._held: list[tuple[int, str, Any, bytes]] = []

    def overwritten(self) -> list[str]:
        """Name the results that are not what they were, and keep them no longer."""
        changed = [one for one in self._held if one[2].tobytes() != one[3]]
        self._held = [one for one in self._held if not any(one is other for other in changed)]
        return [f"{name} of {_ago(self._calls + 1 - number)}" for number, name, *_ in changed]

    def keep(self, results: Tensors, copies: Tensors) -> None:
        """Keep the results of a call."""
        self._calls += 1
        self._held += [
            (self._calls, name, results[name], copy.tobytes())
            for name, copy in copies.items()
            if isinstance(copy, np.ndarray)
        ]
        while self._held and (
            self._held[0][0] <= self._calls - _CALLS
            or sum(len(entries) for *_, entries in self._held) > _BYTES
        ):
            del self._held[0]

    def forget(self) -> None:
        """Keep nothing any longer."""
        self._held.clear()


def _ago(calls: int) -> str:
    return "the call before" if calls == 1 else f"{calls} calls before"


def poison(shapes: Iterable[Sequence[int]], dtype: Any) -> None:
    """Leave NaN in freed memory of these sizes.

    Whoever returns memory that it did not write is likely to return that.
    """
    for shape in shapes:
        for one in {dtype, DTYPES["F32"], DTYPES["F64"]}:
            np.full(tuple(shape), np.nan, one)
