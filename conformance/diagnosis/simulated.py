"""Asks a program that was found, in the place of the implementation, when it is not right.

A program that foretells every answer is asked as an implementation is, and costs next to nothing.
A condition that is learned from it is put to cases that it was not learned from; if it is
contradicted, nothing simpler than the program says when it is wrong. No implementation is asked.
"""

import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.operator import OperatorCase
from conformance.diagnosis import experiments
from conformance.diagnosis.answers import Question
from conformance.diagnosis.asking import Asking, Seen
from conformance.diagnosis.attributes import COUNTS
from conformance.diagnosis.conditions import ALWAYS, Condition, Truth, nearly
from conformance.diagnosis.expressions import Column
from conformance.diagnosis.learning import bisected, learned
from conformance.diagnosis.model import Model

# It differs where it differs, and no condition is simpler.
DIFFERS = Condition(ALWAYS.formula, 0.0, needed=True)
# For each wrong case so many right ones may be where a condition holds that is needed only.
_RIGHT_INSIDE = 1.5
# No part of it compares numbers of two kinds.
_PLAIN = 2.05
# How often a threshold is searched for between right and wrong.
_BISECTIONS = 12
# What says little of why it is wrong.
_ODD = frozenset(
    name for name in COUNTS if any(word in name for word in ("beyond", "behind", "entries", "prod"))
)
# A condition is by chance in all wrong cases less often than this, or holds as seldom as that.
_CHANCE, _RARE = 1e-3, 0.2
# Cases to learn from and to test by, and which share of the time; products of one of them.
_LEARNED, _TESTED, _SHARE, _TESTING = 90, 250, 0.4, 0.6
_SEED = 77
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
        tested, anywhere = list[Seen](), list[Seen]()
        # Near the failing case many things hold that have nothing to do with it.
        drawn = experiments.drawn(self.claimed, self.dtype, random.Random(_SEED))
        for near, far in itertools.islice(zip(self.cases(fresh=9), drawn, strict=False), _TESTED):
            if time.perf_counter() > stop:
                break
            tested += [self.ask(near)] if self._few(near) else []
            anywhere += [self.ask(far)] if self._few(far) else []
        columns, off = self._told((*tested, *anywhere))
        kept = [one for one in listed if off.size and np.array_equal(one(columns), off)]
        return kept[0] if kept else self._needed(tested, anywhere)

    def _told(self, seen: Sequence[Seen]) -> tuple[dict[str, Column], Truth]:
        """Give what was asked as columns, and what of it is wrong; of nothing, nothing."""
        cared = [one for one in seen if one.wrong[self.result] or not one.empty]
        off = np.array([one.wrong[self.result] for one in cared], bool)
        return self.columns(cared) if cared else {}, off

    def _needed(self, tested: Sequence[Seen], anywhere: Sequence[Seen]) -> Condition:
        """Give what holds wherever it is wrong; what holds nearly everywhere says nothing."""
        for one in (*tested, *anywhere):
            self.note(one)
        found: Condition | None = None
        for _ in range(_BISECTIONS):
            asked = [one for one in self.seen if one.wrong[self.result] or not one.empty]
            columns, off = self._told(asked)
            plain = {name: column for name, column in columns.items() if name not in _ODD}
            found = nearly(plain, off, _RIGHT_INSIDE, _PLAIN, 1) if off.any() else None
            if found is None or not bisected(self, found, asked, off):
                break
        columns, off = self._told(anywhere)
        if found is None or not off.size:
            return DIFFERS
        # Of cases that were drawn anywhere it holds in few, or in all wrong ones not by chance.
        share = float(found(columns).mean())
        chance = share > _RARE and share ** off.sum() > _CHANCE
        return DIFFERS if chance else replace(found, needed=True)

    def _few(self, case: OperatorCase) -> bool:
        return 0 < case.products <= _MOST_PRODUCTS
