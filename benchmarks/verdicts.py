"""How long the judge takes: seconds to a verdict on right and wrong code, elements a second.

The judge runs as a user runs it, with its default profile and what is judged in a process of its
own. Whether its verdict is right is asked in the tests, and here again before its time is kept.
"""

import time
from typing import Any
from unittest import mock

# What is judged, whether it is a layer, and whether it is right.
JUDGED = {
    "right operator": ("conformance.implementations.operator.numpy_unfold", False, True),
    "wrong operator": ("conformance.mutants.operator.padding:OddPixelBefore", False, False),
    "right layer": ("conformance.implementations.layer.numpy_layer:NumpyLayer", True, True),
    "wrong layer": ("conformance.mutants.layer:OrderExchanged", True, False),
}
SEED = 2021


def measure(judged: str) -> dict[str, float]:
    """Judge one of `JUDGED`.

    Returns
    -------
    dict
        "seconds" to the verdict with its explanation, and of these "to the first failure" (the end
        of the first check that failed), "results" and "elements" that were compared.
    """
    import conformance
    from conformance.judging import judge as comparing
    from conformance.judging.intact import settle
    from conformance.kinds import LAYER, OPERATOR

    target, layer, right = JUDGED[judged]
    elements, failing = 0, list[float]()
    examine = comparing.examine

    def counting(judged: Any, case: Any, results: Any, expected: Any) -> Any:
        nonlocal elements
        elements += sum(array.size for array in results.values())
        return examine(judged, case, results, expected)

    def done(record: Any) -> None:
        if record.failures:
            failing.append(time.perf_counter())

    # What a verdict needs is compiled: a cache on disk has it after the first run on a machine.
    settle(LAYER if layer else OPERATOR)
    start = time.perf_counter()
    with mock.patch.object(comparing, "examine", counting):
        report = conformance.check(target, layer=layer, seed=SEED, done=done)
    seconds = time.perf_counter() - start
    if report.conforms is not right:
        raise AssertionError(f"{target}: {report.verdict}")
    first = {"to the first failure": failing[0] - start} if failing else {}
    return {"seconds": seconds, "elements": elements, "results": report.judged, **first}
