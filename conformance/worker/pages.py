"""Memory between pages that nobody may touch: who reads past an end is stopped by the processor."""

import ctypes
import mmap
from typing import Any

import numpy as np

_NONE, _READ, _PAGE = 0, 1, mmap.PAGESIZE
PLACES = ("begins", "ends", "read-only")


def between_pages(size: int) -> Any:
    """Give whole pages of writeable memory, so many bytes at least, between two that are barred.

    Returns
    -------
    ndarray of uint8
        Where the operating system cannot bar pages, memory all the same.
    """
    inner = max(_PAGE, -(-size // _PAGE) * _PAGE)
    memory = np.frombuffer(mmap.mmap(-1, inner + 2 * _PAGE), np.uint8)
    _protect(memory[:_PAGE], _NONE)
    _protect(memory[-_PAGE:], _NONE)
    return memory[_PAGE:-_PAGE]


def make_read_only(pages: Any) -> None:
    """Bar whole pages from being written, whatever NumPy's flags say."""
    _protect(pages, _READ)


def _protect(pages: Any, mode: int) -> None:
    protect = getattr(ctypes.CDLL(None), "mprotect", None)
    if protect is not None:
        protect(ctypes.c_void_p(pages.ctypes.data), ctypes.c_size_t(pages.nbytes), mode)
