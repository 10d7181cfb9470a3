"""Runs the checks of several implementations side by side, ahead of who asks for their records.

What is judged runs in processes of its own, so that a thread for each implementation keeps the
cores busy: while one waits for an answer, another works out what the answer should be.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from conformance.judging.checks import Check
from conformance.judging.record import Record
from conformance.judging.trial import Trial


class Ahead:
    """Gives the record of each check of each trial, in whatever order they are asked for.

    Parameters
    ----------
    asked : sequence of tuple of Trial and Check
        All that will be asked for.
    """

    def __init__(self, asked: Sequence[tuple[Trial, Check]]) -> None:
        self._records: dict[tuple[int, str], Future[Record]] = {
            (id(trial), check.name): Future() for trial, check in asked
        }
        trials = {id(trial): trial for trial, _ in asked}
        self._pool = ThreadPoolExecutor(min(len(trials), os.cpu_count() or 1))
        self._stopped = False
        for one in trials.values():
            self._pool.submit(self._run, one, [check for trial, check in asked if trial is one])

    def record(self, trial: Trial, check: Check) -> Record:
        """Wait for the record of a check."""
        return self._records[id(trial), check.name].result()

    def stop(self) -> None:
        """Begin no further check."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, trial: Trial, checks: Iterable[Check]) -> None:
        for check in checks:
            future = self._records[id(trial), check.name]
            if self._stopped:
                future.cancel()
                continue
            try:
                future.set_result(trial.session.run(check))
            except BaseException as error:  # whoever asks for the record gets it
                future.set_exception(error)
        trial.session.close()
