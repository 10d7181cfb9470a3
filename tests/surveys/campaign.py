"""``python -m tests.surveys.campaign operator`` or ``layer``: count false alarms.

A campaign (``python -m conformance campaign``) over every correct implementation of
`tests.opponents`, all on the same cases. A case counts once for each implementation, with all
of its results. Any alarm is false.
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


def table(report: Mapping[str, Any]) -> list[str]:
    """The worst fraction of the bound by implementation, and by recipe, for each format."""
    formats = list(FORMATS)
    lines = ["| | cases | " + " | ".join(formats) + " |", "|---" * (len(formats) + 2) + "|"]
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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes; as many as processors by default")
    parser.add_argument("--folder", type=Path, default=Path("campaigns"), help="what is done")
    parser.add_argument("--output", type=Path, default=Path("docs/tables"), help="a folder")
    options = parser.parse_args()
    kind = OPERATOR if options.kind == "operator" else LAYER
    start = time.monotonic()
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
