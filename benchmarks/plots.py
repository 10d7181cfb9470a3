"""The pictures of a kept result, each for a light page and for a dark one.

Matplotlib without a display. Everything is drawn from what was measured; what was not is left out.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.figures import arithmetic, bandwidth, least, slope
from benchmarks.operators import PASSES
from benchmarks.workloads import WORKLOADS

THEMES = ("light", "dark")
_INK = {"light": "#1b1f24", "dark": "#e6e6e6"}
_PAPER = {"light": "#ffffff", "dark": "#16191d"}
# Okabe and Ito's colours, which readers without full colour vision tell apart too. Yellow is too
# faint on white, and dark blue on black.
_COLOURS = {
    "light": ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#1b1f24", "#a07000", "#56b4e9"),
    "dark": ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#e6e6e6", "#f0e442", "#d55e00"),
}
_MARKERS = "os^Dvp*Xh<>"
# A picture draws on axes, in the colours of a theme.
Drawing = Callable[[Any, tuple[str, ...]], None]


def write(kept: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw what a result has, as ``<name>-<theme>.svg``.

    Returns
    -------
    list of Path
        The files, the same for the same result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, make in PICTURES.items():
        drawing = make(kept)
        if drawing is not None:
            written += [_drawn(folder / f"{name}-{theme}.svg", drawing, theme) for theme in THEMES]
    return written


def _drawn(path: Path, drawing: Drawing, theme: str) -> Path:
    ink, paper = _INK[theme], _PAPER[theme]
    inked = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink
    )
    papers = dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), paper)
    options: Any = {"svg.hashsalt": "refimpl", **inked, **papers}
    with mpl.rc_context(options):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        axes = figure.subplots()
        drawing(axes, _COLOURS[theme])
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        figure.savefig(path, metadata={"Date": None})
    return path


def roofline(kept: Mapping[str, Any]) -> Drawing | None:
    """Draw each rival's speed over operations for a byte, under what the machine allows."""
    if "floors" not in kept or not kept.get("operators"):
        return None
    moved, worked = bandwidth(kept), arithmetic(kept)
    found: dict[str, dict[tuple[float, float], float]] = {}
    for parts in kept["operators"].values():
        for problem in WORKLOADS:
            for passes, one in parts.get(str(problem), {}).get("CPU:0", {}).items():
                work = problem.flops(backward=PASSES[passes])
                place = (work / problem.traffic(backward=PASSES[passes]), work / 1e9)
                for name, times in one["times"].items():
                    # The oracle is timed beside the rivals of each framework: its best.
                    seconds = found.setdefault(name, {})
                    seconds[place] = min(least(times), seconds.get(place, np.inf))
    points = {
        name: [(x, work / seconds) for (x, work), seconds in one.items()]
        for name, one in found.items()
    }

    def draw(axes: Any, colours: tuple[str, ...]) -> None:
        most = max(x for one in points.values() for x, _ in one)
        x = np.geomspace(1, 2 * most, 50)
        roof = np.minimum(x * moved, worked) / 1e9
        axes.loglog(x, roof, color=colours[4], label="copy and product of matrices")
        for number, (name, one) in enumerate(points.items()):
            _scatter(axes, one, name, colours, number)
        axes.set(xlabel="operations for each byte that must move", ylabel="GFLOP/s")

    return draw


def work(kept: Mapping[str, Any]) -> Drawing | None:
    """Draw the oracle's time over four decades of work."""
    growth = kept.get("oracle", {}).get("growth")
    if not growth:
        return None

    def draw(axes: Any, colours: tuple[str, ...]) -> None:
        for number, (passes, times) in enumerate(growth.items()):
            points = [(float(one) / 2, least(found)) for one, found in times.items()]
            label = f"{passes}, slope {slope(times).median:.3f}"
            axes.loglog(*zip(*points, strict=True), f"{_MARKERS[number]}-", label=label)
            axes.lines[-1].set_color(colours[number])
        axes.set(xlabel="multiply-adds", ylabel="seconds")

    return draw


def threads(kept: Mapping[str, Any]) -> Drawing | None:
    """Draw how many times as fast the oracle is on several threads as on one."""
    counted = kept.get("oracle", {}).get("threads")
    if not counted:
        return None

    def draw(axes: Any, colours: tuple[str, ...]) -> None:
        counts = sorted({int(count) for times in counted.values() for count in times})
        axes.plot(counts, counts, "--", color=colours[4], label="as many times as threads")
        for number, (passes, times) in enumerate(counted.items()):
            one = least(times["1"])
            speeds = [one / least(times[str(count)]) for count in counts]
            axes.plot(counts, speeds, f"{_MARKERS[number]}-", color=colours[number], label=passes)
        axes.set(xlabel="threads", ylabel="times as fast as one thread", xticks=counts)
        axes.set_ylim(bottom=0)

    return draw


def memory(kept: Mapping[str, Any]) -> Drawing | None:
    """Draw what each rival holds beyond operands and results, by workload, both passes."""
    bars: dict[str, dict[str, float]] = {}
    for parts in kept.get("operators", {}).values():
        for problem in WORKLOADS:
            one = parts.get(str(problem), {}).get("CPU:0", {}).get("forward+backward")
            for name, held in (one or {"peaks": {}})["peaks"].items():
                if held:
                    bars.setdefault(name, {})[problem.name] = held / 1e6
    for workload, costs in kept.get("oracle", {}).get("memory", {}).items():
        if costs["held"].get("forward+backward"):
            held = costs["held"]["forward+backward"] / 1e6
            bars.setdefault("oracle", {})[workload.partition(" ")[0]] = held
    return _bars(bars, "MB beyond operands and results, both passes") if bars else None


def verdicts(kept: Mapping[str, Any]) -> Drawing | None:
    """Draw the seconds to a verdict, and those to the first failure."""
    found = kept.get("verdicts")
    if not found:
        return None
    bars: dict[str, dict[str, float]] = {"verdict": {}, "first failure": {}}
    for name, one in found.items():
        bars["verdict"][name] = one["seconds"]
        if "to the first failure" in one:
            bars["first failure"][name] = one["to the first failure"]
    return _bars({name: one for name, one in bars.items() if one}, "seconds", "linear")


def _bars(bars: Mapping[str, Mapping[str, float]], label: str, scale: str = "log") -> Drawing:
    """Give groups of bars, a colour for each name."""
    groups = list(dict.fromkeys(group for one in bars.values() for group in one))

    def draw(axes: Any, colours: tuple[str, ...]) -> None:
        width = 0.8 / len(bars)
        for number, (name, one) in enumerate(bars.items()):
            places = [groups.index(group) + width * (number - (len(bars) - 1) / 2) for group in one]
            hatch = "" if number < len(colours) else "//"
            axes.bar(
                places,
                list(one.values()),
                width,
                color=colours[number % len(colours)],
                hatch=hatch,
                label=name,
            )
        axes.set_xticks(range(len(groups)), groups, fontsize=8)
        axes.set_yscale(scale)
        axes.set_ylabel(label)

    return draw


def _scatter(
    axes: Any, points: list[tuple[float, float]], name: str, colours: tuple[str, ...], number: int
) -> None:
    axes.scatter(
        *zip(*points, strict=True),
        s=22,
        marker=_MARKERS[number % len(_MARKERS)],
        color=colours[number % len(colours)],
        label=name,
    )


PICTURES: Mapping[str, Callable[[Mapping[str, Any]], Drawing | None]] = {
    "roofline": roofline,
    "work": work,
    "threads": threads,
    "memory": memory,
    "verdicts": verdicts,
}
