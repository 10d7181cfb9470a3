"""Learns by asking when an operator or a layer is wrong: the simplest condition that separates.

Where several separate, cases on which they differ are asked; a threshold is searched for between
right and wrong. What is asked, and how, `Asking` knows.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conformance.diagnosis.asking import DRAWN, Asking, Seen
from conformance.diagnosis.conditions import Condition, separating

# Cases of each kind that are asked at a time.
_ASKED = 6


def learned(
    asking: Asking,
    result: str,
    is_wrong: Callable[[Any], bool] | None = None,
    matters: Callable[[Any], bool] | None = None,
    *,
    refusals: bool = False,
    ends: Callable[[Any], bool] | None = None,
) -> list[Condition]:
    """Learn when a result is wrong, asking what tells the conditions that are left apart.

    A case that is right matters only where `matters` says so; what raised only where `refusals`.
    Where what was asked is such that it `ends`, no condition is of use, and none is given.
    """
    label = is_wrong or (lambda one: one.wrong[result])
    found: list[Condition] = []
    questioned: set[tuple[str, int]] = set()
    pool, before = _Pool(asking), len(asking.seen)
    for _ in range(24):
        if ends is not None and any(map(ends, asking.seen[before:])):
            return []
        before = len(asking.seen)
        # What has no entries is right whatever is computed, and tells nothing of when it is wrong.
        every = [one for one in asking.seen if label(one) or not one.empty]
        every += asking.refused if refusals else ()
        cared = [one for one in every if matters is None or label(one) or matters(one)]
        columns = asking.columns(cared)
        wrong_ = np.array([label(one) for one in cared])
        found = separating(columns, wrong_)
        if not found or not asking.left(0.68):
            return found
        if bisected(asking, found[0], cared, wrong_):
            continue
        off = [one for one in cared if label(one)]
        asked = pool.telling(found, off) if len(found) > 1 else []
        if not asked:
            if _questioned(asking, found[0], off, questioned):
                continue
            return found
        for case in asked:
            if asking.left(0.7):
                asking.note(asking.ask(case))
    return found


class _Pool:
    """Cases that are not asked yet, with what conditions say of them."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.drawn: list[Any] = []

    def telling(self, found: Sequence[Condition], wrong: Sequence[Any]) -> list[Any]:
        """Give cases on which the simplest two conditions differ, or opinions are most divided."""
        asked, apart = self._chosen(found)
        if not apart:
            self._draw(wrong)
            asked, apart = self._chosen(found)
        if not apart:
            asked += self.asking.between(found, wrong)
        chosen = set(asked)
        self.drawn = [one for one in self.drawn if one.case not in chosen]
        return asked

    def _draw(self, wrong: Sequence[Any]) -> None:
        fresh = list(itertools.islice(self.asking.cases(), DRAWN)) + self.asking.beside(wrong)
        for number, case in enumerate(fresh):
            # The operands of a million products take a tenth of a second.
            if number and not self.asking.left(0.7):
                break
            self.drawn.append(self.asking.outlined(case))

    def _chosen(self, found: Sequence[Condition]) -> tuple[list[Any], bool]:
        """Choose some, and tell whether the simplest two conditions differ on one."""
        if not self.drawn:
            return [], False
        told = self.asking.columns(self.drawn)
        votes = np.array([one(told) for one in found])
        split = np.flatnonzero(votes.any(0) & ~votes.all(0))
        apart = [n for n in split if votes[0, n] != votes[1, n]]
        divided = sorted(split, key=lambda n: abs(votes[:, n].mean() - 0.5))
        chosen = dict.fromkeys([*apart[:_ASKED], *divided[:_ASKED]])
        return [self.drawn[n].case for n in chosen], bool(apart)


def _questioned(
    asking: Asking, condition: Condition, wrong: Sequence[Seen], before: set[tuple[str, int]]
) -> bool:
    """Ask whether each part of a condition is needed; false if there is nothing left to ask.

    Of what was asked by chance a part may separate what no case has questioned.
    """
    number = len(condition.parts)
    for part in range(number if number > 1 else 0):
        if (str(condition), part) in before:
            continue
        before.add((str(condition), part))
        cases = [case for case in asking.without(condition, part, wrong) if asking.left(0.7)]
        for case in cases:
            asking.note(asking.ask(case))
        if cases:
            return True
    return False


def bisected(asking: Asking, condition: Condition, cared: Sequence[Seen], wrong_: Any) -> bool:
    """Ask the case in the middle between right and wrong of a threshold; false if none is left."""
    for name, field_ in asking.sizes.items():
        limit = condition.thresholds.get(name)
        if limit is None:
            continue
        below = [asking.number_of(one.case, name) for one in cared]
        before = max((n for n in below if n < limit), default=limit)
        above = min((n for n in below if n >= limit), default=limit)
        if above - before < 2 or before == limit:
            continue
        off = [one for one, is_wrong in zip(cared, wrong_, strict=True) if is_wrong]
        starts = off or list(cared)
        start = min(starts, key=lambda one: abs(asking.number_of(one.case, name) - limit))
        for middle in ((before + above) // 2, limit, limit - 1, before + 1, above - 1):
            case = asking.resized(start.case, field_, middle)
            if case is not None and before < asking.number_of(case, name) < above:
                asking.note(asking.ask(case))
                return True
    return False
