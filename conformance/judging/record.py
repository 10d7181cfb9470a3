"""What came of one check: plain data, so that it can travel between processes and into a report."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from conformance.judging.headroom import Headroom, added

_NOTHING = Headroom()


@dataclass(frozen=True)
class Failure:
    """A finding on a case.

    Attributes
    ----------
    implementation, check : str
        Whose it is, and which check met it.
    clause : str
        What is broken; `clauses` names what is broken besides.
    token : str
        The case.
    tier : str
        What noticed: "certificate", "equality", "bound" or "behaviour".
    after : int
        How many results the check had judged before.
    words : str
        What is wrong, in a line.
    message : str
        Everything about it.
    replay : str
        The command that shows it again.
    rerun : str
        The command that runs its check again, as it was run.
    result : str
        Which result is wrong, if it is one.
    refusal : bool
        The implementation raised instead of answering.
    died : bool
        It gave no answer at all: it ended, or took too long.
    exhibit : mapping or None
        Of wrong values what can be drawn: see `conformance.judging.exhibit`.
    """

    implementation: str
    check: str
    clause: str
    clauses: tuple[str, ...]
    token: str
    tier: str
    after: int
    words: str
    message: str
    replay: str
    rerun: str
    result: str = ""
    refusal: bool = False
    died: bool = False
    exhibit: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def in_its_check(self) -> "Failure":
        """The failure, where its case does not show it alone."""
        words = f"{self.words} (in the course of its check, not in its case alone)"
        return replace(self, replay=self.rerun, words=words)


@dataclass
class Count:
    """What was judged under one clause: how many results, and what they use of their bounds.

    `worst` is the largest error over its bound; `bins` counts elements, as `Headroom` does.
    """

    cases: int = 0
    worst: float = 0.0
    bins: tuple[int, ...] = ()

    def add(self, cases: int, used: Headroom) -> None:
        """Count more."""
        self.cases += cases
        self.worst, self.bins = max(self.worst, used.worst), added(self.bins, used.bins)


@dataclass
class Record:
    """What came of one check of one implementation.

    Attributes
    ----------
    implementation, check : str
        Which.
    clauses : tuple of str
        What the check decides.
    unclaimed : tuple of str
        Clauses that it would decide too, were what they are about claimed.
    outcome : str
        "passed", "failed", "waived" (nothing is wrong but what is waived), "refused" (whatever was
        asked was refused, and may be), "not claimed" or "not run".
    reason : str
        Why it was not claimed or not run.
    judged : int
        Results that were judged.
    cut_short : str
        How many cases were drawn, where for want of time they were fewer than the profile asks.
    counts : dict of str to Count
        By clause.
    failures : list of Failure
        In the order in which they came.
    waived : list of Failure
        Those that a waiver covers.
    ended : str
        The words of a waived failure, or of a refusal that is tolerated, at which the check, or a
        drawn example of it, had to end.
    refused : list of str
        What the code tried and may not do.
    seconds : float
        Time that it took.
    asked : list of tuple of str
        The cases that were asked in the plain way, as words, each with the results that were
        demanded of it.
    otherwise : int
        How often something was asked in any other way.
    tolerated : int
        Calls that were refused, and may be.
    """

    implementation: str
    check: str
    clauses: tuple[str, ...]
    outcome: str = "passed"
    reason: str = ""
    judged: int = 0
    cut_short: str = ""
    counts: dict[str, Count] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0
    unclaimed: tuple[str, ...] = ()
    waived: list[Failure] = field(default_factory=list)
    ended: str = ""
    asked: list[tuple[str, ...]] = field(default_factory=list)
    otherwise: int = 0
    tolerated: int = 0

    def count(
        self,
        clauses: Iterable[str],
        used: Headroom = _NOTHING,
        foreign: Collection[str] = (),
    ) -> None:
        """Count one right result under each of some clauses.

        What it uses of its bound counts under those that are not about `foreign` results.
        """
        self.judged += 1
        for clause in dict.fromkeys(clauses):
            own = _NOTHING if clause in foreign else used
            self.counts.setdefault(clause, Count()).add(1, own)

    def dump(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Self:
        """From plain data."""
        fields = dict(dumped)
        fields |= {name: tuple(fields[name]) for name in ("clauses", "unclaimed")}
        fields["counts"] = {
            name: Count(**{**one, "bins": tuple(one["bins"])})
            for name, one in fields["counts"].items()
        }
        fields["asked"] = [tuple(tokens) for tokens in fields["asked"]]
        for name in ("failures", "waived"):
            fields[name] = [
                Failure(**{**one, "clauses": tuple(one["clauses"])}) for one in fields[name]
            ]
        return cls(**fields)
