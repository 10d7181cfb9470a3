"""``python -m tests.surveys.kill_matrix``.

judge every mutant and write what rejects it, and how soon.

Two surveys: one in the default profile until each mutant's first failure, as a user would meet it,
and one to the end, without shrinking, for all clauses that notice. It judges nothing itself.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from conformance import specification
from conformance.layers.mutants import LAYER_MUTANTS
from conformance.mutants import MUTANTS, words


class Zoo(NamedTuple):
    """A kind of mutants: the option that judges one, where they are, all of them."""

    option: str
    prefix: str
    mutants: Mapping[str, type[object]]


OPERATORS = Zoo("--implementation", "conformance.mutants:", MUTANTS)
LAYERS = Zoo("--layer", "conformance.layers.mutants:", LAYER_MUTANTS)
CHUNK = 8
UNTIL_FAILURE = ("--until-failure",)
TO_THE_END = ("--hypothesis-profile=survey", "--no-diagnosis")


def judge(
    names: list[str], *options: str, zoo: Zoo = OPERATORS, suite: str = "conformance"
) -> list[dict[str, Any]]:
    """Run the suite, or a file of it, on a few mutants in a process of their own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "pytest", suite, "-q", "--tb=no"]
        command += ["-p", "no:cacheprovider", f"--report={file.name}", *options]
        command += [f"{zoo.option}={zoo.prefix}{name}" for name in names]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        text = Path(file.name).read_text()
        if not text:
            raise RuntimeError(done.stdout + done.stderr)
        reports: list[dict[str, Any]] = json.loads(text)["implementations"]
        return reports


def survey(zoo: Zoo, workers: int, *options: str) -> dict[str, dict[str, Any]]:
    """Judge all mutants, a chunk to a process; reports by name."""
    names = list(zoo.mutants)
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        reports = [
            one for some in pool.map(lambda c: judge(c, *options, zoo=zoo), chunks) for one in some
        ]
    return {report["name"].removeprefix(zoo.prefix): report for report in reports}


def named(name: str, report: dict[str, Any]) -> bool:
    """Tell whether the first guess of the diagnosis is the planted fault."""
    return bool(report["diagnosis"]) and report["diagnosis"]["matches"][:1] == [name]


def row(zoo: Zoo, name: str, soon: dict[str, Any]) -> str:
    """One line of the table of first failures."""
    first = soon["failures"][0] if soon["failures"] else None
    cells = [
        f"`{name}`: {words(zoo.mutants[name])}",
        first["clause"] if first else "**survives**",
        first["tier"] if first else "",
        str(first["after"] + 1) if first else "",
        f"{soon['seconds']:.1f}",
        "yes" if named(name, soon) else "no",
    ]
    return "| " + " | ".join(cells) + " |"


def first_failures(zoo: Zoo, workers: int) -> list[str]:
    """Who rejects each mutant first, and how soon."""
    soon = survey(zoo, workers, *UNTIL_FAILURE)
    return [
        summary(soon),
        "",
        "| mutant | first rejected by | tier | after checks | seconds | named |",
        "|---|---|---|---|---|---|",
        *(row(zoo, name, report) for name, report in soon.items()),
    ]


def summary(soon: dict[str, dict[str, Any]]) -> str:
    """The figures above the table."""
    seconds = [report["seconds"] for report in soon.values()]
    killed = sum(not report["conforms"] for report in soon.values())
    right = sum(named(name, report) for name, report in soon.items())
    return (
        f"{killed} of {len(soon)} mutants are rejected, after {statistics.median(seconds):.1f} s "
        f"in the median and {max(seconds):.1f} s at most; the diagnosis names {right} of them at "
        "the first guess."
    )


def matrix(zoo: Zoo, workers: int) -> list[str]:
    """Every clause and tier that rejects a mutant, and how many mutants each clause rejects."""
    whole = survey(zoo, workers, *TO_THE_END)
    failing = {
        name: [clause for clause, one in report["clauses"].items() if one["verdict"] == "fails"]
        for name, report in whole.items()
    }
    found = {clause for report in whole.values() for clause in report["clauses"]}
    judged = [number for number in specification.clauses() if number in found]
    counts = Counter(clause for clauses in failing.values() for clause in clauses)
    return [
        "| mutant | rejected by | tiers |",
        "|---|---|---|",
        *(
            f"| `{name}` | {', '.join(clauses)} | "
            f"{', '.join(sorted({one['tier'] for one in whole[name]['failures']}))} |"
            for name, clauses in failing.items()
        ),
        "",
        "| clause | mutants that it rejects |",
        "|---|---|",
        *(f"| {clause} | {counts[clause]} |" for clause in judged),
    ]


def main() -> None:
    """Run the surveys and write their tables."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.surveys.kill_matrix", description=__doc__
    )
    parser.add_argument("--output", type=Path, default=Path("docs/tables"), help="a folder")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time")
    parser.add_argument("tables", nargs="*", help="files to write; all by default")
    options = parser.parse_args()
    surveys = {
        "layer-failures.md": (first_failures, LAYERS),
        "layer-kill-matrix.md": (matrix, LAYERS),
        "first-failures.md": (first_failures, OPERATORS),
        "kill-matrix.md": (matrix, OPERATORS),
    }
    for name in options.tables or surveys:
        write, zoo = surveys[name]
        (options.output / name).write_text("\n".join(write(zoo, options.workers)) + "\n")


if __name__ == "__main__":
    main()
