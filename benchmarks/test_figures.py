"""Figures from what was kept: names, goals, gaps, rates, and pictures. Nothing is timed."""

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pages, plots, summary
from benchmarks.compare import put, shown
from benchmarks.devices import COPIED
from benchmarks.figures import arithmetic, bandwidth, figures, gaps, slope
from benchmarks.geometries import OURS, PUBLISHED
from benchmarks.handover import HANDOVERS
from benchmarks.operators import MULTIPLIED, fewer, too_slow
from benchmarks.profiles import summed
from benchmarks.workloads import WORKLOADS

ROUNDS = 3
STATES = ("cold", "warm")
SURROUNDINGS = {
    "date": "today",
    "machine": "a machine",
    "load": 0.5,
    "versions": {"numpy": "1", "numba": "2"},
}
PROFILED = "a, forward: operator-graph"


def times(seconds: float) -> list[list[float]]:
    """Rounds that all took the same."""
    return [[seconds, 2 * seconds]] * ROUNDS


def passes(**seconds: float) -> dict[str, Any]:
    """Both passes of a workload, rivals by their times; the peaks are as many bytes as seconds."""
    named = {name.replace("_", "-"): one for name, one in seconds.items()}
    one = {
        "times": {name: times(value) for name, value in named.items()},
        "peaks": {name: 1000 * value for name, value in named.items() if name != "oracle"},
        "first": {name: [1.0, 0.5] for name in named},
        "failed": {},
    }
    return {"forward": one, "forward+backward": one}


def result() -> dict[str, Any]:
    """A result with each group, of round numbers."""
    first, both = str(WORKLOADS[0]), ("forward", "forward+backward")
    published = passes(oracle=0.5, operator_graph=2, operator_xla=1, published_graph=16)
    for one in published.values():
        one["handover"] = times(HANDOVERS * 30e-9)
    on_gpu = passes(oracle=1, operator_torch=2, torch_unfold=8, copy=1)
    on_gpu["forward"] = {**on_gpu["forward"], "failed": {"torch-unfold": "no memory"}}
    floors = {"copy, one thread": 2.0, "copy, all threads": 1.0, "product": 4.0}
    step = {"times": {"ours": times(1), "published": times(6)}, "failed": {}}
    step |= {"peaks": {"ours": 10, "published": 30}, "first": {"ours": [3.0, 1.0]}}
    odd = {PUBLISHED: times(3), **dict.fromkeys(OURS, times(1))}
    profile = {"times": times(4), "empty": times(2), "nodes": 1000, "seconds": 2.0}
    return {
        "floors": {name: times(one) for name, one in floors.items()},
        "operators": {
            "tensorflow": {first: {"CPU:0": published}},
            "torch": {first: {"CPU:0": passes(oracle=1, operator_torch=2), "GPU:0": on_gpu}},
        },
        "oracle": {
            "memory": {first: {"held": dict.fromkeys(both, 600), "row": 100, "threads": 2}},
            "first": {"forward": {state: {"import": 0.4, "first call": 5.0} for state in STATES}},
            "growth": {one: {str(10**n): times(2.0 * 10**n) for n in range(5, 9)} for one in both},
            "threads": {one: {"1": times(3), "2": times(2)} for one in both},
            "in cache": {one: {"times": times(2), "flops": 10**10} for one in both},
        },
        "geometries": {"1 x 1": {"forward": odd}},
        "training": {"classifier, graph": step},
        "profile": {"a": {"forward": {**profile, "operations": {"Mul": [10, 1.0, 10**9]}}}},
        "verdicts": {"wrong operator": {"seconds": 4, "elements": 100, "to the first failure": 2}},
    }


def by_name(kept: dict[str, Any]) -> dict[str, Any]:
    """Figures by their names, each of which there is once."""
    found = list(figures(kept))
    named = {one.name: one for one in found}
    assert len(named) == len(found)
    return named


