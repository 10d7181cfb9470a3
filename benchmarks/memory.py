"""What a call holds at its peak, beyond its operands and results, by whoever counts it honestly.

TensorFlow counts what it holds on each device. PyTorch's profiler notes each block that is taken
and given back on a CPU, and its allocator counts those on a GPU. XLA says for JAX how much a
program holds for what it computes on the way. Of the oracle, whose memory nobody counts, the
operating system tells the most that the process held (`resident`).
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.devices import torch_device
from benchmarks.rivals import Call, Rival, Runner
from benchmarks.workloads import Operands

_PROCESS = Path("/proc/self")
# With these, memory that is given back goes to the system at once, and is no longer resident.
NOTHING_KEPT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}


def peak(
    framework: str, rival: Rival, operands: Operands, call: Call, *, backward: bool, device: str
) -> int | None:
    """Give the bytes that a call on a device holds at its peak; None if nobody counts them."""
    if framework == "tensorflow":
        return of_tensorflow(call, device)
    if framework == "torch":
        return _of_torch_cpu(call) if device == "CPU:0" else _of_torch_gpu(call, device)
    assert isinstance(rival.prepare, Runner)
    return _of_jax(*rival.prepare.bound(operands, backward, device, rival.options()))


def of_tensorflow(call: Callable[[], Any], device: str = "CPU:0") -> int | None:
    """Give TensorFlow's own count, less what is there before and the arrays that are returned."""
    import tensorflow as tf

    try:
        tf.config.experimental.reset_memory_stats(device)
    except ValueError:  # this TensorFlow does not count what it holds on a CPU
        return None
    before = tf.config.experimental.get_memory_info(device)["current"]
    results = call()
    most = tf.config.experimental.get_memory_info(device)["peak"]
    return int(most - before - sizes(results))


def sizes(results: Iterable[Any]) -> int:
    """Give the bytes of results, all of float32."""
    return sum(4 * int(np.prod(result.shape)) for result in results)


def highest(changes: Iterable[int]) -> int:
    """Give the most that is held, where blocks are taken (above zero) and given back (below)."""
    held = most = 0
    for change in changes:
        held += change
        most = max(most, held)
    return most


def _of_torch_cpu(call: Call) -> int:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        results = call()
    events = profiler.profiler.kineto_results.events()
    changes = (event.nbytes() for event in events if event.name() == "[memory]")
    return highest(changes) - sizes(results)


def _of_torch_gpu(call: Call, device: str) -> int:
    import torch

    name = torch_device(device)
    torch.cuda.reset_peak_memory_stats(name)
    before = torch.cuda.memory_allocated(name)
    results = call()
    return int(torch.cuda.max_memory_allocated(name) - before - sizes(results))


def _of_jax(function: Callable[..., Any], tensors: tuple[Any, ...]) -> int | None:
    import jax

    analysis = jax.jit(function).lower(*tensors).compile().memory_analysis()
    return None if analysis is None else int(analysis.temp_size_in_bytes)


def resident(call: Callable[[], Any]) -> int | None:
    """Give the bytes by which the process grew at its peak during a call; None where not Linux.

    Results are counted in. The kernel counts in portions of some pages for each thread.
    """
    marks = _PROCESS / "clear_refs"
    if not marks.exists():
        return None
    call()
    # Ends of threads are noticed a moment later.
    time.sleep(0.1)
    before = _status("VmRSS")
    marks.write_text("5")  # the highest is what is held now
    results = call()
    most = _status("VmHWM")
    del results
    return most - before


def _status(name: str) -> int:
    line = next(li for li in (_PROCESS / "status").read_text().splitlines() if li.startswith(name))
    return 1024 * int(line.split()[1])
