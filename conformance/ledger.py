"""Counts what was judged, clause by clause, so that nothing is passed over in silence."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
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
        How many tests passed, failed, were not claimed, or were not run.
    """

    cases: int = 0
    worst: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One of "fails", "passes" and, where no test applied, "not claimed" or "not run"."""
        if self.outcomes.get("failed"):
            return "fails"
        if self.outcomes.get("not run"):
            return "not run"
        return "passes" if self.outcomes.get("passed") else "not claimed"


@dataclass(frozen=True)
class Failure:
    """A case that an implementation fails.

    Attributes
    ----------
    implementation, clause, token : str
        Whose case it is, under which clause, and how to replay it.
    tier : str
        What noticed: "certificate", "equality", "bound" or "behaviour".
    after : int
        How many results of the implementation had been judged before.
    """

    implementation: str
    clause: str
    token: str
    tier: str
    after: int


class Ledger:
    """Entries by implementation and clause, and the failures in the order in which they came."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], Entry] = {}
        self.failures: list[Failure] = []
        self.seconds: dict[str, float] = {}
        self._judged: dict[str, int] = {}

    def entry(self, implementation: str, clause: str) -> Entry:
        """Entry of a clause, made when it is first asked for."""
        return self.entries.setdefault((implementation, clause), Entry())

    def count(self, implementation: str, clauses: Iterable[str], worst: float) -> None:
        """Count one judged result under every clause that it decides."""
        self._judged[implementation] = self.judged(implementation) + 1
        for clause in clauses:
            entry = self.entry(implementation, clause)
            entry.cases += 1
            entry.worst = max(entry.worst, worst)

    def spend(self, implementation: str, seconds: float) -> None:
        """Add time that judging an implementation took."""
        self.seconds[implementation] = self.seconds.get(implementation, 0.0) + seconds

    def judged(self, implementation: str) -> int:
        """How many results of an implementation have been judged."""
        return self._judged.get(implementation, 0)

    def first_failure(self, implementation: str) -> Failure | None:
        """The failure that came first, if any."""
        own = [failure for failure in self.failures if failure.implementation == implementation]
        return own[0] if own else None

    def outcome(self, implementation: str, clauses: Iterable[str], outcome: str) -> None:
        """Record the outcome of one test under every clause that it decides."""
        for clause in clauses:
            outcomes = self.entry(implementation, clause).outcomes
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def dump(self) -> list[Any]:
        """Plain data, to travel from a pytest-xdist worker."""
        entries = [
            [*key, entry.cases, entry.worst, entry.outcomes] for key, entry in self.entries.items()
        ]
        failures = [list(astuple(failure)) for failure in self.failures]
        return [entries, failures, self._judged, self.seconds]

    def merge(self, dumped: list[Any]) -> None:
        """Add what another process counted."""
        entries, failures, judged, seconds = dumped
        self.failures += [Failure(*fields) for fields in failures]
        for implementation, number in judged.items():
            self._judged[implementation] = self.judged(implementation) + number
        for implementation, spent in seconds.items():
            self.spend(implementation, spent)
        for implementation, clause, cases, worst, outcomes in entries:
            entry = self.entry(implementation, clause)
            entry.cases += cases
            entry.worst = max(entry.worst, worst)
            for outcome, number in outcomes.items():
                entry.outcomes[outcome] = entry.outcomes.get(outcome, 0) + number
