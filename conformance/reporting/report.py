"""The verdict on one implementation, with everything that it rests on."""

import functools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

from conformance import specification
from conformance.claims.loading import Judged
from conformance.diagnosis.diagnose import Diagnosis, diagnose
from conformance.diagnosis.explain import Explanation, explained
from conformance.diagnosis.hints import hints
from conformance.judging.record import Failure, Record
from conformance.judging.session import Session
from conformance.judging.shrink import smallest
from conformance.power import Power, measure
from conformance.reporting.ledger import Entry, entries
from conformance.reporting.terminal import as_html, as_text, screen

# Errors of an explanation after which the verdict is told all the same; none in our own tests.
HARMLESS: tuple[type[Exception], ...] = (Exception,)


@dataclass(repr=False)
class Report:
    """What was found about one implementation; true if it conforms.

    Attributes
    ----------
    name, kind, environment : str
        What was judged: its name, "operator" or "layer", what it runs on.
    capabilities : Capabilities
        What it claims.
    records : list of Record
        What came of each check.
    checks : int
        How many checks there are for its kind.
    seed : int
        With which the run can be repeated.
    isolated : bool
        It was judged in a process of its own.
    economised : bool
        Geometries were found to be dear, and few were asked for.
    explanation : Explanation or None
        What it computes instead, when and where, and how far that was tested.
    diagnosis : Diagnosis or None
        Which known fault it is like.
    smallest : Failure or None
        The failure that shows most, its case made small.
    hints : list of str
        What may have been forgotten to declare.
    power : Power or None
        How many known faults the cases of the run would have shown, if that was measured.
    """

    name: str
    kind: str
    environment: str
    capabilities: Any
    records: list[Record]
    checks: int
    seed: int
    isolated: bool = True
    economised: bool = False
    explanation: Explanation | None = None
    diagnosis: Diagnosis | None = None
    smallest: Failure | None = None
    hints: list[str] = field(default_factory=list)
    power: Power | None = None
    specification: str = field(default_factory=specification.version)

    @classmethod
    def of(
        cls,
        session: Session,
        records: Iterable[Record],
        *,
        diagnosed: bool = True,
        power: bool = False,
    ) -> "Report":
        """Report on a session's implementation; look into what fails, measure the power if not."""
        judged, records = session.judged, list(records)
        report = cls(
            judged.name,
            judged.kind.name,
            judged.environment,
            judged.capabilities,
            records,
            session.implied,
            session.seed,
            judged.host.isolated,
            session.economises,
        )
        judged.host.hurry()
        if report.failures and diagnosed:
            shown = smallest(judged, report.failures)
            assert shown is not None
            report.smallest = shown
            report.hints = hints(judged, report.failures)
            report._explain(judged, shown)
        elif report.failures:
            report.smallest = smallest(judged, report.failures, 0.0)
        elif power:
            report.power = measure(session, records)
        return report

    def _explain(self, judged: Judged, shown: Failure) -> None:
        """Explain the failure that is shown; a fault of ours in doing so costs no verdict."""
        case = judged.kind.case.parse(shown.token)
        try:
            self.explanation = explained(judged, case, shown.check)
            self.diagnosis = diagnose(judged, case)
        except HARMLESS as error:
            self.hints.append(
                f"the explanation broke off: {type(error).__name__}: {error}. The verdict stands; "
                f"please report this fault of the suite, with the case {shown.token}"
            )

    @functools.cached_property
    def clauses(self) -> dict[str, Entry]:
        """What happened under each clause."""
        return entries(self.records)

    @property
    def failures(self) -> list[Failure]:
        """All that is wrong, in the order in which it was found."""
        return [failure for record in self.records for failure in record.failures]

    def outcome(self, outcome: str) -> list[Record]:
        """Give the checks that passed, failed, were not claimed, or were not run."""
        return [record for record in self.records if record.outcome == outcome]

    @property
    def conforms(self) -> bool:
        """Whether all that was asked for was judged, something was, and nothing is wrong."""
        return self.verdict == "conforms"

    @property
    def verdict(self) -> str:
        """One of "conforms", "fails", "refuses" (right wherever it answers), "incomplete"."""
        if self.failures:
            answers = self.judged and all(one.refusal for one in self.failures)
            return "refuses" if answers else "fails"
        if self.outcome("not run") or not self.outcome("passed"):
            return "incomplete"
        return "conforms"

    @property
    def refused(self) -> list[str]:
        """What the code tried and may not do."""
        return list(dict.fromkeys(one for record in self.records for one in record.refused))

    @property
    def judged(self) -> int:
        """Results that were judged."""
        return sum(record.judged for record in self.records)

    @property
    def seconds(self) -> float:
        """Time that the checks took."""
        return sum(record.seconds for record in self.records)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "environment": self.environment,
            "capabilities": asdict(self.capabilities),
            "verdict": self.verdict,
            "conforms": self.conforms,
            "isolated": self.isolated,
            "refused": self.refused,
            "seconds": self.seconds,
            "seed": self.seed,
            "economised": self.economised,
            "clauses": {
                name: {
                    "verdict": entry.verdict,
                    "checks": entry.cases,
                    "worst": entry.worst,
                    "failed": entry.failed,
                }
                for name, entry in self.clauses.items()
            },
            "checks": [
                {
                    "check": record.check,
                    "clauses": list(record.clauses),
                    "outcome": record.outcome,
                    "reason": record.reason,
                    "judged": record.judged,
                    "cut_short": record.cut_short,
                    "seconds": record.seconds,
                }
                for record in self.records
            ],
            "failures": [asdict(failure) for failure in self.failures],
            "smallest": None if self.smallest is None else asdict(self.smallest),
            "hints": self.hints,
            "power": None if self.power is None else self.power.as_dict(),
            "explanation": None if self.explanation is None else self.explanation.as_dict(),
            "diagnosis": None if self.diagnosis is None else asdict(self.diagnosis),
        }

    def __bool__(self) -> bool:
        return self.conforms

    def __repr__(self) -> str:
        failed = len(self.outcome("failed"))
        return f"<Report {self.name}: {self.verdict}, {failed} of {len(self.records)} checks fail>"

    def __str__(self) -> str:
        return as_text(screen(self))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield screen(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """For notebooks: the same screen, coloured."""
        return {"text/html": as_html(screen(self)), "text/plain": str(self)}


def document(reports: Iterable[Report]) -> dict[str, Any]:
    """Several reports as one document for JSON."""
    listed = list(reports)
    return {
        "specification": specification.version(),
        "implementations": [report.as_dict() for report in listed],
    }
