"""Names the fault that a failing layer has.

The layer answers a fixed list of probes, and so does every mutant. Result by result the two agree,
differ from what is due in different ways, or differ in whether they are right; the fault whose
answers are nearest is named. This is no verdict: what a layer is due `judge.py` decides.
"""

import functools
from typing import Any

import numpy as np

from conformance.diagnosis import Diagnosis
from conformance.implementation import Judged
from conformance.implementations.numpy_layer import NumpyLayer
from conformance.layers.cases import layer_operands
from conformance.layers.judge import RULES, LayerJudge
from conformance.layers.mutants import LAYER_MUTANTS
from conformance.layers.probes import Outcome, Probe, answers, compared, probes
from conformance.ledger import Ledger
from conformance.mutants import words
from conformance.verdict import compare

FORWARD = ("y", "kernel", "moving_mean", "moving_variance")
# Bounds are those of a correct layer; a faulty one computes with other magnitudes.
_ROOM = 8


def diagnose_layer(judged: Judged) -> Diagnosis:
    """Compare a failing layer with every known fault.

    Parameters
    ----------
    judged : Judged
        The layer.

    Returns
    -------
    Diagnosis
        The nearest faults first.
    """
    listed = probes(judged.capabilities)
    got = answers(judged.implementation, listed)
    due = answers(NumpyLayer(), listed)
    agree = _Agreement(judged, listed)
    scores = {name: agree.score(got, theirs, due) for name, theirs in _mutants(listed).items()}
    ranked = sorted(scores, key=lambda name: scores[name])
    details = tuple(agree.wrong(got, due))
    if not details:
        return Diagnosis((), "every probe is answered right: the fault shows elsewhere")
    best = ranked[0]
    if scores[best] == (0, 0):
        same = tuple(name for name in ranked if scores[name] == (0, 0))
        return Diagnosis(same, f"matches: {words(LAYER_MUTANTS[best])} [{best}]", details)
    if scores[best] < agree.score(got, due, due):
        nearest = f"nearest known fault: {words(LAYER_MUTANTS[best])} [{best}], but not all of it"
        return Diagnosis(tuple(ranked[:4]), nearest, details)
    return Diagnosis((), "matches nothing known", details)


@functools.lru_cache(maxsize=4)
def _mutants(listed: tuple[Probe, ...]) -> dict[str, list[Outcome]]:
    return {name: answers(mutant(), listed) for name, mutant in LAYER_MUTANTS.items()}


class _Agreement:
    """How far two lists of answers agree, within the bounds of a layer's arithmetic."""

    def __init__(self, judged: Judged, listed: tuple[Probe, ...]) -> None:
        judge = LayerJudge(judged, ("LAY-16",), Ledger())
        self.probes = compared(listed)
        cases = [probe.case for probe in self.probes]
        self.format = [judged.capabilities.result_format(case.dtype) for case in cases]
        self.limits = [judge.limits(case, layer_operands(case)) for case in cases]

    def score(
        self, got: list[Outcome], others: list[Outcome], due: list[Outcome]
    ) -> tuple[int, int]:
        """Count disagreements, forward and backward: 1 for another wrong result, 2 for a right."""
        forward = backward = 0
        for number in range(len(self.probes)):
            for name in due[number]:
                one, other, right = (found[number].get(name) for found in (got, others, due))
                if self.same(number, name, one, other):
                    continue
                half = self.same(number, name, one, right) or self.same(number, name, other, right)
                forward += (1 + half) * (name in FORWARD)
                backward += (1 + half) * (name not in FORWARD)
        return forward, backward

    def same(self, number: int, name: str, one: Any, other: Any) -> bool:
        """Tell whether two results are one within the bound; every exception is alike."""
        if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
            return not isinstance(one, np.ndarray) and not isinstance(other, np.ndarray)
        limit = self.limits[number].get(name)
        if one.shape != other.shape or limit is None or limit.shape != one.shape:
            return False
        expected = other.astype(np.float64)
        return compare(name, one, expected, _ROOM * limit, self.format[number])[1] is None

    def wrong(self, got: list[Outcome], due: list[Outcome]) -> list[str]:
        """Say which results are wrong, on which probes."""
        lines: dict[str, list[str]] = {}
        for number, probe in enumerate(self.probes):
            for name, right in due[number].items():
                one = got[number].get(name)
                if name not in got[number] and not isinstance(one, str):
                    continue
                if not self.same(number, name, one, right):
                    lines.setdefault(name, []).append(one if isinstance(one, str) else str(probe))
        return [
            f"{name} ({RULES.get(name, 'LAY-14')}) is wrong on {len(found)} of {len(self.probes)} "
            f"probes, first: {found[0]}"
            for name, found in lines.items()
        ]
