"""Puts what a run asked to faults, one case at a time and in this process, until each is caught.

The truth of a case is computed once for all of them. Values are looked at, and nothing else: what
is done to memory or to the process other checks see.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.bounds.expected import Expected
from conformance.cases.case import Array
from conformance.claims.loading import Judged
from conformance.judging.examine import compare
from conformance.worker.host import Call, called

# A case, and the results that were demanded; none: all that its recipe decides.
Asked = tuple[Any, tuple[str, ...]]


def screen(right: Judged, faults: Mapping[str, Judged], asked: Iterable[Asked]) -> set[str]:
    """Name the faults that give a wrong value on some case, or refuse it.

    Parameters
    ----------
    right : Judged
        What the faults are planted in, and what is claimed. A case that it fails itself, or that is
        not claimed, says nothing.
    faults : mapping of str to Judged
        Each is asked in order, until it is caught.
    asked : iterable of Asked
        What is asked, in order.
    """
    living, caught = dict(faults), set[str]()
    for case, demanded in asked:
        if not living:
            break
        due = _due(right, case, demanded)
        if due is None or due.is_missed_by(right):
            continue
        for name in list(living):
            if due.is_missed_by(living[name]):
                caught.add(name)
                del living[name]
    return caught


def _due(right: Judged, case: Any, demanded: tuple[str, ...]) -> "_Due | None":
    """Work out what is due; nothing of what is not claimed."""
    kind, claimed = right.kind, right.capabilities
    if kind.unclaimed(case, claimed):
        return None
    values = kind.values(case, kind.bits(case, claimed))
    expected = kind.expected(case, values, claimed)
    names = demanded or kind.recipe_of(case).decides or tuple(expected)
    wanted = [one for one in names if claimed.backward or kind.function_of(one) == "forward"]
    due = {name: expected[name] for name in wanted}
    return _Due(case, values, due) if due else None


@dataclass(frozen=True)
class _Due:
    """A case, its operands, and what is due of it."""

    case: Any
    values: Mapping[str, Array]
    expected: Mapping[str, Expected]

    def is_missed_by(self, judged: Judged) -> bool:
        """Tell whether an implementation answers something else."""
        functions = sorted({judged.kind.function_of(name) for name in self.expected}, reverse=True)
        results: dict[str, Any] = {}
        try:
            for function in functions:
                results |= self._called(judged, function)
        except Exception:  # Whatever is raised is a refusal.
            return not judged.kind.may_refuse(self.case, judged.capabilities)
        format_ = judged.capabilities.arithmetic(self.case.dtype).result
        return not set(self.expected) <= set(results) or any(
            results[name].dtype != format_.dtype
            or results[name].shape != due.value.shape
            or compare(results[name], due, format_)[1] is not None
            for name, due in self.expected.items()
        )

    def _called(self, judged: Judged, function: str) -> Mapping[str, Any]:
        operands, options = judged.kind.arguments(function, self.case, self.values)
        copies = {name: array.copy() for name, array in operands.items()}
        call = Call(judged.kind.request(function), copies, options)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return called(judged.host.implementation, call, copies)  # type: ignore[union-attr]
