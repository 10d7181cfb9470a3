"""Replays one case of a layer from its token and prints the whole comparison and the diagnosis."""

import numpy as np

from conformance.implementation import Judged
from conformance.judge import ConformanceError
from conformance.layers.cases import LayerCase, layer_operands
from conformance.layers.diagnosis import diagnose_layer
from conformance.layers.judge import LayerJudge, call, describe, expected
from conformance.ledger import Ledger
from conformance.verdict import compare


def replay_layer(judged: Judged, case: LayerCase) -> bool:
    """Run one case, print operands, results, what is due and bounds; tell whether it passes."""
    judge = LayerJudge(judged, ("LAY-16",), Ledger())
    values = layer_operands(case)
    print(f"{judged.name}: {call(case)}")
    try:
        got = judge.run(case, values)
    except ConformanceError as error:
        print(error, "\ndiagnosis:", *diagnose_layer(judged).lines, sep="\n  ")
        return False
    due, limits = expected(case, values), judge.limits(case, values)
    result, passes = judged.capabilities.result_format(case.dtype), True
    with np.printoptions(threshold=200, linewidth=120):
        for name, array in values.items():
            print(f"\n{name} =\n{array}")
        for name, array in got.items():
            judge.check_form(case, name, array, due[name].shape)
            worst, finding = compare(name, array, due[name], limits[name], result)
            print(f"\n{name}, got =\n{array}\n{name}, expected =\n{due[name]}")
            print(f"{name}, error bound =\n{limits[name]}")
            print(f"  {describe(finding)}" if finding else f"  right: {worst:.3f} of the bound")
            passes = passes and finding is None
    if not passes:
        print("\ndiagnosis:", *diagnose_layer(judged).lines, sep="\n  ")
    return passes