@pytest.mark.parametrize(
    ("name", "value", "goal"),
    [
        ("copy, all threads, GB/s", COPIED / 1e9, ""),
        ("keras-example, forward: published-graph by oracle", 32, ">= 20"),
        ("keras-example, forward+backward: published-graph by oracle", 32, ">= 8"),
        ("keras-example, forward: published-graph by operator-graph", 8, ">= 2"),
        ("keras-example, forward: operator-xla by oracle", 2, ">= 0.667"),
        ("keras-example, forward: operator-xla, peak memory by published-graph", 1 / 16, "<= 0.1"),
        ("keras-example, forward: operator-xla, compilation, s", 1, "<= 3"),
        ("keras-example, forward: from processor to processor, ns", 30, ""),
        ("keras-example, forward+backward, GPU:0: torch-unfold by operator-torch", 4, ""),
        ("1 x 1, forward: published-graph by oracle", 3, ">= 1"),
        ("1 x 1, forward: published-graph by operator-xla", 3, ""),
        ("training step, classifier, graph, published by ours", 6, ""),
        ("training step, classifier, graph, ours, peak memory, MB", 1e-5, ""),
        ("oracle, forward, import with its cache, s", 0.4, "<= 0.5"),
        ("oracle, forward, first call without a cache, s", 5, "<= 8"),
        ("oracle, forward, first call with its cache, s", 5, "<= 1"),
        ("oracle, forward: slope of log time over log work, four decades", 1, "<= 1.05"),
        ("oracle, forward: 1 thread by 2", 1.5, ""),
        ("oracle, forward, in cache, one thread, GFLOP/s", 5, ""),
        (
            f"oracle, {WORKLOADS[0]}, forward: memory beyond operands and results, rows a thread",
            3,
            "<= 8",
        ),
        (
            "a, forward: operator-graph, as many nodes that compute nothing, part of its time",
            0.25,
            "",
        ),
        (f"{PROFILED}, 10 x Mul, part of the nodes' time", 0.5, ""),
        (f"{PROFILED}, 10 x Mul, GB/s written", 1, ""),
        ("verdict on a wrong operator, first failure, s", 2, ""),
        ("verdict on a wrong operator, elements judged a second", 25, ""),
    ],
)
def test_a_figure_and_its_goal(name: str, value: float, goal: str) -> None:
    """Of round numbers each figure is known."""
    one = by_name(result())[name]
    assert f"{one.value.median:.3g}" == f"{value:.3g}"
    assert one.goal == goal


def test_a_page_has_a_table_for_each_group_and_marks_what_is_missed() -> None:
    """The figures are those of the screen; what was not measured has no table."""
    text = pages.written(result() | {"surroundings": SURROUNDINGS, "rounds": 3})
    lines = text.splitlines()
    assert (
        lines[0] == "today, a machine, a load of 0.5 before it began, 3 rounds. numpy 1, numba 2."
    )
    assert len([line for line in lines if line.startswith("### ")]) == 7
    (own,) = [line for line in lines if line.startswith("| keras-example, forward | 32 |")]
    # published : oracle, XLA : oracle, published : graph and XLA, the two peaks,
    # compilation, from processor to processor.
    assert own == "| keras-example, forward | 32 | 2 | 8 | 16 | 0.125 **no** | 0.0625 | 1 | 30 |"
    assert "The oracle is at least as fast as published in 1 of 1." in lines
    assert "| a, forward | 1000 | 10 Mul 50%, 1 GB/s |" in lines
    empty = pages.written({"surroundings": SURROUNDINGS, "rounds": 3})
    assert "###" not in empty


def test_floors_are_the_larger_of_both_and_the_copy_is_the_quicker() -> None:
    """Bytes over the bandwidth of the copy, operations over the speed of the product."""
    kept = result()
    assert bandwidth(kept) == COPIED
    assert arithmetic(kept) == MULTIPLIED / 4
    problem = WORKLOADS[0]
    moved = problem.traffic(backward=False) / COPIED
    worked = 4 * problem.flops(backward=False) / MULTIPLIED
    due = 0.5 / max(moved, worked)
    got = by_name(kept)["keras-example, forward: oracle by the floor, least times"]
    assert str(got.value) == f"{due:.3g}"
    # On a GPU the copy of its own framework: the same bytes in 1 s, and the operator in 2 s.
    part = by_name(kept)[
        "keras-example, forward, GPU:0: operator-torch, part of the copy's bandwidth"
    ]
    assert part.value.median == moved / 2


