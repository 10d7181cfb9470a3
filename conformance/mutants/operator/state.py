"""What is remembered, shared, changed, refused or accepted and should not be."""

from typing import Any

import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Call, Plan, Unfold


class KernelCachedByShape(Unfold):
    """The first kernel of each shape is used for all that follow."""

    def __init__(self) -> None:
        self._seen: dict[Any, Array] = {}

    def wide(self, array: Array) -> Array:
        if array.ndim != 6:
            return super().wide(array)
        return self._seen.setdefault((array.shape, array.dtype), super().wide(array))


class PlanCachedByShape(Unfold):
    """What was worked out for a shape is used again with other options."""

    def __init__(self) -> None:
        self._seen: dict[Any, Plan] = {}

    def plan(self, call: Call) -> Plan:
        return self._seen.setdefault((call.image, call.kernel), super().plan(call))


class ImageOfTheLastForward(Unfold):
    """backward uses the image of the last forward call of that shape instead of its argument."""

    needs = "backward"

    def __init__(self) -> None:
        self._last: dict[Any, Array] = {}

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        self._last[x.shape, x.dtype] = np.array(x)
        return super().forward(x, kernel, **options)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        return super().backward(dy, self._last.get((x.shape, x.dtype), x), kernel, **options)


class GradientsAddUp(Unfold):
    """dkernel is added to that of the call before, if the shapes are equal."""

    needs = "backward"

    def __init__(self) -> None:
        self._last = np.zeros(0)

    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        dkernel = super().dkernel(call, dy, x)
        old, self._last = self._last, dkernel
        return dkernel + old.astype(dkernel.dtype) if old.shape == dkernel.shape else dkernel


class OutputBufferReused(Unfold):
    """y is written into the buffer that an earlier call of that shape returned."""

    needs = "memory"

    def __init__(self) -> None:
        self._buffers: dict[Any, Array] = {}

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        y = super().forward(x, kernel, **options)
        buffer = self._buffers.setdefault((y.shape, y.dtype), y)
        buffer[...] = y
        return buffer


class ScalesInPlace(Unfold):
    """forward doubles its image in place."""

    needs = "memory"

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        y = super().forward(x, kernel, **options)
        if x.flags.writeable:
            x *= 2
        return y


class ClearsDy(Unfold):
    """backward sets dy to zero when it is done."""

    needs = "memory"

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        results = super().backward(dy, x, kernel, **options)
        if dy.flags.writeable:
            dy[...] = 0
        return results


class DxInPlaceOfDy(Unfold):
    """dx is written into the memory of dy where the shapes are equal."""

    needs = "memory"

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        dx, dkernel = super().backward(dy, x, kernel, **options)
        if dx.shape != dy.shape or not dy.flags.writeable:
            return dx, dkernel
        dy[...] = dx
        return dy, dkernel


class StridesInMemoryIgnored(Unfold):
    """A transposed or strided operand is read in the order in which it lies in memory."""

    needs = "memory"

    def wide(self, array: Array) -> Array:
        return super().wide(array).ravel("K").reshape(array.shape)


class ReversedViewsReadForwards(Unfold):
    """A view with negative strides is read forwards."""

    needs = "memory"

    def wide(self, array: Array) -> Array:
        flip = tuple(slice(None, None, -1 if step < 0 else 1) for step in array.strides)
        return super().wide(array[flip])


class EveryTenthCallWrong(Unfold):
    """Every tenth forward call adds one to its first output."""

    def __init__(self) -> None:
        self._calls = 0

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        self._calls += 1
        y = super().y(call, x, kernel)
        y.reshape(-1)[:1] += self._calls % 10 == 0
        return y


class FirstCallWarmsUp(Unfold):
    """The first call of each shape returns zeros."""

    def __init__(self) -> None:
        self._seen: set[Any] = set()

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        y = super().y(call, x, kernel)
        new = call not in self._seen
        self._seen.add(call)
        return y * 0 if new else y


class OrderVaries(Unfold):
    """The sum is taken in another order from call to call: other bits on real numbers."""

    needs = "deterministic"

    def __init__(self) -> None:
        self._calls = 0

    def total(self, products: Array) -> Array:
        self._calls += 1
        taps = products.shape[3] * products.shape[4]
        flat = products.reshape(*products.shape[:3], taps, products.shape[5])
        ordered = np.roll(flat, self._calls, axis=3)
        total = ordered[:, :, :, :0].sum(3)
        for tap in range(ordered.shape[3]):
            total = total + ordered[:, :, :, tap]
        return total


class AcceptsEverything(Unfold):
    """Validation is claimed and nothing is validated."""

    needs = "validates"

    capabilities: dict[str, Any] = {"gradual_underflow": True}  # noqa: RUF012


class RefusesNothing(Unfold):
    """Validation is claimed, and what cannot be computed is answered with zeros."""

    needs = "validates"

    capabilities: dict[str, Any] = {"gradual_underflow": True}  # noqa: RUF012

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        try:
            return super().forward(x, kernel, **options)
        except Exception:
            return np.zeros_like(x)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        try:
            return super().backward(dy, x, kernel, **options)
        except Exception:
            return np.zeros_like(x), np.zeros_like(kernel)


