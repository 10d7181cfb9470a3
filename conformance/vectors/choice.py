"""The vectors that were chosen, with what each says of itself: clauses, comment and flags.

Which they are stands in `chosen.json`, written by ``python -m tests.surveys.vectors`` with the
faults that each catches. Nothing is computed here.
"""

import functools
import json
from dataclasses import dataclass
from pathlib import Path

from conformance.cases.operator import OperatorCase, call_of
from conformance.vectors.request import refused_calls

PATH = Path(__file__).with_name("chosen.json")


@dataclass(frozen=True)
class Vector:
    """A numbered vector.

    Attributes
    ----------
    number : int
        From 1.
    function : str
        "forward" or "backward".
    catches : tuple of str
        Names of known faults that give a wrong answer.
    case : OperatorCase or None
        The call; None where it must be refused.
    form : str
        How its options are written.
    refused : str
        What is wrong with a call that must be refused.
    """

    number: int
    function: str
    catches: tuple[str, ...]
    case: OperatorCase | None = None
    form: str = "whole"
    refused: str = ""

    @property
    def file(self) -> str:
        """Name of its files."""
        return f"{self.number:04}.safetensors"


@functools.cache
def choice() -> tuple[Vector, ...]:
    """Give the chosen vectors, in order."""
    listed = []
    for number, entry in enumerate(json.loads(PATH.read_text(encoding="utf-8")), 1):
        catches = tuple(entry["catches"])
        if "refused" in entry:
            function = refused_calls()[entry["refused"]].call[0]
            listed.append(Vector(number, function, catches, refused=entry["refused"]))
        else:
            case = OperatorCase.parse(entry["case"])
            listed.append(Vector(number, entry["function"], catches, case, entry["form"]))
    return tuple(listed)


__all__ = ["PATH", "Vector", "call_of", "choice"]