def test_what_is_missing_has_no_figures_and_is_told() -> None:
    """An empty result has none; what failed, and a framework without a GPU, has a line."""
    assert list(figures({})) == []
    lines = list(gaps({**result(), "failed": {"a, b": "Killed"}}))
    first = str(WORKLOADS[0])
    assert lines == [
        "a, b: Killed",
        f"{first}, tensorflow on a GPU: tensorflow sees no GPU",
        f"{first}, forward, GPU:0, torch-unfold: no memory",
    ]


def test_a_kept_result_stands_beside_a_new_one() -> None:
    """Of each figure that both have it is said whether they differ by more than noise."""
    before = result()
    put(before, ("oracle", "threads", "forward", "2"), times(1))
    table = shown(result(), before)
    cells = [list(column.cells) for column in table.columns]
    noise = dict(zip(cells[0], cells[5], strict=True))
    assert noise["oracle, forward: 1 thread by 2"] == "yes"
    assert noise["oracle, forward+backward: 1 thread by 2"] == "no"


@pytest.mark.parametrize("power", [1, 1.5])
def test_the_slope_is_the_power(power: float) -> None:
    """One point that a neighbour has disturbed changes nothing: it is a median."""
    seconds = {str(10**n): times(3 * 10.0 ** (n * power)) for n in range(5, 10)}
    seconds[str(10**7)] = times(30 * 10.0 ** (7 * power))
    assert f"{slope(seconds).median:.6f}" == f"{power:.6f}"


def test_who_takes_too_long_is_left_out() -> None:
    """By the least of the times, with the reason."""
    slow = too_slow({"a": [[9.0, 0.0], [6.0, 0.0]], "b": [[9.0, 0.0], [1.0, 0.0]]})
    assert slow == {"a": "not tried, since a forward pass took 6.0 s"}
    calls = {"": lambda: None}
    assert [fewer(calls, rounds, 0.0) for rounds in (1, 9)] == [1, 3]
    assert fewer(calls, 9, 1e9) == 9


def test_operations_are_summed_by_kind() -> None:
    """Those that take the most time come first, and the others count in the sum."""
    nodes = [("Mul", 1.0, 10), ("Add", 3.0, 1), ("Mul", 1.5, 10)]
    nodes += [(f"{n}", 0.5, 0) for n in range(9)]
    got = summed(nodes)
    assert list(got["operations"])[:2] == ["Add", "Mul"]
    assert got["operations"]["Mul"] == [2, 2.5, 20]
    assert (got["nodes"], got["seconds"], len(got["operations"])) == (12, 10.0, 5)


def test_rates_stand_beside_the_published_formulation() -> None:
    """The quickest first; parts of what the machine allows."""
    machine = {"copy": 4e9, "product": 8e9}
    rows = []
    for rival, seconds in (("published-graph", 2.0), ("oracle", 0.5)):
        row: dict[str, Any] = {"rival": rival, "group": "g", "seconds": seconds}
        row |= {"flops": 2e9, "bytes": 1e9, "peak": None, "first call": 1.0}
        rows.append(row | summary.rates(row, machine))
    (table,) = summary.tables(rows)
    cells = zip(*(column.cells for column in table.columns), strict=True)
    assert list(cells) == [
        ("oracle", "500", "4", "4", "50%", "2", "50%", "", "1"),
        ("published-graph", "2000", "1", "1", "12%", "0.5", "12%", "", "1"),
    ]


def test_each_picture_is_drawn_light_and_dark(tmp_path: Path) -> None:
    """The same files for the same result, with the names of what they show."""
    written = plots.write(result(), tmp_path / "once")
    assert [path.name for path in written] == [
        f"{name}-{theme}.svg" for name in plots.PICTURES for theme in plots.THEMES
    ]
    again = plots.write(result(), tmp_path / "twice")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
    light, dark = (path.read_text() for path in written[:2])
    assert light != dark
    # Points of each rival, in the picture and in its legend; letters are drawn as outlines.
    drawn = re.findall('id="PathCollection_[0-9]+"', light)
    assert len(drawn) == 2 * len(("oracle", "graph", "xla", "published", "torch"))


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    """A result of one group has one picture."""
    kept = {"verdicts": result()["verdicts"]}
    assert [path.name for path in plots.write(kept, tmp_path)] == [
        "verdicts-light.svg",
        "verdicts-dark.svg",
    ]
