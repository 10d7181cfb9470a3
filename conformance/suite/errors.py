"""What must be rejected, by whoever claims to validate: chapter ERR, and LAY-18.

Each fault changes one thing about a call that is right; the right call is judged first, so that an
implementation that rejects everything does not pass.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from conformance.judging.checks import check
from conformance.judging.judge import Judge
from conformance.judging.scope import NotClaimedError

Call = dict[str, Any]


def _set(**changes: Any) -> Callable[[Call], Call]:
    return lambda call: call | changes


def _map(name: str, change: Callable[[Any], Any]) -> Callable[[Call], Call]:
    return lambda call: call | {name: change(call[name])}


def _map_all(change: Callable[[Any], Any]) -> Callable[[Call], Call]:
    return lambda call: call | {name: change(call[name]) for name in ("x", "kernel", "dy")}


def _drop(axis: int) -> Callable[[Any], Any]:
    return lambda array: np.take(array, 0, axis)


def _shorten(axis: int) -> Callable[[Any], Any]:
    return lambda array: np.delete(array, -1, axis)


def _empty(axis: int) -> Callable[[Any], Any]:
    return lambda array: np.take(array, [], axis)


def _odd_channels(call: Call) -> Call:
    return call | {"x": _shorten(3)(call["x"]), "dy": _shorten(3)(call["dy"])}


def _no_channels(call: Call) -> Call:
    return call | {"x": _empty(3)(call["x"]), "dy": _empty(3)(call["dy"])}


def _huge_window(call: Call) -> Call:
    return call | {"padding": "valid", "dilation": 99}


FAULTS: list[tuple[str, str, Callable[[Call], Call]]] = [
    ("ERR-1", "x of rank 3", _map("x", _drop(0))),
    ("ERR-1", "kernel of rank 5", _map("kernel", _drop(5))),
    ("ERR-1", "dy of rank 3", _map("dy", _drop(3))),
    ("ERR-2", "kernel with another batch", _map("kernel", _shorten(0))),
    ("ERR-2", "dy with another batch", _map("dy", _shorten(0))),
    ("ERR-3", "G not dividing C", _odd_channels),
    ("ERR-3", "no channels", _no_channels),
    ("ERR-3", "no groups", _map("kernel", _empty(5))),
    ("ERR-3", "no taps", _map("kernel", _empty(3))),
    ("ERR-3", "no rows", _map("x", _empty(1))),
    ("ERR-4", "kernel grid a row short", _map("kernel", _shorten(1))),
    ("ERR-4", "kernel grid a column short", _map("kernel", _shorten(2))),
    ("ERR-4", "dy a row short", _map("dy", _shorten(1))),
    ("ERR-4", "dy with fewer channels", _map("dy", _shorten(3))),
    ("ERR-5", "stride 0", _set(stride=0)),
    ("ERR-5", "negative stride", _set(stride=(-1, -1))),
    ("ERR-5", "stride 1.5", _set(stride=1.5)),
    ("ERR-5", "three strides", _set(stride=(1, 1, 1))),
    ("ERR-5", "dilation 0", _set(dilation=0)),
    ("ERR-5", "dilation as a word", _set(dilation="1")),
    ("ERR-6", "negative padding", _set(padding=-1)),
    ("ERR-6", "unknown word for padding", _set(padding="full")),
    ("ERR-6", "one pair of paddings", _set(padding=(1, 1))),
    ("ERR-6", "padding 0.5", _set(padding=0.5)),
    ("ERR-7", "unknown group layout", _set(group_layout="striped")),
    ("ERR-8", "window larger than the image", _huge_window),
    ("ERR-9", "complex", _map_all(lambda a: a.astype(np.complex64))),
    ("ERR-9", "object", _map_all(lambda a: a.astype(object))),
    ("ERR-9", "boolean", _map_all(lambda a: a.astype(bool))),
    ("ERR-9", "integer", _map_all(lambda a: a.astype(np.int32))),
]  # fmt: skip


# Of each function a result; and which operands count as x and kernel do (GRD-11).
_RESULTS = {"forward": "y", "backward": "dx", "jvp": "ty", "double_backward": "ddy"}
_ALIKE = (("tx", "tkernel"), ("ddx", "ddkernel"))


def _rejected(judge: Judge, fault: Callable[[Call], Call]) -> None:
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
        for wrong in _wrong(right, fault)
        if _differ(right, wrong) & {*judge.kind.operands_for(function), *judge.kind.keywords}
    ]
    if not asked:
        raise NotClaimedError("not claimed: backward")
    for function, wrong in asked:
        _demand_exception(judge, case, function, wrong)
    # The rejected calls leave nothing behind (FWD-5).
    judge.check(case)


def _wrong(right: Call, fault: Callable[[Call], Call]) -> Iterator[Call]:
    """Give the wrong call; and that whose fault is in what counts as x and kernel."""
    yield fault(right)
    for x, kernel in _ALIKE:
        if x in right:
            wrong = fault(right | {"x": right[x], "kernel": right[kernel]})
            yield right | {x: wrong["x"], kernel: wrong["kernel"], "dy": wrong["dy"]}


def _differ(right: Call, wrong: Call) -> set[str]:
    return {name for name in right if wrong[name] is not right[name]}


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
    faults = {words: fault for number, words, fault in FAULTS if number == clause}

    def rejected(judge: Judge, fault: str) -> None:
        _rejected(judge, faults[fault])

    check(clause, "GRD-11", fault=faults)(rejected)


for _clause in dict.fromkeys(number for number, _, _ in FAULTS):
    _note(_clause)


@check("ERR-9", "GRD-11")
def mixed_dtypes(judge: Judge) -> None:
    """x and kernel of different dtypes are rejected."""

    def mixed(right: Call) -> Call:
        other = np.float64 if right["x"].dtype != np.float64 else np.float32
        return right | {"kernel": right["kernel"].astype(other)}

    _rejected(judge, mixed)


@check("LAY-18", fault=["groups", "missing parameter", "wrong shape", "rank"])
def misfits(judge: Judge, fault: str) -> None:
    """What does not fit the configuration is refused, and the call that fits is answered."""
    judge.claim_flag("validates")
    case = judge.plain(reduced_channels=3, kernel_size=(2, 2))
    values = judge.values(case)
    judge.run(case, values)["y"]
    x, parameters = values["x"], {n: v for n, v in values.items() if n not in {"x", "dy"}}
    config: Any = case.config
    if fault == "groups":
        config = case.changed(groups=case.channels + 1).config
    elif fault == "missing parameter":
        del parameters["expand_kernel"]
    elif fault == "wrong shape":
        parameters["expand_kernel"] = parameters["expand_kernel"][:, :-1]
    else:
        x = x[0]
    options = {"config": config, "training": False}
    refused = judge.refuses(case, "forward", {"x": x, **parameters}, options)
    judge.expect(case, refused, f"forward accepted a wrong argument: {fault}")
