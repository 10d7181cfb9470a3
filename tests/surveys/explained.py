"""``python -m tests.surveys.explained``: how many faults the explainer explains, and how truly.

An explanation uses no list of known faults, so that no entry has to be left out. Of each faulty
operator that the suite rejects it is asked whether the explanation foretold at least 95% of new
answers, whether it foretold all of them, and how long it took. Whether the condition that is said
is the true one is for a reader of the table to judge: the first column has the fault in words.

With ``--keep=FILE`` each result is kept as soon as it is there, and what is kept is not asked
again.
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import conformance
from conformance.claims.loading import load
from conformance.diagnosis import asking, explainer
from conformance.judging.shrink import smallest
from conformance.kinds import LAYER, OPERATOR
from conformance.mutants import layer, operator
from conformance.mutants.guarded import guarded

# Where the kill matrix looks for what came of its mutants, operators and layers.
KEPT = tuple(
    Path(__file__).parents[2] / "docs" / "tables" / f"explained-{kind}s.json"
    for kind in ("operator", "layer")
)
REJECTED_NOT = "not rejected"


class Row(NamedTuple):
    """What came of one fault.

    Attributes
    ----------
    how : str
        "exact" where answers are foretold, "condition" where it is whether they are right, "hint"
        where too little was foretold, "nothing found", or "not rejected".
    foretold, asked : int
        Of so many new answers so many were foretold.
    what, when : str
        The explanation.
    seconds : float
        Of a processor.
    """

    how: str
    foretold: int = 0
    asked: int = 0
    what: str = ""
    when: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, found: Any, seconds: float) -> Self:
        """Take what the explainer gave."""
        if found is None:
            return cls("nothing found", seconds=seconds)
        how = ("exact" if found.exact else "condition") if found.certain else "hint"
        what, when = "; ".join(found.what), "; ".join(found.when)
        return cls(how, found.foretold, found.asked, what, when, seconds)

    @property
    def certain(self) -> bool:
        """Whether it is no hint."""
        return self.how in {"exact", "condition"}

    @property
    def share(self) -> str:
        """How much was foretold, as the tables say it."""
        return f"{self.foretold} of {self.asked}" if self.asked else ""


def faults(
    every: int, offset: int, seed: int | None, number: int, *, of_layers: bool = False
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give the mutants, or operators or layers with generated faults, as what makes them anew."""
    if seed is None:
        yield from list((layer if of_layers else operator).MUTANTS.items())[offset::every]
        return
    for fault in list(guarded(seed, number, layer=of_layers))[offset::every]:
        yield f"{fault.words} ({fault.fault})", _maker(fault)


def _maker(fault: Any) -> Callable[[], Any]:
    def make() -> Any:
        return type(fault)(fault.guards, fault.fault)

    return make


def explained(fault: Callable[[], Any], *, of_layers: bool) -> Row:
    """Judge a fault until it fails, and explain what fails."""
    kind = LAYER if of_layers else OPERATOR
    report = conformance.check(
        fault, layer=of_layers, profile="ci", until_failure=True, diagnosis=False
    )
    if report.smallest is None:
        return Row(REJECTED_NOT)
    judged = load(fault, kind)
    shown = smallest(judged, report.failures)
    assert shown is not None
    start = time.process_time()
    case = kind.case.parse(shown.token)
    found = explainer.explained(judged, case, shown.check, report.failures)
    return Row.of(found, time.process_time() - start)


def kept(path: Path | None) -> dict[str, Row]:
    """Read what was kept."""
    if path is None or not path.exists():
        return {}
    return {name: Row(*row) for name, row in json.loads(path.read_text("utf-8")).items()}


def summary(rows: Sequence[Row]) -> str:
    """Count what came of those that were rejected."""
    rows = [row for row in rows if row.how != REJECTED_NOT]
    counts = Counter(row.how for row in rows)
    said = ", ".join(f"{how}: {count}" for how, count in counts.items())
    every = sum(row.certain and row.foretold == row.asked for row in rows)
    times = [row.seconds for row in rows]
    slow = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else 0.0
    return (
        f"{len(rows)} faults that were rejected: {said}; {every} foretell every new answer; "
        f"{statistics.median(times or [0.0]):.1f} s of the processor in the middle, {slow:.1f} s "
        "for 95% of them"
    )


def table(rows: Mapping[str, Row]) -> list[str]:
    """Give the table."""
    lines = [f"`python -m tests.surveys.explained {' '.join(sys.argv[1:])}`", ""]
    lines += [summary(list(rows.values())), ""]
    lines += ["| fault | explained | foretold | what | when |", "|---|---|---|---|---|"]
    for name, row in rows.items():
        cells = (name, row.how, row.share, row.what, row.when)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return lines


def main() -> None:
    """Explain each, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", action="store_true", help="layers in the place of operators")
    parser.add_argument("--every", type=int, default=1, help="take one fault in so many")
    parser.add_argument("--offset", type=int, default=0, help="beginning with this one")
    parser.add_argument("--only", nargs="*", default=[], help="mutants of these names alone")
    parser.add_argument("--seed", type=int, help="generated faults instead of the mutants")
    parser.add_argument("--number", type=int, default=100, help="how many of them")
    parser.add_argument("--keep", type=Path, help="keep each result here, and take what is kept")
    parser.add_argument("--write", type=Path, help="write a table of what came of each")
    parser.add_argument("--seconds", type=float, help="for each")
    given = parser.parse_args()
    if given.seconds:
        asking.SECONDS = dict.fromkeys(asking.SECONDS, given.seconds)
    rows = kept(given.keep)
    chosen = faults(given.every, given.offset, given.seed, given.number, of_layers=given.layer)
    for name, fault in chosen:
        if name in rows or (given.only and name not in given.only):
            continue
        rows[name] = row = explained(fault, of_layers=given.layer)
        cells = (name, row.how, row.share, row.what, row.when)
        print(*cells, f"{row.seconds:.1f} s of the processor", sep=" | ", flush=True)
        if given.keep:
            given.keep.write_text(json.dumps(rows, indent=0, ensure_ascii=False), "utf-8")
    print(summary(list(rows.values())))
    if given.write:
        given.write.write_text("\n".join(table(rows)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
