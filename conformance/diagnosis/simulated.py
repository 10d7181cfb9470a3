"""Asks a program that was found, in the place of the implementation, when it is not right.

A program that foretells every answer is asked as an implementation is, and costs next to nothing.
A condition that is learned from it is put to cases that it was not learned from; if it is
contradicted, nothing simpler than the program says when it is wrong. No implementation is asked.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.operator import OperatorCase
from conformance.diagnosis.answers import Question
from conformance.diagnosis.asking import Asking, Seen
from conformance.diagnosis.attributes import COUNTS
from conformance.diagnosis.conditions import ALWAYS, Condition, nearly
from conformance.diagnosis.learning import bisected, learned
from conformance.diagnosis.model import Model

# It differs where it differs, and no condition is simpler.
DIFFERS = Condition(ALWAYS.formula, 0.0, needed=True)
# For each wrong case so many right ones may be where a condition holds that is needed only.
_RIGHT_INSIDE = 1.0
# How often a threshold is searched for between right and wrong.
_BISECTIONS = 12
# What says little of why it is wrong.
_ODD = frozenset(
    name for name in COUNTS if any(word in name for word in ("beyond", "behind", "entries", "prod"))
)
# A condition is by chance in all wrong cases less often than this.
_CHANCE = 1e-4
# Cases to learn from and to test by, and which share of the time; products of one of them.
_LEARNED, _TESTED, _SHARE, _TESTING = 90, 200, 0.55, 0.45
_MOST_PRODUCTS = 1 << 15


class Simulated(Asking):
    """Asks a program for one result.

    Parameters
    ----------
    asking : Asking
        What was asked of the implementation: its cases are begun with.
    model : Model
        The program.
    result : str
        "y", "dx" or "dkernel".
    seconds : float
        How long at most.
    """

    def __init__(self, asking: Asking, model: Model, result: str, seconds: float) -> None:
        super().__init__(asking.judged, asking.failing, seconds)
        self.model, self.result = model, result
        self.scaled, self.scale = asking.scaled, asking.scale
        # What the implementation is asked with, so that both are asked the same.
        self.seen = [self.ask(one.case) for one in asking.seen if self._few(one.case)]

    def ask(self, case: OperatorCase) -> Seen:
        """Compare what the program gives with what is due."""
        values = Question(self.judged, case, self.values).values
        due, got = (one(case, values, (self.result,)) for one in (self.right, self.model))
        wrong = {self.result: not np.array_equal(due[self.result], got[self.result])}
        return Seen(case, values, got, wrong)

    def without(self, condition: Condition, part: int, wrong: Any) -> list[Any]:
        """As of an implementation, but no large cases."""
        return [case for case in super().without(condition, part, wrong) if self._few(case)]

    def when(self) -> Condition:
        """Learn when it is not right; `DIFFERS` where no condition stands the test."""
        for case in itertools.islice(self.cases(), _LEARNED):
            if not self.left(_SHARE / 2):
                break
            if self._few(case):
                self.note(self.ask(case))
        if not any(one.wrong[self.result] for one in self.seen):
            return ALWAYS
        listed = learned(self, self.result)
        stop = time.perf_counter() + _TESTING * self.seconds
        tested = list[Seen]()
        for case in itertools.islice(self.cases(fresh=9), _TESTED):
            if time.perf_counter() > stop or not listed:
                break
            if self._few(case):
                tested.append(self.ask(case))
        cared = [one for one in tested if one.wrong[self.result] or not one.empty]
        off = np.array([one.wrong[self.result] for one in cared])
        columns = self.columns(cared) if cared else {}
        kept = [one for one in listed if cared and np.array_equal(one(columns), off)]
        return kept[0] if kept else self._needed(tested)

    def _needed(self, tested: Sequence[Seen]) -> Condition:
        """Give what holds wherever it is wrong; what holds nearly everywhere says nothing."""
        for one in tested:
            self.note(one)
        for _ in range(_BISECTIONS):
            asked = [one for one in self.seen if one.wrong[self.result] or not one.empty]
            off = np.array([one.wrong[self.result] for one in asked])
            columns = {
                name: column for name, column in self.columns(asked).items() if name not in _ODD
            }
            found = nearly(columns, off, _RIGHT_INSIDE) if off.any() else None
            if found is None or not bisected(self, found, asked, off):
                break
        if found is None or found(columns).mean() ** off.sum() > _CHANCE:
            return DIFFERS
        return replace(found, needed=True)

    def _few(self, case: OperatorCase) -> bool:
        return 0 < case.products <= _MOST_PRODUCTS
