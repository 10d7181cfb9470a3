"""Right on most calls: wrong on a path that fast code takes for some sizes, options or values."""

from typing import Any

import numpy as np

from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import Array, Call, Unfold
from conformance.mutants.operator.arithmetic import (
    NanToZero,
    OperandsThroughTensorCores,
    Saturates,
    ScaledUp,
    SumsInHalf,
)
from conformance.mutants.operator.conventions import DilationIgnored, KernelFlipped
from conformance.mutants.operator.gradients import (
    DkernelLastRowLost,
    DxCorrelates,
    GradientsOfTheFirstSample,
)
from conformance.mutants.operator.padding import EdgeClamped, OddPixelBefore
from conformance.mutants.operator.taps import (
    CentreTapDropped,
    GroupOfNextChannel,
    KernelOfFirstSample,
)


class _Path(Unfold):
    """A right operator, and a faulty one that some calls are handed to."""

    fault: type[Unfold] = Unfold

    def __init__(self) -> None:
        self._right, self._wrong = Shifted(), self.fault()

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        """Tell whether a call takes the path."""
        raise NotImplementedError

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        return self._chosen(x, kernel, **options).forward(x, kernel, **options)

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        return self._chosen(x, kernel, **options).backward(dy, x, kernel, **options)

    def _chosen(self, x: Array, kernel: Array, **options: Any) -> Unfold:
        call = self.call(x.shape, kernel.shape, **options)
        taken = x.size and kernel.size and self.taken(call, x, kernel)
        return self._wrong if taken else self._right


class VectorsIgnoreDilation(_Path):
    """Where 16 divides the channels, the dilation is ignored."""

    fault = DilationIgnored

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.channels % 16 == 0


class ManyOutputsThroughTensorCores(_Path):
    """From 2^14 outputs on, float32 operands are truncated to TF32, undeclared."""

    fault = OperandsThroughTensorCores

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.batch * call.grid[0] * call.grid[1] * call.channels >= 2**14


class DepthwiseOddPixelBefore(_Path):
    """Eight or more groups of one channel pad SAME with the odd pixel before."""

    fault = OddPixelBefore

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.channels == call.groups >= 8 and call.stride == (2, 2)


class SevensCorrelated(_Path):
    """dx of 7 x 7 kernels of 16 channels a group is taken with the kernel flipped."""

    fault = DxCorrelates

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.taps == (7, 7) and call.channels == 16 * call.groups


class SixteenSamplesReadOneKernel(_Path):
    """Where 16 divides the batch, all samples use the kernel of the first."""

    fault = KernelOfFirstSample

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.batch % 16 == 0


class StridedDkernelLosesARow(_Path):
    """With stride 2 and 32 channels or more, dkernel of the last row of outputs is zero."""

    fault = DkernelLastRowLost

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.stride == (2, 2) and call.channels >= 32


class _NoDkernel(Unfold):
    def dkernel(self, call: Call, dy: Array, x: Array) -> Array:
        return np.zeros(call.kernel, x.dtype)


class ZeroKernelsSkipped(_Path):
    """Where the kernel is zero everywhere, so is dkernel."""

    fault = _NoDkernel

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return not kernel.any()


class OnesAreNotPadded(_Path):
    """Where all pixels are one, y is the sum of the kernel, padded taps and all."""

    fault = EdgeClamped

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return bool((x == 1).all())


class ConstantImagesAreNotPadded(_Path):
    """Where all pixels are equal, y is that pixel times the sum of the kernel."""

    fault = EdgeClamped

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return x.size > 1 and bool((x == x.flat[0]).all()) and bool(x.any())


class EqualKernelsConvolved(_Path):
    """Where all pixels have the same kernel, a convolution is called, which flips it."""

    fault = KernelFlipped

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.grid > (1, 1) and bool((kernel == kernel[:, :1, :1]).all())


class EqualImagesOnce(_Path):
    """Where all images of a batch are equal, the gradients of the first stand for all."""

    fault = GradientsOfTheFirstSample

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.batch > 1 and bool((x == x[:1]).all())


class SparseImagesLoseTheCentre(_Path):
    """Where most pixels are zero, the centre tap is left out."""

    fault = CentreTapDropped

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return bool((x == 0).mean() > 0.8) and bool(x.any())


class EmptyRowsShiftTheGroups(_Path):
    """Where one row, column or channel of x alone is not zero, the next channel's group is used."""

    fault = GroupOfNextChannel

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        where = np.argwhere(x)
        alone = [n > 2 and len(set(where[:, axis])) == 1 for axis, n in enumerate(x.shape)]
        return any(alone[1:])


class WideNanLost(_Path):
    """From 32 channels on, NaN and infinite results are replaced by finite numbers."""

    fault = NanToZero

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.channels >= 32


class WideHalfSaturates(_Path):
    """Where 8 divides the channels, float16 results are clipped to the largest number."""

    fault = Saturates

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.channels % 8 == 0 and x.dtype == np.float16 and bool(np.isfinite(x).all())


class _Flushes(Unfold):
    def wide(self, array: Array) -> Array:
        tiny = {2: 2.0**-14, 4: 2.0**-126, 8: 2.0**-1022}[array.dtype.itemsize]
        return super().wide(np.where(np.abs(array) < array.dtype.type(tiny), 0, array))


class VectorsFlush(_Path):
    """Where 8 divides the channels, float16, float32 and float64 operands below normal are lost."""

    fault = _Flushes

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.channels % 8 == 0 and x.dtype.name != "bfloat16"


class ChannelsSummedInHalf(_Path):
    """From 8 channels on, float32 partial sums are rounded to float16."""

    fault = SumsInHalf

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.channels >= 8


class VectorsScaledUp(_Path):
    """Where 8 divides the channels, sums are computed at 16 times their size: they overflow."""

    fault = ScaledUp

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.channels % 8 == 0


class _CarryLost(Unfold):
    def rounded(self, result: Array, dtype: np.dtype[Any]) -> Array:
        near = super().rounded(result, dtype)
        if dtype.itemsize > 2:
            return near
        bits = 11 if dtype == np.float16 else 8
        wide = near.astype(result.dtype)
        # Half a unit below a power of two.
        tie = np.abs(result) == np.abs(wide) * (1 - 2.0 ** -(bits + 1))
        return np.where(tie & (np.frexp(wide)[0] == np.sign(wide) / 2), near / 2, near).astype(
            dtype
        )


class TiesLoseTheirCarry(_Path):
    """float16 and bfloat16 results halfway below a power of two lose the carry when rounded up."""

    fault = _CarryLost

    def taken(self, call: Call, x: Array, kernel: Array) -> bool:
        return call.channels >= 8
