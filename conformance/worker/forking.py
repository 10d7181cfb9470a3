"""A call in a forked child of this process.

The child answers through a pipe and ends at once, so that nothing else of it is seen.
"""

import os
import pickle
import signal
from collections.abc import Callable
from typing import Any


class ChildError(Exception):
    """The child gave no answer."""


def in_child(function: Callable[[], Any]) -> Any:
    """Give what a function returns in a forked child.

    Raises
    ------
    ChildError
        Saying how the child ended.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        # Nothing of the parent is cleaned up here: not its buffers, and not its threads.
        try:
            with os.fdopen(writing, "wb") as to:
                pickle.dump(function(), to)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        blob = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        raise ChildError(f"the forked child was killed by {signal.Signals(-status).name}")
    try:
        return pickle.loads(blob)
    except (EOFError, pickle.UnpicklingError) as error:
        raise ChildError(f"the forked child ended with status {status}, and no answer") from error
