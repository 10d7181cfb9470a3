"""Calls that are no calls: what must be refused by whoever claims to validate.

Each fault changes one thing about a call that is right. Nothing is asked here.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

Call = dict[str, Any]
Change = Callable[[Call], Call]


class Fault(NamedTuple):
    """One thing that is wrong with a call: the clause that it breaks, its words, and how."""

    clause: str
    words: str
    change: Change


def _set(**changes: Any) -> Change:
    return lambda call: call | changes


def _map(name: str, change: Callable[[Any], Any]) -> Change:
    return lambda call: call | {name: change(call[name])}


def _map_all(change: Callable[[Any], Any]) -> Change:
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


def _mixed(call: Call) -> Call:
    other = np.float64 if call["x"].dtype != np.float64 else np.float32
    return call | {"kernel": call["kernel"].astype(other)}


# Of a call of the operator: its operands and options by name.
FAULTS: list[Fault] = [
    Fault("ERR-1", "x of rank 3", _map("x", _drop(0))),
    Fault("ERR-1", "kernel of rank 5", _map("kernel", _drop(5))),
    Fault("ERR-1", "dy of rank 3", _map("dy", _drop(3))),
    Fault("ERR-2", "kernel with another batch", _map("kernel", _shorten(0))),
    Fault("ERR-2", "dy with another batch", _map("dy", _shorten(0))),
    Fault("ERR-3", "G not dividing C", _odd_channels),
    Fault("ERR-3", "no channels", _no_channels),
    Fault("ERR-3", "no groups", _map("kernel", _empty(5))),
    Fault("ERR-3", "no taps", _map("kernel", _empty(3))),
    Fault("ERR-3", "no rows", _map("x", _empty(1))),
    Fault("ERR-4", "kernel grid a row short", _map("kernel", _shorten(1))),
    Fault("ERR-4", "kernel grid a column short", _map("kernel", _shorten(2))),
    Fault("ERR-4", "dy a row short", _map("dy", _shorten(1))),
    Fault("ERR-4", "dy with fewer channels", _map("dy", _shorten(3))),
    Fault("ERR-5", "stride 0", _set(stride=0)),
    Fault("ERR-5", "negative stride", _set(stride=(-1, -1))),
    Fault("ERR-5", "stride 1.5", _set(stride=1.5)),
    Fault("ERR-5", "three strides", _set(stride=(1, 1, 1))),
    Fault("ERR-5", "dilation 0", _set(dilation=0)),
    Fault("ERR-5", "dilation as a word", _set(dilation="1")),
    Fault("ERR-6", "negative padding", _set(padding=-1)),
    Fault("ERR-6", "unknown word for padding", _set(padding="full")),
    Fault("ERR-6", "one pair of paddings", _set(padding=(1, 1))),
    Fault("ERR-6", "padding 0.5", _set(padding=0.5)),
    Fault("ERR-7", "unknown group layout", _set(group_layout="striped")),
    Fault("ERR-8", "window larger than the image", _huge_window),
    Fault("ERR-9", "complex", _map_all(lambda a: a.astype(np.complex64))),
    Fault("ERR-9", "object", _map_all(lambda a: a.astype(object))),
    Fault("ERR-9", "boolean", _map_all(lambda a: a.astype(bool))),
    Fault("ERR-9", "integer", _map_all(lambda a: a.astype(np.int32))),
]
MIXED = Fault("ERR-9", "operands of two dtypes", _mixed)

# Which operands count as x and kernel do (GRD-11).
_ALIKE = (("tx", "tkernel"), ("ddx", "ddkernel"))


def wrong_calls(right: Call, change: Change) -> Iterator[Call]:
    """Give the wrong call; and those whose fault is in what counts as x and kernel (GRD-11)."""
    yield change(right)
    for x, kernel in _ALIKE:
        if x in right:
            wrong = change(right | {"x": right[x], "kernel": right[kernel]})
            yield right | {x: wrong["x"], kernel: wrong["kernel"], "dy": wrong["dy"]}


def changed(right: Call, wrong: Call) -> set[str]:
    """Name what is not as in the right call."""
    return {name for name in right if wrong[name] is not right[name]}


def _too_many_groups(call: Call) -> Call:
    return call | {"config": replace(call["config"], groups=call["x"].shape[3] + 1)}


def _without(name: str) -> Change:
    return lambda call: {other: value for other, value in call.items() if other != name}


# Of a call of the layer: x, its parameters, `config` and `training`.
LAYER_FAULTS: list[Fault] = [
    Fault("LAY-18", "groups", _too_many_groups),
    Fault("LAY-18", "missing parameter", _without("expand_kernel")),
    Fault("LAY-18", "wrong shape", _map("expand_kernel", lambda array: array[:, :-1])),
    Fault("LAY-18", "rank", _map("x", lambda array: array[0])),
]
