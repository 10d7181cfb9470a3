"""Forward mode and second derivatives that are wrong in some calls alone, and else right.

In one format, on NaN, in another thread, after another call, in other memory, and for what is no
call at all: what forward and backward are asked by chapters FWD, ERR and SPC (GRD-11).
"""

import threading
from typing import Any

import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Twice

Three = tuple[Array, Array, Array]


class TangentOfKernelLostInBfloat16(Twice):
    """Forward mode of bfloat16 operands is without the tangent of the kernel."""

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        lost = x.dtype.name == "bfloat16"
        return super().jvp(x, kernel, tx, tkernel * 0 if lost else tkernel, **options)


class SecondOfFloat64InFloat32(Twice):
    """Second derivatives of float64 operands are summed in float32."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        with np.errstate(all="ignore"):
            given = (one.astype(np.float32) for one in (ddx, ddkernel, dy, x, kernel))
            ddy, d2x, d2kernel = super().double_backward(*given, **options)
        if x.dtype == np.float64:
            return ddy.astype(x.dtype), d2x.astype(x.dtype), d2kernel.astype(x.dtype)
        return super().double_backward(ddx, ddkernel, dy, x, kernel, **options)


class TangentsScaledBeforeTheyAreAdded(Twice):
    """Forward mode works with sixteen times the sums, which overflow early."""

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        times, sums = x.dtype.type(16), ((tx, kernel), (x, tkernel))
        one, other = (self.forward(*pair, **options) for pair in sums)
        with np.errstate(all="ignore"):
            total = (one * times + other * times) / times
        # Below the normal numbers a sixteenth is no exact one.
        small = np.abs(total) < np.finfo(np.float16).tiny
        return np.where(small, super().jvp(x, kernel, tx, tkernel, **options), total)


class SubnormalSecondFlushed(Twice):
    """What flows back to the kernel is flushed to zero, though subnormal numbers are kept."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        ddy, d2x, d2kernel = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        tiny = np.ldexp(np.float64(1), -126 if x.dtype.itemsize == 4 else -1022)
        small = (np.abs(d2kernel) < tiny) & (x.dtype.itemsize > 2)
        return ddy, d2x, np.where(small, x.dtype.type(0), d2kernel)


class NanOfTangentIsZero(Twice):
    """A tangent that is NaN counts as zero."""

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        tx, tkernel = (np.where(np.isnan(one), one.dtype.type(0), one) for one in (tx, tkernel))
        return super().jvp(x, kernel, tx, tkernel, **options)


class InfinitySecondIsNan(Twice):
    """Where infinity flows back to the kernel, NaN does."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        ddy, d2x, d2kernel = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        with np.errstate(all="ignore"):
            return ddy, d2x, d2kernel + d2kernel * 0


class SecondOfNoSamplesRefused(Twice):
    """Second derivatives of an empty batch raise."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        if len(x) == 0:
            raise ValueError("empty batch")
        return super().double_backward(ddx, ddkernel, dy, x, kernel, **options)


class ForwardModeIsValid(Twice):
    """Where no padding is given forward mode has none, and forward has "same"."""

    needs = "jvp"

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        return super().jvp(x, kernel, tx, tkernel, **{"padding": "valid", **options})


class SecondStrideOfOneAxis(Twice):
    """An integer stride of second derivatives is that of the rows alone."""

    needs = "double_backward"

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        if isinstance(options.get("stride"), int):
            options["stride"] = options["stride"], 1
        return super().double_backward(ddx, ddkernel, dy, x, kernel, **options)


class TangentReadAsIfContiguous(Twice):
    """The tangent of the image is read in the order in which it lies in memory."""

    needs = "jvp memory"

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        return super().jvp(x, kernel, tx.ravel("K").reshape(tx.shape), tkernel, **options)


class SecondClearsDdx(Twice):
    """Second derivatives of one sample leave zeros in ddx, where it can be written."""

    needs = "double_backward memory"

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        found = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        if len(ddx) == 1 and ddx.flags.writeable:
            ddx[...] = 0
        return found


class TangentsKept(Twice):
    """Forward mode keeps every tangent that it is given."""

    needs = "jvp"

    def __init__(self) -> None:
        self._kept: list[Array] = []

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        self._kept.append(np.array(tx))
        return super().jvp(x, kernel, tx, tkernel, **options)


class LinearisedOnce(Twice):
    """Forward mode at the same image and kernel gives what it gave for the tangents before."""

    needs = "jvp"

    def __init__(self) -> None:
        self._known: dict[Any, Array] = {}

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        key = x.tobytes(), kernel.tobytes(), x.shape, repr(options)
        if key not in self._known:
            self._known = {key: super().jvp(x, kernel, tx, tkernel, **options)}
        return self._known[key].copy()


class SecondBufferReused(Twice):
    """ddy is written into the buffer that an earlier call of that shape returned."""

    needs = "double_backward memory"

    def __init__(self) -> None:
        self._buffers: dict[Any, Array] = {}

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        ddy, *others = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        buffer = self._buffers.setdefault((ddy.shape, ddy.dtype), ddy)
        buffer[...] = ddy
        return buffer, others[0], others[1]


class TangentsSharedByThreads(Twice):
    """Forward mode holds its tangents where calls in other threads hold theirs."""

    needs = "jvp thread_safe"

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        self._held = tx, tkernel
        one = self.forward(x, self._held[1], **options)
        other = self.forward(self._held[0], kernel, **options)
        with np.errstate(all="ignore"):
            total: Array = one + other
            return total


class NothingRecordedInOtherThreads(Twice):
    """In other threads than the main one nothing flows back to the image."""

    needs = "double_backward thread_safe"

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> Three:
        ddy, d2x, d2kernel = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        recorded = threading.current_thread() is threading.main_thread()
        return ddy, d2x if recorded else d2x * 0, d2kernel
