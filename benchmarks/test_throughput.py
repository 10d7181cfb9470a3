"""Times the oracle and its rivals on the same operands, forward and forward + backward.

A rival is timed only after the very call that is timed has given exactly what the oracle gives: the
operands are small integers, on which every order of summation is exact (NUM-1). How fast is fast
enough is not decided here.
"""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.rivals import ORACLE, Rival, check
from benchmarks.workloads import WORKLOADS, Operands, Workload

PASSES = {"forward": False, "forward+backward": True}

pytestmark = pytest.mark.parametrize("passes", PASSES)


@pytest.fixture(scope="module", params=WORKLOADS, ids=str)
def workload(request: pytest.FixtureRequest) -> Workload:
    """One workload; where nothing is timed its geometry alone matters, and one sample will do."""
    whole: Workload = request.param
    timed = not request.config.getoption("benchmark_disable")
    return whole if timed else replace(whole, batch=1)


@pytest.fixture(scope="module")
def operands(workload: Workload) -> Operands:
    """Operands that all rivals of a workload share."""
    return workload.operands()


def test_oracle(benchmark: Any, workload: Workload, operands: Operands, passes: str) -> None:
    """The oracle, on as many threads as numba is allowed."""
    measure(benchmark, ORACLE, workload, operands, passes, "CPU:0")


def test_rival(
    benchmark: Any, rival: Rival, workload: Workload, operands: Operands, passes: str, device: str
) -> None:
    """An operator on tensors, on each device of its framework."""
    measure(benchmark, rival, workload, operands, passes, device)


def measure(
    benchmark: Any, rival: Rival, workload: Workload, operands: Operands, passes: str, device: str
) -> None:
    """Check a rival's call, time it, and note what the time means."""
    backward = PASSES[passes]
    call = rival.call(operands, backward=backward, device=device)
    # The check warms up too: compilation, tracing and first-touched memory stay out of the times.
    check(rival, operands, call())
    benchmark.group = f"{workload}, {passes}, {device}"
    flops, traffic = workload.flops(backward=backward), workload.traffic(backward=backward)
    benchmark.extra_info.update(rival=rival.name, device=device, dtype="float32")
    benchmark.extra_info.update(group_layout=rival.group_layout, flops=flops, bytes=traffic)
    benchmark.pedantic(call, rounds=workload.rounds)
    if benchmark.enabled:
        # The least of the times, since other work on the machine can only add to one.
        least = benchmark.stats.stats.min
        benchmark.extra_info["GFLOP/s, from the minimum"] = flops / least / 1e9
        benchmark.extra_info["GB/s, from the minimum"] = traffic / least / 1e9
