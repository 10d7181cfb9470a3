"""What an implementation answers to a question, and in what two answers differ."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.claims.program import DiedError
from conformance.judging.ask import call_of
from conformance.judging.kind import FUNCTIONS
from conformance.worker.host import Reply

# A result by its name: an array, a `Raised` in its place, or something that was observed.
Outcome = dict[str, Any]
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Raised:
    """An exception in the place of a result; every exception is alike."""

    words: str = field(compare=False)

    def __str__(self) -> str:
        return f"raises {self.words}"


@dataclass(frozen=True)
class Question:
    """A case put to an implementation, as often as wanted, with the same operands.

    Attributes
    ----------
    judged : Judged
        Who is asked, as what is claimed by who is diagnosed: candidates are asked in the same way.
    case : Case
        What.
    make : callable, optional
        ``make(case, bits)`` gives the operands in the place of the case's own.
    """

    judged: Judged
    case: Any
    make: Callable[[Any, int], Values] | None = None

    @property
    def values(self) -> dict[str, Array]:
        """The operands, anew each time."""
        kind = self.judged.kind
        bits = kind.bits(self.case, self.judged.capabilities)
        return dict((self.make or kind.values)(self.case, bits))

    @property
    def other(self) -> "Question":
        """The question of the same shapes on other values."""
        return Question(self.judged, self.case.changed(seed=self.case.seed + 7))

    def ask(
        self,
        values: Values | None = None,
        functions: Iterable[str] = FUNCTIONS,
        *,
        again: bool = False,
        **options: Any,
    ) -> Outcome:
        """Ask for results; `again` in the memory of the operands before."""
        return self.look(values, functions, again=again, **options)[0]

    def look(
        self,
        values: Values | None = None,
        functions: Iterable[str] = FUNCTIONS,
        *,
        again: bool = False,
        **options: Any,
    ) -> tuple[Outcome, list[Reply]]:
        """Ask for results, and for what was done to memory."""
        values = self.values if values is None else values
        outcome: Outcome = {}
        replies = []
        for function in functions:
            if function == "backward" and not self.judged.capabilities.backward:
                continue
            reply = self._reply(function, values, options, again)
            replies.append(reply)
            results = dict(reply.results)
            if reply.raised:
                kind, claimed = self.judged.kind, self.judged.capabilities
                due = kind.shapes(function, self.case, values, claimed)
                results = dict.fromkeys(due, Raised(": ".join(reply.raised)))
            if not getattr(self.judged.capabilities, "returns_kernel", True):
                results.pop("kernel", None)
            outcome |= results
        return outcome, replies

    def _reply(
        self, function: str, values: Values, options: Mapping[str, Any], again: bool
    ) -> Reply:
        call = call_of(self.judged, function, self.case, values, options, again=again)
        try:
            return self.judged.host.call(call)
        except DiedError as error:
            return Reply(raised=("no answer", str(error)))


Manner = Callable[[Question], Outcome]


@dataclass(frozen=True)
class Probe:
    """A question: a case, and the manner in which it is put."""

    case: Any
    manner: Manner = field(default=Question.ask, compare=False)
    make: Callable[[Any, int], Values] | None = field(default=None, compare=False)
    # Whether it is about what changes from call to call.
    behavioural: bool = False
    # Whether it takes many calls.
    dear: bool = False

    @property
    def name(self) -> str:
        """The case's token, and the manner where it is not the plain one."""
        manner = getattr(self.manner, "__name__", "ask")
        return f"{self.case.token}" + ("" if manner == "ask" else f" ({manner.strip('_')})")

    def ask(self, judged: Judged) -> Outcome:
        """Put it to an implementation."""
        return self.manner(Question(judged, self.case, self.make))


def differing(
    one: Outcome, other: Outcome, limits: Mapping[str, Array] | None = None, *, roundings: int = 0
) -> set[str]:
    """Name the entries in which two outcomes differ.

    Numbers are compared by value: NaN is NaN, and zero has no sign. Up to the limits, or so many
    roundings, may separate them.
    """
    return {
        name
        for name in one.keys() | other.keys()
        if not equal(one.get(name), other.get(name), (limits or {}).get(name), roundings)
    }


def equal(one: Any, other: Any, limit: Array | None = None, roundings: int = 0) -> bool:
    """Compare two entries of outcomes."""
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return type(one) is type(other) and bool(one == other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if one.dtype.name not in FORMATS:
        return np.array_equal(one, other)
    numbers = one.astype(np.float64), other.astype(np.float64)
    if np.array_equal(*numbers, equal_nan=True):
        return True
    with np.errstate(invalid="ignore", over="ignore"):
        allowed = roundings * FORMATS[one.dtype.name].unit_roundoff * np.abs(numbers[1])
        allowed = allowed if limit is None or limit.shape != one.shape else limit
        near = np.abs(numbers[0] - numbers[1]) <= allowed
    alike = (numbers[0] == numbers[1]) | (np.isnan(numbers[0]) & np.isnan(numbers[1]))
    return bool((near | alike).all())
