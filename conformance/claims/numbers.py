"""Which numbers of groups or channels are claimed: any, some, or those from a least one on.

It says whether a number is among them, and which is nearest. No case is known here.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Numbers:
    """Numbers that are claimed.

    Attributes
    ----------
    listed : tuple of int
        These alone; none: all that the others allow.
    least, multiple : int
        The least of them, and what divides all of them.
    """

    listed: tuple[int, ...] = ()
    least: int = 1
    multiple: int = 1

    @classmethod
    def read(cls, value: Any) -> "Numbers":
        """Read a declaration: "any", an integer, several, or ``{"least": 4, "multiple": 8}``.

        Raises
        ------
        ValueError
            With the rule and the value received.
        """
        if isinstance(value, cls):
            return value
        if value == "any":
            return ANY
        if isinstance(value, Mapping):
            numbers, known = list(value.values()), set(value) <= {"least", "multiple"}
        else:
            several = isinstance(value, Iterable) and not isinstance(value, str)
            numbers, known = list(value) if several else [value], True
        if not known or not numbers or not all(type(n) is int and n > 0 for n in numbers):
            raise ValueError(
                'must be "any", integers above 0, or a mapping of "least" and "multiple" to such, '
                f"got {value!r}"
            )
        return cls(**value) if isinstance(value, Mapping) else cls(tuple(sorted(set(numbers))))

    def __contains__(self, number: int) -> bool:
        if self.listed:
            return number in self.listed
        return number >= self.least and number % self.multiple == 0

    def near(self, number: int, most: int = 64) -> Iterator[int]:
        """Give claimed numbers, the nearest first; of what has no end those from the number on."""
        if self.listed:
            yield from sorted(self.listed, key=lambda one: (abs(one - number), one))
            return
        first = math.ceil(max(number, self.least) / self.multiple)
        yield from (n * self.multiple for n in range(first, first + most))

    def __str__(self) -> str:
        if self.listed:
            return ", ".join(map(str, self.listed))
        said = [f"from {self.least} on"] if self.least > 1 else []
        said += [f"multiples of {self.multiple}"] if self.multiple > 1 else []
        return " and ".join(said) or "any"


ANY = Numbers()


def nearest(
    groups: int, members: int, allowed: tuple[Numbers, Numbers, Numbers]
) -> tuple[int, int]:
    """Give the nearest G and M that are claimed, with their C; what is given where none is found.

    Parameters
    ----------
    groups, members : int
        G and M that are wished for.
    allowed : tuple of Numbers
        Of G, of M and of C.
    """
    some, each, together = allowed
    close, full = next(some.near(groups)), next(each.near(members))
    if close * full in together:
        return close, full
    for channels in together.near(close * full):
        divisors = (n for n in range(1, channels + 1) if channels % n == 0)
        for number in sorted(divisors, key=lambda n: (abs(n - close), n)):
            if number in some and channels // number in each:
                return number, channels // number
    return groups, members
