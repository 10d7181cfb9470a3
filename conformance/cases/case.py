"""One case as a word: what the cases of every kind have in common.

A case is a handful of small numbers, so that it prints and replays; its operands are made from it.
A part of it (a geometry, a configuration) is an object of its own, whose fields are written as if
they were the case's. Nothing is drawn or computed here.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
# Names that a token may have from the time when cases held them.
_OBSOLETE = {"bits"}


@dataclass(frozen=True)
class Case:
    """One call of forward and backward, values included.

    Attributes
    ----------
    dtype : str
        Format of the operands.
    recipe : str
        Name of the recipe that their values are made by.
    """

    dtype: str
    recipe: str

    # The field that is an object, and the names that its own fields go by in a token.
    part: ClassVar[str]
    renamed: ClassVar[Mapping[str, str]] = {}

    def changed(self, **changes: Any) -> Self:
        """Give the case with some of its fields, or of its part's, changed."""
        own = {field.name for field in fields(self)}
        inner = {name: value for name, value in changes.items() if name not in own}
        outer: dict[str, Any] = {name: changes[name] for name in changes if name in own}
        if inner:
            outer[self.part] = replace(outer.get(self.part, getattr(self, self.part)), **inner)
        return replace(self, **outer)

    @property
    def samples(self) -> int:
        """Samples of its operands: the batch, unless the recipe makes one for each entry."""
        return int(getattr(self, "batch", 1))

    @property
    def token(self) -> str:
        """The case in one word, for ``python -m conformance --case=TOKEN``."""
        default = named(type(self)(self.dtype, self.recipe))
        return ",".join(
            f"{name}={_compact(value)}"
            for name, value in _flat(self)
            if name in {"dtype", "recipe"} or value != default[name]
        )

    @classmethod
    def parse(cls, token: str) -> Self:
        """Read a token.

        Raises
        ------
        ValueError
            Naming the part that is no field of a case, or has a value that it cannot have.
        """
        default = cls("", "")
        known = [name for name, _ in _flat(default)]
        values: dict[str, Any] = {}
        for part in token.split(","):
            name, equals, text = part.partition("=")
            if not equals or name not in {*known, *_OBSOLETE}:
                raise ValueError(
                    f"--case has parts NAME=VALUE, NAME one of {', '.join(known)}; got {part!r}"
                )
            values[name] = _value(text)
        if not {"dtype", "recipe"} <= set(values):
            lacking = " and ".join({"dtype", "recipe"} - set(values))
            raise ValueError(f"--case needs dtype and recipe, got {token!r} without {lacking}")
        back = {written: name for name, written in cls.renamed.items()}
        try:
            return default.changed(
                **{back.get(n, n): value for n, value in values.items() if n not in _OBSOLETE}
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"--case={token}: {error}") from error


@dataclass(frozen=True)
class Recipe:
    """How the values of a case are made.

    Attributes
    ----------
    name : str
        As a token has it.
    make : callable
        ``make(case, bits, rng)`` gives the operands in float64, in the order of the kind; sums of
        exact recipes fit into so many bits.
    exact : bool
        Every sum is exact in any order, so that equality is demanded (NUM-1).
    decides : tuple of str
        The results that it decides, where that is not all of forward and backward.
    operands : tuple of str
        What it makes, where it is more than forward and backward take.
    certifies : bool
        Its results show which factors met: one sample for each entry.
    rounds : bool
        Of the exact sum one rounding to the result's format is due (NUM-8).
    rule : callable, optional
        ``rule(result, got, expected)`` names the clause that a wrong element breaks, or nothing
        where that is the clause of the result.
    """

    name: str
    make: Callable[..., Iterable[Array]]
    exact: bool = False
    decides: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    certifies: bool = False
    rounds: bool = False
    rule: Callable[[str, float, float], str] | None = None


def named(case: Case) -> dict[str, Any]:
    """Give what a token says of a case, by the names that it has there."""
    return dict(_flat(case))


def _flat(case: Case) -> Iterator[tuple[str, Any]]:
    """Give the fields of a case in order, those of its part in their place."""
    for field in fields(case):
        value = getattr(case, field.name)
        if is_dataclass(value):
            for inner in fields(value):
                yield case.renamed.get(inner.name, inner.name), getattr(value, inner.name)
        else:
            yield field.name, value


def _compact(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ("/" if isinstance(value[0], tuple) else "x").join(_compact(part) for part in value)


def _value(text: str) -> Any:
    if "/" in text:
        return tuple(_value(part) for part in text.split("/"))
    if re.fullmatch(r"\d+x\d+", text):
        return tuple(int(part) for part in text.split("x"))
    if text in {"True", "False"}:
        return text == "True"
    if re.fullmatch(r"[\d.]+(e-?\d+)?", text):
        return int(text) if text.isdigit() else float(text)
    return text
