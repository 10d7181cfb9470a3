"""Waivers: deviations that are known and stay, each with its reason, for a time.

A waiver covers a failure where the clause is its own and its condition is true of the case. It
widens no bound: what is wrong stays wrong, is counted as waived, and is said in the verdict. One
that is no longer true (nothing fails, nothing matches, its day is over) fails the run. Nothing is
judged here.
"""

import datetime
import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.judging.condition import Condition, ConditionError
from conformance.judging.record import Failure, Record
from conformance.specification import clauses

_ENTRIES = ("clause", "condition", "reason", "link", "expires", "implementation")


class WaiverError(ValueError):
    """A file of waivers that cannot be used."""


@dataclass(frozen=True)
class Waiver:
    """One known deviation.

    Attributes
    ----------
    clause : str
        What is broken.
    condition : Condition
        In which cases.
    reason : str
        Why it stays.
    link : str
        Where more is said of it.
    expires : date or None
        The last day on which it is good.
    implementation : str
        Whose it is; nothing: everybody's that is judged.
    """

    clause: str
    condition: Condition
    reason: str
    link: str = ""
    expires: datetime.date | None = None
    implementation: str = ""

    @property
    def expired(self) -> bool:
        """Whether its last day is over."""
        return self.expires is not None and self.expires < datetime.date.today()

    def __str__(self) -> str:
        return f"{self.clause} ({self.condition})"


@dataclass(frozen=True)
class Standing:
    """What became of a waiver in a run.

    Attributes
    ----------
    waiver : Waiver
        Which.
    failures : int
        How many failures it covered.
    fault : str
        Why it fails the run; nothing if it does not.
    untried : str
        Why nothing can be said of it.
    """

    waiver: Waiver
    failures: int
    fault: str = ""
    untried: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        one = self.waiver
        return {
            "clause": one.clause,
            "condition": str(one.condition),
            "reason": one.reason,
            "link": one.link,
            "expires": None if one.expires is None else one.expires.isoformat(),
            "failures": self.failures,
            "fault": self.fault,
            "untried": self.untried,
        }


class Waivers:
    """The waivers of one implementation.

    Parameters
    ----------
    listed : sequence of Waiver
        Its own.
    parse : callable
        Reads the token of a case.
    """

    def __init__(self, listed: Sequence[Waiver], parse: Callable[[str], Any]) -> None:
        self.listed, self._parse = tuple(listed), parse

    def cover(self, failure: Failure) -> bool:
        """Tell whether each clause that a failure breaks is waived in its case."""
        case = self._parse(failure.token)
        matching = {one.clause for one in self.listed if not one.expired and one.condition(case)}
        return bool(matching) and {failure.clause, *failure.clauses} <= matching

    def standings(self, records: Sequence[Record], lacking: Callable[[str], str]) -> list[Standing]:
        """Say what became of each.

        Parameters
        ----------
        records : sequence of Record
            What came of the checks.
        lacking : callable
            ``lacking(clause)`` says why a clause was not judged in full; nothing if it was.
        """
        return [self._standing(one, records, lacking(one.clause)) for one in self.listed]

    def _standing(self, one: Waiver, records: Sequence[Record], lacking: str) -> Standing:
        if one.expired:
            return Standing(one, 0, f"the waiver of {one} expired on {one.expires}")
        covered = [
            failure
            for record in records
            for failure in record.waived
            if one.clause in {failure.clause, *failure.clauses}
            and one.condition(self._parse(failure.token))
        ]
        if covered:
            return Standing(one, len(covered))
        broken = [
            failure
            for record in records
            for failure in (*record.failures, *record.waived)
            if one.clause in {failure.clause, *failure.clauses}
        ]
        if any(one.condition(self._parse(failure.token)) for failure in broken):
            beside = sorted(
                {number for failure in broken for number in (failure.clause, *failure.clauses)}
                - {one.clause}
            )
            words = f"what it is about breaks {', '.join(beside)} too, which is not waived"
            return Standing(one, 0, untried=words)
        if lacking:
            return Standing(one, 0, untried=lacking)
        if broken:
            where = f"the waiver of {one} matches nothing: {one.clause} fails, in other cases"
            return Standing(one, 0, where)
        judged = any(one.clause in record.counts for record in records)
        words = "passes" if judged else "is not judged, since nothing of it is claimed"
        return Standing(
            one, 0, f"{one.clause} is waived ({one.condition}), and {words}: take it out"
        )


def read(given: Any, kinds: Iterable[Any]) -> list[Waiver]:
    """Read waivers: of a TOML file, or the tables that it would hold.

    Parameters
    ----------
    given : path, or iterable of mappings
        The file, or its tables ``[[waiver]]``.
    kinds : iterable of Kind
        What can be judged.

    Raises
    ------
    WaiverError
        Naming the file, the entry and the rule.
    """
    if not isinstance(given, str | Path):
        return [_waiver(f"waiver {n}", one, kinds) for n, one in enumerate(given, 1)]
    try:
        document = tomllib.loads(Path(given).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WaiverError(f"waivers {given} cannot be read: {error}") from error
    tables = document.get("waiver")
    if set(document) - {"waiver"} or not isinstance(tables, list):
        got = ", ".join(document) or "nothing"
        raise WaiverError(f"waivers {given} must be tables [[waiver]], got {got}")
    return [_waiver(f"{given}, waiver {n}", one, kinds) for n, one in enumerate(tables, 1)]


def _waiver(where: str, table: Any, kinds: Iterable[Any]) -> Waiver:
    if not isinstance(table, Mapping):
        raise WaiverError(f"{where} must be a table, got {table!r}")
    for name in table:
        if name not in _ENTRIES:
            near = difflib.get_close_matches(name, _ENTRIES, 1)
            instead = f"did you mean {near[0]}?" if near else f"it may have {', '.join(_ENTRIES)}"
            raise WaiverError(f"{where} has an entry {name}; {instead}")
    entries = {name: table.get(name, "") for name in _ENTRIES}
    expires = entries.pop("expires") or None
    if isinstance(expires, datetime.datetime) or not isinstance(expires, datetime.date | None):
        raise WaiverError(f"{where}: expires must be a date, as 2027-03-31, got {expires!r}")
    for name, value in entries.items():
        if not isinstance(value, str):
            raise WaiverError(f"{where}: {name} must be text, got {value!r}")
    if not entries["reason"].strip():
        raise WaiverError(f"{where}: reason must say why {entries['clause'] or 'it'} stays broken")
    clause = entries["clause"]
    if clause not in clauses():
        near = difflib.get_close_matches(clause, clauses(), 1)
        instead = f"; did you mean {near[0]}?" if near else ""
        raise WaiverError(
            f"{where}: clause must be a number of the specification, got {clause!r}{instead}"
        )
    kind = next(one for one in kinds if clause[:3] in one.chapters)
    like = kind.case("float32", next(iter(kind.recipes)))
    try:
        condition = Condition(entries.pop("condition"), like)
    except ConditionError as error:
        raise WaiverError(f"{where}: condition {error}") from error
    return Waiver(condition=condition, expires=expires, **entries)
