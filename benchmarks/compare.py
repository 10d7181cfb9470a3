"""Every figure that speed is measured by, beside its goal: ``python -m benchmarks.compare``.

The oracle, the Keras operator on TensorFlow as a graph and through XLA, and the published
formulation as a graph are called in turn on the workloads. Each answers right before it is timed.
``--write=FILE`` keeps the times, and ``--against=FILE`` says which figures differ from a kept
result by more than noise. Nothing is decided here but whether a figure is on its goal's side.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.interleaved import Ratio, Times, in_turn, once, ratio
from benchmarks.rivals import ORACLE, RIVALS, Call, Rival, check
from benchmarks.workloads import WORKLOADS, Workload

PASSES = {"forward": False, "forward+backward": True}
VERSIONS = ("numpy", "numba", "tensorflow", "keras")
ORACLES, GRAPH, XLA, PUBLISHED = "oracle", "operator-graph", "operator-xla", "published-graph"
OPERATORS = (GRAPH, XLA)
# Bytes read and written by a copy, and operations of a product, which stand for the floors.
_COPIED, _MULTIPLIED = 1 << 29, 2 * 1024**3
# How many times as fast as the published formulation, forward and both passes.
FASTER = {GRAPH: (2.0, 2.5), XLA: (8.0, 6.0)}


class Figure(NamedTuple):
    """One figure and its goal; without one it is only told."""

    name: str
    value: Ratio
    at_least: float | None = None
    at_most: float | None = None

    @property
    def goal(self) -> str:
        """The goal as the table shows it."""
        if self.at_least is not None:
            return f">= {self.at_least:.3g}"
        return "" if self.at_most is None else f"<= {self.at_most:.3g}"

    @property
    def verdict(self) -> str:
        """Whether it is reached; "perhaps" where the interval is on both sides of the goal."""
        if self.at_least is None and self.at_most is None:
            return ""
        low, high = self.value.low, self.value.high
        if self.at_most is not None:
            low, high = -high, -low
        goal = self.at_least if self.at_least is not None else -(self.at_most or 0)
        return "yes" if low >= goal else "no" if high < goal else "perhaps"


def rivals() -> dict[str, Rival]:
    """Give who is compared, by name."""
    named = {rival.name: rival for rival in (ORACLE, *RIVALS["tensorflow"])}
    return {name: named[name] for name in (ORACLES, GRAPH, XLA, PUBLISHED)}


def floors(rounds: int) -> dict[str, Times]:
    """Time what nothing can be faster than: copying memory, and multiply-adds of float32.

    The copy is of 256 MB by one thread; the multiply-adds are those of a product of two matrices of
    1024 x 1024, by NumPy's library and on its threads.
    """
    source = np.ones(_COPIED // 8, np.float32)
    target, matrix = np.empty_like(source), np.ones((1024, 1024), np.float32)
    calls = {"copy": lambda: np.copyto(target, source), "product": lambda: matrix @ matrix}
    return in_turn(calls, rounds)


def measured(workload: Workload, rounds: int) -> dict[str, Any]:
    """Time all rivals on a workload, and give their times, peaks of memory and compilations."""
    operands, result = workload.operands(), dict[str, Any]()
    for passes, backward in PASSES.items():
        calls: dict[str, Call] = {}
        first: dict[str, list[float]] = {}
        for name, rival in rivals().items():
            calls[name] = rival.call(operands, backward=backward, device="CPU:0")
            start, busy = time.perf_counter(), time.process_time()
            answer = calls[name]()
            first[name] = [time.perf_counter() - start, time.process_time() - busy]
            check(rival, operands, answer)
            del answer
        times = in_turn(calls, rounds)
        peaks = {name: peak(calls[name]) for name in (*OPERATORS, PUBLISHED)}
        result[passes] = {"times": times, "peaks": peaks, "first": first}
    return result


def peak(call: Call) -> int | None:
    """Give the bytes that a call held at its peak beyond operands and results; None if unknown."""
    import tensorflow as tf

    try:
        tf.config.experimental.reset_memory_stats("CPU:0")
    except ValueError:  # this TensorFlow does not count what it holds on a CPU
        return None
    before = tf.config.experimental.get_memory_info("CPU:0")["current"]
    results = call()
    most = tf.config.experimental.get_memory_info("CPU:0")["peak"]
    return int(most - before - sum(4 * np.prod(result.shape) for result in results))


def figures(kept: dict[str, Any]) -> Iterator[Figure]:
    """Derive every figure from what was measured."""
    copy, product = (least(kept["floors"][name]) for name in ("copy", "product"))
    yield Figure("copy, GB/s", once(_COPIED / copy / 1e9))
    yield Figure("float32 product, GFLOP/s", once(_MULTIPLIED / product / 1e9))
    for workload in WORKLOADS:
        for passes, backward in PASSES.items():
            if str(workload) not in kept["workloads"]:
                continue
            one = kept["workloads"][str(workload)][passes]
            where = f"{workload.name}, {passes}: "
            yield from _speeds(one, where, workload, backward)
            yield from _costs(one, where)
            moved, work = workload.traffic(backward=backward), workload.flops(backward=backward)
            floor = max(moved * copy / _COPIED, work * product / _MULTIPLIED)
            for name in (ORACLES, *OPERATORS):
                by = least(one["times"][name]) / floor
                yield Figure(f"{where}{name} by the floor, least times", once(by))


def _speeds(one: Any, where: str, workload: Workload, backward: bool) -> Iterator[Figure]:
    times = one["times"]
    first = workload is WORKLOADS[0]
    goals = {
        (XLA, ORACLES): 1.0 if backward else 1 / 1.5,
        (PUBLISHED, ORACLES): 8.0 if backward else 20.0 if first else 12.0,
        **{(PUBLISHED, name): FASTER[name][backward] for name in OPERATORS},
    }
    for (slow, fast), goal in goals.items():
        yield Figure(f"{where}{slow} by {fast}", ratio(times[slow], times[fast]), goal)
        busy = ratio(times[slow], times[fast], "processors")
        yield Figure(f"{where}{slow} by {fast}, processors", busy)


def _costs(one: Any, where: str) -> Iterator[Figure]:
    peaks = one["peaks"]
    for name in OPERATORS:
        if peaks[name] is not None and peaks[PUBLISHED]:
            part = peaks[name] / peaks[PUBLISHED]
            yield Figure(f"{where}{name}, peak memory", once(part), at_most=0.1)
    wall, busy = one["first"][XLA]
    yield Figure(f"{where}{XLA}, compilation, s", once(wall), at_most=3.0)
    yield Figure(f"{where}{XLA}, compilation, s, processors", once(busy))


def least(times: Times) -> float:
    """Give the least of the wall clock's times, which other programs can only add to."""
    return min(wall for wall, _ in times)


