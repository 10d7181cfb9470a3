"""What came of blocks: plain data that merges associatively, and the report that it makes.

Times and places are not in it, so that the report is the same bytes however the blocks ran.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

# Failures that a block keeps in full; all are counted.
KEPT = 3


def empty() -> dict[str, Any]:
    """Give the outcome of no block."""
    return {"blocks": 0, "cases": 0, "judged": {}, "unclaimed": {}, "failed": {}, "failures": [],
            "worst": {}, "met": []}  # fmt: skip


def merged(outcomes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge outcomes; of blocks in any order and in any groups it gives the same."""
    total = empty()
    met: set[Any] = set()
    for one in outcomes:
        for name in ("blocks", "cases"):
            total[name] += one[name]
        for name in ("judged", "unclaimed", "failed"):
            total[name] = dict(Counter(total[name]) + Counter(one[name]))
        for key, worst in one["worst"].items():
            total["worst"][key] = max(total["worst"].get(key, 0.0), worst)
        total["failures"] += one["failures"]
        met.update(tuple(map(tuple, row)) for row in one["met"])
    total["failures"].sort(key=lambda one: (one["block"], one["place"], one["implementation"]))
    total["met"] = sorted(map(list, met))
    for name in ("judged", "unclaimed", "failed", "worst"):
        total[name] = dict(sorted(total[name].items()))
    return total


def coverage(met: Iterable[Any]) -> dict[str, Any]:
    """Say which pairs and triples of choices were met, of those whose choices were met alone.

    Pairs that were not met are named; of triples there are too many.
    """
    rows = [tuple(map(tuple, row)) for row in met]
    factors: dict[str, set[str]] = {}
    for name, value in itertools.chain.from_iterable(rows):
        factors.setdefault(name, set()).add(value)
    found: dict[str, Any] = {name: sorted(values) for name, values in sorted(factors.items())}
    answer: dict[str, Any] = {"choices": found}
    for word, strength in (("pairs", 2), ("triples", 3)):
        seen = {some for row in rows for some in itertools.combinations(sorted(row), strength)}
        possible = sum(
            math.prod(len(factors[name]) for name in names)
            for names in itertools.combinations(sorted(factors), strength)
        )
        answer[word] = {"met": len(seen), "of": possible}
        if strength == 2:
            answer["pairs not met"] = [
                f"{a}={u}, {b}={v}"
                for a, b in itertools.combinations(sorted(factors), 2)
                for u, v in itertools.product(sorted(factors[a]), sorted(factors[b]))
                if ((a, u), (b, v)) not in seen
            ]
    return answer


def report(job: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Give the merged report as plain data."""
    judged = sum(outcome["judged"].values())
    told = {name: value for name, value in outcome.items() if name != "met"}
    return {
        "job": dict(job),
        **told,
        "coverage": coverage(outcome["met"]),
        "verdict": "fails" if outcome["failures"] else "nothing found" if judged else "incomplete",
    }


def lost(number: int, deaths: int, job: Mapping[str, Any]) -> dict[str, Any]:
    """Give the outcome of a block that ended its worker as often as it was tried, at last alone."""
    named = " ".join(f"{job['option']}={name}" for name in job["implementations"])
    # How often in all is not in it: that depends on whoever ran it.
    words = f"block {number} ended the worker that ran it {deaths} times, at last alone"
    replay = (
        f"python -m conformance campaign {named} --cases={job['cases']} --seed={job['seed']} "
        f"--block-size={job['size']} --only={number}"
    )
    one = {"block": number, "place": -1, "implementation": job["implementations"][0],
           "token": f"block={number},seed={job['seed']},size={job['size']}", "words": words,
           "clause": "", "replay": replay}  # fmt: skip
    return {**empty(), "blocks": 1, "failed": {words: 1}, "failures": [one]}
