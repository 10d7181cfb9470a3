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
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.geometries import Problem, odd, workloads
from benchmarks.interleaved import CLOCKS, in_turn, ratio
from refimpl import involution

ROOT = Path(__file__).parents[1]
NAME = "refimpl_before"


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
    rng, o = np.random.default_rng(1), problem.options
    x, kernel, dy = (rng.standard_normal(shape).astype(dtype) for shape in problem.shapes())

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
        for problem in odd() if options.odd else workloads():
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