def surroundings() -> dict[str, Any]:
    """Say when and where this is."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text().splitlines()
        model = next((li.split(": ")[1] for li in lines if li.startswith("model name")), model)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} processors, {model}",
        "load": os.getloadavg()[0],
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in VERSIONS},
    }


def shown(kept: dict[str, Any], before: dict[str, Any] | None) -> Table:
    """Lay out the figures, beside those of a kept result."""
    table = Table("figure", "median (95% interval)", "goal", "reached")
    old: dict[str, Ratio] = {}
    if before is not None:
        table.add_column("before")
        table.add_column("more than noise")
        old = {figure.name: figure.value for figure in figures(before)}
    for one in figures(kept):
        row = [one.name, str(one.value), one.goal, one.verdict]
        if before is not None and one.name in old:
            row += [str(old[one.name]), "yes" if one.value.differs(old[one.name]) else "no"]
        table.add_row(*row)
    return table


def main() -> None:
    """Measure, or read what was measured, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="part of the names of workloads")
    parser.add_argument("--write", type=Path, help="keep the result, as JSON")
    parser.add_argument("--read", type=Path, help="measure nothing: show a kept result")
    parser.add_argument("--against", type=Path, help="a kept result to compare with")
    options = parser.parse_args()
    if options.read:
        kept = json.loads(options.read.read_text())
    else:
        kept = {"surroundings": surroundings(), "rounds": options.rounds, "workloads": {}}
        kept["floors"] = floors(options.rounds)
        for workload in WORKLOADS:
            if options.only in str(workload):
                kept["workloads"][str(workload)] = measured(workload, options.rounds)
    if options.write:
        options.write.write_text(json.dumps(kept))
    before = json.loads(options.against.read_text()) if options.against else None
    console = Console(width=140)
    console.print(kept["surroundings"])
    console.print(shown(kept, before))


if __name__ == "__main__":
    main()
