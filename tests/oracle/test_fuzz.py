"""Odd calls of both references: answered in float64 or refused in words, and nothing else (ERR-10).

pytest makes a few thousand calls; ``python -m tests.oracle.test_fuzz --calls 100000`` makes as many
as are asked for and prints counts. What an answer is worth is not asked here: the other tests of
this folder do.
"""

import argparse
import collections
import re
import sys
import time
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conformance.specification import clauses
from tests.oracle.odd_calls import (
    CONFIG,
    PARAMETERS,
    Call,
    configuration_calls,
    layer_calls,
    operator_calls,
)  # fmt: skip

CALLS = {
    "operator": operator_calls(),
    "layer": layer_calls(),
    "configuration": configuration_calls(),
}
LAYER = ("layer.forward", "layer.backward")
ARRAYS = {"x", "dy", "kernel", "parameters", *PARAMETERS}
# Of these the message has the value itself; of an array it has the shape or the dtype.
PLAIN = (int, float, complex, str, bytes, type(None), Fraction, np.generic)


def judged(call: Call) -> tuple[str, str]:
    """Make the call: ``accepted`` or the class that refused it, and what is wrong with that."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            answer = call.function()
        except Exception as error:
            verdict, fault = type(error).__name__, fault_of_refusal(call, error)
        else:
            verdict, fault = "accepted", fault_of_answer(call, answer)
    return verdict, fault or (f"warns: {warned[0].message}" if warned else "")


def fault_of_refusal(call: Call, error: Exception) -> str:
    """Say what a refusal lacks: its class, the argument, the rule's clause, the value received."""
    text, known = str(error), set(call.arguments)
    if call.target in LAYER:
        known |= {*CONFIG, *PARAMETERS, "parameters", "config"}
    begun = re.match(r"(\w+(?: and \w+)*) must ", text)
    cited = set(re.findall(r"\b[A-Z]{3}-\d+\b", text))
    received = text.partition(", got ")[2]
    lacks = ""
    # In training mode there may be too few pixels.
    if not call.odd and not call.arguments.get("training"):
        lacks = "of a right call"
    elif type(error) not in {TypeError, ValueError}:
        lacks = f"{type(error).__name__}"
    elif not begun or not set(begun[1].split(" and ")) <= known:
        lacks = "names no argument"
    elif not cited or not cited <= set(clauses()):
        lacks = "cites no clause"
    elif not received or not all(part in received for part in _words_of(call, begun[1])):
        lacks = "does not say what was received"
    elif len(text) > 1000:
        lacks = "is too long"
    return lacks and f"{lacks}: {text[:200]}"


def _words_of(call: Call, name: str) -> tuple[str, ...]:
    """Give the first and the last letters of a value that is to stand in the message itself."""
    one = call.odd.get(name) or call.odd.get(f"config.{name}")
    if one is None or not one.wrong or name in ARRAYS or not issubclass(type(one.value), PLAIN):
        return ()
    if issubclass(type(one.value), int) and abs(one.value) > 10**4000:
        return (hex(one.value)[:9],)
    return repr(one.value)[:9], repr(one.value)[-9:]


def fault_of_answer(call: Call, answer: Any) -> str:
    """Say what is wrong with an answer: that there is one, its dtypes, its shapes."""
    wrong = [f"{name}={one.text}" for name, one in call.odd.items() if one.wrong]
    if wrong:
        return f"accepts {', '.join(wrong)}"
    if not re.fullmatch(r"(involution|layer)\.(forward|backward)", call.target):
        return ""
    operands = {"x", "kernel", *PARAMETERS} & set(call.arguments)
    due = {name: np.asarray(call.arguments[name]).shape for name in operands}
    if call.target == "layer.forward":
        found = {"y": answer.y} | answer.moving
        due |= {"y": (*answer.kernel.shape[:3], due["x"][3])}
    elif call.target == "involution.forward":
        found, due["y"] = {"y": answer}, (*due["kernel"][:3], due["x"][3])
    else:
        dkernel = answer[1] if call.target == "layer.backward" else {"kernel": answer[1]}
        found = {"x": answer[0]} | dkernel
    if any(type(one) is not np.ndarray or one.dtype != np.float64 for one in found.values()):
        return "answers with what is no array of float64"
    shapes = {name: one.shape for name, one in found.items()}
    return (
        "" if all(shapes[name] == due[name] for name in found) else f"answers {shapes}, not {due}"
    )


@pytest.mark.clause("ERR-10", "LAY-18")
@pytest.mark.parametrize("kind", CALLS)
@settings(max_examples=1000)
@given(data=st.data())
def test_odd_calls_are_answered_or_refused(kind: str, data: st.DataObject) -> None:
    call = data.draw(CALLS[kind])
    verdict, fault = judged(call)
    assert not fault, f"{call!r}: {verdict}, {fault}"


def survey(calls: int, start: int) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Make that many calls; give how many ended in which way, and the offences by their kind."""
    ends: collections.Counter[str] = collections.Counter()
    offences: dict[str, list[str]] = collections.defaultdict(list)

    @seed(start)
    @settings(
        max_examples=calls,
        derandomize=False,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(call=st.one_of(*CALLS.values()))
    def surveyed(call: Call) -> None:
        verdict, fault = judged(call)
        ends[f"{verdict}, {call.target.partition('.')[0]}"] += 1
        if fault:
            kind = re.split(r"[ :]", fault)[0] if "Error" in fault[:30] else fault[:12]
            offences[f"{call.target}: {kind}"].append(f"{call!r}: {fault}")

    surveyed()
    return ends, offences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    began = time.perf_counter()
    ends, offences = survey(chosen.calls, chosen.seed)
    for end, count in sorted(ends.items()):
        print(f"{count:8} {end}")
    for kind, examples in sorted(offences.items(), key=lambda item: -len(item[1])):
        print(f"{len(examples):8} OFFENCES {kind}\n         {min(examples, key=len)[:500]}")
    total = sum(map(len, offences.values()))
    seconds = time.perf_counter() - began
    print(f"{sum(ends.values())} calls, {total} offences, {seconds:.0f} s")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
