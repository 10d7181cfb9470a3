"""Hears an interruption that Python drops.

Python drops a KeyboardInterrupt that is raised within a callback of its garbage collector, and
Hypothesis has such a callback: now and then Ctrl-C would not end a run. Python warns of what it
drops, and pytest made an error of the warning: the run then ended with a traceback of pytest's own.
"""

import contextlib
import signal
import sys
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

        dropped = sys.unraisablehook

        def silent(what: Any) -> None:
            # What is raised again was not lost.
            if not (self._came and issubclass(what.exc_type, KeyboardInterrupt)):
                dropped(what)

        signal.signal(signal.SIGINT, note)
        sys.unraisablehook = silent
        try:
            yield
        except KeyboardInterrupt:
            self._came = False
            raise
        finally:
            signal.signal(signal.SIGINT, before)
            sys.unraisablehook = dropped

    def raise_what_was_dropped(self) -> None:
        """Raise what came and was not heard.

        Raises
        ------
        KeyboardInterrupt
            If an interruption came.
        """
        if self._came:
            raise KeyboardInterrupt
