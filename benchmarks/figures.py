"""From what was measured to figures, each beside its goal. Nothing is measured here.

What is kept of a run is plain data: a part for each group of figures, as its module gives it. A
part that is missing has no figures. Goals are those that were asked for; a figure without one is
only told.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from benchmarks.devices import COPIED
from benchmarks.geometries import OURS, PUBLISHED
from benchmarks.handover import HANDOVERS
from benchmarks.interleaved import Ratio, Times, median, once, ratio
from benchmarks.operators import MULTIPLIED, PASSES
from benchmarks.profiles import EMPTY
from benchmarks.workloads import WORKLOADS, Workload

# How many times as fast as what is published: `slow` by `fast`, forward and both passes.
FASTER = {
    ("published-graph", "operator-graph"): (2.0, 2.5),
    ("published-graph", "operator-xla"): (8.0, 6.0),
    ("operator-xla", "oracle"): (1 / 1.5, 1.0),
    ("published-graph", "oracle"): (12.0, 8.0),
    ("torch-unfold", "operator-torch"): None,
    ("torch-unfold", "operator-torch-compiled"): None,
    ("torch-unfold-compiled", "operator-torch-compiled"): None,
    ("torch-unfold", "oracle"): None,
    ("jax-conv-patches-jit", "operator-jax-jit"): None,
    ("jax-conv-patches-jit", "oracle"): None,
}
# Whose memory is a part of whose, with the goal.
SMALLER = {
    "operator-graph": ("published-graph", 0.1),
    "operator-xla": ("published-graph", 0.1),
    "operator-torch": ("torch-unfold", None),
    "operator-torch-compiled": ("torch-unfold", None),
    "operator-jax-jit": ("jax-conv-patches-jit", None),
}
COMPILES = {"operator-xla": 3.0, "operator-torch-compiled": None, "operator-jax-jit": None}
# "A few" rows a thread is taken as this many.
FEW = 8.0
# The slope of logarithms is one where time is linear in the work; what a call costs besides makes
# it less, and only more than this would say that large problems are slower for their size.
LINEAR = 1.05


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


def figures(kept: Mapping[str, Any]) -> Iterator[Figure]:
    """Derive every figure from what was kept."""
    yield from _of_floors(kept)
    for framework, parts in kept.get("operators", {}).items():
        for workload in WORKLOADS:
            for device, both in parts.get(str(workload), {}).items():
                for passes, one in both.items():
                    yield from _of_operators(kept, framework, workload, device, passes, one)
    yield from _of_oracle(kept.get("oracle", {}))
    for name, both in kept.get("geometries", {}).items():
        for passes, times in both.items():
            for ours in OURS:
                value = ratio(times[PUBLISHED], times[ours])
                goal = 1.0 if ours == "oracle" else None
                yield Figure(f"{name}, {passes}: {PUBLISHED} by {ours}", value, goal)
    for name, one in kept.get("training", {}).items():
        yield from _of_training(name, one)
    for name, both in kept.get("profile", {}).items():
        for passes, one in both.items():
            yield from _of_profile(f"{name}, {passes}: operator-graph", one)
    for name, one in kept.get("verdicts", {}).items():
        yield from _of_verdict(name, one)


def gaps(kept: Mapping[str, Any]) -> Iterator[str]:
    """Say what was not measured, and why."""
    yield from (f"{name}: {why}" for name, why in kept.get("failed", {}).items())
    for framework, parts in kept.get("operators", {}).items():
        for workload, by_device in parts.items():
            for device, both in by_device.items():
                for passes, one in both.items():
                    for rival, why in one["failed"].items():
                        yield f"{workload}, {passes}, {device}, {rival}: {why}"
            if by_device and set(by_device) == {"CPU:0"}:
                yield f"{workload}, {framework} on a GPU: {framework} sees no GPU"
    for name, one in kept.get("training", {}).items():
        yield from (f"{name}, {layer}: {why}" for layer, why in one["failed"].items())


def bandwidth(kept: Mapping[str, Any]) -> float:
    """Give the bytes a second of the quicker of both copies."""
    copies = ("copy, one thread", "copy, all threads")
    return COPIED / min(least(kept["floors"][name]) for name in copies)


def arithmetic(kept: Mapping[str, Any]) -> float:
    """Give the operations a second of the float32 product."""
    return MULTIPLIED / least(kept["floors"]["product"])


def least(times: Times) -> float:
    """Give the least of the wall clock's times, which other programs can only add to."""
    return min(wall for wall, _ in times)


