"""Checks: named questions to an implementation, each with the clauses that it decides.

A check is a function of a judge, written in `conformance.suite`. The decorator here notes it,
once for each choice of its parameters. Nothing is asked here.
"""

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

Function = Callable[..., None]


@dataclass(frozen=True)
class Check:
    """A question to an implementation.

    Attributes
    ----------
    name : str
        Its function's name, with the choice of its parameters in brackets.
    clauses : tuple of str
        What it decides; the first is blamed for what the check itself finds.
    function : callable
        Takes a judge, ``draw`` if cases are drawn, and the parameters.
    parameters : dict
        The choice.
    drawn : bool
        Whether it is repeated on drawn cases.
    full_size : bool
        Whether its cases are as large as real ones, which only some profiles afford.
    exact : bool
        Whether it is of the exact tier: certificates, and sums that no rounding can enter.
    """

    name: str
    clauses: tuple[str, ...]
    function: Function = field(repr=False)
    parameters: dict[str, Any] = field(repr=False)
    drawn: bool
    full_size: bool = False
    exact: bool = False

    def of(self, chapters: Iterable[str]) -> tuple[str, ...]:
        """Give its clauses that are in some chapters; none: it is for another kind."""
        return tuple(number for number in self.clauses if number[:3] in chapters)


_CHECKS: list[Check] = []
# Of each shape that somebody names it is one check.
_OF_SHAPES: list[Check] = []


def check(
    *clauses: str,
    full_size: bool = False,
    exact: bool = False,
    of_shapes: bool = False,
    **choices: Iterable[Any],
) -> Callable[[Function], Function]:
    """Note a check.

    Parameters
    ----------
    *clauses : str
        What it decides. A check for several kinds names the clauses of each.
    full_size : bool, default False
        Its cases are as large as real ones, which only some profiles afford.
    exact : bool, default False
        It is of the exact tier, and quick.
    of_shapes : bool, default False
        It is run for each shape that somebody names. Its function takes the shape, and `reals`:
        whether more than the exact tier is asked for.
    **choices
        Values of each of its parameters; it is one check for each combination.
    """

    def note(function: Function) -> Function:
        drawn = "draw" in inspect.signature(function).parameters
        for values in itertools.product(*choices.values()):
            chosen = dict(zip(choices, values, strict=True))
            words = "-".join(_word(value) for value in values)
            name = function.__name__ + (f"[{words}]" if words else "")
            noted = _OF_SHAPES if of_shapes else _CHECKS
            noted.append(Check(name, clauses, function, chosen, drawn, full_size, exact))
        return function

    return note


def checks_of(chapters: Iterable[str], *, full_size: bool = False) -> Iterator[Check]:
    """List the checks that decide clauses of some chapters, in the order of the suite.

    Those of full size are among them only where they are asked for.
    """
    return (one for one in _CHECKS if one.of(chapters) and (full_size or not one.full_size))


def checks_of_shapes(
    chapters: Iterable[str], shapes: Iterable[Any], *, reals: bool
) -> Iterator[Check]:
    """List the checks of shapes that somebody named, as far as they decide clauses of chapters."""
    chapters = tuple(chapters)
    for shape, one in itertools.product(shapes, _OF_SHAPES):
        if one.of(chapters):
            parameters = {"shape": shape, "reals": reals}
            yield replace(one, name=f"{one.name}[{shape.name}]", parameters=parameters)


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(_word, value))
    return str(getattr(value, "__name__", value)).strip("_")
