"""What a process holds: memory, open files, threads (FWD-7).

Counted when it is asked for, and not compared here: that a number grows once says nothing.
"""

import ctypes
import functools
import gc
import os
from collections.abc import Callable
from pathlib import Path

# Where Linux lists what a process has; elsewhere it is not counted.
_LISTED = {"open files": "/proc/self/fd", "threads": "/proc/self/task"}
_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
           "fordblks", "keepcost")  # fmt: skip


class _Allocated(ctypes.Structure):
    """`struct mallinfo2` of the C library of Linux."""

    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def held() -> dict[str, int]:
    """Count what this process holds: bytes of "memory", "open files", "threads"."""
    # What waits to be collected is not kept.
    gc.collect()
    counted = {name: len(os.listdir(at)) for name, at in _LISTED.items() if Path(at).is_dir()}
    allocated = _allocated()
    return counted if allocated is None else counted | {"memory": allocated()}


@functools.cache
def _allocated() -> Callable[[], int] | None:
    """Find what counts the bytes that are allocated, and not those that were once."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return None
    ask.restype = _Allocated

    def count() -> int:
        found = ask()
        return int(found.uordblks + found.hblkhd)

    return count
