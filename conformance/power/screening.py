"""Puts what a run asked to faults, one case at a time and in this process, until each is caught.

The truth of a case is computed once for all of them, and so are the steps of the right answer.
Values are looked at, and nothing else: what is done to memory or to the process other checks see.
"""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.bounds.expected import Expected
from conformance.cases.case import Array
from conformance.claims.formats import Format
from conformance.claims.loading import Judged
from conformance.judging.examine import compare
from conformance.judging.kind import FUNCTIONS
from conformance.power.alike import Steps
from conformance.worker.host import Call, called

# A case, and the results that were demanded; none: all that its recipe decides.
Asked = tuple[Any, tuple[str, ...]]


def screen(
    right: Judged, faults: Mapping[str, Judged], asked: Iterable[Asked], *, in_turn: bool = False
) -> set[str]:
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
    in_turn : bool
        The answers of some of them depend on the calls before, so that each call is made.
    """
    living, caught = dict(faults), set[str]()
    for case, demanded in asked:
        if not living:
            break
        due = _due(right, case, demanded)
        if due is None:
            continue
        steps = None if in_turn else due.steps(right)
        if due.is_missed_by(right) if steps is None else due.is_missed(steps.results):
            continue
        for name, fault in list(living.items()):
            alike = steps is not None and steps.are_those_of(_implementation(fault))
            if not alike and due.is_missed_by(fault):
                caught.add(name)
                del living[name]
    return caught


def _implementation(judged: Judged) -> Any:
    return judged.host.implementation  # type: ignore[union-attr]


def _due(right: Judged, case: Any, demanded: tuple[str, ...]) -> "_Due | None":
    """Work out what is due; nothing of what is not claimed."""
    kind, claimed = right.kind, right.capabilities
    if kind.unclaimed(case, claimed):
        return None
    values = kind.values(case, kind.bits(case, claimed))
    expected = kind.expected(case, values, claimed)
    names = demanded or kind.recipe_of(case).decides or tuple(expected)
    # Those that it has itself, of those that are claimed.
    there = (*FUNCTIONS, *(name for name in kind.further if name in right.host.offers))
    asked = [name for name in there if kind.has(name, claimed)]
    wanted = [one for one in names if kind.function_of(one) in asked]
    due = {name: expected[name] for name in wanted}
    return _Due(case, values, due, claimed.arithmetic(case.dtype).result) if due else None


@dataclass(frozen=True)
class _Due:
    """A case, its operands, and what is due of it."""

    case: Any
    values: Mapping[str, Array]
    expected: Mapping[str, Expected]
    format: Format
    known: list[Array] = field(default_factory=list)

    def is_missed_by(self, judged: Judged) -> bool:
        """Tell whether an implementation answers something else."""
        results: dict[str, Any] = {}
        try:
            for function in self._functions(judged):
                results |= self._called(judged, function)
        except Exception:  # Whatever is raised is a refusal.
            return not judged.kind.may_refuse(self.case, judged.capabilities)
        return self.is_missed(results)

    def is_missed(self, results: Mapping[str, Any]) -> bool:
        """Tell whether results are not those that are due."""
        if not set(self.expected) <= set(results):
            return True
        return not all(self._is(results[name], name) for name in self.expected)

    def _is(self, result: Any, name: str) -> bool:
        due, format_ = self.expected[name], self.format
        if any(result is one for one in self.known):
            return True
        found: bool = (
            result.dtype == format_.dtype
            and result.shape == due.value.shape
            and compare(result, due, format_)[1] is None
        )
        if found and not result.flags.writeable:
            # The same array may come again, of what remembers it.
            self.known.append(result)
        return found

    def steps(self, right: Judged) -> Steps | None:
        """Give the steps that what is right takes; None where it raises."""
        calls = [self._call(right, function) for function in self._functions(right)]
        try:
            with _quiet():
                return Steps(type(_implementation(right)), calls)
        except Exception:
            return None

    def _functions(self, judged: Judged) -> list[str]:
        return sorted({judged.kind.function_of(name) for name in self.expected}, reverse=True)

    def _call(self, judged: Judged, function: str) -> Call:
        operands, options = judged.kind.arguments(function, self.case, self.values)
        copies = {name: array.copy() for name, array in operands.items()}
        return Call(judged.kind.request(function), copies, options)

    def _called(self, judged: Judged, function: str) -> Mapping[str, Any]:
        call = self._call(judged, function)
        with _quiet():
            return called(_implementation(judged), call, call.tensors)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