def slope(times: Mapping[str, Times]) -> Ratio:
    """Give the slope of the logarithm of least times over that of work, by Theil and Sen.

    The median of the slopes of all pairs, with its interval of 95%; no distribution is assumed.
    """
    from scipy.stats import theilslopes

    work = np.log([float(one) for one in times])
    seconds = np.log([least(one) for one in times.values()])
    found = theilslopes(seconds, work)
    return Ratio(float(found[0]), float(found[2]), float(found[3]))


def _of_floors(kept: Mapping[str, Any]) -> Iterator[Figure]:
    if "floors" not in kept:
        return
    for name in ("copy, one thread", "copy, all threads"):
        yield Figure(f"{name}, GB/s", once(COPIED / least(kept["floors"][name]) / 1e9))
    yield Figure("float32 product, GFLOP/s", once(arithmetic(kept) / 1e9))


def _of_operators(
    kept: Mapping[str, Any],
    framework: str,
    workload: Workload,
    device: str,
    passes: str,
    one: Mapping[str, Any],
) -> Iterator[Figure]:
    backward = PASSES[passes]
    where = f"{workload.name}, {passes}" + ("" if device == "CPU:0" else f", {device}") + ": "
    yield from _speeds(one, where, workload, backward, host=device == "CPU:0")
    yield from _costs(one, where, host=device == "CPU:0")
    moved = workload.traffic(backward=backward)
    if device != "CPU:0":
        # What the framework of this device copies in the same rounds.
        speeds = one["times"]["copy"]
        for name in one["times"]:
            if name not in {"copy", "oracle"}:
                part = _each(speeds, one["times"][name], moved / COPIED)
                yield Figure(f"{where}{name}, part of the copy's bandwidth", part)
        return
    if framework == "tensorflow" and "handover" in one:
        each = [1e9 * wall / HANDOVERS for wall, _ in one["handover"]]
        yield Figure(f"{where}from processor to processor, ns", median(each))
    floor = max(moved / bandwidth(kept), workload.flops(backward=backward) / arithmetic(kept))
    for name, times in one["times"].items():
        if name == "oracle" and framework != "tensorflow":
            continue  # the same figure, once more
        yield Figure(f"{where}{name} by the floor, least times", once(least(times) / floor))


def _each(slow: Times, fast: Times, factor: float) -> Ratio:
    found = ratio(slow, fast)
    return Ratio(*(factor * value for value in found))


def _speeds(
    one: Mapping[str, Any], where: str, workload: Workload, backward: bool, *, host: bool
) -> Iterator[Figure]:
    times = one["times"]
    for (slow, fast), goals in FASTER.items():
        if slow not in times or fast not in times:
            continue
        goal = goals[backward] if goals and host else None
        if goal and (slow, fast) == ("published-graph", "oracle") and not backward:
            # More is asked on the shape of the Keras example.
            goal = 20.0 if workload is WORKLOADS[0] else goal
        yield Figure(f"{where}{slow} by {fast}", ratio(times[slow], times[fast]), goal)
        if host:
            busy = ratio(times[slow], times[fast], "processors")
            yield Figure(f"{where}{slow} by {fast}, processors", busy)


