"""What a process is asked for, what it holds, and what becomes of it when it forks."""

import os
import threading
from typing import Any, BinaryIO

import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Call, Unfold


class RowsOfThreadsLost(Unfold):
    """The rows are shared out among OMP_NUM_THREADS threads, and what is over is not computed."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        y = super().y(call, x, kernel)
        threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
        if call.grid[0] > 2 * threads:
            y[:, call.grid[0] // threads * threads :] = 0
        return y


class ChildrenHaveNoThreads(Unfold):
    """It says that it may be forked, and a child waits for no thread that is to write y."""

    needs = "fork_safe"

    def __init__(self) -> None:
        self._owner = os.getpid()

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        y = super().y(call, x, kernel)
        return y if os.getpid() == self._owner else y * 0


class ImagesKept(Unfold):
    """forward keeps every image for a backward that may come."""

    def __init__(self) -> None:
        self._kept: list[Array] = []

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        self._kept.append(np.array(x))
        return super().forward(x, kernel, **options)


class FilesLeftOpen(Unfold):
    """A forward call of more than 2^13 entries opens a device and does not close it."""

    def __init__(self) -> None:
        self._open: list[BinaryIO] = []

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        if x.size > 2**13:
            self._open.append(open(os.devnull, "rb"))  # noqa: SIM115 (that is the fault)
        return super().forward(x, kernel, **options)


class ThreadsLeftRunning(Unfold):
    """A backward call of more than 2^13 entries starts a thread that does not end."""

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        if x.size > 2**13:
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        return super().backward(dy, x, kernel, **options)
