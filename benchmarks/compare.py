"""Every figure that speed is measured by, beside its goal: ``python -m benchmarks.compare``.

Each group of figures is measured in processes of its own, one after the other: the operator in
TensorFlow, PyTorch and JAX beside the oracle and what is published, the oracle's other costs, odd
geometries, a step of training, a profile of a graph, and the time to a verdict. ``--write=FILE``
keeps what was measured, after each process, and ``--against=FILE`` says which figures differ from a
kept result by more than noise. Nothing is decided here but whether a figure is on its goal's side.
"""

import argparse
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import children, compile_time, devices, pages
from benchmarks.figures import figures, gaps
from benchmarks.memory import NOTHING_KEPT
from benchmarks.operators import COMPARED, floors, shapes
from benchmarks.training import MODELS, MODES
from benchmarks.verdicts import JUDGED

if TYPE_CHECKING:
    from benchmarks.interleaved import Ratio

VERSIONS = ("numpy", "numba", "tensorflow", "keras", "torch", "jax", "matplotlib", "scipy")
GROUPS = (
    "tensorflow",
    "torch",
    "jax",
    "compiled",
    "oracle",
    "geometries",
    "training",
    "profile",
    "verdicts",
)
# Seconds that a part may take. Compilers take minutes for a network, and have no end of their own.
LONGEST = 1800.0
# Messages of TensorFlow and of XLA, and memory that JAX would take before it needs any.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


class Part(NamedTuple):
    """One measurement: where it is kept, and how it is made."""

    place: tuple[str, ...]
    make: Callable[[], Any]


def parts(options: argparse.Namespace) -> Iterator[Part]:
    """Give all measurements that are asked for, in the order in which they are made."""
    asked, rounds, limit = set(options.groups), options.rounds, options.seconds
    timed: dict[str, Any] = {"rounds": rounds, "seconds": limit}
    yield Part(("floors",), lambda: floors(rounds))
    for framework, workload in itertools.product(COMPARED, map(str, shapes(options.only))):
        if framework in asked and devices.installed(framework):
            arguments = {"framework": framework, "workload": workload, **timed}
            arguments["compiled"] = "compiled" in asked
            yield _child(
                ("operators", framework, workload), "operators:measure", arguments, framework
            )
    if "oracle" in asked:
        yield from _of_oracle(options)
    if "geometries" in asked:
        yield _child(("geometries",), "geometries:measure", {"rounds": rounds})
    if "training" in asked:
        for model, mode in itertools.product(MODELS, MODES):
            arguments = {"model": model, "mode": mode, **timed}
            yield _child(("training", f"{model}, {mode}"), "training:measure", arguments)
    if "profile" in asked:
        for one in shapes(options.only):
            arguments = {"workload": str(one), "rounds": min(rounds, 3)}
            yield _child(("profile", one.name), "profiles:measure", arguments)
    if "verdicts" in asked:
        for judged in JUDGED:
            yield _child(("verdicts", judged), "verdicts:measure", {"judged": judged})


def _of_oracle(options: argparse.Namespace) -> Iterator[Part]:
    chosen, rounds = [str(one) for one in shapes(options.only)], {"rounds": options.rounds}
    for workload in chosen:
        place, arguments = ("oracle", "memory", workload), {"workload": workload}
        yield _child(place, "oracle_costs:memory", arguments, environment=NOTHING_KEPT)
    for direction, channels in compile_time.CALLS:
        name = f"{direction}, {channels} channels a group"
        arguments = {"dtype": "float32", "direction": direction, "channels": channels}
        yield Part(("oracle", "first", name), _bound(compile_time.cold_and_warm, arguments))
    yield _child(("oracle", "growth"), "oracle_costs:growth", rounds)
    if chosen:
        arguments = {"workload": chosen[0], **rounds}
        yield _child(("oracle", "threads"), "oracle_costs:threads", arguments)
    yield _child(("oracle", "in cache"), "oracle_costs:in_cache", rounds)


def _child(
    place: tuple[str, ...],
    function: str,
    arguments: Mapping[str, Any],
    backend: str = "tensorflow",
    environment: Mapping[str, str] | None = None,
) -> Part:
    variables = {**QUIET, "KERAS_BACKEND": backend, **(environment or {})}
    where = f"benchmarks.{function}"
    return Part(place, lambda: children.run(where, arguments, variables, timeout=LONGEST))


def _bound(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Callable[[], Any]:
    return lambda: function(**arguments)


def measure(options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Make all measurements, and keep each as soon as it is there."""
    kept: dict[str, Any] = {"surroundings": surroundings(), "rounds": options.rounds, "failed": {}}
    for part in parts(options):
        start, name = time.perf_counter(), ", ".join(part.place)
        try:
            put(kept, part.place, part.make())
        except children.Failed as error:
            kept["failed"][name] = str(error)
        say(f"{time.perf_counter() - start:6.0f} s  {name}")
        if options.write:
            options.write.write_text(json.dumps(kept))
    return kept


def put(kept: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    """Keep a value under a path of names."""
    *outer, last = place
    for name in outer:
        kept = kept.setdefault(name, {})
    kept[last] = value


def surroundings() -> dict[str, Any]:
    """Say when and where this is."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text().splitlines()
        model = next((li.split(": ")[1] for li in lines if li.startswith("model name")), model)
    versions = {"python": platform.python_version()}
    for name in VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} processors, {model}",
        "load": os.getloadavg()[0],
        "versions": versions,
    }


def shown(kept: Mapping[str, Any], before: Mapping[str, Any] | None) -> Table:
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


def asked() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=60, help="for the rounds of one pass")
    parser.add_argument("--only", default="", help="part of the names of workloads")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=GROUPS)
    parser.add_argument("--without", nargs="+", choices=GROUPS, default=[])
    parser.add_argument("--write", type=Path, help="keep the result, as JSON")
    parser.add_argument("--read", type=Path, help="measure nothing: show a kept result")
    parser.add_argument("--against", type=Path, help="a kept result to compare with")
    parser.add_argument("--plots", type=Path, help="a folder for the pictures")
    parser.add_argument("--page", type=Path, help="a file for tables in Markdown")
    options = parser.parse_args()
    options.groups = [group for group in options.groups if group not in options.without]
    return options


def loaded(path: Path | None) -> dict[str, Any] | None:
    """Read a kept result."""
    return None if path is None else dict(json.loads(path.read_text()))


def main() -> None:
    """Measure, or read what was measured, and print the table."""
    options, console = asked(), Console(width=140)
    kept = loaded(options.read) or measure(options, console.print)
    before = loaded(options.against)
    console.print(kept["surroundings"])
    console.print(shown(kept, before))
    for line in gaps(kept):
        console.print("not measured:", line, markup=False)
    if options.page:
        options.page.write_text(pages.written(kept))
    if options.plots:
        from benchmarks import plots

        for path in plots.write(kept, options.plots):
            console.print(path)


if __name__ == "__main__":
    main()
