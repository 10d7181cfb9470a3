"""Says what was found: formulas beside the due ones, in the words of the specification."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from conformance.diagnosis.conditions import ALWAYS, Condition
from conformance.diagnosis.model import CLAUSES, DUE, Part, Slot
from conformance.diagnosis.observing import COUNTED
from conformance.words import listed

_NAMES: Mapping[str, str] = {
    "Db": "sample of dy", "Di": "row of dy", "Dj": "column of dy", "Dc": "channel of dy",
    "Eb": "sample of the kernel", "Ei": "row of the kernel grid",
    "Ej": "column of the kernel grid", "Eu": "kernel row", "Ev": "kernel column",
    "Eg": "group of the kernel",
    "Pb": "sample of x", "Ph": "row of x", "Pw": "column of x", "Pc": "channel of x",
}  # fmt: skip


class Said(NamedTuple):
    """The lines of an explanation."""

    what: tuple[str, ...]
    where: tuple[str, ...]
    when: tuple[str, ...]


def sentences(
    parts: Mapping[str, Part],
    when: Mapping[str, Condition],
    faulty: Sequence[str],
    seen: Sequence[Any],
) -> Said:
    """Put an explanation into words.

    Parameters
    ----------
    parts : mapping of str to Part
        How wrong results are computed, as far as it was found.
    when : mapping of str to Condition
        In which cases each is wrong.
    faulty : sequence of str
        The results that are wrong.
    seen : sequence
        The cases that were learned from.
    """
    what: list[str] = []
    for part in dict.fromkeys(parts.values()):
        own = [name for name in faulty if parts.get(name) == part]
        of = "" if len(own) == len(faulty) else f"{listed(own)}: "
        what += [of + line for line in of_part(part)]
    unknown = [name for name in faulty if name not in parts]
    if unknown:
        what.append(f"{listed(unknown)}: no formula was found that gives the answers")
    where = f"{listed(faulty)}" + ("" if len(faulty) == 3 else _right(faulty))
    return Said(tuple(what), (where,), tuple(_when(parts, when, faulty, seen)))


def _right(faulty: Sequence[str]) -> str:
    right = [name for name in ("y", "dx", "dkernel") if name not in faulty]
    return f"; {listed(right)} {'is' if len(right) == 1 else 'are'} right"


def _when(
    parts: Mapping[str, Part],
    when: Mapping[str, Condition],
    faulty: Sequence[str],
    seen: Sequence[Any],
) -> Iterable[str]:
    told: dict[str, list[str]] = {}
    for name in faulty:
        condition = when.get(name)
        if name in parts and (condition is None or condition.needed):
            where = condition is not None and condition.formula != ALWAYS.formula
            only = f"only if {condition}, " if where else ""
            said = f"{only}wherever this differs from what is due"
        elif condition is None or condition.needed:
            said = "no simple condition was found"
        else:
            said = str(condition)
        told.setdefault(said, []).append(name)
    off = sum(any(one.wrong[name] for name in faulty) for one in seen)
    for said, names in told.items():
        of = "" if len(names) == len(faulty) else f"{listed(names)}: "
        yield f"{of}{said}"
    yield f"{COUNTED}{off} of {len(seen)} cases that were asked"


def of_part(part: Part) -> Iterable[str]:
    """Say how one result is computed."""
    for name in part.every:
        axis = _NAMES[name].partition(" of ")
        yield f"sums over every {axis[0]}{axis[1]}{axis[2]}, where one is due"
    for slot in part.slots:
        yield from _of_slot(slot)
    if part.absent is not None:
        some = "all products" if part.absent is ALWAYS else f"products with {part.absent}"
        yield f"leaves out {some}"
    if part.constant is not None:
        number, only = part.constant
        where = "" if only is ALWAYS else f", where {only}"
        yield f"adds {number:g} to each sum{where}; nothing is due besides"
    if part.when is not ALWAYS:
        yield f"this where {part.when}; elsewhere it is right"


def _of_slot(slot: Slot) -> Iterable[str]:
    clause = CLAUSES.get(slot.name, "FWD-1")
    only = "" if slot.only is ALWAYS else f", where {slot.only}"
    if slot.name == "n":
        times = f"{slot.formula}" + ("" if slot.over is None else f" / ({slot.over})")
        yield f"counts each product {times} times{only}, due once   ({clause})"
        return
    border = f", {slot.border}" if slot.border else ""
    found = f"{slot.formula}{border}{only}"
    yield f"reads {_NAMES[slot.name]} {found}   due {DUE[slot.name]}   ({clause})"
    if slot.change:
        yield f"  {slot.change}"
