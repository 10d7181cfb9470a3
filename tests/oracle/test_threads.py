"""The oracle's results are bit-equal from any thread, process and number of threads (NUM-7)."""

import ctypes
import multiprocessing
import os
import platform
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import numba.core.config
import numpy as np
import pytest

from refimpl import _threads, involution


def operands() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    shapes = ((2, 9, 8, 6), (2, 9, 8, 3, 3, 2), (2, 9, 8, 6))
    return tuple(rng.standard_normal(shape) for shape in shapes)


def results() -> bytes:
    x, kernel, dy = operands()
    parts = (involution.forward(x, kernel), *involution.backward(dy, x, kernel))
    return b"".join(part.tobytes() for part in parts)


@pytest.fixture(autouse=True)
def _every_call_uses_threads():
    """Small operands, yet worth a thread."""
    with (
        mock.patch.object(_threads, "_WORTH_A_THREAD", 1),
        mock.patch.object(numba.core.config, "NUMBA_NUM_THREADS", 4),
    ):
        yield


@pytest.mark.clause("NUM-7")
@pytest.mark.parametrize("threads", [1, 2, 3, 5, 64])
def test_any_number_of_threads(threads: int) -> None:
    expected = results()
    with mock.patch.object(numba.core.config, "NUMBA_NUM_THREADS", threads):
        assert results() == expected


@pytest.mark.clause("NUM-7")
def test_eight_threads_at_once() -> None:
    expected = results()
    with ThreadPoolExecutor(8) as pool:
        assert {future.result() for future in [pool.submit(results) for _ in range(40)]} == {
            expected
        }


@pytest.mark.clause("NUM-7")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# JAX, if another test of this process has imported it, warns of each fork where none can hear it.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function _at_fork:pytest.PytestUnraisableExceptionWarning"
)
def test_forked_child() -> None:
    expected = results()
    with warnings.catch_warnings():
        # Forking a process with threads is what is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert {pool.apply_async(results).get(timeout=120) for _ in range(4)} == {expected}


@pytest.mark.clause("NUM-7")
def test_another_process() -> None:
    script = "from tests.oracle.test_threads import results; print(results().hex())"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert run.stdout.strip() == results().hex()


def test_an_error_in_a_thread_is_raised() -> None:
    def broken(first: int, last: int) -> None:
        raise RuntimeError(f"rows {first} to {last}")

    with pytest.raises(RuntimeError, match="rows 0 to"):
        _threads.run_rows(broken, 8, 100)


def _flushing(libm: ctypes.CDLL, bits: int) -> None:
    """Set bits of MXCSR, which ends what x86's C library keeps of the processor."""
    kept = (ctypes.c_ubyte * 32)()
    libm.fegetenv(kept)
    register = int.from_bytes(bytes(kept)[28:], "little") | bits
    kept[28:] = list(register.to_bytes(4, "little"))
    libm.fesetenv(kept)


def answers(given: list[tuple[Any, ...]]) -> list[bytes]:
    """Call the oracle on operands that are made already: x, kernel and dy."""
    parts = [(involution.forward(x, k), *involution.backward(dy, x, k)) for x, k, dy in given]
    return [array.tobytes() for one in parts for array in one]


OTHERWISE = [
    # Subnormal operands count as zero, and subnormal results.
    (lambda libm: _flushing(libm, 0x40), "takes subnormal numbers for zero"),
    (lambda libm: _flushing(libm, 0x8000), "takes subnormal numbers for zero"),
    *(
        (lambda libm, mode=mode: libm.fesetround(mode), "does not round to nearest")
        for mode in (0x400, 0x800, 0xC00)  # down, up, towards zero
    ),
]


@pytest.mark.clause("NUM-5")
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="sets x86's own register"
)
@pytest.mark.parametrize(
    ("manner", "words"), OTHERWISE, ids=["operands", "results", "down", "up", "zero"]
)
def test_a_processor_that_is_set_otherwise_changes_nothing(manner: Any, words: str) -> None:
    """`torch.set_flush_denormal(True)` made float32 sums of subnormal numbers zero."""
    x, kernel, dy = operands()
    tiny = (x * 1e-40).astype(np.float32), kernel.astype(np.float32), dy.astype(np.float32)
    given = [(x, kernel, dy), tiny, (x * 1e-310, kernel, dy)]
    libm, expected = ctypes.CDLL("libm.so.6"), answers(given)
    manner(libm)
    try:
        said = _threads._unusual()
        found = answers(given)
        # It is set back as it was.
        assert _threads._unusual() == said
        with (
            mock.patch.object(_threads.ctypes, "CDLL", side_effect=OSError),
            pytest.raises(RuntimeError, match=words),
        ):
            answers(given)
    finally:
        libm.fesetenv(ctypes.c_void_p(-1))
    assert words in said
    assert found == expected
