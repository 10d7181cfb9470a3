"""The verdict on one implementation, with everything that it rests on."""

import datetime
import functools
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult

import refimpl
from conformance import specification
from conformance.claims.loading import Judged
from conformance.diagnosis.diagnose import Diagnosis, beyond, diagnose
from conformance.diagnosis.explainer import explained
from conformance.diagnosis.explanation import Explanation
from conformance.diagnosis.hints import hints
from conformance.judging.headroom import ENDS
from conformance.judging.record import Failure, Record
from conformance.judging.session import PROFILES, Profile, Session
from conformance.judging.shrink import smallest
from conformance.judging.waivers import Standing
from conformance.power import Power, measure
from conformance.reporting.ledger import Entry, entries
from conformance.reporting.shown import certified, shown
from conformance.reporting.terminal import as_html, as_text, screen

# Of the form of a document, and the name of the file that says what it is.
VERSION, SCHEMA = 2, "report.schema.json"
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
    profile : str
        How hard it was tried; nothing for a profile without a name.
    shown : list of Failure
        What a page shows: the smallest, and one of each other sort.
    waivers : list of Standing
        Each known deviation, and what became of it.
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
    specification: str = field(default_factory=specification.version)
    profile: str = ""
    shown: list[Failure] = field(default_factory=list)
    waivers: list[Standing] = field(default_factory=list)
    power: Power | None = None

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
            len(session.implied),
            session.seed,
            judged.host.isolated,
            session.economises,
            profile=_named(session.profile),
            waivers=session.waivers.standings(
                records, lambda clause: session.lacking(clause, records)
            ),
        )
        judged.host.hurry()
        if report.failures and diagnosed:
            first = smallest(judged, report.failures)
            assert first is not None
            report.smallest, report.shown = first, shown(first, report.failures)
            report.hints = hints(judged, report.failures)
            report._explain(judged, first)
        elif report.failures:
            report.smallest = first = smallest(judged, report.failures, 0.0)
            report.shown = shown(first, report.failures)
        elif power:
            report.power = measure(session, records)
        return report

    def _explain(self, judged: Judged, first: Failure) -> None:
        """Explain the failure that is shown; a fault of ours in doing so costs no verdict."""
        case = judged.kind.case.parse(first.token)
        if judged.kind.is_beyond(case):
            self.diagnosis = beyond(judged, self.failures)
            return
        try:
            self.explanation = explained(judged, case, first.check, self.failures)
            self.diagnosis = diagnose(judged, case)
            self.shown = certified(judged, self.shown)
        except HARMLESS as error:
            self.hints.append(
                f"the explanation broke off: {type(error).__name__}: {error}. The verdict stands; "
                f"please report this fault of the suite, with the case {first.token}"
            )

    @functools.cached_property
    def clauses(self) -> dict[str, Entry]:
        """What happened under each clause."""
        return entries(self.records)

    @property
    def failures(self) -> list[Failure]:
        """All that is wrong, in the order in which it was found."""
        return [failure for record in self.records for failure in record.failures]

    @property
    def waived(self) -> list[Failure]:
        """What is wrong and waived."""
        return [failure for record in self.records for failure in record.waived]

    def outcome(self, outcome: str) -> list[Record]:
        """Give the checks that passed, failed, met what is waived, were not claimed or not run."""
        return [record for record in self.records if record.outcome == outcome]

    @property
    def conforms(self) -> bool:
        """Whether all that was asked for was judged, something was, and nothing is wrong.

        But for what is waived, or refused as it may be: the verdict says so.
        """
        return self.verdict.startswith("conforms")

    @property
    def verdict(self) -> str:
        """The verdict in a word or four.

        One of "conforms", or "conforms with 2 waivers and 3 tolerated refusals"; "fails";
        "refuses" (right wherever it answers); "stale" (nothing is wrong but what is waived, and a
        waiver is no longer true); "incomplete".
        """
        if self.failures:
            answers = self.judged and all(one.refusal for one in self.failures)
            return "refuses" if answers else "fails"
        if any(one.fault for one in self.waivers):
            return "stale"
        if self.outcome("not run") or not (self.outcome("passed") or self.outcome("waived")):
            return "incomplete"
        numbers = {
            "waiver": sum(one.failures > 0 for one in self.waivers),
            "tolerated refusal": self.tolerated,
        }
        used = [f"{n} {name}{'s' * (n > 1)}" for name, n in numbers.items() if n]
        return "conforms" + (f" with {' and '.join(used)}" if used else "")

    @property
    def tolerated(self) -> int:
        """Calls that were refused, and may be."""
        return sum(record.tolerated for record in self.records)

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
            "scope": self.capabilities.scope,
            "arithmetic": self.capabilities.arithmetic_words,
            "verdict": self.verdict,
            "conforms": self.conforms,
            "isolated": self.isolated,
            "refused": self.refused,
            "seconds": self.seconds,
            "seed": self.seed,
            "profile": self.profile,
            "implied": self.checks,
            "economised": self.economised,
            "clauses": {name: _clause(entry) for name, entry in self.clauses.items()},
            "checks": [
                {
                    "check": record.check,
                    "clauses": list(record.clauses),
                    "outcome": record.outcome,
                    "reason": record.reason,
                    "judged": record.judged,
                    "cut_short": record.cut_short,
                    "ended": record.ended,
                    "tolerated": record.tolerated,
                    "seconds": record.seconds,
                }
                for record in self.records
            ],
            "failures": [_failure(one) for one in self.failures],
            "waived": [_failure(one) for one in self.waived],
            "smallest": None if self.smallest is None else _failure(self.smallest),
            "shown": [asdict(one) for one in self.shown],
            "hints": self.hints,
            "power": None if self.power is None else self.power.as_dict(),
            "explanation": None if self.explanation is None else self.explanation.as_dict(),
            "diagnosis": None
            if self.diagnosis is None
            else asdict(self.diagnosis) | {"lines": self.diagnosis.lines},
            "waivers": [one.as_dict() for one in self.waivers],
        }

    def write(self, folder: Any) -> None:
        """Write the report into a folder: JSON with its schema, JUnit, and a page.

        Parameters
        ----------
        folder : path
            It is made, if its own folder is there.
        """
        from conformance.reporting.folder import write

        write(document([self]), folder)

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


def _failure(one: Failure) -> dict[str, Any]:
    """A failure without what can be drawn of it, which a document has of those that it shows."""
    return {name: value for name, value in asdict(one).items() if name != "exhibit"}


def _named(profile: Profile) -> str:
    """Name a profile, whatever shapes are judged beside it."""
    asked = replace(profile, shapes=())
    return next((name for name, one in PROFILES.items() if one == asked), "")


def _clause(entry: Entry) -> dict[str, Any]:
    return {
        "verdict": entry.verdict,
        "results": entry.cases,
        "worst": entry.worst,
        "bins": list(entry.bins),
        "failed": entry.failed,
        "waived": entry.waived,
    }


def document(reports: Iterable[Report], command: str = "") -> dict[str, Any]:
    """Several reports as one document for JSON, as report.schema.json has it.

    Parameters
    ----------
    reports : iterable of Report
        At least one.
    command : str
        What repeats the run.
    """
    listed = list(reports)
    return {
        "version": VERSION,
        "schema": SCHEMA,
        "written": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "specification": specification.version(),
        "environment": {
            "refimpl": refimpl.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "system": platform.system(),
            "machine": platform.machine(),
        },
        "command": command,
        "ends": list(ENDS),
        "implementations": [report.as_dict() for report in listed],
    }
