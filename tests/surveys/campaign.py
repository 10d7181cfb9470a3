"""``python -m tests.surveys.campaign``.

count false alarms over correct operators.

Draws cases over all recipes, formats and geometries, computes the truth once for each and judges
every operator of `tests.opponents.right_operators` on it, as the suite does. A case counts once for each
operator; its y, dx and dkernel are all judged. Any alarm is false.
"""

import argparse
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.progress import track

from conformance.bounds import Arithmetic, truths
from conformance.capabilities import Capabilities, declared
from conformance.cases import Case, at
from conformance.formats import FORMATS
from conformance.geometries import Geometry, pools
from conformance.implementation import Judged
from conformance.judge import ConformanceError, Judge
from conformance.ledger import Ledger
from conformance.recipes import DECIDES, EXACT, RECIPES, operands
from conformance.verdict import examine
from tests.opponents.right_operators import RIGHT

# The impulse recipes make one sample of every entry, and cost accordingly.
WEIGHTS = {"impulse-x": 1, "impulse-dy": 1}
USUAL_WEIGHT = 6
RESULTS = ("y", "dx", "dkernel")


@dataclass
class Count:
    """What has been found: judged cases, alarms, and the worst fraction of the bound."""

    judged: Counter[str] = field(default_factory=Counter)
    alarms: list[str] = field(default_factory=list)
    worst: dict[tuple[str, str, str], float] = field(default_factory=lambda: defaultdict(float))


def draw(rng: random.Random, claimed: Capabilities) -> Case:
    """One case of the suite's pools."""
    recipe = rng.choices(list(RECIPES), [WEIGHTS.get(name, USUAL_WEIGHT) for name in RECIPES])[0]
    few = recipe in DECIDES
    members = (1, 2) if few else (1, 2, 3, 5, 16)
    channels = tuple((g, m) for g in ((1, 2) if few else (1, 2, 3)) for m in members)
    geometry = Geometry(*(rng.choice(pool) for pool in pools(claimed, channels=channels)))
    most = 2 if few else 6
    return at(
        geometry,
        claimed,
        dtype=rng.choice(claimed.dtypes),
        recipe=recipe,
        seed=rng.randrange(10**6),
        batch=1 if few else rng.randint(1, 3),
        spare=(rng.randint(0, most), rng.randint(0, most)),
    )


def judge(case: Case, count: Count) -> None:
    """Judge every operator on one case."""
    values = operands(case)
    exact = case.recipe in EXACT
    due = truths(values, case.options, FORMATS[case.dtype], exact=exact)
    for name, factory in RIGHT.items():
        operator = factory()
        claimed = declared(operator.capabilities)
        one = Judge(Judged(name, operator, claimed), ("FWD-1",), Ledger())
        arithmetic = one.arithmetic(case)
        if exact and _bits(arithmetic) < case.exact_bits:
            continue
        count.judged[name] += 1
        results = DECIDES.get(case.recipe, RESULTS)
        try:
            got = one.run(case, values, results)
        except ConformanceError as error:
            count.alarms.append(f"{name} {case.token}\n{error}")
            continue
        for result in results:
            worst, finding = examine(result, got[result], due[result], arithmetic)
            if finding is not None:
                count.alarms.append(f"{name} {result} {case.token}")
            key = (case.recipe, result, case.dtype)
            count.worst[key] = max(count.worst[key], worst)


def _bits(arithmetic: Arithmetic) -> int:
    """Bits in which sums are exact."""
    formats = arithmetic.accumulator, arithmetic.multiplier, arithmetic.operand
    return min(format_.bits for format_ in formats if format_ is not None)


def run(cases: int, seed: int) -> Count:
    """Judge until that many cases are judged."""
    rng, count, claimed = random.Random(seed), Count(), Capabilities()
    for _ in track(range(-(-cases // len(RIGHT))), description="cases"):
        judge(draw(rng, claimed), count)
    return count


def table(count: Count) -> list[str]:
    """The worst fraction of the bound by recipe, result and format."""
    clause = {"y": "NUM-2", "dx": "NUM-3", "dkernel": "NUM-4"}
    usual = {"large": "NUM-6", "subnormal": "SPC-5"}
    lines = ["| recipe | clause | result | " + " | ".join(FORMATS) + " |", "|---" * 7 + "|"]
    for recipe in RECIPES:
        for result in DECIDES.get(recipe, RESULTS):
            number = "NUM-1" if recipe in EXACT else usual.get(recipe, clause[result])
            cells = [
                "equal" if recipe in EXACT else f"{count.worst[recipe, result, dtype]:.3f}"
                for dtype in FORMATS
            ]
            lines.append(f"| {recipe} | {number} | {result} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Run the campaign and write its table."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.campaign", description=__doc__)
    parser.add_argument("--cases", type=int, default=200_000, help="judged cases to reach")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs/tables/campaign.md"))
    options = parser.parse_args()
    start = time.monotonic()
    count = run(options.cases, options.seed)
    print(*count.alarms[:20], sep="\n")
    text = (
        f"{sum(count.judged.values())} judged cases over {len(count.judged)} operators, seed "
        f"{options.seed}, {time.monotonic() - start:.0f} s, NumPy {np.__version__}: "
        f"**{len(count.alarms)} false alarms**."
    )
    print(text)
    options.output.write_text("\n".join([text, "", *table(count)]) + "\n")


if __name__ == "__main__":
    main()
