"""Hears an interruption that Python drops.

Python drops a KeyboardInterrupt that is raised within a callback of its garbage collector, and
Hypothesis has such a callback: now and then Ctrl-C would not end a run.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Interruption:
    """Takes note of an interruption, and raises it again where it was not heard."""

    def __init__(self) -> None:
        self._came = False

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note what comes, and do with it what is done anyway."""
        before: Any = signal.getsignal(signal.SIGINT)
        if not callable(before) or threading.current_thread() is not threading.main_thread():
            # It is ignored, or comes to another thread.
            yield
            return

        def note(number: int, frame: Any) -> None:
            self._came = True
            before(number, frame)

        signal.signal(signal.SIGINT, note)
        try:
            yield
        except KeyboardInterrupt:
            self._came = False
            raise
        finally:
            signal.signal(signal.SIGINT, before)

    def raise_what_was_dropped(self) -> None:
        """Raise what came and was not heard.

        Raises
        ------
        KeyboardInterrupt
            If an interruption came.
        """
        if self._came:
            raise KeyboardInterrupt
