"""``python -m conformance campaign``: many cases on Dask, gone on with where they were left.

Options, progress, and what is said at the end. Draws, judges and merges nothing itself.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from conformance.campaign import alike, blocks, outcome, running
from conformance.campaign.store import OtherCampaignError, Store, write
from conformance.claims.loading import LoadError, Where, load
from conformance.judging.record import Failure, Record
from conformance.judging.session import Session
from conformance.kinds import KINDS
from conformance.reporting.report import Report

_SIZE = 500
# Seconds between two notes of how a run goes.
_TOLD = 2.0


def main(arguments: Sequence[str]) -> int:
    """Run a campaign, or go on with it.

    Returns
    -------
    int
        0 if nothing was found, 1 if something was, 3 if it was interrupted. What cannot be
        understood or loaded ends it with 2.
    """
    parser = _parser()
    given = parser.parse_args(list(arguments))
    named = [(k, getattr(given, k.option.removeprefix("--"))) for k in KINDS]
    named = [(kind, names) for kind, names in named if names]
    if len(named) != 1:
        parser.error("a campaign judges operators or layers: give --implementation or --layer")
    if min(given.cases, given.block_size) < 1:
        parser.error("--cases and --block-size must be at least 1")
    if given.scheduler and given.workers is not None:
        parser.error("--workers starts processes here, --scheduler uses those that it has")
    kind, names = named[0]
    job = {"option": kind.option, "implementations": names, "seed": given.seed,
           "cases": given.cases, "size": given.block_size, "timeout": given.timeout,
           "memory": given.memory}  # fmt: skip
    try:
        if given.only is not None:
            found = blocks.run(job, given.only)
            Console().print_json(data=outcome.report(job, found))
            return int(bool(found["failures"]))
        report = run(job, given.folder, given.workers, given.scheduler, given.lost_after)
    except (LoadError, OtherCampaignError, alike.UnlikeError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on with what {given.folder} holds")
        return 3
    say(report, given.folder)
    if report["failures"] and not given.no_diagnosis:
        for shown in explained(job, report["failures"]):
            print(shown)
    return int(bool(report["failures"]))


def run(
    job: dict[str, Any],
    folder: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    lost_after: float = 60.0,
    done: Callable[[int, dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Run what is left of a campaign and give the merged report.

    Parameters
    ----------
    job : dict
        As `blocks.run` has it.
    folder : Path
        Where it is kept: ``report.json``, the same bytes however it ran, ``run.json`` with the
        times and losses of each run that it took, and a file for each block.
    workers : int, optional
        Processes on this machine; 0 runs the blocks in this one.
    scheduler : str, optional
        Address of a scheduler that exists.
    lost_after : float
        Seconds without a sign of life after which a worker is lost.
    done : callable, optional
        Is given the number and the outcome of each block when it is kept.
    """
    own = blocks.looked(job)
    store = Store(folder, job, own)
    held = store.done()
    total = -(-job["cases"] // job["size"])
    left = [number for number in range(total) if number not in held]
    lost: Counter[int] = Counter()
    this = _Run(store, len(left), lost)
    with ExitStack() as stack:
        bar = stack.enter_context(_bar())
        runner: Any = partial(running.here, job, left)
        if workers != 0 and left:
            client = stack.enter_context(running.cluster(workers, scheduler, lost_after))
            running.compare(client, job, own)
            this.where = client.dashboard_link
            runner = partial(running.by_dask, client, job, left, own, lost)
        task = bar.add_task("blocks", total=total, completed=len(held), told=this.where)
        findings, cases = sum(len(one["failures"]) for one in held.values()), 0
        this.tell()
        for number, found in runner():
            store.keep(number, found)
            held[number] = found
            if done is not None:
                done(number, found)
            findings, cases = findings + len(found["failures"]), cases + found["cases"]
            told = f"{cases / this.seconds:,.0f} cases/s, {findings} findings, {this.told}"
            bar.update(task, advance=1, told=told)
            this.tell(at_most_every=_TOLD)
    report = outcome.report(job, outcome.merged(held[number] for number in sorted(held)))
    write(folder / "report.json", report)
    this.tell(ended=True)
    return report


class _Run:
    """What this run took and lost, for people: kept beside the report, and not in it."""

    def __init__(self, store: Store, blocks: int, lost: Counter[int]) -> None:
        self._store, self._before, self._blocks, self._lost = store, store.runs(), blocks, lost
        self._start = self._last = time.monotonic()
        self.where = "in this process"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def told(self) -> str:
        return f"{sum(self._lost.values())} lost; {self.where}"

    def tell(self, *, at_most_every: float = 0.0, ended: bool = False) -> None:
        """Keep it, so that it is there if the next moment is the last."""
        if time.monotonic() - self._last < at_most_every:
            return
        self._last = time.monotonic()
        lost = {str(number): times for number, times in sorted(self._lost.items())}
        this = {"seconds": self.seconds, "blocks left": self._blocks, "where": self.where,
                "lost": lost, "ended": ended}  # fmt: skip
        self._store.tell([*self._before, this])


def say(report: dict[str, Any], folder: Path) -> None:
    """Print what came of it."""
    pairs, triples = (report["coverage"][word] for word in ("pairs", "triples"))
    print(
        f"{report['cases']:,} cases in {report['blocks']:,} blocks, "
        f"{sum(report['judged'].values()):,} judged: {report['verdict']}. "
        f"Met {pairs['met']:,} of {pairs['of']:,} pairs of choices and {triples['met']:,} of "
        f"{triples['of']:,} triples. {folder / 'report.json'}"
    )
    for what, number in report["failed"].items():
        print(f"  {number:,} x {what}")


def explained(job: dict[str, Any], failures: list[dict[str, Any]]) -> list[str]:
    """Shrink and explain what was found, once for each implementation."""
    kind = next(one for one in KINDS if one.option == job["option"])
    screens = [one["words"] + "\n  " + one["replay"] for one in failures if one["place"] < 0]
    for name in job["implementations"]:
        own = [one for one in failures if one["implementation"] == name and one["place"] >= 0]
        if not own:
            continue
        fields = Failure.__dataclass_fields__
        record = Record(name, "campaign", tuple(dict.fromkeys(one["clause"] for one in own)))
        record.outcome = "failed"
        record.failures = [
            Failure(**{n: v for n, v in one.items() if n in fields} | {
                "clauses": tuple(one["clauses"])
            })
            for one in own
        ]  # fmt: skip
        judged = load(name, kind, where=Where(False, job["timeout"], job["memory"]))
        session = Session(judged, seed=job["seed"])
        screens.append(str(Report.of(session, [record])))
        session.close()
    return screens


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        console=Console(stderr=True),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance campaign",
        description="Judge many drawn cases, on this machine or on a Dask cluster.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    for kind in KINDS:
        add(kind.option, action="append", default=[], metavar="PACKAGE.MODULE:ATTRIBUTE",
            help=f"{kind.name} to judge (repeatable: all on the same cases)")  # fmt: skip
    add("--cases", type=int, default=10_000, help="cases to draw (default 10,000)")
    add("--seed", type=int, default=0, help="what they are drawn from")
    add("--block-size", type=int, default=_SIZE, help=f"cases of a block (default {_SIZE})")
    add("--folder", type=Path, default=Path("campaign"), help="where it is kept and gone on with")
    add("--workers", type=int, help="processes here; 0: in this process, without Dask")
    add("--scheduler", metavar="ADDRESS", help="of a Dask scheduler that exists")
    add("--lost-after", type=float, default=60.0, metavar="SECONDS",
        help="without a sign of life a worker of this machine is lost")  # fmt: skip
    add("--timeout", type=float, metavar="SECONDS", help="for one call (default 60)")
    add("--memory", type=float, metavar="GIB", help="address space of what is judged")
    add("--only", type=int, metavar="NUMBER", help="run this block here and print what comes of it")
    add("--no-diagnosis", action="store_true", help="do not explain what is found")
    return parser
