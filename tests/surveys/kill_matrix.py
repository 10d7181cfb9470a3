"""``python -m tests.surveys.kill_matrix``: judge every mutant; write what rejects it, how soon.

Two surveys: one in the default profile until each mutant's first failure, as a user would meet it,
and one to the end, of fewer cases, for all clauses and checks that notice. A third, with
``--rounds N``, judges every mutant N times with new seeds: a mutant that is rejected in some runs
alone was rejected by luck.
"""

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import conformance
from conformance import specification
from conformance.mutants import layer, operator, words
from tests.surveys.explained import KEPT, Row, kept


class Zoo(NamedTuple):
    """The mutants of a kind, and the name under which they are found."""

    prefix: str
    mutants: Mapping[str, type[object]]
    layer: bool


OPERATORS = Zoo("conformance.mutants:", operator.MUTANTS, layer=False)
LAYERS = Zoo("conformance.mutants.layer:", layer.MUTANTS, layer=True)
ZOOS = {"operator": OPERATORS, "layer": LAYERS}


def judge(zoo: Zoo, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Judge one mutant; what is reported is plain data."""
    report = conformance.check(zoo.prefix + name, layer=zoo.layer, **options)
    return report.as_dict()


def survey(zoo: Zoo, workers: int, **options: Any) -> dict[str, dict[str, Any]]:
    """Judge all mutants; reports by name."""
    names = list(zoo.mutants)
    with ProcessPoolExecutor(workers) as pool:
        reports = list(pool.map(_judge, [(zoo.layer, name, options) for name in names]))
    return dict(zip(names, reports, strict=True))


def _judge(asked: tuple[bool, str, dict[str, Any]]) -> dict[str, Any]:
    of_layers, name, options = asked
    return judge(LAYERS if of_layers else OPERATORS, name, options)


def _soon(asked: tuple[bool, str, bool]) -> tuple[bool, bool, float]:
    """Tell whether a mutant is rejected, whether in this process, and after how many seconds.

    It is judged in this process first, where all but what needs a process of its own is asked of
    it; what is not rejected there is judged as usual. What is known to need a process is judged
    as usual at once.
    """
    of_layers, name, needs_process = asked
    zoo, start = LAYERS if of_layers else OPERATORS, time.perf_counter()
    for one in (zoo.prefix + name,) if needs_process else (zoo.mutants[name], zoo.prefix + name):
        report = conformance.check(one, layer=zoo.layer, until_failure=True, diagnosis=False)
        if report.failures:
            return True, one is zoo.mutants[name], time.perf_counter() - start
    return False, False, time.perf_counter() - start


def row(zoo: Zoo, name: str, soon: Mapping[str, Any]) -> str:
    """One line of the table of first failures."""
    first = soon["failures"][0] if soon["failures"] else None
    judged = sum(one["judged"] for one in soon["checks"])
    cells = [
        f"`{name}`: {words(zoo.mutants[name])}",
        first["clause"] if first else "**survives**",
        first["tier"] if first else "",
        str(judged + 1) if first else "",
        f"{soon['seconds']:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def first_failures(zoo: Zoo, workers: int) -> list[str]:
    """Who rejects each mutant first, and how soon."""
    soon = survey(zoo, workers, until_failure=True, diagnosis=False)
    return [
        summary(soon),
        "",
        "| mutant | first rejected by | tier | after results | seconds |",
        "|---|---|---|---|---|",
        *(row(zoo, name, report) for name, report in soon.items()),
    ]


def summary(soon: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures above the table."""
    seconds = [report["seconds"] for report in soon.values()]
    killed = sum(bool(report["failures"]) for report in soon.values())
    return (
        f"{killed} of {len(soon)} mutants are rejected, after {statistics.median(seconds):.1f} s "
        f"in the median and {max(seconds):.1f} s at most."
    )


def matrix(zoo: Zoo, workers: int) -> list[str]:
    """Every clause that a mutant breaks; how many mutants each clause, and each check, rejects."""
    whole = survey(zoo, workers, profile="survey", diagnosis=False)
    failing = {
        name: [clause for clause, one in report["clauses"].items() if one["verdict"] == "fails"]
        for name, report in whole.items()
    }
    found = {clause for report in whole.values() for clause in report["clauses"]}
    judged = [number for number in specification.clauses() if number in found]
    clauses = Counter(clause for some in failing.values() for clause in some)
    checks = Counter({one["check"]: 0 for report in whole.values() for one in report["checks"]})
    checks.update(
        one["check"]
        for report in whole.values()
        for one in report["checks"]
        if one["outcome"] == "failed"
    )
    explained = kept(KEPT[zoo.layer])
    return [
        "| mutant | breaks | noticed by | explained | foretold |",
        "|---|---|---|---|---|",
        *(
            f"| `{name}` | {', '.join(some)} | "
            f"{', '.join(sorted({one['tier'] for one in whole[name]['failures']}))} | "
            f"{' | '.join(_explained(explained, name))} |"
            for name, some in failing.items()
        ),
        "",
        "| clause | mutants that break it |",
        "|---|---|",
        *(f"| {clause} | {clauses[clause]} |" for clause in judged),
        "",
        "| check | mutants that it rejects |",
        "|---|---|",
        *(f"| `{name}` | {number} |" for name, number in checks.items()),
    ]


def _explained(explained: Mapping[str, Row], name: str) -> tuple[str, str]:
    """Give the cells of what `tests.surveys.explained` has kept of a mutant."""
    row = explained.get(name)
    return (row.how, row.share) if row else ("not asked", "")


def again_and_again(zoo: Zoo, workers: int, rounds: int) -> list[str]:
    """How often each mutant is rejected, and after how many seconds at most."""
    killed, slowest = Counter[str](), Counter[str]()
    in_process: set[str] = set(zoo.mutants)
    with ProcessPoolExecutor(workers) as pool:
        for number in range(1, rounds + 1):
            asked = [(zoo.layer, name, name not in in_process) for name in zoo.mutants]
            found = pool.map(_soon, asked)
            for name, (rejected, here, seconds) in zip(zoo.mutants, found, strict=True):
                killed[name] += rejected
                in_process -= set() if here else {name}
                slowest[name] = max(slowest[name], seconds)
            missed = [name for name in zoo.mutants if killed[name] < number]
            print(f"round {number}: missed so far: {', '.join(missed) or 'none'}", flush=True)
    lucky = [name for name in zoo.mutants if killed[name] < rounds]
    return [
        f"{len(zoo.mutants) - len(lucky)} of {len(zoo.mutants)} mutants are rejected in each of "
        f"{rounds} runs of the default profile, {len(lucky)} are not; each seed is new.",
        "",
        "| mutant | rejected in | seconds at most |",
        "|---|---|---|",
        *(
            f"| `{name}` | {killed[name]} of {rounds} | {slowest[name]:.1f} |"
            for name in dict.fromkeys([*lucky, *(name for name, _ in slowest.most_common(10))])
        ),
    ]


def main() -> None:
    """Run the surveys and write their tables."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.surveys.kill_matrix", description=__doc__
    )
    parser.add_argument("--output", type=Path, default=Path("docs/tables"), help="a folder")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time")
    parser.add_argument("--rounds", type=int, help="judge every mutant so often, and that alone")
    parser.add_argument("tables", nargs="*", help="files to write; all by default")
    options = parser.parse_args()
    if options.rounds:
        for name, zoo in ZOOS.items():
            lines = again_and_again(zoo, options.workers, options.rounds)
            (options.output / f"{name}-rounds.md").write_text("\n".join(lines) + "\n")
        return
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
