"""What of its process a call should leave as it was (FWD-7)."""

import os
import pickle
import random
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

_SIGNALS = ("SIGINT", "SIGTERM", "SIGALRM", "SIGFPE", "SIGSEGV", "SIGCHLD")
# Not folded when this is compiled: they are computed as the processor is set.
_ONE, _TINY, _LITTLE = 1.0, 5e-324, 1e-17


def surroundings() -> dict[str, Any]:
    """Look at the process and at this thread."""
    return {
        "the rounding of the processor": (_ONE + _LITTLE, _ONE - _LITTLE, -_ONE - _LITTLE),
        "what the processor does with subnormal numbers": _TINY * _ONE,
        "numpy.errstate": np.geterr(),
        "the state of numpy.random": _numbers(),
        "the state of random": random.getstate(),
        "the working directory": os.getcwd(),
        "the filters of warnings": list(warnings.filters),
        "signal handlers": [signal.getsignal(getattr(signal, name)) for name in _SIGNALS],
        "the recursion limit": sys.getrecursionlimit(),
        "standard output": (sys.stdout, sys.stderr),
    }


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Name what is not as it was."""
    return [name for name, value in before.items() if after[name] != value]


def restore(before: Mapping[str, Any]) -> None:
    """Put back what the next call, or the judge beside it, should not find."""
    if os.getcwd() != before["the working directory"]:
        os.chdir(before["the working directory"])
    sys.stdout, sys.stderr = before["standard output"]
    sys.setrecursionlimit(before["the recursion limit"])


def _numbers() -> bytes:
    return pickle.dumps(np.random.get_state())  # noqa: NPY002 (the global one is meant)
