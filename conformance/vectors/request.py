"""The request of a vector: the very message that a program is sent through a pipe.

Messages have the same bytes in every run: the header of a blob is sorted. Nothing of what is due
stands here.
"""

import functools
import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from conformance.bounds.expected import Array
from conformance.cases.bad_calls import FAULTS, MIXED, changed
from conformance.cases.geometries import Geometry
from conformance.cases.operator import OperatorCase
from conformance.claims.capabilities import Capabilities
from conformance.claims.program import message_of
from conformance.kinds import OPERATOR
from conformance.vectors.due import operands
from conformance.worker.host import Call
from conformance.worker.messages import DTYPES, PROTOCOL, dump_message

# How options are written: as pairs, all of them; or as briefly as GEO-2 and GEO-11 allow.
FORMS = ("whole", "short")
_HEAD = 8


class Refused(NamedTuple):
    """A call that must be refused: its clause, and function, operands and options."""

    clause: str
    call: tuple[str, dict[str, Array], dict[str, Any]]


def called(
    function: str, case: OperatorCase, values: Mapping[str, Array], form: str
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Give operands and options of a call, in a form."""
    given, options = OPERATOR.arguments(function, case, values)
    return given, options if form == "whole" else _short(options)


def _short(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is the default, and write equal pairs as one integer."""
    said = {}
    for name, value in options.items():
        if value != Geometry().options[name]:
            equal = isinstance(value, tuple) and isinstance(value[0], int) and len(set(value)) == 1
            said[name] = value[0] if equal else value
    return said


@functools.cache
def refused_calls() -> Mapping[str, Refused]:
    """Give the calls that must be refused, by the words of their fault (chapter ERR).

    Those alone that a message can carry.
    """
    case = OPERATOR.plain(Capabilities())
    right = {**operands(case), **case.geometry.options}
    found = {}
    for clause, words, change in (*FAULTS, MIXED):
        wrong = change(right)
        function = "forward" if changed(right, wrong) - {"dy"} else "backward"
        names = OPERATOR.operands if function == "backward" else OPERATOR.operands[1:]
        given = {name: wrong[name] for name in names}
        if all(array.dtype in DTYPES.values() for array in given.values()):
            options = {name: wrong[name] for name in OPERATOR.keywords}
            found[words] = Refused(clause, (function, given, options))
    return found


def request(
    function: str,
    given: Mapping[str, Array],
    options: Mapping[str, Any],
    due: Mapping[str, tuple[int, ...]],
) -> bytes:
    """Give the request of a call as a safetensors blob."""
    call = Call(OPERATOR.request(function), given, options, due=[list(one) for one in due.values()])
    metadata, tensors = message_of(call)
    return blob({"protocol": PROTOCOL, **metadata}, tensors)


def blob(metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> bytes:
    """Give a message whose bytes depend on what it says alone.

    safetensors writes the metadata in an order that differs from process to process.
    """
    written = dump_message(metadata, tensors)
    (size,) = struct.unpack("<Q", written[:_HEAD])
    header = json.loads(written[_HEAD : _HEAD + size])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _HEAD)
    return struct.pack("<Q", len(text)) + text + written[_HEAD + size :]
