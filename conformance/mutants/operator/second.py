"""Wrong forward mode and wrong second derivatives behind a forward and a backward that are right.

They stand apart from the other mutants: who has no such functions cannot have these faults.
"""

from typing import Any

import numpy as np

from conformance.implementations.operator.numpy_unfold import Array, Twice
from conformance.mutants.operator.gradients import DkernelMean
from conformance.mutants.operator.padding import OddPixelBefore


class GradientNotDifferentiable(Twice):
    """Second derivatives raise: the gradient is a function that cannot be differentiated."""

    capabilities = Twice.capabilities | {"double_backward": True}

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        raise RuntimeError("trying to differentiate twice a function that is once differentiable")


class SecondDerivativeZero(Twice):
    """Second derivatives are zero: the gradient is taken for a constant."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        return np.zeros_like(dy), np.zeros_like(x), np.zeros_like(kernel)


class OperandsSavedAsConstants(Twice):
    """What flows back to x and kernel is zero, as if they had been saved as constants."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        ddy, d2x, d2kernel = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        return ddy, np.zeros_like(d2x), np.zeros_like(d2kernel)


class TangentOfKernelForgotten(Twice):
    """Forward mode without the tangent of the kernel."""

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        return super().jvp(x, kernel, tx, np.zeros_like(tkernel), **options)


class TangentsMultiplied(Twice):
    """Forward mode takes the product of both tangents for their sum."""

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        return self.forward(tx, tkernel, **options)


class GradientsExchanged(Twice):
    """What flows back to dy has x and ddx exchanged: x under kernel, and ddx under ddkernel."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        _, d2x, d2kernel = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        return self.of_both((x, kernel), (ddx, ddkernel), **options), d2x, d2kernel


class OperandsForTheirGradients(Twice):
    """What flows back to x and kernel is made of them, where ddx and ddkernel belong."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        ddy, _, _ = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        return ddy, *self.backward(dy, x, kernel, **options)


class SecondOddPixelBefore(Twice):
    """Second derivatives with the odd pixel of SAME padding before instead of after."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        ddy, _, _ = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        return ddy, *OddPixelBefore().backward(dy, ddx, ddkernel, **options)


class SecondWithoutPadding(Twice):
    """Second derivatives of explicit padding as if nothing were padded before the image."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        if not isinstance(options.get("padding"), tuple):
            return super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        unpadded = options | {"padding": ((0, 0), (0, 0))}
        return super().double_backward(ddx, ddkernel, dy, x, kernel, **unpadded)


class SecondWithoutDilation(Twice):
    """Second derivatives as if the dilation were 1."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        return super().double_backward(ddx, ddkernel, dy, x, kernel, **options | {"dilation": 1})


class SecondMean(Twice):
    """What flows back to the kernel is averaged over the channels of a group, not summed."""

    def double_backward(
        self, ddx: Array, ddkernel: Array, dy: Array, x: Array, kernel: Array, **options: Any
    ) -> tuple[Array, Array, Array]:
        ddy, d2x, _ = super().double_backward(ddx, ddkernel, dy, x, kernel, **options)
        return ddy, d2x, DkernelMean().backward(dy, ddx, ddkernel, **options)[1]


class TangentsAddedInBfloat16(Twice):
    """Forward mode rounds both parts to eight bits before it adds them."""

    def jvp(self, x: Array, kernel: Array, tx: Array, tkernel: Array, **options: Any) -> Array:
        pairs = (tx, kernel), (x, tkernel)
        one, other = (_to_eight_bits(self.forward(*pair, **options)) for pair in pairs)
        return (one + other).astype(x.dtype)


def _to_eight_bits(array: Array) -> Array:
    mantissa, exponent = np.frexp(array.astype(np.float64))
    rounded: Array = np.ldexp(np.round(mantissa * 2**8) / 2**8, exponent)
    return rounded
