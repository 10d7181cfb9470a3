"""Adds up what came of the checks, clause by clause, so that nothing is passed over in silence."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from conformance.judging.headroom import Headroom
from conformance.judging.record import Count, Record
from conformance.specification import clauses


@dataclass
class Entry(Count):
    """What happened under one clause for one implementation.

    Attributes
    ----------
    failed, waived : int
        Checks that found it broken, and those that found so what is waived.
    outcomes : Counter of str
        How many of the checks that decide it passed, failed, met waived failures or tolerated
        refusals alone, were not claimed, or were not run.
    """

    failed: int = 0
    waived: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def verdict(self) -> str:
        """One of "fails", "waived", "not run", "passes", "refused", "undecided" and "not claimed".

        Undecided is a clause whose checks met something else that is wrong.
        """
        if self.failed:
            return "fails"
        if self.waived:
            return "waived"
        if self.outcomes["not run"]:
            return "not run"
        if self.cases or self.outcomes["passed"]:
            return "passes"
        if self.outcomes["refused"]:
            return "refused"
        met = self.outcomes["failed"] + self.outcomes["waived"]
        return "undecided" if met else "not claimed"


def entries(records: Iterable[Record]) -> dict[str, Entry]:
    """Give the entry of each clause, in the order of the specification."""
    found: dict[str, Entry] = {}
    for record in records:
        for clause in record.clauses:
            found.setdefault(clause, Entry()).outcomes[record.outcome] += 1
        for clause in record.unclaimed:
            found.setdefault(clause, Entry()).outcomes["not claimed"] += 1
        for clause, count in record.counts.items():
            found.setdefault(clause, Entry()).add(count.cases, Headroom(count.worst, count.bins))
        for clause in dict.fromkeys(c for one in record.failures for c in one.clauses):
            found.setdefault(clause, Entry()).failed += 1
        for clause in dict.fromkeys(c for one in record.waived for c in one.clauses):
            found.setdefault(clause, Entry()).waived += 1
    return {number: found[number] for number in clauses() if number in found}
