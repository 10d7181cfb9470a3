"""Times the oracle and its rivals on the same operands, forward and forward + backward.

A rival is timed only after the very call that is timed has given exactly what the oracle gives: the
operands are small integers, on which every order of summation is exact (NUM-1). How fast is fast
enough is not decided here.
"""

import time
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import summary
from benchmarks.memory import peak
from benchmarks.operators import PASSES
from benchmarks.rivals import ORACLE, Rival, check
from benchmarks.workloads import WORKLOADS, Operands, Workload

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


def test_oracle(
    benchmark: Any,
    workload: Workload,
    operands: Operands,
    passes: str,
    request: pytest.FixtureRequest,
) -> None:
    """The oracle, on as many threads as numba is allowed."""
    measure(benchmark, request, ORACLE, workload, operands, passes)


def test_rival(
    benchmark: Any,
    framework: str,
    rival: Rival,
    workload: Workload,
    operands: Operands,
    passes: str,
    device: str,
    request: pytest.FixtureRequest,
) -> None:
    """An operator on tensors, on each device of its framework."""
    measure(benchmark, request, rival, workload, operands, passes, framework, device)


def measure(
    benchmark: Any,
    request: pytest.FixtureRequest,
    rival: Rival,
    workload: Workload,
    operands: Operands,
    passes: str,
    framework: str = "",
    device: str = "CPU:0",
) -> None:
    """Check a rival's call, time it, and note what the time means."""
    backward = PASSES[passes]
    call = rival.call(operands, backward=backward, device=device)
    # The check warms up too: compilation, tracing and first-touched memory stay out of the times.
    start = time.perf_counter()
    answer = call()
    first = time.perf_counter() - start
    check(rival, operands, answer)
    del answer
    benchmark.group = f"{workload}, {passes}, {device}"
    flops, traffic = workload.flops(backward=backward), workload.traffic(backward=backward)
    benchmark.extra_info.update(rival=rival.name, device=device, dtype="float32")
    benchmark.extra_info.update(group_layout=rival.group_layout, flops=flops, bytes=traffic)
    benchmark.pedantic(call, rounds=workload.rounds)
    if not benchmark.enabled:
        return
    held = None
    if framework:
        held = peak(framework, rival, operands, call, backward=backward, device=device)
    row = {"flops": flops, "bytes": traffic, "peak": held, "first call": first}
    # The least of the times, since other work on the machine can only add to one.
    row |= {"rival": rival.name, "group": benchmark.group, "seconds": benchmark.stats.stats.min}
    row |= summary.rates(row, request.getfixturevalue("allowed")(framework, device))
    request.getfixturevalue("rows").append(row)
    benchmark.extra_info.update(row)
