"""Faults of memory: what a layer changes, shares, remembers, assumes of its operands' places."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.implementations.layer.numpy_layer import Array, NumpyLayer, Pass

_Parameters = Mapping[str, Array]


class StaticShape(NumpyLayer):
    """Height and width fixed by the first image."""

    size: tuple[int, ...] | None = None

    def run(self, x: Array, p: dict[str, Array], config: Any, training: bool) -> Pass:
        self.size = self.size or x.shape[1:3]
        if x.shape[1:3] != self.size:
            raise ValueError(f"built for images of {self.size} pixels, got {x.shape[1:3]}")
        return super().run(x, p, config, training)


class BatchFixed(NumpyLayer):
    """The number of samples fixed by the first batch."""

    batch: int | None = None

    def run(self, x: Array, p: dict[str, Array], config: Any, training: bool) -> Pass:
        self.batch = self.batch or len(x)
        if len(x) != self.batch:
            raise ValueError(f"built for batches of {self.batch}, got {len(x)}")
        return super().run(x, p, config, training)


class RefusesNothing(NumpyLayer):
    """Validation is claimed, and what cannot be computed is answered with the image itself."""

    capabilities: dict[str, Any] = {"gradual_underflow": True}  # noqa: RUF012

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        try:
            return super().forward(x, parameters, config, **mode)
        except Exception:
            return x, None, {}


class EmptyBatchRefused(NumpyLayer):
    """An empty batch raises."""

    def run(self, x: Array, p: dict[str, Array], config: Any, training: bool) -> Pass:
        if not len(x):
            raise ValueError("empty batch")
        return super().run(x, p, config, training)


class MovingRemembered(NumpyLayer):
    """Moving statistics remembered from an earlier call instead of those given."""

    last: Any = None

    def moving(
        self, done: Pass, p: dict[str, Array], config: Any, training: bool
    ) -> dict[str, Array]:
        known = self.last is not None and self.last["moving_mean"].shape == done.mean.shape
        self.last = super().moving(done, p | dict(self.last if known else {}), config, training)
        return dict(self.last)


class TrainingForever(NumpyLayer):
    """Normalises by the batch for good once it was called in training mode."""

    trained = False

    def statistics(self, h: Array, p: dict[str, Array], training: bool) -> tuple[Array, Array]:
        self.trained = self.trained or training
        return super().statistics(h, p, self.trained and h.size > 0)


class WeightsOfTheFirstCall(NumpyLayer):
    """The first weights of a shape are used for all calls that follow."""

    def __init__(self) -> None:
        self.first: dict[tuple[int, ...], Array] = {}

    def convolve(self, a: Array, name: str, p: dict[str, Array]) -> Array:
        weight = p[f"{name}_kernel"]
        first = self.first.setdefault(weight.shape, weight.copy())
        return super().convolve(a, name, p | {f"{name}_kernel": first})


class ImageOfTheLastForward(NumpyLayer):
    """backward uses the image of the last forward call of that shape instead of its argument."""

    last: Any = None

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        self.last = x.copy()
        return super().forward(x, parameters, config, **mode)

    def backward(
        self, dy: Array, x: Array, parameters: _Parameters, config: Any, **mode: bool
    ) -> Any:
        known = self.last is not None and self.last.shape == x.shape
        image = self.last.astype(x.dtype) if known else x
        return super().backward(dy, image, parameters, config, **mode)


class GradientsAddUp(NumpyLayer):
    """Gradients of the parameters are added to those of the call before, shapes being equal."""

    last: Any = None

    def backward(
        self, dy: Array, x: Array, parameters: _Parameters, config: Any, **mode: bool
    ) -> Any:
        dx, found = super().backward(dy, x, parameters, config, **mode)
        shapes = {name: one.shape for name, one in found.items()}
        if self.last and shapes == {name: one.shape for name, one in self.last.items()}:
            found = {name: one + self.last[name].astype(one.dtype) for name, one in found.items()}
        self.last = found
        return dx, found


class OutputBufferReused(NumpyLayer):
    """y is written into the buffer that an earlier call of that shape returned."""

    buffer: Any = None

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        y, kernel, moving = super().forward(x, parameters, config, **mode)
        if self.buffer is None or (self.buffer.shape, self.buffer.dtype) != (y.shape, y.dtype):
            self.buffer = np.empty_like(y)
        self.buffer[...] = y
        return self.buffer, kernel, moving


class CentresInPlace(NumpyLayer):
    """forward takes the mean off its image in place when it is done."""

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        done = super().forward(x, parameters, config, **mode)
        if x.size and x.flags.writeable:
            x -= x.mean()
        return done


class MovingInPlace(NumpyLayer):
    """Training moves the moving statistics that it was given, in place."""

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        y, kernel, moving = super().forward(x, parameters, config, **mode)
        for name, new in moving.items():
            if parameters[name].flags.writeable:
                parameters[name][...] = new
        return y, kernel, moving


class ClearsDy(NumpyLayer):
    """backward sets dy to zero when it is done."""

    def backward(
        self, dy: Array, x: Array, parameters: _Parameters, config: Any, **mode: bool
    ) -> Any:
        done = super().backward(dy, x, parameters, config, **mode)
        if dy.flags.writeable:
            dy[...] = 0
        return done


class StridesInMemoryIgnored(NumpyLayer):
    """Transposed operands are read in the order in which they lie in memory."""

    def widened(self, array: Array) -> Array:
        return super().widened(array.ravel("K").reshape(array.shape))


class WeightsInMemoryOrder(NumpyLayer):
    """Transposed weights are read in the order in which they lie in memory."""

    def wide(self, parameters: _Parameters) -> dict[str, Array]:
        return super().wide({n: one.ravel("K").reshape(one.shape) for n, one in parameters.items()})


class ParametersCachedByAddress(NumpyLayer):
    """Parameters that lie where the last ones lay are taken to be those."""

    _last: Any = None

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        key = tuple((one.ctypes.data, one.shape, one.dtype) for one in parameters.values())
        if self._last is None or self._last[0] != key:
            self._last = key, {name: one.copy() for name, one in parameters.items()}
        return super().forward(x, self._last[1], config, **mode)


class ErrorStateLeftSet(NumpyLayer):
    """forward has NumPy raise where a number overflows, and leaves it so."""

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        done = super().forward(x, parameters, config, **mode)
        np.seterr(over="raise")
        return done


class SharedAmongThreads(NumpyLayer):
    """It says that it is made for calls at once, and its parameters are those of the last call."""

    capabilities = NumpyLayer.capabilities | {"thread_safe": True}

    def forward(self, x: Array, parameters: _Parameters, config: Any, **mode: bool) -> Any:
        self.parameters = parameters
        time.sleep(0)
        return super().forward(x, self.parameters, config, **mode)
