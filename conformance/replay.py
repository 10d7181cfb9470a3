"""Replays one case from its token and prints the whole comparison and the diagnosis."""

import numpy as np

from conformance.bounds import bound, truths
from conformance.cases import Case
from conformance.diagnosis import diagnose
from conformance.formats import FORMATS
from conformance.implementation import Judged
from conformance.judge import RESULTS, ConformanceError, Judge, call, describe
from conformance.ledger import Ledger
from conformance.recipes import DECIDES, EXACT, operands
from conformance.verdict import examine


def replay(judged: Judged, case: Case) -> bool:
    """Run one case, print operands, results, truth and bounds; tell whether it passes."""
    judge = Judge(judged, ("FWD-1",), Ledger())
    values = operands(case)
    print(f"{judged.name}: {call(case)}")
    results = DECIDES.get(case.recipe, RESULTS)
    try:
        got = judge.run(case, values, results)
    except ConformanceError as error:
        print(error, "\ndiagnosis:", *diagnose(judged, case).lines, sep="\n  ")
        return False
    exact = case.recipe in EXACT
    due = truths(values, case.options, FORMATS[case.dtype], exact=exact)
    passes = True
    with np.printoptions(threshold=200, linewidth=120):
        for name, array in values.items():
            print(f"\n{name} =\n{array}")
        for name in results:
            worst, finding = examine(name, got[name], due[name], judge.arithmetic(case))
            print(f"\n{name}, got =\n{got[name]}\n{name}, expected =\n{due[name].value}")
            if not exact:
                print(f"{name}, error bound =\n{bound(due[name], judge.arithmetic(case))}")
            print(f"  {describe(finding)}" if finding else f"  right: {worst:.3f} of the bound")
            passes = passes and finding is None
    if not passes:
        print("\ndiagnosis:", *diagnose(judged, case).lines, sep="\n  ")
    return passes
