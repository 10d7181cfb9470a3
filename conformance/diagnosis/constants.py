"""Finds a constant that stands in a result besides its sums: what comes where operands are zero.

Every sum of products is zero then, whatever the map. What comes instead, and at which entries, is
read off, and the condition on the places of the entries is the simplest one that separates.
"""

from collections.abc import Callable, Sequence

import numpy as np

from conformance.cases.case import Array
from conformance.diagnosis.answers import Question
from conformance.diagnosis.asking import Asking, Seen
from conformance.diagnosis.compared import WHOLE
from conformance.diagnosis.conditions import ALWAYS
from conformance.diagnosis.expressions import Columns
from conformance.diagnosis.fitting import of_places
from conformance.diagnosis.model import Constant, Part
from conformance.diagnosis.places import entries_of

# Cases on which it is asked first, of those that are wrong and of those that are right; how many
# that contradict are asked then, and how often.
_WRONG, _RIGHT, _AGAINST, _ROUNDS = 6, 3, 4, 3
_SEVERAL = 2

# A case, and what comes of it where all operands are zero.
Given = tuple[Seen, Array | None]


def constant_part(
    asking: Asking, result: str, contradicting: Callable[[Part], Sequence[Seen]]
) -> Part | None:
    """Find what is added to a result; None where zero operands give zeros, or no one number.

    Parameters
    ----------
    asking : Asking
        Who is asked; what is wrong was seen.
    result : str
        "y", "dx" or "dkernel".
    contradicting : callable
        Gives what was seen and is not as a part says: it is asked, too.
    """
    few = [one for one in asking.seen if 0 < one.case.products <= WHOLE and not one.raised]
    off = [one for one in few if one.wrong[result]]
    found: list[Given] = [(one, _on_zeros(asking, one, result)) for one in _spread(off, _WRONG)]
    if not any(got is not None and got.any() for _, got in found):
        return None
    chosen = _spread([one for one in few if not one.wrong[result]], _RIGHT)
    part: Part | None = None
    for _ in range(_ROUNDS):
        found += [(one, _on_zeros(asking, one, result)) for one in chosen]
        if (part := _fitted(found, result)) is None:
            return None
        known = {id(one) for one, _ in found}
        against = [one for one in contradicting(part) if one in few and id(one) not in known]
        if not against:
            break
        chosen = _spread(against, _AGAINST)
    return part


def _fitted(given: Sequence[Given], result: str) -> Part | None:
    """Find the number, and the simplest condition on the places of the entries that have it."""
    places, there, numbers = list[Columns](), list[Array](), dict[str, set[float]]()
    for one, got in given:
        if got is None:
            return None
        flat = got.reshape(-1)
        numbers.setdefault(one.case.dtype, set()).update(flat[flat != 0].tolist())
        places.append(entries_of(one.case, result))
        there.append(flat != 0)
    value, off = _one_number(numbers), np.concatenate(there)
    if not value:
        return None
    columns = {name: np.concatenate([one[name] for one in places]) for name in places[0]}
    # What all entries of a call have, or none, is no matter of places.
    of_calls = all(one.all() or not one.any() for one in there)
    conditions = [ALWAYS] if of_calls else of_places(columns, off)
    return Part(constant=Constant(value, conditions[0])) if conditions else None


def _spread(seen: Sequence[Seen], most: int) -> list[Seen]:
    """Choose some in every format, small ones; first those of several rows, columns and taps."""
    ordered = sorted(
        seen,
        key=lambda one: (
            min(one.case.grid) < _SEVERAL or one.case.geometry.taps < _SEVERAL,
            one.case.products,
            one.case.token,
        ),
    )
    by_format: dict[str, list[Seen]] = {}
    for one in ordered:
        by_format.setdefault(one.case.dtype, []).append(one)
    turns = max(map(len, by_format.values()), default=0)
    return [own[n] for n in range(turns) for own in by_format.values() if n < len(own)][:most]


def _on_zeros(asking: Asking, one: Seen, result: str) -> Array | None:
    """Give what an operator answers where every operand is zero; None if that is no number."""
    zeros = {name: np.zeros_like(array) for name, array in one.values.items()}
    got = Question(asking.judged, one.case).ask(zeros).get(result)
    if not isinstance(got, np.ndarray) or got.shape != one.got[result].shape:
        return None
    wide = got.astype(np.float64)
    return wide if np.isfinite(wide).all() else None


def _one_number(numbers: dict[str, set[float]]) -> float | None:
    """Give the shortest decimal number that is what came, in each format rounded to it."""
    if any(len(own) > 1 for own in numbers.values()):
        return None
    came = {name: own.pop() for name, own in numbers.items() if own}
    for name, value in came.items():
        short = float(str(np.dtype(name).type(value)))
        if all(float(np.dtype(other).type(short)) == due for other, due in came.items()):
            return short
    return None