def _costs(one: Mapping[str, Any], where: str, *, host: bool) -> Iterator[Figure]:
    peaks = one["peaks"]
    for name, held in peaks.items():
        if held is not None:
            yield Figure(f"{where}{name}, peak memory, MB", once(held / 1e6))
    for name, (other, goal) in SMALLER.items():
        if peaks.get(name) is not None and peaks.get(other):
            part = once(peaks[name] / peaks[other])
            yield Figure(
                f"{where}{name}, peak memory by {other}", part, at_most=goal if host else None
            )
    for name, goal in COMPILES.items():
        if name in one["first"]:
            wall, busy = one["first"][name]
            yield Figure(
                f"{where}{name}, compilation, s", once(wall), at_most=goal if host else None
            )
            yield Figure(f"{where}{name}, compilation, s, processors", once(busy))


def _of_oracle(one: Mapping[str, Any]) -> Iterator[Figure]:
    for workload, costs in one.get("memory", {}).items():
        for passes, held in costs["held"].items():
            if held is not None:
                rows = held / costs["row"] / costs["threads"]
                name = f"oracle, {workload}, {passes}: memory beyond operands and results"
                yield Figure(f"{name}, MB", once(held / 1e6))
                yield Figure(f"{name}, rows a thread", once(rows), at_most=FEW)
    goals = {("import", "warm"): 0.5, ("first call", "cold"): 8.0, ("first call", "warm"): 1.0}
    for call, states in one.get("first", {}).items():
        for (name, state), goal in goals.items():
            cache = "with its cache" if state == "warm" else "without a cache"
            value = once(states[state][name])
            yield Figure(f"oracle, {call}, {name} {cache}, s", value, at_most=goal)
    for passes, times in one.get("growth", {}).items():
        name = f"oracle, {passes}: slope of log time over log work, four decades"
        yield Figure(name, slope(times), at_most=LINEAR)
    for passes, times in one.get("threads", {}).items():
        for count in list(times)[1:]:
            name = f"oracle, {passes}: 1 thread by {count}"
            yield Figure(name, ratio(times["1"], times[count]))
    for passes, found in one.get("in cache", {}).items():
        speed = found["flops"] / least(found["times"]) / 1e9
        yield Figure(f"oracle, {passes}, in cache, one thread, GFLOP/s", once(speed))


def _of_training(name: str, one: Mapping[str, Any]) -> Iterator[Figure]:
    times, peaks = one["times"], one["peaks"]
    for layer, found in times.items():
        seconds = median([wall for wall, _ in found])
        yield Figure(f"training step, {name}, {layer}, s", seconds)
    if {"ours", "published"} <= set(times):
        for clock, said in (("wall", ""), ("processors", ", processors")):
            value = ratio(times["published"], times["ours"], clock)
            yield Figure(f"training step, {name}, published by ours{said}", value)
    for layer, held in peaks.items():
        if held is not None:
            yield Figure(f"training step, {name}, {layer}, peak memory, MB", once(held / 1e6))
    for layer, (wall, busy) in one["first"].items():
        yield Figure(f"training step, {name}, {layer}, first step, s", once(wall))
        yield Figure(f"training step, {name}, {layer}, first step, s, processors", once(busy))


def _of_profile(name: str, one: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure(f"{name}, nodes", once(one["nodes"]))
    nothing = one["nodes"] * least(one["empty"]) / EMPTY
    part = once(nothing / least(one["times"]))
    yield Figure(f"{name}, as many nodes that compute nothing, part of its time", part)
    for operation, (number, seconds, wrote) in one["operations"].items():
        said = f"{name}, {number:.0f} x {operation}"
        yield Figure(f"{said}, part of the nodes' time", once(seconds / one["seconds"]))
        yield Figure(f"{said}, GB/s written", once(wrote / max(seconds, 1e-9) / 1e9))


def _of_verdict(name: str, one: Mapping[str, float]) -> Iterator[Figure]:
    yield Figure(f"verdict on a {name}, s", once(one["seconds"]))
    if "to the first failure" in one:
        yield Figure(f"verdict on a {name}, first failure, s", once(one["to the first failure"]))
    speed = one["elements"] / one["seconds"]
    yield Figure(f"verdict on a {name}, elements judged a second", once(speed))
