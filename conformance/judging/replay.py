"""Replays one case from its token and prints the whole comparison."""

from typing import Any

import numpy as np

from conformance.claims.loading import Judged
from conformance.judging.ask import ask
from conformance.judging.examine import examine
from conformance.judging.kind import FUNCTIONS


def replay(judged: Judged, case: Any) -> bool:
    """Run one case, print operands, results, what is expected and bounds; tell whether it passes.

    Parameters
    ----------
    judged : Judged
        The implementation.
    case : Case
        What to ask.
    """
    kind, claimed = judged.kind, judged.capabilities
    print(f"{judged.name}: {kind.call_of(case)}")
    if lacking := kind.unclaimed(case, claimed):
        print(f"not claimed: {lacking}")
    values = kind.values(case, kind.bits(case, claimed))
    decides = kind.recipe_of(case).decides
    functions = {kind.function_of(name) for name in decides} or FUNCTIONS
    answer = ask(judged, case, values, functions=functions)
    got = {name: a for name, a in answer.results.items() if not decides or name in decides}
    expected = kind.expected(case, values, claimed)
    right, wrong = examine(judged, case, got, expected)
    with np.printoptions(threshold=200, linewidth=120):
        for name, array in values.items():
            print(f"\n{name} =\n{array}")
        for name, array in got.items():
            print(f"\n{name}, got =\n{array}\n{name}, expected =\n{expected[name].value}")
            if expected[name].bound.any():
                print(f"{name}, error bound =\n{expected[name].bound}")
            if name in right:
                print(f"  right: {right[name].worst:.3f} of the bound")
    findings = [*answer.findings, *wrong]
    print()
    if answer.tolerated:
        print(f"refused, as it may be where {' or '.join(claimed.may_refuse)}: {answer.raised}")
    for finding in findings:
        print(f"{finding.clauses[0]}: {finding.words}", *finding.details, sep="\n  ")
    return not findings
