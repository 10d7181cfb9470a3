"""``python -m tests.surveys.campaign operator`` or ``layer``: count false alarms.

A campaign (``python -m conformance campaign``) over every correct implementation of
`tests.opponents`, all on the same cases. A case counts once for each implementation, with all
of its results. Any alarm is false. With ``--mutants`` the same command judges those that are
wrong, and what is counted is how many of them it finds, and with which case.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conformance.campaign import command
from conformance.claims.formats import FORMATS
from conformance.judging.kind import Kind
from conformance.kinds import LAYER, OPERATOR
from conformance.mutants import layer, operator
from tests.opponents.right_layers import RIGHT_LAYERS
from tests.opponents.right_operators import RIGHT

# Beside the opponents: what is shipped and right.
SHIPPED = {
    OPERATOR: ("refimpl.involution",),
    LAYER: ("refimpl.layer", "conformance.implementations.layer.keras_layer:eager"),
}


def right(kind: Kind, *, shipped: bool = True) -> list[str]:
    """Name all that is judged."""
    own = (RIGHT if kind is OPERATOR else RIGHT_LAYERS).values()
    names = [f"{one.__module__}:{one.__qualname__}" for one in own]
    return [*names, *(SHIPPED[kind] if shipped else ())]


def run(
    kind: Kind, cases: int, seed: int, names: list[str], folder: Path, workers: int | None = 0
) -> dict[str, Any]:
    """Run a campaign in which about so many cases are judged; its merged report."""
    drawn = max(1, round(cases / len(names)))
    job = {"option": kind.option, "implementations": names, "seed": seed, "cases": drawn,
           "size": min(drawn, 500), "timeout": None, "memory": None}  # fmt: skip
    return command.run(job, folder, workers)


# So many mutants are judged at a time: each has a process of its own.
_AT_A_TIME = 20


def found_by(
    kind: Kind, drawn: int, seed: int, names: list[str], folder: Path, workers: int | None = 0
) -> dict[str, tuple[int, str]]:
    """Run campaigns over faulty implementations, all on the same cases.

    Returns
    -------
    dict of str to (int, str)
        Of each that is found the number of the first case that shows it, and the clause.
    """
    found: dict[str, tuple[int, str]] = {}
    for first in range(0, len(names), _AT_A_TIME):
        some = names[first : first + _AT_A_TIME]
        report = run(kind, drawn * len(some), seed, some, folder / str(first), workers)
        for one in report["failures"]:
            number = one["block"] * report["job"]["size"] + one["place"] + 1
            found.setdefault(one["implementation"], (number, one["clause"]))
    return found


def wrong(kind: Kind) -> list[str]:
    """Name all mutants."""
    zoo, prefix = (operator, "") if kind is OPERATOR else (layer, ".layer")
    return [f"conformance.mutants{prefix}:{name}" for name in zoo.MUTANTS]


def kills(found: Mapping[str, tuple[int, str]], names: list[str], drawn: int) -> list[str]:
    """The table of the mutants that campaigns find."""
    missed = [f"`{name.rpartition(':')[2]}`" for name in names if name not in found]
    soon = sorted(number for number, _ in found.values())
    return [
        f"{len(found)} of {len(names)} mutants are found among {drawn} drawn cases, half of them "
        f"by case {soon[(len(soon) - 1) // 2] if soon else '-'}. Not found: "
        f"{', '.join(missed) or 'none'}.",
        "",
        "| mutant | first case | clause |",
        "|---|---|---|",
        *(
            f"| `{name.rpartition(':')[2]}` | {found[name][0]} | {found[name][1]} |"
            for name in names
            if name in found
        ),
    ]


def table(report: Mapping[str, Any]) -> list[str]:
    """The worst fraction of the bound by implementation, and by recipe, for each format."""
    formats = list(FORMATS)
    lines = ["| what | cases | " + " | ".join(formats) + " |", "|---" * (len(formats) + 2) + "|"]
    rows = dict.fromkeys(key.rpartition("|")[0] for key in report["worst"])
    # Implementations first.
    for row in sorted(rows, key=lambda row: (row.startswith("recipe "), row)):
        # Nothing but equality was demanded where nothing came near a bound.
        worst = (report["worst"].get(f"{row}|{dtype}", 0.0) for dtype in formats)
        cells = [f"{fraction:.3f}" if fraction else "equal" for fraction in worst]
        lines.append(f"| {row} | {report['judged'].get(row, '')} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run the campaign and write its table."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.campaign", description=__doc__)
    parser.add_argument("kind", choices=["operator", "layer"])
    parser.add_argument("--cases", type=int, default=50_000, help="judged cases to reach")
    parser.add_argument("--mutants", action="store_true", help="count those that are found")
    parser.add_argument("--drawn", type=int, default=100, help="cases for mutants, each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes; as many as processors by default")
    parser.add_argument("--folder", type=Path, default=Path("campaigns"), help="what is done")
    parser.add_argument("--output", type=Path, default=Path("docs/tables"), help="a folder")
    options = parser.parse_args()
    kind = OPERATOR if options.kind == "operator" else LAYER
    start = time.monotonic()
    if options.mutants:
        names = wrong(kind)
        where = options.folder / f"{kind.name}-mutants-{options.seed}-{options.drawn}"
        found = found_by(kind, options.drawn, options.seed, names, where, options.workers)
        lines = kills(found, names, options.drawn)
        print(lines[0], f"Seed {options.seed}, {time.monotonic() - start:.0f} s.")
        name = {OPERATOR: "campaign-mutants.md", LAYER: "layer-campaign-mutants.md"}[kind]
        (options.output / name).write_text("\n".join(lines) + "\n")
        return
    names = right(kind)
    folder = options.folder / f"{kind.name}-{options.seed}-{options.cases}"
    report = run(kind, options.cases, options.seed, names, folder, options.workers)
    print(*(one["message"] for one in report["failures"][:20]), sep="\n")
    text = (
        f"{sum(report['judged'].values()):,} judged cases over {len(report['judged'])} correct "
        f"implementations "
        f"({kind.name}), seed {options.seed}, {time.monotonic() - start:.0f} s, NumPy "
        f"{np.__version__}: {sum(report['failed'].values())} false alarms."
    )
    print(text)
    name = {OPERATOR: "campaign.md", LAYER: "layer-campaign.md"}[kind]
    (options.output / name).write_text("\n".join([text, "", *table(report)]) + "\n")


if __name__ == "__main__":
    main()
