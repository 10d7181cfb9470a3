"""Has blocks run, here or by Dask, until each has an outcome. Judges nothing, and keeps nothing.

A block that is lost with its worker is done again; one whose worker ended three times under it has
that for its outcome.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from conformance.campaign import blocks, outcome

# A block that has ended so many workers is a finding.
DEATHS = 3


class UnlikeError(RuntimeError):
    """A worker's environment is not the client's."""


def here(job: dict[str, Any], numbers: list[int]) -> Iterator[tuple[int, Any]]:
    """Run blocks in this process, one after another."""
    for number in numbers:
        yield number, blocks.run(job, number)


@contextlib.contextmanager
def cluster(workers: int | None, scheduler: str | None, patience: float) -> Iterator[Any]:
    """Give a client of an existing scheduler, or of processes on this machine.

    Parameters
    ----------
    workers : int or None
        Processes to start; as many as there are processors by default.
    scheduler : str or None
        Address of one that exists.
    patience : float
        Seconds without a sign of life after which a worker of this machine is lost.
    """
    import dask
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler) as client:
            yield client
        return
    settings = {
        # The death of a worker comes to us at once; no block waits at a worker that may die.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.worker-ttl": f"{patience:g}s",
        "distributed.worker.memory.terminate": False,
    }
    with (
        dask.config.set(settings),
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as local,
        Client(local) as client,
    ):
        yield client


def compare(client: Any) -> None:
    """Demand that all workers have the client's environment.

    Raises
    ------
    UnlikeError
        Naming the worker and what differs.
    """
    own = blocks.environment()
    for address, other in client.run(blocks.environment).items():
        if unlike := blocks.differences(own, other):
            raise UnlikeError(f"the worker {address} is not like the client: {'; '.join(unlike)}")


def _same(client: dict[str, str], job: dict[str, Any], number: int) -> dict[str, Any]:
    """Run a block on a worker, which may have come after all were compared."""
    if unlike := blocks.differences(client, blocks.environment()):
        raise UnlikeError(f"a worker is not like the client: {'; '.join(unlike)}")
    return blocks.run(job, number)


def by_dask(
    client: Any,
    job: dict[str, Any],
    numbers: list[int],
    lost: Counter[int],
    judge: Callable[..., dict[str, Any]] = _same,
) -> Iterator[tuple[int, Any]]:
    """Run blocks on the workers of a client; give each outcome as it comes.

    Parameters
    ----------
    client : distributed.Client
        Whose workers run them.
    job : dict
        As `blocks.run` has it.
    numbers : list of int
        Which blocks.
    lost : Counter
        Is told how often each block was lost with its worker.
    judge : callable
        What a worker is to do: given the client's environment, the job and a number.
    """
    from distributed import KilledWorker, as_completed

    due = iter(numbers)
    running = as_completed()
    names: dict[Any, int] = {}

    def start(number: int) -> None:
        key = f"block-{number}-{lost[number]}-of-{job['seed']}"
        future = client.submit(judge, blocks.environment(), job, number, key=key, pure=False)
        names[future] = number
        running.add(future)

    # A few more than there are workers, so that none waits for us; not all, so that a billion
    # cases need no billion futures.
    for _ in range(2 * max(1, len(client.scheduler_info(n_workers=-1)["workers"])) + 2):
        if (number := next(due, None)) is not None:
            start(number)
    for future in running:
        number = names.pop(future)
        try:
            found = future.result()
        except KilledWorker:
            lost[number] += 1
            if lost[number] < DEATHS:
                start(number)
                continue
            found = outcome.lost(number, lost[number], job)
        yield number, found
        if (following := next(due, None)) is not None:
            start(following)