class EmptyBatchRefused(Unfold):
    """An empty batch raises."""

    needs = "empty_batch"

    def plan(self, call: Call) -> Plan:
        if call.batch == 0:
            raise ValueError("empty batch")
        return super().plan(call)


class EvenKernelsRefused(Unfold):
    """An even kernel extent raises."""

    needs = "geometry"

    def plan(self, call: Call) -> Plan:
        if call.taps[0] % 2 == 0 or call.taps[1] % 2 == 0:
            raise ValueError("even kernel")
        return super().plan(call)


class RaggedSizesRefused(Unfold):
    """A size that the stride does not divide raises."""

    needs = "geometry"

    def plan(self, call: Call) -> Plan:
        if call.size[0] % call.stride[0] or call.size[1] % call.stride[1]:
            raise ValueError("ragged size")
        return super().plan(call)


class DefaultPaddingIsValid(Unfold):
    """Padding that is left out means VALID."""

    needs = "geometry"

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        return super().forward(x, kernel, **{"padding": "valid"} | options)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        return super().backward(dy, x, kernel, **{"padding": "valid"} | options)


class IntegerStrideIsVertical(Unfold):
    """An integer stride holds for the rows alone."""

    needs = "geometry"

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        return super().forward(x, kernel, **_vertical(options))

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        return super().backward(dy, x, kernel, **_vertical(options))


def _vertical(options: dict[str, Any]) -> dict[str, Any]:
    stride = options.get("stride", 1)
    return options | {"stride": (stride, 1) if isinstance(stride, int) else stride}


class ImageCachedByAddress(Unfold):
    """An image that lies where the last one of that shape lay is taken to be that one."""

    needs = "memory"

    def __init__(self) -> None:
        self._last: tuple[Any, Array] | None = None

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        key = (x.ctypes.data, x.shape, x.dtype)
        if self._last is None or self._last[0] != key:
            self._last = key, x.copy()
        return super().forward(self._last[1], kernel, **options)


class AnswerCachedBySum(Unfold):
    """An answer is given again where shapes, options and the sums of the operands are the same."""

    def __init__(self) -> None:
        self._answers: dict[Any, Array] = {}

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        sums = float(x.astype(float).sum()), float(kernel.astype(float).sum())
        key = (x.shape, kernel.shape, x.dtype, repr(sorted(options.items())), sums)
        if key not in self._answers:
            self._answers[key] = super().forward(x, kernel, **options)
        return self._answers[key].copy()


class BuffersInTurn(Unfold):
    """y is written into one of three buffers, which are used in turn."""

    needs = "memory"

    def __init__(self) -> None:
        self._buffers: dict[Any, list[Array]] = {}

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        y = super().forward(x, kernel, **options)
        buffers = self._buffers.setdefault((y.shape, y.dtype), [])
        buffers.insert(0, buffers.pop() if len(buffers) == 3 else np.empty_like(y))
        buffers[0][...] = y
        return buffers[0]


class ScratchOfAllThreads(Unfold):
    """The image is copied into a scratch buffer that calls from all threads share."""

    needs = "thread_safe"

    def __init__(self) -> None:
        self._scratch: dict[Any, Array] = {}

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        scratch = self._scratch.setdefault((x.shape, x.dtype), np.empty_like(x))
        scratch[...] = x
        return super().forward(scratch, kernel, **options)


class ErrorStateLeftSet(Unfold):
    """forward has NumPy raise where a number overflows, and leaves it so."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        y = super().forward(x, kernel, **options)
        np.seterr(over="raise")
        return y


class RandomNumbersDrawn(Unfold):
    """forward draws from NumPy's global generator."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        np.random.random()  # noqa: NPY002 (that is the fault)
        return super().forward(x, kernel, **options)


class WrongFromTheThousandthCall(Unfold):
    """From the thousandth forward call on y is of an image that is shifted by a channel."""

    calls = 0

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        self.calls += 1
        return super().forward(np.roll(x, self.calls >= 1000, -1), kernel, **options)


class ReadsPastTheEnd(Unfold):
    """forward reads a vector of eight entries too many of its image, and does not use them."""

    needs = "memory"

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        if x.flags.c_contiguous and x.size:
            wide = np.lib.stride_tricks.as_strided(x.reshape(-1), (x.size + 8,), (x.itemsize,))
            x = wide.copy()[:-8].reshape(x.shape)
        return super().forward(x, kernel, **options)


class WritesAndRestores(Unfold):
    """forward negates its image in place, and negates it again when it is done."""

    needs = "memory"

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        if not x.flags.writeable:
            return super().forward(x, kernel, **options)
        before = x.copy()
        np.negative(x, out=x)
        y = super().forward(-x, kernel, **options)
        x[...] = before
        return y


class AlignedLoads(Unfold):
    """A contiguous image must begin at a multiple of 16 bytes, or it is read an entry off."""

    needs = "memory"

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        if x.flags.c_contiguous and x.ctypes.data % 16:
            x = np.roll(x, 1)
        return super().forward(x, kernel, **options)
