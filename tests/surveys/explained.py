"""``python -m tests.surveys.explained``: how many faults the explainer explains, and how truly.

An explanation uses no list of known faults, so that no entry has to be left out. Of each faulty
operator that the suite rejects it is asked whether the explanation foretold at least 95% of new
answers, whether it foretold all of them, and how long it took. Whether the condition that is said
is the true one is for a reader of the table to judge: the first column has the fault in words.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import conformance
from conformance.claims.loading import load
from conformance.diagnosis import asking, explainer
from conformance.judging.shrink import smallest
from conformance.kinds import LAYER, OPERATOR
from conformance.mutants import layer, operator
from conformance.mutants.guarded import guarded

TABLE = Path(__file__).parents[2] / "docs" / "tables" / "explained.md"


def faults(
    every: int, offset: int, seed: int | None, number: int, *, of_layers: bool = False
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Give the mutants, or operators or layers with generated faults, as what makes them anew."""
    if seed is None:
        yield from list((layer if of_layers else operator).MUTANTS.items())[offset::every]
        return
    for fault in guarded(seed, number, layer=of_layers):
        yield f"{fault.words} ({fault.fault})", _maker(fault)


def _maker(fault: Any) -> Callable[[], Any]:
    def make() -> Any:
        return type(fault)(fault.guards, fault.fault)

    return make


def main() -> None:
    """Explain each, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", action="store_true", help="layers in the place of operators")
    parser.add_argument("--every", type=int, default=1, help="take one mutant in so many")
    parser.add_argument("--offset", type=int, default=0, help="beginning with this one")
    parser.add_argument("--only", nargs="*", default=[], help="mutants of these names alone")
    parser.add_argument("--seed", type=int, help="generated faults instead of the mutants")
    parser.add_argument("--number", type=int, default=100, help="how many of them")
    parser.add_argument("--write", action="store_true", help="write docs/tables/explained.md")
    parser.add_argument("--seconds", type=float, help="for each")
    given = parser.parse_args()
    if given.seconds:
        asking.SECONDS = dict.fromkeys(asking.SECONDS, given.seconds)
    rows, times, every = [], [], 0
    kind = LAYER if given.layer else OPERATOR
    chosen = faults(given.every, given.offset, given.seed, given.number, of_layers=given.layer)
    for name, fault in chosen:
        if given.only and name not in given.only:
            continue
        report = conformance.check(
            fault, layer=given.layer, profile="ci", until_failure=True, diagnosis=False
        )
        if report.smallest is None:
            print(f"{name}: not rejected", flush=True)
            continue
        judged = load(fault, kind)
        shown = smallest(judged, report.failures)
        assert shown is not None
        start = time.process_time()
        case = kind.case.parse(shown.token)
        found = explainer.explained(judged, case, shown.check, report.failures)
        seconds = time.process_time() - start
        times.append(seconds)
        if found is None:
            rows.append((name, "nothing found", "", "", ""))
        else:
            how = ("exact" if found.exact else "condition") if found.certain else "hint"
            share = f"{found.foretold} of {found.asked}"
            every += found.certain and found.foretold == found.asked
            rows.append((name, how, share, "; ".join(found.what), "; ".join(found.when)))
        print(*rows[-1], f"{seconds:.1f} s of the processor", sep=" | ", flush=True)
    counts = Counter(row[1] for row in rows)
    said = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
    slow = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else 0.0
    summary = (
        f"{len(rows)} faults that were rejected: {said}; {every} foretell every new answer; "
        f"{statistics.median(times or [0.0]):.1f} s of the processor in the middle, {slow:.1f} s "
        "for 95% of them"
    )
    print(summary)
    if given.write:
        lines = [f"`python -m tests.surveys.explained {' '.join(sys.argv[1:])}`", "", summary, ""]
        lines += ["| fault | explained | foretold | what | when |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(part.replace('|', '/') for part in row)} |" for row in rows]
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
