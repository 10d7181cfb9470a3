"""Times the operator of one framework beside others of it, and beside the oracle, call by call.

Each answers right before it is timed. What cannot be called, or answers wrong, is not timed: its
reason is kept in the place of its times. Meant for a process of its own (`children`), since Keras
has one backend in a process.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks import devices, handover
from benchmarks.interleaved import Times, in_turn
from benchmarks.memory import peak
from benchmarks.rivals import AWAITED, ORACLE, RIVALS, Call, Rival, check
from benchmarks.workloads import WORKLOADS, Operands, Workload

PASSES = {"forward": False, "forward+backward": True}
# Who is compared, by framework: those that a user of the framework would choose between.
COMPARED = {
    "tensorflow": ("operator-graph", "operator-xla", "published-graph"),
    "torch": (
        "operator-torch",
        "torch-unfold",
        "operator-torch-compiled",
        "torch-unfold-compiled",
    ),
    "jax": ("operator-jax-jit", "jax-conv-patches-jit"),
}
# Seconds: of a call that is not timed round by round, and of a forward pass after which both passes
# are not tried. XLA's gradient of patches by a convolution takes up to minutes on a CPU.
CALL, FORWARD = 20.0, 5.0


class TooSlow(Exception):  # noqa: N818 (it is right, and left out)
    """A call takes so long that the others would wait for it."""


def measure(
    framework: str, workload: str, rounds: int, seconds: float, compiled: bool = False
) -> dict[str, Any]:
    """Measure all rivals of a framework on a workload.

    Parameters
    ----------
    framework : str
        "tensorflow", "torch" or "jax".
    workload : str
        As the tables show it.
    rounds : int
        How often each is timed.
    seconds : float
        What the rounds of one pass may take: there are fewer where calls are slow, yet three.
    compiled : bool, default False
        Whether PyTorch's compiler is waited for.

    Returns
    -------
    dict
        By device and by pass what `measured` gives.
    """
    problem = next(one for one in WORKLOADS if str(one) == workload)
    operands = problem.operands()
    result: dict[str, Any] = {}
    for device in ["CPU:0", *devices.gpus(framework)]:
        result[device], slow = {}, dict[str, str]()
        for passes, backward in PASSES.items():
            rivals = [one for one in compared(framework, compiled) if one.name not in slow]
            one = measured(framework, rivals, operands, device, backward, rounds, seconds)
            one["failed"] |= slow
            result[device][passes] = one
            slow = too_slow(one["times"])
    return result


def too_slow(times: Mapping[str, Times]) -> dict[str, str]:
    """Say of whom both passes are not tried: who has taken too long for the forward pass."""
    taken = {name: min(wall for wall, _ in one) for name, one in times.items()}
    return {
        name: f"not tried, since a forward pass took {wall:.1f} s"
        for name, wall in taken.items()
        if wall > FORWARD
    }


def compared(framework: str, compiled: bool) -> list[Rival]:
    """Give who is compared in a framework, after the oracle."""
    named = {rival.name: rival for rival in (*RIVALS[framework], *AWAITED[framework])}
    return [
        named[name] for name in COMPARED[framework] if compiled or not name.endswith("-compiled")
    ]


def measured(
    framework: str,
    rivals: Sequence[Rival],
    operands: Operands,
    device: str,
    backward: bool,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """Give times, peaks of memory, first calls, and why what failed was not timed.

    On a GPU "copy" is timed among the others: `devices.copy`. The oracle stays on the host. On the
    host `handover.call` takes its turn, and has an entry of its own.
    """
    calls: dict[str, Callable[[], Any]] = {}
    first: dict[str, list[float]] = {}
    peaks: dict[str, int | None] = {}
    failed: dict[str, str] = {}
    for rival in (ORACLE, *rivals):
        where = "CPU:0" if rival is ORACLE else device
        try:
            call, first[rival.name] = _begun(rival, operands, backward, where)
            if rival is not ORACLE:
                peaks[rival.name] = peak(
                    framework, rival, operands, call, backward=backward, device=device
                )
        except Exception as error:  # whatever a compiler may raise: the others are timed
            failed[rival.name] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            continue
        calls[rival.name] = call
    if device != "CPU:0":
        calls["copy"] = devices.copy(framework, device)
    elif (handed := handover.call()) is not None:
        calls["handover"] = handed
    times = in_turn(calls, fewer(calls, rounds, seconds))
    result: dict[str, Any] = {"times": times, "peaks": peaks, "first": first, "failed": failed}
    if "handover" in times:
        result["handover"] = times.pop("handover")
    return result


def _begun(
    rival: Rival, operands: Operands, backward: bool, device: str
) -> tuple[Call, list[float]]:
    """Give a call that has answered right, and what the first one took by both clocks."""
    call = rival.call(operands, backward=backward, device=device)
    start, busy = time.perf_counter(), time.process_time()
    answer = call()
    took = [time.perf_counter() - start, time.process_time() - busy]
    check(rival, operands, answer)
    if took[0] > CALL:
        # The first call may have compiled; the next has not.
        start = time.perf_counter()
        call()
        if (wall := time.perf_counter() - start) > CALL:
            raise TooSlow(f"a call takes {wall:.0f} s")
    return call, took


def fewer(calls: Mapping[str, Callable[[], Any]], rounds: int, seconds: float) -> int:
    """Give the number of rounds that fit into some seconds, at least three of those asked for."""
    start = time.perf_counter()
    for call in calls.values():
        call()
    one = time.perf_counter() - start
    return max(min(rounds, 3), min(rounds, int(seconds / max(one, 1e-9))))


def floors(rounds: int) -> dict[str, Any]:
    """Time what nothing can be faster than: copying memory, and multiply-adds of float32.

    The copy is of 256 MB, by one thread and by as many as there are processors; the multiply-adds
    are those of a product of two matrices of 1024 x 1024, by NumPy's library and on its threads.
    """
    source = np.ones(devices.ELEMENTS, np.float32)
    target, matrix = np.empty_like(source), np.ones((1024, 1024), np.float32)
    parts = os.cpu_count() or 1
    pieces = list(zip(np.array_split(target, parts), np.array_split(source, parts), strict=True))
    with ThreadPoolExecutor(parts) as pool:
        calls = {
            "copy, one thread": lambda: np.copyto(target, source),
            "copy, all threads": lambda: list(pool.map(lambda pair: np.copyto(*pair), pieces)),
            "product": lambda: matrix @ matrix,
        }
        return in_turn(calls, rounds)


# Operations of the product.
MULTIPLIED = 2 * 1024**3


def shapes(only: str) -> list[Workload]:
    """Give the workloads whose name or shape has some text."""
    return [one for one in WORKLOADS if only in str(one)]
