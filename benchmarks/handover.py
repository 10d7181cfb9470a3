"""How long a value takes from one processor to another: whether the two share a cache just now.

Two threads, each held on a processor of its own, count in turn: each waits until it sees the
number that the other wrote. Measured on a virtual machine of two processors it took 45 to 75 ns,
and 160 to 210 for seconds or minutes at a time, when the host ran them on cores that share no
cache. What one thread then reads of what the other wrote comes from memory.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Handovers of a call. A thread is begun in each, which takes as long as a few thousand of them.
HANDOVERS = 100_000


def call() -> Callable[[], int] | None:
    """Give a call that makes `HANDOVERS` and returns their number; None with one processor."""
    if not hasattr(os, "sched_setaffinity"):  # threads cannot be held
        return None
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        return None
    here, there = sorted(allowed)[:2]
    turn = np.zeros(1, np.int64)
    _count(turn, 1, 0)

    def counted(processor: int, first: int) -> None:
        os.sched_setaffinity(0, {processor})  # of the calling thread
        _count(turn, first, HANDOVERS)

    def handed() -> int:
        turn[0] = 0
        other = threading.Thread(target=counted, args=(there, 1))
        other.start()
        try:
            counted(here, 0)
        finally:
            other.join()
            os.sched_setaffinity(0, allowed)
        return int(turn[0])

    return handed


@intrinsic  # type: ignore[untyped-decorator]
def _seen(_context: Any, array: Any) -> Any:
    """Read the first number as another thread may just have written it."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(data, "acquire", 8)

    return types.int64(array), build


@intrinsic  # type: ignore[untyped-decorator]
def _write(_context: Any, array: Any, _number: Any) -> Any:
    """Write the first number so that the other thread sees it."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0]).data
        builder.store_atomic(arguments[1], data, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64), build


@numba.njit("void(int64[::1], int64, int64)", nogil=True)  # type: ignore[untyped-decorator]
def _count(turn: Any, first: int, end: int) -> None:
    """Write every other number up to the end, each after the number before it."""
    for number in range(first, end, 2):
        while _seen(turn) != number:
            pass
        _write(turn, number + 1)
