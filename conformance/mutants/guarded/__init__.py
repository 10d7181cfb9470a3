"""Faults behind guards, from a seed: right on most calls, and wrong where a guard holds.

A guard is what fast code asks before it takes another path: sizes, divisibility, options, format,
patterns of the values, the history of calls. Behind it is one of the faults of the zoo. A guarded
fault is only kept if some call shows it, which is looked for without the suite's cases. What is
the same for operators and layers stands here; nothing is judged.
"""

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from conformance.mutants import words

# Tells of a call, and of the format of its operands, whether it may show a fault.
Allowed = Callable[[Any, str], bool]
# So many faults that no such call shows are drawn in a row, or nearly so.
_TRIES = 30
FAMILIES = ("size", "divisible", "option", "format", "value", "history")
FORMATS = ("float32", "float64", "float16", "bfloat16")


def anything(call: Any, dtype: str) -> bool:  # noqa: ARG001
    """Allow every call."""
    return True


@dataclass(frozen=True)
class Guard:
    """One question.

    Attributes
    ----------
    family : str
        Its kind, one of `FAMILIES`.
    words : str
        As one would say it.
    holds : callable
        Of a moment: a call, its operands, and what came before.
    """

    family: str
    words: str
    holds: Callable[[Any], bool] = field(repr=False)


def at_least(name: str, number: int, of: Callable[[Any], int]) -> Guard:
    """Ask whether a number of a call is so large."""
    return Guard("size", f"{name} >= {number}", lambda m: of(m.call) >= number)


def divides(name: str, number: int, of: Callable[[Any], int]) -> Guard:
    """Ask whether a number divides one of a call."""
    return Guard("divisible", f"{name} % {number} == 0", lambda m: of(m.call) % number == 0)


def of_format(rng: random.Random) -> Guard:
    """Ask for one format."""
    name = rng.choice(FORMATS)
    return Guard("format", name, lambda m: m.x.dtype.name == name)


class Guarded(ABC):
    """What is right, with a fault behind guards.

    Parameters
    ----------
    guards : tuple of Guard
        All of which hold where the fault shows.
    fault : str
        Name of a mutant.
    """

    faults: ClassVar[Mapping[str, type[Any]]]

    def __init__(self, guards: tuple[Guard, ...], fault: str) -> None:
        self.guards, self.fault = guards, fault
        self.right, self.wrong = self.both(fault)
        self._calls = 0

    @classmethod
    @abstractmethod
    def both(cls, fault: str) -> tuple[Any, Any]:
        """Make what is right, and what has the fault."""

    @classmethod
    @abstractmethod
    def drawn(cls, rng: random.Random, family: str) -> Guard:
        """Draw a guard of a family."""

    @classmethod
    @abstractmethod
    def call_behind(
        cls, guards: tuple[Guard, ...], rng: random.Random, allowed: Allowed = anything
    ) -> Any:
        """Draw calls until one is allowed and satisfies the guards; None if none does."""

    @abstractmethod
    def differs(self, call: Any) -> bool:
        """Tell whether a result of a call is further from the right one than rounding is."""

    @property
    def words(self) -> str:
        """What is wrong, and where."""
        fault = words(self.faults[self.fault])
        return f"{fault}, where {' and '.join(guard.words for guard in self.guards)}"

    def chosen(self, moment: Any) -> Any:
        """Give what answers at a moment."""
        return self.wrong if all(guard.holds(moment) for guard in self.guards) else self.right

    @classmethod
    def drawn_all(cls, seed: int, number: int, allowed: Allowed = anything) -> list[Self]:
        """Give so many guarded faults, each of which some call that is allowed shows.

        Or fewer, where next to none is found.
        """
        rng, found = random.Random(seed), list[Self]()
        for tried in itertools.count():
            if len(found) == number or tried > _TRIES * (len(found) + 1):
                break
            # Where fast paths are: a size or a divisor, and one or two other questions.
            chosen = [
                rng.choice(("size", "divisible")), *rng.sample(FAMILIES, rng.choice((1, 1, 2)))
            ]  # fmt: skip
            guards = tuple(cls.drawn(rng, family) for family in chosen)
            one = cls(guards, rng.choice(list(cls.faults)))
            if one.shows(rng, allowed=allowed):
                found.append(one)
        return found

    def shows(self, rng: random.Random, tries: int = 12, allowed: Allowed = anything) -> bool:
        """Tell whether a call is found on which the fault shows, its history granted."""
        asked = tuple(guard for guard in self.guards if guard.family != "history")
        for _ in range(tries):
            found = self.call_behind(asked, rng, allowed)
            if found is None:
                return False
            if type(self)(asked, self.fault).differs(found):
                return True
        return False


def guarded(
    seed: int, number: int, *, layer: bool = False, allowed: Allowed = anything
) -> list[Any]:
    """Give so many guarded faults of operators, or of layers, which allowed calls show."""
    from conformance.mutants.guarded.layer import GuardedLayer
    from conformance.mutants.guarded.operator import GuardedOperator

    kind: type[Guarded] = GuardedLayer if layer else GuardedOperator
    return kind.drawn_all(seed, number, allowed)
