"""Manners of asking: what a call changes, shares, remembers and assumes.

Each is put to an implementation as any other question is, and what it gives is compared. Nothing
is judged here.
"""

import numpy as np

from conformance.cases.views import reversed_, transposed
from conformance.diagnosis.answers import Call, Outcome, differing


def repeated(call: Call) -> Outcome:
    """The second answer to the same question."""
    call.ask()
    return call.answer()


def kept(call: Call) -> Outcome:
    """First results, looked at after another call."""
    results = call.ask()
    call.other.ask()
    return results


def after_another(call: Call) -> Outcome:
    """The answer after one to other values of the same shapes."""
    call.other.ask()
    return call.answer()


def after_a_forward(call: Call) -> Outcome:
    """Gradients after a forward call on other values."""
    call.other.ask(functions=("forward",))
    return call.answer(functions=("backward",))


def after_other_sizes(call: Call) -> Outcome:
    """The answer after one to a larger image and to a larger batch."""
    kind, case = call.kind, call.case
    for changed in (kind.enlarged(case, (12, 10)), case.changed(batch=case.batch + 2)):
        Call(kind, call.claimed, call.implementation, changed).ask()
    return call.answer()


def on_views(call: Call) -> Outcome:
    """The answer on transposed operands, which lie otherwise in memory."""
    return call.ask({name: transposed(array) for name, array in call.values.items()})


def on_reversed_views(call: Call) -> Outcome:
    """The answer on operands that lie backwards in memory."""
    return call.ask({name: reversed_(array) for name, array in call.values.items()})


def memory(call: Call) -> Outcome:
    """Which operands are changed, and which results lie in the memory of operands."""
    own, before = call.values, call.values
    got = call.ask(own)
    outcome: Outcome = {f"{name} kept": np.array_equal(own[name], before[name]) for name in own}
    for result, array in got.items():
        for name, operand in own.items():
            shared = isinstance(array, np.ndarray) and np.shares_memory(array, operand)
            if not call.kind.may_share(call.case, result, name):
                outcome[f"{result} apart from {name}"] = not shared
    return outcome


def varies(call: Call) -> Outcome:
    """Whether twelve answers agree."""
    first = call.answer()
    return {"repeats": not any(differing(first, call.answer()) for _ in range(11))}
