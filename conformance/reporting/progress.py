"""Says what is being judged: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from conformance.judging.record import Record

# Where there is no terminal: how often a line says that it goes on.
_SECONDS = 30.0


class Progress:
    """Follows the records of a run.

    Parameters
    ----------
    trials : sequence of Trial
        What is judged.
    reporter : TerminalReporter
        pytest's, for plain lines.
    """

    def __init__(self, trials: Sequence[Any], reporter: Any) -> None:
        self._reporter, self._said = reporter, time.monotonic()
        self._total = {one.name: len(one.checks) for one in trials}
        self._done: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._bar: Bar | None = None
        self._tasks: dict[str, Any] = {}
        if sys.stdout.isatty():
            self._bar = Bar(
                TextColumn("{task.fields[judged]}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[check]}", markup=False, style="dim"),
                console=Console(),
                transient=True,
            )
            self._bar.start()

    def done(self, record: Record) -> None:
        """Take note of a check that is done."""
        name = record.implementation
        self._done[name] = self._done.get(name, 0) + 1
        self._failed[name] = self._failed.get(name, 0) + (record.outcome == "failed")
        if self._bar is not None:
            if name not in self._tasks:
                total = self._total[name]
                self._tasks[name] = self._bar.add_task("", total=total, judged=name, check="")
            self._bar.update(self._tasks[name], advance=1, check=record.check)
        elif self._done[name] == self._total[name] or time.monotonic() - self._said > _SECONDS:
            self._said = time.monotonic()
            failed = f", {self._failed[name]} fail" if self._failed[name] else ""
            self._reporter.write_line(
                f"{name}: {self._done[name]} of {self._total[name]} checks{failed}"
            )

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
