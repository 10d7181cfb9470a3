"""Memory that tells who touched it: guarded operands, and poison where results may be put."""

from typing import Any

import numpy as np

from conformance.cases.case import Array

# Bytes on either side of an operand; a multiple of every alignment that matters.
_GUARD = 4096


class Guarded:
    """Copies of operands, each between two guards, and what has become of them.

    The guards are NaN in every format: who reads past an end gets it, and who writes there is seen.
    A view that is not C-contiguous stays the view that it is.

    Parameters
    ----------
    values : dict
        Operands by name.
    """

    def __init__(self, values: dict[str, Array]) -> None:
        self._memory: dict[str, Array] = {}
        self.arrays = {name: self._guard(name, array) for name, array in values.items()}
        self._before = self._bytes()

    def _guard(self, name: str, array: Array) -> Array:
        if not array.flags.c_contiguous or not array.flags.writeable:
            return array
        memory = np.full(array.nbytes + 2 * _GUARD, 0xFF, np.uint8)
        guarded = memory[_GUARD : _GUARD + array.nbytes].view(array.dtype).reshape(array.shape)
        guarded[...] = array
        self._memory[name] = memory
        return guarded

    def _bytes(self) -> dict[str, bytes]:
        return {
            name: self._memory.get(name, array).tobytes() for name, array in self.arrays.items()
        }

    def changed(self) -> list[str]:
        """Name the operands that do not hold, or are not surrounded by, what they were."""
        now = self._bytes()
        return [name for name, before in self._before.items() if now[name] != before]

    def shared(self, results: dict[str, Array]) -> list[tuple[str, str]]:
        """Name the results that share memory, each with the operand or result that it does with."""
        known = dict(self.arrays)
        found = []
        for result, array in results.items():
            found += [(result, name) for name in known if _shares(array, known[name])]
            known[result] = array
        return found


def _shares(one: Array, other: Array) -> bool:
    return one.size > 0 and other.size > 0 and bool(np.shares_memory(one, other))


def poison(shapes: dict[str, tuple[int, ...]], dtype: np.dtype[Any]) -> None:
    """Leave NaN in freed memory of these sizes.

    Whoever returns memory that it did not write is likely to return that.
    """
    for shape in shapes.values():
        for format_ in {dtype, np.dtype(np.float32), np.dtype(np.float64)}:
            np.full(shape, np.nan, format_)
