"""What the oracle costs besides its time on the workloads: memory, threads, and growth with work.

Each function gives plain data, and is meant for a process of its own (`children`), in which nothing
else holds memory. Nothing here is compared with another implementation.
"""

from collections.abc import Callable
from typing import Any
from unittest import mock

import numba.core.config

from benchmarks.interleaved import Times, in_turn
from benchmarks.memory import resident
from benchmarks.operators import PASSES
from benchmarks.rivals import ORACLE
from benchmarks.workloads import WORKLOADS, Workload

# Four decades of work, in steps of a quarter of one: multiply-adds grow with the pixels alone.
SIDES = tuple(round(16 * 10 ** (step / 8)) for step in range(0, 17, 2))


def memory(workload: str) -> dict[str, Any]:
    """Measure what each pass holds beyond operands and results, and how large a row is.

    A row is one of x, of the kernel and of y together, in float64, as the oracle holds it.
    """
    problem = _named(workload)
    operands = problem.operands()
    held: dict[str, int | None] = {}
    for passes, backward in PASSES.items():
        call = ORACLE.call(operands, backward=backward, device="CPU:0")
        results = sum(result.nbytes for result in call())
        grew = [resident(call) for _ in range(3)]
        held[passes] = None if None in grew else max(one or 0 for one in grew) - results
    row = 8 * problem.size * (2 * problem.channels + problem.taps**2 * problem.groups)
    return {"held": held, "row": row, "threads": _threads()}


def growth(rounds: int) -> dict[str, Any]:
    """Time both passes over four decades of work.

    The image is (1, S, S, 16), K is 7 and G is 1, so that 784 multiply-adds are made for a pixel.
    """
    result: dict[str, Any] = {}
    for passes, backward in PASSES.items():
        result[passes] = {}
        for side in SIDES:
            problem = Workload("growth", 1, side, channels=16, taps=7, groups=1, rounds=1)
            call = ORACLE.call(problem.operands(), backward=backward, device="CPU:0")
            result[passes][str(problem.flops(backward=backward))] = in_turn({"": call}, rounds)[""]
    return result


def threads(workload: str, rounds: int) -> dict[str, dict[str, Times]]:
    """Time both passes on one thread, two, four and so on, up to what numba is allowed."""
    operands, most = _named(workload).operands(), _threads()
    counts = [1 << power for power in range(most.bit_length()) if 1 << power < most] + [most]
    result = {}
    for passes, backward in PASSES.items():
        call = ORACLE.call(operands, backward=backward, device="CPU:0")
        result[passes] = in_turn({str(count): _on(count, call) for count in counts}, rounds)
    return result


def _on(count: int, call: Callable[[], Any]) -> Callable[[], Any]:
    def limited() -> Any:
        # The oracle reads the variable at each call.
        with mock.patch.object(numba.core.config, "NUMBA_NUM_THREADS", count):
            return call()

    return limited


def _threads() -> int:
    return int(numba.core.config.NUMBA_NUM_THREADS)


def _named(workload: str) -> Workload:
    return next(one for one in WORKLOADS if str(one) == workload)


def in_cache(rounds: int) -> dict[str, Any]:
    """Time one thread of the oracle where all that it reads stays in a core's own cache.

    Operands and results, (1, 16, 16, 256) with one group, are two megabytes at most: what its
    arithmetic takes when memory takes next to nothing.
    """
    problem = Workload("in cache", batch=1, size=16, channels=256, taps=7, groups=1, rounds=1)
    operands, result = problem.operands(), dict[str, Any]()
    for passes, backward in PASSES.items():
        call = ORACLE.call(operands, backward=backward, device="CPU:0")
        times = in_turn({"": _on(1, call)}, rounds)[""]
        result[passes] = {"times": times, "flops": problem.flops(backward=backward)}
    return result
