"""``python -m tests.surveys.layer_campaign``.

judge correct layers on many cases; none may be rejected.

Every layer meets cases of every format, mode, recipe and convention. Written is how near the
results came to their bounds. Drawn by Hypothesis, without shrinking: a rejection ends the campaign.
"""

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from conformance.capabilities import declared
from conformance.implementation import Judged, load
from conformance.layers.cases import RECIPES, LayerCase, layer_cases
from conformance.layers.judge import LayerJudge
from conformance.layers.seam import LAYER, LayerCapabilities
from conformance.ledger import Ledger
from tests.opponents.right_layers import RIGHT_LAYERS

KERAS = "conformance.implementations.keras_involution:eager"
CONVENTIONS = ("any", "keras_example", "official")


class Campaign:
    """Judges one layer on many cases."""

    def __init__(self, judged: Judged, examples: int, seed: int) -> None:
        self.judged, self.examples, self.seed = judged, examples, seed
        self.cases = 0
        self.worst: dict[str, float] = {}

    def run(self) -> None:
        """Judge; raises at the first rejection."""
        for dtype, recipe, training, convention in plans():
            ledger = Ledger()
            judge = LayerJudge(self.judged, ("LAY-16",), ledger)
            drawn = layer_cases(
                self.judged.capabilities,
                dtype=dtype,
                recipe=recipe,
                training=training,
                convention=convention,
            )
            self.judge_all(judge, drawn)
            worst = ledger.entry(self.judged.name, "LAY-16").worst
            self.worst[dtype] = max(self.worst.get(dtype, 0.0), worst)

    def judge_all(self, judge: LayerJudge, drawn: Any) -> None:
        @seeded(self.seed)
        @settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(drawn)
        def judge_one(case: LayerCase) -> None:
            judge.check(case)
            self.cases += 1

        judge_one()


def plans() -> Iterator[tuple[str, str, bool, str]]:
    """Every format with every recipe, mode and convention; exact integers only without rounding."""
    dtypes = ("float16", "bfloat16", "float32", "float64")
    for plan in itertools.product(dtypes, RECIPES, (False, True), CONVENTIONS):
        if plan[1] != "integers" or plan[3] == "any":
            yield plan


def layers(keras: bool) -> list[Judged]:
    """All that is judged."""
    found = [
        Judged(name, kind(), declared(kind.capabilities, LayerCapabilities))
        for name, kind in RIGHT_LAYERS.items()
    ]
    return [*found, load("refimpl.layer", LAYER), *([load(KERAS, LAYER)] if keras else [])]


def main() -> None:
    """Judge all and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.surveys.layer_campaign", description=__doc__
    )
    parser.add_argument("--examples", type=int, default=32, help="cases of each plan")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/tables/layer-campaign.md"))
    options = parser.parse_args()
    lines = [
        "| layer | cases | float16 | bfloat16 | float32 | float64 |",
        "|---|---|---|---|---|---|",
    ]
    total = 0
    for judged in layers(keras=True):
        campaign = Campaign(judged, options.examples, options.seed)
        campaign.run()
        total += campaign.cases
        worst = " | ".join(f"{fraction:.3f}" for fraction in campaign.worst.values())
        lines.append(f"| `{judged.name.rpartition('.')[2]}` | {campaign.cases} | {worst} |")
        print(lines[-1], flush=True)
    lines.append(f"| all | {total} | | | | |")
    options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
