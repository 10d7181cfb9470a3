"""The oracle beside an older one: ``python -m benchmarks.before_and_after --before=COMMIT``.

The older `refimpl` is taken from git and run under another name in the same process, call by call
in turn, so that both meet the same neighbours on the machine. Each figure is the median of the
ratios, older by newer: above 1 the newer one is faster (`interleaved`). Operands are standard
normals; results are not compared.
"""

import argparse
import importlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.interleaved import CLOCKS, in_turn, ratio
from benchmarks.workloads import WORKLOADS
from refimpl import geometry, involution

ROOT = Path(__file__).parents[1]
NAME = "refimpl_before"


class Problem(NamedTuple):
    """What is timed: x of (batch, size, size, channels), and the rest of a call."""

    name: str
    batch: int
    size: int
    channels: int
    groups: int
    taps: tuple[int, int]
    options: dict[str, Any]


def odd_problems() -> list[Problem]:
    """Strides, dilations, kernels from 1 to 11, one group and as many as channels, interleaved."""
    plain: dict[str, Any] = {"stride": 1}
    changes: list[tuple[str, int, int, int, dict[str, Any]]] = [
        *((f"stride {s}, {c} channels", 7, c, 4, {"stride": s}) for s in (2, 3) for c in (16, 64)),
        *((f"dilation {d}", 3, c, 4, {"dilation": d}) for d in (2, 5) for c in (16, 64)),
        *((f"kernel {k}", k, c, 4, plain) for k in (1, 3, 11) for c in (16, 64)),
        *((f"G = 1, {c} channels", 7, c, 1, plain) for c in (1, 3, 8, 20, 64)),
        *((f"G = C = {c}", 7, c, c, plain) for c in (8, 64)),
        *(
            (f"interleaved, {c} channels", 7, c, 4, {"group_layout": "interleaved"})
            for c in (16, 64)
        ),
        ("valid, stride 2, dilation 2", 3, 32, 4, {"stride": 2, "dilation": 2, "padding": "valid"}),
    ]
    large = [Problem(name, 4, 28, c, g, (k, k), options) for name, k, c, g, options in changes]
    tiny = [
        Problem(f"{size} x {size}, M = {m}", 64, size, 8 * m, 8, (3, 3), plain)
        for size in (1, 2, 4)
        for m in (1, 4, 16)
    ]
    return large + tiny


def shapes() -> list[Problem]:
    """The workloads of the benchmarks."""
    return [
        Problem(str(one), one.batch, one.size, one.channels, one.groups, (one.taps,) * 2, {})
        for one in WORKLOADS
    ]


def older(commit: str, folder: str) -> ModuleType:
    """Import `refimpl.involution` as it was, under another name."""
    command = ["git", "-C", str(ROOT), "archive", commit, "refimpl"]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    package = Path(folder, "refimpl").rename(Path(folder, NAME))
    for path in package.glob("*.py"):
        text = path.read_text()
        path.write_text(re.sub(r"(?m)^(\s*)(from|import) refimpl\b", rf"\1\2 {NAME}", text))
    sys.path.insert(0, folder)
    return importlib.import_module(f"{NAME}.involution")


def calls(problem: Problem, dtype: str) -> Callable[[ModuleType], dict[str, Callable[[], Any]]]:
    """Draw operands, and give what calls of an oracle are to be timed on them."""
    rng = np.random.default_rng(1)
    side = (problem.size, problem.size)
    o = problem.options
    pair = {name: (o.get(name, 1),) * 2 for name in ("stride", "dilation")}
    padding = o.get("padding", "same")
    axes = geometry.axes(side, problem.taps, pair["stride"], pair["dilation"], padding)
    grid = (problem.batch, axes[0].outputs, axes[1].outputs)
    x, kernel, dy = (
        rng.standard_normal(shape).astype(dtype)
        for shape in (
            (problem.batch, *side, problem.channels),
            (*grid, *problem.taps, problem.groups),
            (*grid, problem.channels),
        )
    )

    def of(oracle: ModuleType) -> dict[str, Callable[[], Any]]:
        return {
            "forward": lambda: oracle.forward(x, kernel, **o),
            "backward": lambda: oracle.backward(dy, x, kernel, **o),
        }

    return of


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", default="main", help="commit of the older oracle")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--odd", action="store_true", help="odd geometries, not the workloads")
    options = parser.parse_args()
    table = Table("problem", "dtype", "pass", "now [ms]", "before : now", "processors' time")
    with tempfile.TemporaryDirectory() as folder:
        before = older(options.before, folder)
        for problem in odd_problems() if options.odd else shapes():
            for dtype in ("float32", "float64"):
                of = calls(problem, dtype)
                old, new = of(before), of(involution)
                for name in new:
                    times = in_turn({"old": old[name], "new": new[name]}, options.rounds)
                    least = min(wall for wall, _ in times["new"])
                    medians = (str(ratio(times["old"], times["new"], clock)) for clock in CLOCKS)
                    figures = (f"{1e3 * least:.2f}", *medians)
                    table.add_row(problem.name, dtype, name, *figures)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
