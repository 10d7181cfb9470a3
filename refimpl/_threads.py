"""Shares the rows of a result out among threads.

Plain Python threads over compiled loops that release the GIL, made anew for each call. numba's own
parallel loops are not used on purpose: their work queue aborts the process when two threads call at
once, and GNU OpenMP aborts a forked child.
"""

import ctypes
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numba.core.config

# Below this many multiply-adds for each thread starting them costs more than it saves: two take 0.2
# milliseconds (measured), in which one thread does as many.
_WORTH_A_THREAD = 1 << 20
# Below this many a chunk of rows takes half its time to fetch its memory (measured).
_WORTH_A_CHUNK = 1 << 22


# As variables, so that nothing but the processor computes with them.
_TINY, _ONE, _HALF_A_UNIT = 5e-324, 1.0, 2.0**-53
# More than any C library keeps of the processor's state, and what glibc takes for the usual state.
_STATE, _USUAL = 1024, ctypes.c_void_p(-1)


def _unusual() -> str:
    """Say how this thread's processor is set otherwise than NUM-5 needs it, if it is."""
    if _TINY * _ONE == 0.0:
        return f"takes subnormal numbers for zero ({_TINY!r} * {_ONE!r} gave 0.0)"
    above, below = _ONE + _HALF_A_UNIT, -_ONE - _HALF_A_UNIT
    if (above, below) != (1.0, -1.0) or _ONE + 1.5 * _HALF_A_UNIT == 1.0:
        return f"does not round to nearest (1.0 + 2**-53 gave {above!r}, -1.0 - 2**-53 {below!r})"
    return ""


@contextmanager
def usual_processor() -> Iterator[None]:
    """Let this thread round to nearest and keep subnormal numbers, and set it back afterwards.

    Threads that it makes begin as it is. Some libraries set a thread otherwise: those of
    TensorFlow's graphs, or any after ``torch.set_flush_denormal(True)``.

    Raises
    ------
    RuntimeError
        It is set otherwise, and this system has no way known here to change that: the answer would
        not be the exact sum, rounded once (NUM-5).
    """
    if not _unusual():
        yield
        return
    try:
        library = ctypes.CDLL("libm.so.6")
    except OSError:
        library = None
    kept = ctypes.create_string_buffer(_STATE)
    if library is not None:
        library.fegetenv(kept)
        library.fesetenv(_USUAL)
    try:
        if how := _unusual():
            raise RuntimeError(
                "NUM-5: the answer is the exact sum, rounded once to nearest, but this thread's "
                f"processor {how}, and here that cannot be changed. Something in this process has "
                "set it so, such as torch.set_flush_denormal(True)"
            )
        yield
    finally:
        if library is not None:
            library.fesetenv(kept)


def run_rows(loop: Callable[..., None], rows: int, work: int, *arguments: Any) -> None:
    """Call ``loop(first, last, *arguments)`` so that every row of ``range(rows)`` is covered once.

    Parameters
    ----------
    loop : callable
        Computes the rows ``first <= row < last`` of its result.
    rows : int
        Number of rows of the result.
    work : int
        Multiply-adds of the whole call.
    *arguments
        Passed on to `loop`.

    Raises
    ------
    RuntimeError
        As `usual_processor`.
    """
    with usual_processor():
        _run_rows(loop, rows, work, *arguments)


def _run_rows(loop: Callable[..., None], rows: int, work: int, *arguments: Any) -> None:
    # The variable that users of numba already set.
    allowed: int = numba.core.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    threads = min(allowed, rows, work // _WORTH_A_THREAD)
    if threads <= 1:
        loop(0, rows, *arguments)
        return
    # Four chunks a thread: a core that is busy with something else delays the call by less. But
    # each begins with memory and rows of operands of its own, which must be worth it.
    chunks = min(max(threads, work // _WORTH_A_CHUNK), 4 * threads, rows)
    bounds = [rows * chunk // chunks for chunk in range(chunks + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [
            pool.submit(loop, first, last, *arguments) for first, last in itertools.pairwise(bounds)
        ]:
            done.result()
