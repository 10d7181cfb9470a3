"""Tables for the documentation from a kept result, as Markdown. Nothing is measured here.

A cell is a figure as the table on the screen has it. "no" stands where its goal is missed, "?"
where the interval lies on both sides of it, and nothing where it is reached or has no goal.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.figures import Figure, figures
from benchmarks.operators import PASSES
from benchmarks.workloads import WORKLOADS

MARKS = {"no": " **no**", "perhaps": " ?"}
Columns = Mapping[str, str]
# By heading, the figure's name behind the shape and the pass.
TENSORFLOW: Columns = {
    "published : oracle": "published-graph by oracle",
    "XLA : oracle": "operator-xla by oracle",
    "published : graph": "published-graph by operator-graph",
    "published : XLA": "published-graph by operator-xla",
    "peak, graph": "operator-graph, peak memory by published-graph",
    "peak, XLA": "operator-xla, peak memory by published-graph",
    "compilation, s": "operator-xla, compilation, s",
    "handover, ns": "from processor to processor, ns",
}
OTHERS: Columns = {
    "unfold : PyTorch": "torch-unfold by operator-torch",
    "both compiled": "torch-unfold-compiled by operator-torch-compiled",
    "unfold : oracle": "torch-unfold by oracle",
    "peak, PyTorch": "operator-torch, peak memory by torch-unfold",
    "patches : JAX": "jax-conv-patches-jit by operator-jax-jit",
    "peak, JAX": "operator-jax-jit, peak memory by jax-conv-patches-jit",
}
FLOORS: Columns = {
    name: f"{name} by the floor, least times"
    for name in ("oracle", "operator-xla", "operator-graph", "published-graph", "operator-torch")
}
STEPS: Columns = {
    "ours, s": "ours, s",
    "published, s": "published, s",
    "published : ours": "published by ours",
    "peak, ours, MB": "ours, peak memory, MB",
    "peak, published, MB": "published, peak memory, MB",
    "first step, ours, s": "ours, first step, s",
    "first step, published, s": "published, first step, s",
}


def written(kept: Mapping[str, Any]) -> str:
    """Give all tables of a result, each under a heading."""
    found = {one.name: one for one in figures(kept)}
    places = [f"{one.name}, {passes}" for one in WORKLOADS for passes in PASSES]
    sections = {
        "The operator in TensorFlow, and the oracle": _table(found, places, TENSORFLOW, ": "),
        "In PyTorch and JAX": _table(found, places, OTHERS, ": "),
        "Times the floor": _table(found, places, FLOORS, ": "),
        "Other costs of the oracle": _listed(
            one for one in found.values() if one.name.startswith("oracle, ")
        ),
        "Odd geometries": _geometries(kept, found),
        "A step of training": _table(
            found, [f"training step, {name}" for name in kept.get("training", {})], STEPS, ", "
        ),
        "Operations of the graph": _profile(kept),
        "Time to a verdict": _listed(
            one for one in found.values() if one.name.startswith("verdict")
        ),
    }
    lines = [_surroundings(kept), ""]
    for heading, table in sections.items():
        if table:
            lines += [f"### {heading}", "", *table, ""]
    return "\n".join(lines)


def _surroundings(kept: Mapping[str, Any]) -> str:
    said = kept["surroundings"]
    versions = ", ".join(f"{name} {version}" for name, version in said["versions"].items())
    return (
        f"{said['date']}, {said['machine']}, a load of {said['load']:.1f} before it began, "
        f"{kept['rounds']} rounds. {versions}."
    )


def _cell(found: Mapping[str, Figure], name: str) -> str:
    one = found.get(name)
    return "" if one is None else f"{one.value}{MARKS.get(one.verdict, '')}"


def _rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    lines = [list(headings), ["---"] * len(headings), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _table(
    found: Mapping[str, Figure], places: Sequence[str], columns: Columns, between: str
) -> list[str]:
    """One line for each place that has any of the figures."""
    rows = []
    for place in places:
        cells = [_cell(found, f"{place}{between}{name}") for name in columns.values()]
        if any(cells):
            rows.append([place.removeprefix("training step, "), *cells])
    return _rows(["", *columns], rows)


def _listed(some: Iterator[Figure]) -> list[str]:
    rows = [[one.name, f"{one.value}{MARKS.get(one.verdict, '')}", one.goal] for one in some]
    return _rows(["figure", "median (95% interval)", "goal"], rows)


def _geometries(kept: Mapping[str, Any], found: Mapping[str, Figure]) -> list[str]:
    """Count what reaches its goal, and list what does not, or not surely."""
    own = [
        one
        for name, both in kept.get("geometries", {}).items()
        for passes in both
        if (one := found.get(f"{name}, {passes}: published-graph by oracle"))
    ]
    if not own:
        return []
    counts = Counter(one.verdict for one in own)
    reached = f"The oracle is at least as fast as published in {counts['yes']} of {len(own)}."
    missed = [one for one in own if one.verdict != "yes"]
    return [reached, "", *_listed(iter(missed))] if missed else [reached]


def _profile(kept: Mapping[str, Any]) -> list[str]:
    """Say of each graph which operations take its time, and at what speed they write."""
    rows = []
    for name, both in kept.get("profile", {}).items():
        for passes, one in both.items():
            parts = [
                f"{number:.0f} {operation} {seconds / one['seconds']:.0%}, "
                f"{wrote / max(seconds, 1e-9) / 1e9:.3g} GB/s"
                for operation, (number, seconds, wrote) in one["operations"].items()
            ]
            rows.append([f"{name}, {passes}", str(one["nodes"]), "; ".join(parts)])
    return _rows(["operator-graph", "nodes", "operations: part of the time, written"], rows)
