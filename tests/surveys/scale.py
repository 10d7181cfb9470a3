"""``python -m tests.surveys.scale``: what a case and a block cost, and where a scheduler ends.

Costs are processor time, so that whoever else uses the machine is not in them. The scheduler is
measured with many thin workers, which sleep in the place of judging and answer what a block answers
in truth; they, the client and the scheduler share one process here, so that the limit that is found
lies below the scheduler's own. Writes the tables of docs/scale.md.
"""

import argparse
import functools
import json
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dask
import numpy as np
from distributed import Client, LocalCluster

from conformance.campaign import blocks, running
from conformance.campaign.store import Store
from tests.surveys import disturbed

# Thin workers, and for how many seconds each sleeps over a block.
WORKERS = ((1, 1.0), (8, 1.0), (32, 2.0), (64, 2.0))
SIZES = (20, 100, 200)


class Model(NamedTuple):
    """Seconds that a case takes a processor, a block besides, and a block the scheduler.

    In the last is what the client does with a block: to ask for it, and to keep what came of it.
    """

    case: float
    block: float
    handled: float

    def speed(self, workers: int, size: int) -> float:
        """Cases a second."""
        return size / max((self.block + size * self.case) / workers, self.handled)

    def most(self, size: int) -> float:
        """Workers from which on the scheduler is the limit."""
        return (self.block + size * self.case) / self.handled


def _spent() -> float:
    """Seconds that processors spent on this process, and on those that it has ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def costs(name: str, rounds: int) -> tuple[float, float]:
    """Fit what a case costs, and a block besides."""
    found = []
    # The largest first, for it compiles what is not compiled yet.
    blocks.run(disturbed.job(SIZES[-1], SIZES[-1], 2) | {"implementations": [name]}, 0)
    for size in SIZES:
        job = disturbed.job(size * (rounds + 1), size, 3) | {"implementations": [name]}
        before = _spent()
        for number in range(1, rounds + 1):
            blocks.run(job, number)
        found.append((_spent() - before) / rounds)
    case, block = np.polyfit(SIZES, found, 1)
    return float(case), float(block)


def stand_in(job: Mapping[str, Any], number: int, own: Mapping[str, str]) -> Any:  # noqa: ARG001
    """Sleep over a block, and answer what a block answers."""
    time.sleep(job["sleeps"])
    return _answer(job["size"])


@functools.cache
def _answer(size: int) -> dict[str, Any]:
    return blocks.run(disturbed.job(size, size, 3), 0)


def simulated(workers: int, sleeps: float, count: int, size: int) -> tuple[float, float]:
    """Let so many thin workers run blocks; give blocks a second, and a processor's seconds each."""
    job = {"seed": 3, "sleeps": sleeps, "size": size}
    _answer(size)
    settings = {"distributed.scheduler.worker-saturation": 1.0}
    with (
        tempfile.TemporaryDirectory() as folder,
        dask.config.set(settings),
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=False,
                     protocol="tcp://", memory_limit=0, dashboard_address=None) as local,
        Client(local) as client,
    ):  # fmt: skip
        store = Store(Path(folder), {}, {})
        start, before = time.monotonic(), _spent()
        numbers = list(range(count))
        for number, found in running.by_dask(client, job, numbers, {}, Counter(), stand_in):
            store.keep(number, found)
        return count / (time.monotonic() - start), (_spent() - before) / count


def silence(cases: float, fault: float, runs: int = 100_000) -> float:
    """Give how often campaigns of so many cases meet no fault, if such a part of cases shows it."""
    return float(np.mean(np.random.default_rng(3).poisson(cases * fault, runs) == 0))


def of_workers(model: Model, count: int) -> Iterator[str]:
    """Give the table of simulations beside the model."""
    yield "| thin workers | a block sleeps | blocks | a second | the model | processor a block |"
    yield "|---|---|---|---|---|---|"
    for workers, sleeps in WORKERS:
        some = max(8, min(count, 4 * workers))
        speed, each = simulated(workers, sleeps, some, SIZES[-1])
        due = 1 / max(sleeps / workers, model.handled)
        row = f"{speed:.1f} | {due:.1f} | {1e3 * each:.0f} ms"
        print(workers, row, flush=True)
        yield f"| {workers} | {sleeps:.0f} s | {some} | {row} |"


def of_sizes(model: Model) -> Iterator[str]:
    """Give the table of what so many cases cost."""
    # A block keeps what each of its cases has chosen.
    kept = len(json.dumps(_answer(SIZES[-1]))) / SIZES[-1]
    yield (
        "| cases | of a block | blocks | hours of a processor | workers at most | hours with "
        "them | files |"
    )
    yield "|---|---|---|---|---|---|---|"
    for cases, size in ((1e6, 500), (1e9, 500), (1e9, 10_000), (1e12, 100_000)):
        number, most = cases / size, model.most(size)
        alone = (number * model.block + cases * model.case) / 3600
        hours = cases / model.speed(int(most), size) / 3600
        yield (
            f"| {cases:.0e} | {size:,} | {number:,.0f} | {alone:,.1f} | {most:,.0f} | {hours:,.2f} "
            f"| {cases * kept / 1e9:,.1f} GB |"
        )


def of_silence() -> Iterator[str]:
    """Give the table of what no finding says."""
    yield "| cases | a part of them so large is excluded (95%) | silent campaigns, simulated |"
    yield "|---|---|---|"
    for cases in (1e4, 1e6, 1e9):
        yield f"| {cases:.0e} | {3 / cases:.0e} | {silence(cases, 3 / cases):.1%} |"


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.scale", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="blocks of each size")
    parser.add_argument("--count", type=int, default=600, help="blocks of a simulation, at most")
    parser.add_argument("--output", type=Path, default=Path("docs/tables"), help="a folder")
    given = parser.parse_args()
    case, block = costs(disturbed.UNFOLD, given.rounds)
    _, each = simulated(16, 0.0, given.count, SIZES[-1])
    model = Model(case, block, each)
    said = (
        f"A case takes a processor {1e3 * case:.1f} ms, judge and judged together, and a block "
        f"{block:.2f} s besides; a block takes client, scheduler and the thin worker "
        f"{1e3 * model.handled:.1f} ms of one."
    )
    print(said, flush=True)
    tables = {
        "scale-workers.md": of_workers(model, given.count),
        "scale-cases.md": [said, "", *of_sizes(model)],
        "scale-silence.md": of_silence(),
    }
    for name, lines in tables.items():
        text = "\n".join(lines) + "\n"
        print(text, flush=True)
        (given.output / name).write_text(text)


if __name__ == "__main__":
    main()
