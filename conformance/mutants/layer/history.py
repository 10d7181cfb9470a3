"""Faults of layers in time: what earlier calls leave, what is kept, what threads and forks do."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.implementations.layer.numpy_layer import Array, NumpyLayer

_Parameters = Mapping[str, Array]


class AnswerCachedBySum(NumpyLayer):
    """An answer is given again where configuration, mode, image and sums of parameters agree."""

    def __init__(self) -> None:
        self._answers: dict[Any, Any] = {}

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        sums = tuple(round(float(one.astype(np.float64).sum()), 6) for one in parameters.values())
        key = (x.tobytes(), x.shape, x.dtype, repr(config), repr(mode), sums)
        if key not in self._answers:
            self._answers[key] = super().forward(x, parameters, config, **mode)
        y, kernel, moving = self._answers[key]
        return y.copy(), kernel.copy(), {name: one.copy() for name, one in moving.items()}


class FormatOfTheCallBefore(NumpyLayer):
    """A call after one in a narrower format is computed from an image of that format."""

    before: Any = None

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        before, self.before = self.before, x.dtype
        if before is not None and before.itemsize < x.dtype.itemsize:
            x = x.astype(before).astype(x.dtype)
        return super().forward(x, parameters, config, **mode)


class ImagesKept(NumpyLayer):
    """forward in training keeps every image for a backward that may come."""

    def __init__(self) -> None:
        self._kept: list[Array] = []

    def forward(
        self, x: Array, parameters: _Parameters, config: Any, *, training: bool = False
    ) -> Any:
        if training:
            self._kept.append(np.array(x))
        return super().forward(x, parameters, config, training=training)


class RowsOfThreadsLost(NumpyLayer):
    """The rows are shared out among OMP_NUM_THREADS threads, and what is over is not computed."""

    def pool(self, x: Array, config: Any) -> Array:
        pooled = super().pool(x, config)
        threads, rows = int(os.environ.get("OMP_NUM_THREADS", "1")), pooled.shape[1]
        if rows > 2 * threads:
            pooled[:, rows // threads * threads :] = 0
        return pooled


class ChildrenHaveNoThreads(NumpyLayer):
    """It says that it may be forked, and a child waits for no thread that is to pool."""

    def __init__(self) -> None:
        self._owner = os.getpid()

    def pool(self, x: Array, config: Any) -> Array:
        pooled = super().pool(x, config)
        return pooled if os.getpid() == self._owner else pooled * 0
