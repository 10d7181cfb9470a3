"""What must be rejected, by whoever claims to validate: chapter ERR, and LAY-18.

The right call is judged first, so that an implementation that rejects everything does not pass.
"""

from typing import Any

from conformance.cases.bad_calls import (
    FAULTS,
    LAYER_FAULTS,
    MIXED,
    Call,
    Change,
    changed,
    wrong_calls,
)
from conformance.judging.checks import check
from conformance.judging.judge import Judge
from conformance.judging.scope import NotClaimedError

# Of each function a result.
_RESULTS = {"forward": "y", "backward": "dx", "jvp": "ty", "double_backward": "ddy"}


def _rejected(judge: Judge, change: Change) -> None:
    """Each function that is given the fault, in an operand or an option, raises an exception."""
    __tracebackhide__ = True
    judge.claim_flag("validates")
    case = judge.plain()
    right = {**judge.values(case), **case.geometry.options}
    answered = judge.run(case)
    # Who may refuse the right call, and does, has not shown that it tells the wrong one.
    for function in judge.functions:
        answered[_RESULTS[function]]
    asked = [
        (function, wrong)
        for function in judge.functions
        for wrong in wrong_calls(right, change)
        if changed(right, wrong) & {*judge.kind.operands_for(function), *judge.kind.keywords}
    ]
    if not asked:
        raise NotClaimedError("not claimed: backward")
    for function, wrong in asked:
        _demand_exception(judge, case, function, wrong)
    # The rejected calls leave nothing behind (FWD-5).
    judge.check(case)


def _demand_exception(judge: Judge, case: Any, function: str, given: Call) -> None:
    __tracebackhide__ = True
    operands, _ = judge.kind.arguments(function, case, given)
    options = {name: given[name] for name in judge.kind.keywords}
    shapes = ", ".join(f"{name} {one.shape} {one.dtype}" for name, one in operands.items())
    judge.expect(
        case,
        judge.refuses(case, function, operands, options),
        f"{function}({shapes}, {options}) must raise an exception and returned a result "
        '(declare "validates": False if checking is not its task)',
    )


def _note(clause: str) -> None:
    """One check for each clause of the list, with a parameter for each fault."""
    faults = {fault.words: fault.change for fault in FAULTS if fault.clause == clause}

    def rejected(judge: Judge, fault: str) -> None:
        _rejected(judge, faults[fault])

    check(clause, "GRD-11", fault=faults)(rejected)


for _clause in dict.fromkeys(fault.clause for fault in FAULTS):
    _note(_clause)


@check("ERR-9", "GRD-11")
def mixed_dtypes(judge: Judge) -> None:
    """x and kernel of different dtypes are rejected."""
    _rejected(judge, MIXED.change)


@check("LAY-18", fault=[fault.words for fault in LAYER_FAULTS])
def misfits(judge: Judge, fault: str) -> None:
    """What does not fit the configuration is refused, and the call that fits is answered."""
    judge.claim_flag("validates")
    case = judge.plain(reduced_channels=3, kernel_size=(2, 2))
    values = judge.values(case)
    judge.run(case, values)["y"]
    right: Call = {name: value for name, value in values.items() if name != "dy"}
    right |= {"config": case.config, "training": False}
    change = next(one.change for one in LAYER_FAULTS if one.words == fault)
    operands = change(right)
    options = {name: operands.pop(name) for name in ("config", *judge.kind.keywords)}
    refused = judge.refuses(case, "forward", operands, options)
    judge.expect(case, refused, f"forward accepted a wrong argument: {fault}")
