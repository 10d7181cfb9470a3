"""``python -m tests.surveys.campaign operator`` or ``layer``: count false alarms.

Draws cases over all recipes, formats and geometries and judges every correct implementation of
`tests.opponents` on each, as the suite does. A case counts once for each implementation, with all
of its results. Any alarm is false.
"""

import argparse
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from rich.progress import track

from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged, load
from conformance.judging.judge import ConformanceError, Judge
from conformance.judging.kind import Kind
from conformance.judging.record import Record
from conformance.kinds import LAYER, OPERATOR
from tests.opponents.right_layers import RIGHT_LAYERS
from tests.opponents.right_operators import RIGHT

# Beside the opponents: what is shipped and right.
SHIPPED = {
    OPERATOR: ("refimpl.involution",),
    LAYER: ("refimpl.layer", "conformance.implementations.layer.keras_layer:eager"),
}
CONVENTIONS = ("any", "keras_example", "official")


@dataclass
class Count:
    """What has been found: judged cases, alarms, and the worst fraction of the bound."""

    judged: Counter[str] = field(default_factory=Counter)
    alarms: list[str] = field(default_factory=list)
    worst: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    def judge(self, judged: Judged, case: Any) -> None:
        """Judge one implementation on one case that it claims."""
        if judged.kind.unclaimed(case, judged.capabilities):
            return
        record = Record(judged.name, "campaign", ())
        try:
            Judge(judged, record).check(case)
        except ConformanceError as error:
            self.alarms.append(str(error))
        self.judged[judged.name] += 1
        for count in record.counts.values():
            for row in (judged.name, f"recipe {case.recipe}"):
                key = row, case.dtype
                self.worst[key] = max(self.worst[key], count.worst)


def plans(kind: Kind) -> Iterator[dict[str, Any]]:
    """What is drawn: every format with every recipe, and for layers mode and convention."""
    if kind is OPERATOR:
        for dtype, recipe in itertools.product(FORMATS, kind.recipes.values()):
            few = {"members": (1, 2), "groups": (1, 2), "batches": (1,), "spare": 2}
            usual = {"members": (1, 2, 3, 5, 16)}
            yield {"dtype": dtype, "recipe": recipe.name} | (few if recipe.certifies else usual)
        return
    for dtype, recipe, training, convention in itertools.product(
        FORMATS, kind.recipes, (False, True), CONVENTIONS
    ):
        # Exact integers only without roundings.
        if recipe != "integers" or convention == "any":
            yield {
                "dtype": dtype, "recipe": recipe, "training": training, "convention": convention
            }  # fmt: skip


def right(kind: Kind, *, shipped: bool = True) -> list[Judged]:
    """All that is judged, each in a process of its own."""
    own = (RIGHT if kind is OPERATOR else RIGHT_LAYERS).values()
    names = [f"{one.__module__}:{one.__qualname__}" for one in own]
    return [load(name, kind) for name in (*names, *(SHIPPED[kind] if shipped else ()))]


def run(kind: Kind, cases: int, seed: int, implementations: list[Judged]) -> Count:
    """Judge until about that many cases are judged."""
    count, listed = Count(), list(plans(kind))
    each = max(1, round(cases / len(listed) / len(implementations)))
    for number, wanted in enumerate(track(listed, description="plans")):

        @hypothesis.seed(1000 * seed + number)
        @settings(
            max_examples=each,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(kind.draw(kind.capabilities(), **wanted))
        def judge_all(case: Any) -> None:
            for judged in implementations:
                count.judge(judged, case)

        judge_all()
    return count


def table(count: Count) -> list[str]:
    """The worst fraction of the bound by implementation, and by recipe, for each format."""
    formats = list(FORMATS)
    lines = ["| | cases | " + " | ".join(formats) + " |", "|---" * (len(formats) + 2) + "|"]
    for row in dict.fromkeys(name for name, _ in count.worst):
        # Nothing but equality was demanded where nothing came near a bound.
        worst = (count.worst[row, dtype] for dtype in formats)
        cells = [f"{fraction:.3f}" if fraction else "equal" for fraction in worst]
        lines.append(f"| {row} | {count.judged.get(row, '')} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run the campaign and write its table."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.campaign", description=__doc__)
    parser.add_argument("kind", choices=["operator", "layer"])
    parser.add_argument("--cases", type=int, default=50_000, help="judged cases to reach")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/tables"), help="a folder")
    options = parser.parse_args()
    kind = OPERATOR if options.kind == "operator" else LAYER
    start = time.monotonic()
    count = run(kind, options.cases, options.seed, right(kind))
    print(*count.alarms[:20], sep="\n")
    text = (
        f"{count.judged.total():,} judged cases over {len(count.judged)} correct implementations "
        f"({kind.name}), seed {options.seed}, {time.monotonic() - start:.0f} s, NumPy "
        f"{np.__version__}: {len(count.alarms)} false alarms."
    )
    print(text)
    name = {OPERATOR: "campaign.md", LAYER: "layer-campaign.md"}[kind]
    (options.output / name).write_text("\n".join([text, "", *table(count)]) + "\n")


if __name__ == "__main__":
    main()
