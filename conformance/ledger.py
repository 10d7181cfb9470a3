"""Counts what was judged, clause by clause, so that nothing is passed over in silence."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Entry:
    """What happened under one clause for one implementation.

    Attributes
    ----------
    cases : int
        Results that were judged.
    worst : float
        Largest error, as a fraction of its bound.
    outcomes : dict of str to int
        How many tests passed, failed, or were not claimed.
    """

    cases: int = 0
    worst: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One of "fails", "passes" and, where no test applied, "not claimed"."""
        if self.outcomes.get("failed"):
            return "fails"
        return "passes" if self.outcomes.get("passed") else "not claimed"


class Ledger:
    """Entries by implementation and clause."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}

    def entry(self, implementation: str, clause: str) -> Entry:
        """Entry of a clause, made when it is first asked for."""
        return self.entries.setdefault((implementation, clause), Entry())

    def count(self, implementation: str, clauses: Iterable[str], worst: float) -> None:
        """Count one judged result under every clause that it decides."""
        for clause in clauses:
            entry = self.entry(implementation, clause)
            entry.cases += 1
            entry.worst = max(entry.worst, worst)

    def outcome(self, implementation: str, clauses: Iterable[str], outcome: str) -> None:
        """Record the outcome of one test under every clause that it decides."""
        for clause in clauses:
            outcomes = self.entry(implementation, clause).outcomes
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def dump(self) -> list[Any]:
        """Plain data, to travel from a pytest-xdist worker."""
        return [
            [*key, entry.cases, entry.worst, entry.outcomes] for key, entry in self.entries.items()
        ]

    def merge(self, dumped: list[Any]) -> None:
        """Add what another process counted."""
        for implementation, clause, cases, worst, outcomes in dumped:
            entry = self.entry(implementation, clause)
            entry.cases += cases
            entry.worst = max(entry.worst, worst)
            for outcome, number in outcomes.items():
                entry.outcomes[outcome] = entry.outcomes.get(outcome, 0) + number
