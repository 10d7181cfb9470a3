"""The machine-readable result of a run: plain data, ready for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from conformance import specification
from conformance.diagnosis import Diagnosis
from conformance.implementation import Judged
from conformance.ledger import Ledger


def report(
    ledger: Ledger, judged: Sequence[Judged], diagnoses: Mapping[str, Diagnosis]
) -> dict[str, Any]:
    """Gather what was counted, what failed and why.

    Parameters
    ----------
    ledger : Ledger
        What was counted.
    judged : sequence of Judged
        The implementations.
    diagnoses : mapping
        Of those that fail, by name.
    """
    return {
        "specification": specification.version(),
        "implementations": [_one(ledger, one, diagnoses.get(one.name)) for one in judged],
    }


def _one(ledger: Ledger, judged: Judged, diagnosis: Diagnosis | None) -> dict[str, Any]:
    entries = {
        clause: {"verdict": entry.verdict, "checks": entry.cases, "worst": _finite(entry.worst)}
        for (name, clause), entry in ledger.entries.items()
        if name == judged.name
    }
    failures = [asdict(one) for one in ledger.failures if one.implementation == judged.name]
    return {
        "name": judged.name,
        "environment": judged.environment,
        "capabilities": asdict(judged.capabilities),
        "conforms": not any(entry["verdict"] == "fails" for entry in entries.values()),
        "seconds": ledger.seconds.get(judged.name, 0.0),
        "clauses": {name: entries[name] for name in specification.clauses() if name in entries},
        "failures": failures,
        "diagnosis": None if diagnosis is None else asdict(diagnosis),
    }


def _finite(worst: float) -> float | None:
    return worst if worst < float("inf") else None
