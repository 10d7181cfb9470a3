"""What an implementation answers to a question, and in what two answers differ."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.claims.formats import FORMATS
from conformance.judging.kind import FUNCTIONS, Kind

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
class Call:
    """A case put to an implementation, as often as wanted, with the same operands.

    Attributes
    ----------
    kind : Kind
        Of the implementation.
    claimed : Capabilities
        What is claimed by who is diagnosed; candidates are asked in the same way.
    implementation : object
        Who is asked.
    case : Case
        What.
    make : callable, optional
        ``make(case, bits)`` gives the operands in the place of the case's own.
    """

    kind: Kind
    claimed: Any
    implementation: Any
    case: Any
    make: Callable[[Any, int], Values] | None = None

    @property
    def values(self) -> dict[str, Array]:
        """The operands, anew each time."""
        bits = self.kind.bits(self.case, self.claimed)
        return dict((self.make or self.kind.values)(self.case, bits))

    @property
    def other(self) -> "Call":
        """A call of the same shapes on other values."""
        changed = self.case.changed(seed=self.case.seed + 7)
        return Call(self.kind, self.claimed, self.implementation, changed)

    def ask(
        self,
        values: Values | None = None,
        functions: Iterable[str] = FUNCTIONS,
        **options: Any,
    ) -> Outcome:
        """Ask for results; they are the very arrays that the implementation returned."""
        values = self.values if values is None else values
        outcome: Outcome = {}
        for function in functions:
            due = self.kind.shapes(function, self.case, values, self.claimed)
            arguments, keywords = self.kind.arguments(function, self.case, values)
            try:
                with warnings.catch_warnings(), np.errstate():
                    warnings.simplefilter("ignore")
                    returned = getattr(self.implementation, function)(
                        *arguments, **(options or keywords)
                    )
                found = self.kind.unpack(function, returned, self.claimed)
                outcome |= {name: np.asarray(one) for name, one in found.items()}
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                outcome |= dict.fromkeys(due, Raised(f"{type(error).__name__}: {error}"))
        return outcome

    def answer(self, **asked: Any) -> Outcome:
        """Ask, and keep what is safe from later calls."""
        return {
            name: one.copy() if isinstance(one, np.ndarray) else one
            for name, one in self.ask(**asked).items()
        }


Manner = Callable[[Call], Outcome]


@dataclass(frozen=True)
class Probe:
    """A question: a case, and the manner in which it is put."""

    case: Any
    manner: Manner = field(default=Call.answer, compare=False)
    make: Callable[[Any, int], Values] | None = field(default=None, compare=False)
    # Whether it is about what changes from call to call.
    behavioural: bool = False
    # Whether it takes many calls.
    dear: bool = False

    @property
    def name(self) -> str:
        """The case's token, and the manner where it is not the plain one."""
        manner = getattr(self.manner, "__name__", "answer")
        return f"{self.case.token}" + ("" if manner == "answer" else f" ({manner.strip('_')})")

    def ask(self, kind: Kind, claimed: Any, implementation: Any) -> Outcome:
        """Put it to an implementation."""
        return self.manner(Call(kind, claimed, implementation, self.case, self.make))


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
