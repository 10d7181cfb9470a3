"""Which known faults a vector catches, and which faults files can show at all.

A fault of memory, of threads, of the process, or of what an earlier call leaves behind shows in no
file: it is left out, by the list below. Here what is known to be wrong is asked in this process.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.bounds.expected import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.capabilities import Capabilities, declared
from conformance.claims.formats import FORMATS
from conformance.judging.examine import compare
from conformance.mutants.operator import MUTANTS, history, processes, state
from conformance.vectors.due import Due, results_of, stored_for
from conformance.vectors.request import called, refused_calls

# Of the faults of state those that a single call on contiguous operands shows.
_OF_ONE_CALL = {
    "AcceptsEverything", "RefusesNothing", "EmptyBatchRefused", "EvenKernelsRefused",
    "RaggedSizesRefused", "DefaultPaddingIsValid", "IntegerStrideIsVertical",
}  # fmt: skip
_UNSEEN = {one.__name__ for one in (state, history, processes)}

SHOWN: Mapping[str, type[Any]] = {
    name: one
    for name, one in MUTANTS.items()
    if one.__module__ not in _UNSEEN or name in _OF_ONE_CALL
}
"""Faults that files can show."""


def catches(implementation: Any, case: OperatorCase, function: str, form: str, due: Due) -> bool:
    """Tell whether a fault gives a wrong answer to a vector."""
    values, options = called(function, case, due.operands, form)
    expected = due.within(stored_for(declared(implementation.capabilities), case.dtype))
    names = results_of(function)
    got = _answered(implementation, function, values, options)
    if got is None or len(got) != len(names):
        return True
    format_ = FORMATS[case.dtype]
    for name, array in zip(names, got, strict=True):
        if array.dtype != format_.dtype or array.shape != expected[name].value.shape:
            return True
        if compare(array, expected[name], format_)[1] is not None:
            return True
    return False


def catches_refusal(implementation: Any, fault: str) -> bool:
    """Tell whether somebody who claims to validate answers what must be refused."""
    claimed: Capabilities = declared(implementation.capabilities)
    if not claimed.validates:
        return False
    function, values, options = refused_calls()[fault].call
    return _answered(implementation, function, values, options) is not None


def _answered(
    implementation: Any, function: str, values: Mapping[str, Array], options: Mapping[str, Any]
) -> tuple[Array, ...] | None:
    copies = [one.copy() for one in values.values()]
    try:
        with np.errstate(all="ignore"):
            got = getattr(implementation, function)(*copies, **options)
    except Exception:  # Whatever is raised is a refusal.
        return None
    return got if isinstance(got, tuple) else (got,)
