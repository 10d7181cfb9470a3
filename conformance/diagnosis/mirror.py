"""The same fault on the other axis: rows for columns, and columns for rows.

Who gets the padding of columns wrong gets that of rows wrong more often than not, though few of the
cases that were asked may show it. What is made here is a guess: it counts where it agrees with
everything that was seen. Nothing is asked of an implementation.
"""

import contextlib
import re
from dataclasses import replace

from conformance.diagnosis.conditions import ALWAYS, Condition
from conformance.diagnosis.expressions import DERIVED, NAMED, Formula, atom
from conformance.diagnosis.model import Part, Slot

_PAIRS = (
    ("i", "j"), ("u", "v"), ("h", "w"), ("H", "W"), ("Ho", "Wo"), ("Kh", "Kw"), ("sh", "sw"),
    ("dh", "dw"), ("top", "left"), ("bottom", "right"), ("later_rows", "later_columns"),
)  # fmt: skip
_OTHER = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_WORDS = re.compile(r"\b(" + "|".join(sorted(_OTHER, key=len, reverse=True)) + r")\b")


def _other(word: re.Match[str]) -> str:
    return _OTHER[word[0]]


def on_both_axes(part: Part) -> list[Part]:
    """Give the parts with the fault of one axis on the other too, in the place of what is there."""
    if part.when is not ALWAYS or part.absent is not None:
        return []
    found, neither = list[Part](), [one for one in part.slots if _name(one.name) == one.name]
    for own in ("iuh", "jvw"):
        slots = [one for one in part.slots if one.name[1:] in own]
        with contextlib.suppress(_NoOtherError):
            both = replace(part, slots=(*neither, *slots, *map(_slot, slots)))
            if slots and set(map(_told, both.slots)) != set(map(_told, part.slots)):
                found.append(both)
    return found


def _told(slot: Slot) -> Slot:
    """Give a slot without what is said of it."""
    return replace(slot, change="", edited=0)


class _NoOtherError(Exception):
    """A formula has no counterpart."""


def _name(name: str) -> str:
    return name[0] + _OTHER.get(name[1:], name[1:])


def _slot(slot: Slot) -> Slot:
    only = (
        slot.only if slot.only is ALWAYS else Condition(mirrored(slot.only.formula), slot.only.cost)
    )
    return replace(
        slot,
        name=_name(slot.name),
        formula=mirrored(slot.formula),
        only=only,
        over=None if slot.over is None else mirrored(slot.over),
        change=_WORDS.sub(_other, slot.change),
    )


def mirrored(formula: Formula) -> Formula:
    """Give the formula of the other axis.

    Raises
    ------
    _NoOtherError
        It is made of numbers that were given for one axis.
    """
    if formula.operator == "atom":
        name = _WORDS.sub(_other, formula.parts[0])
        if formula.parts[0] in DERIVED and name not in DERIVED:
            raise _NoOtherError
        return atom(name)
    if formula.operator == "given":
        raise _NoOtherError
    if formula.operator == "named":
        other = mirrored(NAMED[formula.parts[0]])
        alike = (name for name, one in NAMED.items() if one == other)
        named = next(alike, None)
        return other if named is None else Formula("named", (named,))
    parts = [mirrored(one) if isinstance(one, Formula) else one for one in formula.parts]
    return Formula(formula.operator, tuple(parts))
