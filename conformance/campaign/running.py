"""Has blocks run, here or by Dask, until each has an outcome. Judges nothing, and keeps nothing.

A block that is lost with its worker is done again. One that was lost twice is suspected, and tried
once more when nothing else runs, so that no neighbour of it is blamed: if its worker ends then too,
that is its outcome.
"""

import asyncio
import contextlib
import multiprocessing
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from conformance.campaign import alike, blocks, outcome
from conformance.claims.loading import LoadError

# A block that has ended so many workers, the last of them alone, is a finding.
DEATHS = 3
# Workers come and go; they are counted anew after so many seconds.
_RECOUNTED = 5.0
# So often the processes of this machine are started if some die before all are there, or are not
# there after so many seconds, such as one that is stopped. It usually takes them two.
_STARTS = 3
_STARTED_WITHIN = 60.0


def here(job: Mapping[str, Any], numbers: list[int]) -> Iterator[tuple[int, Any]]:
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
    from distributed import Client

    if scheduler is not None:
        with Client(scheduler) as client:
            yield client
        return
    settings = {
        # The death of a worker comes to us at once; no block waits at a worker that may die.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.worker-ttl": f"{patience:g}s",
    }
    with dask.config.set(settings), _started(workers) as local, Client(local) as client:
        yield client


def _started(workers: int | None) -> Any:
    """Start processes on this machine, again if one of them dies or stops meanwhile.

    Dask gives up then, with an error of its own or, where it is to end one that never started, with
    one of its assertions. Such a one would be waited for when Python ends.
    """
    from distributed import LocalCluster

    # No limit of memory: what takes much is judged, and that is in a process of its own. A share of
    # the machine for each of many workers would be so small that Dask paused them all.
    settings = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": 0,
                "death_timeout": _STARTED_WITHIN}  # fmt: skip
    before = multiprocessing.active_children()
    for _ in range(_STARTS - 1):
        try:
            return LocalCluster(**settings, dashboard_address=":0")
        except (RuntimeError, AssertionError):
            for one in multiprocessing.active_children():
                if one not in before:
                    one.kill()
    return LocalCluster(**settings, dashboard_address=":0")


def compare(client: Any, job: Mapping[str, Any], own: Mapping[str, str]) -> None:
    """Demand that all workers have the client's environment, and what is judged in it.

    Raises
    ------
    conformance.campaign.alike.UnlikeError
        Naming the worker and what differs.
    conformance.claims.loading.LoadError
        Naming the worker and what cannot be loaded there.
    """

    # A process is started for all that is judged; meanwhile a worker must show that it lives.
    async def told() -> tuple[dict[str, str], str]:
        try:
            return await asyncio.to_thread(blocks.looked, job), ""
        except LoadError as error:
            return alike.environment(), str(error)

    # Whoever is gone meanwhile has a successor, and that is compared with every block.
    for address, (other, lacking) in client.run(told, on_error="ignore").items():
        alike.demand(address, alike.environment() if lacking else own, other)
        if lacking:
            raise LoadError(f"on the worker {address}: {lacking}")


def by_dask(
    client: Any,
    job: Mapping[str, Any],
    numbers: list[int],
    own: Mapping[str, str],
    lost: Counter[int],
    judge: Callable[..., dict[str, Any]] = blocks.run,
) -> Iterator[tuple[int, Any]]:
    """Run blocks on the workers of a client; give each outcome as it comes.

    Parameters
    ----------
    client : distributed.Client
        Whose workers run them.
    job : mapping
        As `blocks.run` has it.
    numbers : list of int
        Which blocks.
    own : mapping
        The client's environment.
    lost : Counter
        Is told how often each block was lost with its worker.
    judge : callable
        What a worker is to do: given the job, a number and the client's environment.
    """
    from distributed import KilledWorker, as_completed

    running, names = as_completed(), dict[Any, int]()
    due, suspects, alone = iter(numbers), deque[int](), set[int]()
    most = _Most(client)

    def start(number: int) -> None:
        key = f"block-{number}-{lost[number]}-of-{job['seed']}"
        future = client.submit(judge, job, number, own, key=key, pure=False)
        names[future] = number
        running.add(future)

    def fill() -> None:
        while len(names) < most() and (number := next(due, None)) is not None:
            start(number)
        if suspects and not names:
            alone.add(suspects[0])
            start(suspects.popleft())

    fill()
    for future in running:
        number = names.pop(future)
        try:
            found = future.result()
        except KilledWorker as error:
            # A scheduler of somebody's own may have tried it several times by itself.
            lost[number] += error.allowed_failures + 1
            if number not in alone:
                if lost[number] < DEATHS - 1:
                    start(number)
                else:
                    suspects.append(number)
                    fill()
                continue
            found = outcome.lost(number, DEATHS, job)
        yield number, found
        fill()


class _Most:
    """How many blocks are to be under way, as long as there are workers as there are.

    A few more than can run at a time, so that no worker waits for us; not all, so that a billion
    cases need no billion futures.
    """

    def __init__(self, client: Any) -> None:
        self._client, self._counted, self._number = client, -_RECOUNTED, 0

    def __call__(self) -> int:
        if time.monotonic() - self._counted > _RECOUNTED:
            self._counted = time.monotonic()
            self._number = 2 * max(1, sum(self._client.nthreads().values())) + 2
        return self._number
