"""What of its process a call should leave as it was (FWD-7)."""

import contextlib
import ctypes
import os
import pickle
import random
import signal
import sys
import threading
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

_SIGNALS = ("SIGINT", "SIGTERM", "SIGALRM", "SIGFPE", "SIGSEGV", "SIGCHLD")
# Not folded when this is compiled: they are computed as the processor is set.
_ONE, _TINY, _LITTLE = 1.0, 5e-324, 1e-17
# Bytes of the state of a Mersenne twister as NumPy keeps it: 624 words, and the place among them.
_TWISTER = 4 * 625


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
        "functions that trace": (sys.gettrace(), sys.getprofile(), threading.gettrace()),
        "standard output": (sys.stdout, sys.stderr),
    }


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Name what is not as it was."""
    return [name for name, value in before.items() if after[name] != value]


def restore(before: Mapping[str, Any], left: Collection[str]) -> None:
    """Put back what was changed, so that the next call is seen to change it again."""
    if "the rounding of the processor" in left or any("subnormal" in name for name in left):
        _set_processor_as_usual()
    if "the state of numpy.random" in left:
        _set_numbers(*before["the state of numpy.random"])
    if "the state of random" in left:
        random.setstate(before["the state of random"])
    if "the working directory" in left:
        os.chdir(before["the working directory"])
    if "signal handlers" in left:
        for name, handler in zip(_SIGNALS, before["signal handlers"], strict=True):
            # Another thread than the first may not; what C code has set is no object.
            with contextlib.suppress(ValueError, TypeError):
                signal.signal(getattr(signal, name), handler)
    if "functions that trace" in left:
        trace, profile, of_threads = before["functions that trace"]
        sys.settrace(trace)
        sys.setprofile(profile)
        threading.settrace(of_threads)
    sys.stdout, sys.stderr = before["standard output"]
    sys.setrecursionlimit(before["the recursion limit"])


def _set_processor_as_usual() -> None:
    """Round to nearest, and keep subnormal numbers: FE_DFL_ENV of the C library of Linux."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libm.so.6").fesetenv(ctypes.c_void_p(-1))


def _numbers() -> Any:
    """Give the state of NumPy's global generator, and which it is.

    The memory of the usual one is copied, which takes a microsecond; asked for its state it takes a
    hundred.
    """
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    if type(generator) is not np.random.MT19937:
        return generator, pickle.dumps(generator.state)
    return generator, ctypes.string_at(generator.ctypes.state_address, _TWISTER)


def _set_numbers(generator: Any, state: bytes) -> None:
    np.random.set_bit_generator(generator)  # type: ignore[attr-defined]
    if type(generator) is not np.random.MT19937:
        generator.state = pickle.loads(state)
    else:
        ctypes.memmove(generator.ctypes.state_address, state, _TWISTER)
