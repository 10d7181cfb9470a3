"""Judges one block, in the process that was asked to: a worker's, or the client's own.

What is judged runs in a process of its own, which the block starts and ends. What comes of it
depends on the job and the number of the block alone.
"""

import os
import platform
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

from conformance.campaign import alike, outcome
from conformance.campaign.drawing import Asked, cases_of
from conformance.claims.loading import Judged, Where, load
from conformance.judging.ask import NotRunError
from conformance.judging.failing import ConformanceError
from conformance.judging.judge import Judge
from conformance.judging.record import Failure, Record
from conformance.judging.scope import NotClaimedError
from conformance.kinds import KINDS

# A worker may have several threads; what draws cases, and what judges them, has one at a time.
_ALONE = threading.Lock()


def looked(job: Mapping[str, Any]) -> dict[str, str]:
    """Give the environment of this process, and of what the job judges.

    Raises
    ------
    conformance.claims.loading.LoadError
        Something cannot be loaded here.
    """
    with ExitStack() as stack:
        return alike.environment(_loaded(job, stack))


def _loaded(job: Mapping[str, Any], stack: ExitStack) -> list[Judged]:
    """Load what is judged; the stack ends it."""
    kind = next(one for one in KINDS if one.option == job["option"])
    where = Where(False, job["timeout"], job["memory"])
    judged = []
    for name in job["implementations"]:
        judged.append(load(name, kind, where=where))
        stack.callback(judged[-1].host.close)
    return judged


def run(
    job: Mapping[str, Any], number: int, like: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Judge a block.

    Parameters
    ----------
    job : mapping
        What is judged: "option", "implementations", "seed", "cases", "size", "timeout", "memory".
    number : int
        Which block.
    like : mapping, optional
        The environment that this must be: a worker may have come after all were compared.

    Raises
    ------
    conformance.claims.loading.LoadError
        Something cannot be loaded where this runs.
    conformance.campaign.alike.UnlikeError
        The environment is another one.
    """
    with _ALONE, ExitStack() as stack:
        judged = _loaded(job, stack)
        if like is not None:
            here = f"{platform.node()}, process {os.getpid()},"
            alike.demand(here, like, alike.environment(judged))
        kind = judged[0].kind
        claimed = judged[0].capabilities if len(judged) == 1 else _of_all(kind, judged)
        size = min(job["size"], job["cases"] - number * job["size"])
        asked = cases_of(kind, claimed, job["seed"], number, size)
        found = outcome.empty() | {"blocks": 1, "cases": len(asked)}
        offers: dict[str, dict[tuple[str, str], str]] = {
            name: {} for name in job["implementations"]
        }
        counts = {name: Counter[str]() for name in ("judged", "unclaimed", "failed")}
        for place, one in enumerate(asked):
            for implementation in judged:
                judge = Judge(
                    implementation,
                    Record(implementation.name, "campaign", ()),
                    offers=offers[implementation.name],
                )
                _judge(judge, one, (number, place), found, counts)
        found["met"] = sorted({tuple(one.choices) for one in asked})
        return outcome.merged([found | {name: dict(count) for name, count in counts.items()}])


def _of_all(kind: Any, judged: list[Judged]) -> Any:
    """Give what cases are drawn for several: everything, and further functions that one has."""
    had = {name for name in kind.further for one in judged if kind.has(name, one.capabilities)}
    return kind.capabilities(**dict.fromkeys(had, True))


def _judge(
    judge: Judge,
    asked: Asked,
    where: tuple[int, int],
    found: dict[str, Any],
    counts: dict[str, Counter[str]],
) -> None:
    """Judge one implementation on one case that it claims, and note what comes of it."""
    case, name, record = asked.case, judge.judged.name, judge.record
    try:
        judge.claim_case(case)
        with suppress(ConformanceError, NotRunError):
            _ask(judge, asked)
    except NotClaimedError:
        counts["unclaimed"][name] += 1
        return
    counts["judged"][name] += 1
    for count in record.counts.values():
        for row in (name, f"recipe {case.recipe}"):
            key = f"{row}|{case.dtype}"
            found["worst"][key] = max(found["worst"].get(key, 0.0), count.worst)
    for failure in record.failures:
        counts["failed"][f"{name} {failure.clause}"] += 1
    kept = sum(one["implementation"] == name for one in found["failures"])
    for failure in record.failures[: max(0, outcome.KEPT - kept)]:
        found["failures"].append(_plain(failure, where, asked))


def _ask(judge: Judge, asked: Asked) -> None:
    """Ask a case as its operands lie; if that is wrong, as they lie side by side too (FWD-6)."""
    if asked.layout == "contiguous" or not judge.claimed.memory:
        judge.check(asked.case)
        return
    values = judge.values(asked.case)
    record = Record(judge.judged.name, "campaign", ())
    probe = Judge(judge.judged, record, offers=judge.offers)
    try:
        probe.check(asked.case, values=asked.viewed(values))
    except ConformanceError:
        judge.check(asked.case)
        judge.check(asked.case, values=asked.viewed(values), blame=("FWD-6",))
    judge.record.counts.update(record.counts)


def _plain(failure: Failure, where: tuple[int, int], asked: Asked) -> dict[str, Any]:
    dumped = failure.__dict__ | {"clauses": list(failure.clauses)}
    # Nobody draws it, and a folder holds many.
    del dumped["exhibit"]
    return {"block": where[0], "place": where[1], "layout": asked.layout, **dumped}
