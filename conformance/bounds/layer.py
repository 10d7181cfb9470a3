"""What a layer's results are due, and how far from it a correct layer can be (LAY-16).

The walk through the layer, forward and backward; its arithmetic is in `analysis`.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from conformance.bounds.analysis import Analysis, Value, total
from conformance.bounds.expected import Array, Expected, Floats
from conformance.bounds.windows import gathered, scattered, windows
from conformance.claims.arithmetic import EVALUATION, FLOAT64, Arithmetic
from refimpl import involution, layer
from refimpl.layer import Config


class Normalisation(NamedTuple):
    """What the derivative of the normalisation needs."""

    h: Value
    mean: Value
    root: Value
    gamma: Value


class Walk:
    """The analysis of one call.

    Parameters
    ----------
    arithmetic : Arithmetic
        In which it is computed.
    operands : mapping of str to ndarray
        x, dy and the parameters.
    config : Config
        The layer's.
    training : bool
        Whether statistics are those of the batch.
    """

    def __init__(
        self, arithmetic: Arithmetic, operands: Mapping[str, Array], config: Config, training: bool
    ) -> None:
        self.analysis, self.config, self.training = Analysis(arithmetic), config, training
        self.given = {name: self.analysis.given(array) for name, array in operands.items()}
        self.results: dict[str, Value] = {}

    def run(self) -> dict[str, Value]:
        """Analyse both passes and give every result."""
        with np.errstate(all="ignore"):
            pooled, number = self.pool()
            h = self.pointwise(pooled, "reduce")
            z, normalisation = self.normalise(h) if self.config.normalise else (h, None)
            a = self.relu(z)
            kernel = self.arrange(self.pointwise(a, "expand"))
            self.operate(kernel)
            da = self.pointwise_vjp(self.entries(), a, "expand")
            dh = self.relu_vjp(da, z)
            if normalisation is not None:
                dh = self.normalise_vjp(dh, normalisation)
            dpooled = self.pointwise_vjp(dh, pooled, "reduce")
            self.pool_vjp(dpooled, number)
        return {name: self.analysis.delivered(value) for name, value in self.results.items()}

    def pool(self) -> tuple[Value, Floats]:
        """Average over the windows (LAY-3 to LAY-5); also the number of pixels in each."""
        x = self.given["x"]
        sides = windows(self.config, x.value.shape)
        ones = np.ones((1, *x.value.shape[1:3], 1))
        number = gathered(ones, sides)
        share = Value(1 / number, np.zeros(number.shape), _even(number))
        summed = lambda a, b: gathered(a, sides) * b  # noqa: E731
        return self.stored(self.analysis.contract(summed, x, share, int(number.max()) + 1)), number

    def pool_vjp(self, dpooled: Value, number: Floats) -> None:
        """Spread over the windows, and add to what came through the operator (LAY-13)."""
        sides = windows(self.config, self.given["x"].value.shape)
        share = Value(1 / number, np.zeros(number.shape), _even(number))
        spread = lambda a, b: scattered(a * b, sides)  # noqa: E731
        through = self.stored(self.analysis.contract(spread, dpooled, share, 1))
        self.results["dx"] = self.stored(self.analysis.add(self.results["dx"], through))

    def pointwise(self, a: Value, name: str) -> Value:
        """Compute a 1x1 convolution (LAY-7, LAY-10)."""
        weight = self.given[f"{name}_kernel"]
        product = self.stored(self.analysis.contract(np.matmul, a, weight, len(weight.value)))
        bias = self.given.get(f"{name}_bias")
        return product if bias is None else self.stored(self.analysis.add(product, bias))

    def pointwise_vjp(self, dh: Value, a: Value, name: str) -> Value:
        """Give the gradient with respect to a, and keep those of weight and bias (LAY-14)."""
        weight, n = self.given[f"{name}_kernel"], dh.value[..., 0].size
        outer = lambda one, other: np.einsum("bijc,bijr->cr", one, other)  # noqa: E731
        back = lambda one, other: one @ other.T  # noqa: E731
        self.keep(f"{name}_kernel", self.analysis.contract(outer, a, dh, n))
        if f"{name}_bias" in self.given:
            self.keep(f"{name}_bias", self.summed(dh))
        return self.stored(self.analysis.contract(back, dh, weight, weight.value.shape[1]))

    def normalise(self, h: Value) -> tuple[Value, Normalisation]:
        """Normalise (LAY-8), and move the statistics (LAY-12)."""
        mean, variance = self.statistics(h) if self.training else self.moving()
        root = self.reciprocal_root(variance)
        gamma, beta, unit = self.given["gamma"], self.given["beta"], self.analysis.unit
        centred, carried = h.value - mean.value, h.error + mean.error
        value = gamma.value * centred * root.value + beta.value
        spread = np.abs(centred) * root.error + carried * (root.value + root.error)
        uncentred = gamma.size * (h.size + mean.size) * (root.value + root.error) + beta.size
        error = gamma.size * spread + gamma.error * np.abs(centred) * root.value + beta.error
        error = error + 8 * unit * (1 + 8 * unit) * uncentred
        error = error + 8 * self.analysis.tiny
        self.move(mean, variance, h.value[..., 0].size)
        return self.stored(Value(value, error)), Normalisation(h, mean, root, gamma)

    def statistics(self, h: Value) -> tuple[Value, Value]:
        """Mean and variance of the batch; the worst of all ways to compute them."""
        n = h.value[..., 0].size
        mean = self.mean(h, n)
        centred = np.abs(h.value - mean.value)
        q = centred + h.error + total(h.error) / n
        moved = total(2 * q * h.error + h.error**2) / n
        lost = self.analysis.gamma(3 * n + 8) * total(h.size**2) / n
        underflow = 2 * self.analysis.tiny
        return mean, Value(total(centred**2) / n, moved + lost + underflow)

    def mean(self, h: Value, n: int) -> Value:
        """Mean over the pixels of the batch."""
        lost = self.analysis.gamma(n + 2) * total(h.size) / n
        lost = lost + 2 * self.analysis.tiny
        return Value(total(h.value) / n, total(h.error) / n + lost)

    def moving(self) -> tuple[Value, Value]:
        """Statistics that are given."""
        return self.given["moving_mean"], self.given["moving_variance"]

    def move(self, mean: Value, variance: Value, n: int) -> None:
        """Keep the moving statistics after the call (LAY-12)."""
        analysis, momentum = self.analysis, self.config.momentum
        unbiased = self.config.unbiased_moving_variance and n > 1
        for name, new, factor in (
            ("moving_mean", mean, 1.0),
            ("moving_variance", variance, n / (n - 1) if unbiased else 1.0),
        ):
            old = self.given[name]
            if not self.training:
                self.results[name] = old
                continue
            weight = (1 - momentum) * factor
            value = momentum * old.value + weight * new.value
            size = momentum * old.size + weight * new.size
            unit = max(analysis.unit, analysis.arithmetic.operand.unit_roundoff)
            lost = (
                6 * unit * (1 + 6 * unit) * size + 6 * analysis.arithmetic.operand.smallest_normal
            )
            self.results[name] = Value(value, momentum * old.error + weight * new.error + lost)

    def reciprocal_root(self, variance: Value) -> Value:
        """1 / sqrt(variance + epsilon)."""
        epsilon, unit = self.config.epsilon, self.analysis.unit
        w = variance.value + epsilon
        delta = (variance.error * (1 + unit) + unit * (w + epsilon)) / w
        root = 1 / np.sqrt(w)
        moved = root * (delta / 2) * np.where(delta < 1, 1 - delta, np.nan) ** -1.5
        moved = np.where(np.isnan(moved), np.inf, moved)
        return Value(root, moved + 4 * unit * (root + moved))

    def arrange(self, entries: Value) -> Value:
        """Turn channels into kernels (LAY-11) and keep them."""
        config, grid = self.config, entries.value.shape[:3]

        def kernels(a: Floats) -> Floats:
            if config.kernel_order == "tap_major":
                return a.reshape(*grid, *config.taps, config.groups)
            by_group: Floats = a.reshape(*grid, config.groups, *config.taps)
            return by_group.transpose(0, 1, 2, 4, 5, 3)

        self.results["kernel"] = Value(
            kernels(entries.value), kernels(entries.error), entries.quantum
        )
        return self.results["kernel"]

    def entries(self) -> Value:
        """The gradient of the generated channels."""
        dkernel = self.results.pop("dkernel")

        def channels(a: Floats) -> Floats:
            tap_major = self.config.kernel_order == "tap_major"
            ordered = a if tap_major else a.transpose(0, 1, 2, 5, 3, 4)
            return ordered.reshape(*a.shape[:3], math.prod(a.shape[3:]))

        return Value(channels(dkernel.value), channels(dkernel.error), dkernel.quantum)

    def operate(self, kernel: Value) -> None:
        """Apply the operator and its derivatives (LAY-2), each bilinear."""
        options, analysis = self.config.options, self.analysis
        x, dy = self.given["x"], self.given["dy"]
        taps = self.config.taps[0] * self.config.taps[1]
        image, grid = np.zeros(x.value.shape), np.zeros(kernel.value.shape)
        forward = lambda a, b: involution.forward(a, b, **options)  # noqa: E731
        to_x = lambda a, b: involution.backward(a, image, b, **options)[0]  # noqa: E731
        to_kernel = lambda a, b: involution.backward(a, b, grid, **options)[1]  # noqa: E731
        members = x.value.shape[3] // self.config.groups
        for name, product, a, b, n in (
            ("y", forward, x, kernel, taps),
            ("dx", to_x, dy, kernel, taps),
            ("dkernel", to_kernel, dy, x, members),
        ):
            self.results[name] = self.stored(analysis.contract(product, a, b, n))

    def relu(self, z: Value) -> Value:
        """Cut off below zero: max moves nothing further apart, and what is surely below to 0."""
        below = z.value + z.error <= 0
        return z._replace(value=np.maximum(z.value, 0), error=np.where(below, 0.0, z.error))

    def relu_vjp(self, da: Value, z: Value) -> Value:
        """Pass on where z > 0 (LAY-9); where its sign is not known, perhaps."""
        unknown = (z.error > 0) & (np.abs(z.value) <= z.error)
        passed = np.where(z.value > 0, da.error, 0.0)
        value = np.where(z.value > 0, da.value, 0.0)
        return Value(value, np.where(unknown, da.size, passed), da.quantum)

    def normalise_vjp(self, dz: Value, done: Normalisation) -> Value:
        """Differentiate the normalisation, through the statistics in training (LAY-15)."""
        analysis, n = self.analysis, dz.value[..., 0].size
        h, mean, root, gamma = done
        tiny = analysis.tiny
        centred, carried = h.value - mean.value, h.error + mean.error
        standard = centred * root.value
        standard_error = (np.abs(centred) + carried) * root.error + carried * root.value
        uncentred = (h.size + mean.size) * (root.value + root.error)
        terms = total(dz.size * uncentred)
        lost = analysis.gamma(n + 16) * terms + 2 * n * tiny * (terms > 0)
        carried_over = total(dz.size * standard_error + dz.error * np.abs(standard))
        scaled = Value(total(dz.value * standard), carried_over + lost)
        shifted = self.summed(dz)
        self.keep("gamma", scaled)
        self.keep("beta", shifted)
        change, error = dz.value, dz.error
        if self.training:
            change = change - shifted.value / n - standard * scaled.value / n
            error = error + shifted.error / n
            error = error + (np.abs(standard) + standard_error) * scaled.error / n
            error = error + standard_error * np.abs(scaled.value) / n
            spread = (uncentred + total(uncentred) / n) * terms / n
            size = dz.size + total(dz.size) / n + spread
            error = error + analysis.gamma(n + 16) * size
        value = gamma.value * root.value * change
        outer = gamma.size * (root.value + root.error)
        moved = outer * error + (gamma.size * root.error + gamma.error * root.value) * np.abs(
            change
        )
        lost = 4 * analysis.unit * (np.abs(value) + moved) + 4 * tiny * (1 + outer)
        exact = not (value.any() or moved.any())
        return self.stored(Value(value, moved + (0.0 if exact else lost), np.inf if exact else 0.0))

    def summed(self, a: Value) -> Value:
        """Sum over the pixels of the batch."""
        ones = Value(np.ones(()), np.zeros(()), 1.0)
        return self.analysis.contract(lambda x, y: total(x) * y, a, ones, a.value[..., 0].size)

    def keep(self, parameter: str, gradient: Value) -> None:
        """Store the gradient of a parameter."""
        self.results[f"d{parameter}"] = self.stored(gradient)

    def stored(self, a: Value) -> Value:
        """Round to the format of the operands."""
        return self.analysis.stored(a)


def allowed(
    arithmetic: Arithmetic, operands: Mapping[str, Array], config: Config, *, training: bool
) -> dict[str, Floats]:
    """Give the largest distance from the reference, for each result and element.

    Zero where equality is demanded, infinite where nothing is known.
    """
    found = [Walk(one, operands, config, training).run() for one in (arithmetic, FLOAT64)]
    return {
        name: np.nan_to_num(
            (found[0][name].error + found[1][name].error) * EVALUATION, nan=np.inf, posinf=np.inf
        )
        for name in found[0]
    }


def expected(
    arithmetic: Arithmetic, operands: Mapping[str, Array], config: Config, *, training: bool
) -> dict[str, Expected]:
    """Give the reference's results by name, and how far from them a correct layer may be."""
    parameters = {name: value for name, value in operands.items() if name not in {"x", "dy"}}
    y, kernel, moving = layer.forward(operands["x"], parameters, config, training=training)
    dx, gradients = layer.backward(
        operands["dy"], operands["x"], parameters, config, training=training
    )
    named = {f"d{name}": gradient for name, gradient in gradients.items()}
    values = {"y": y, "kernel": kernel, **moving, "dx": dx, **named}
    bounds = allowed(arithmetic, operands, config, training=training)
    return {name: Expected(value, bounds[name]) for name, value in values.items()}


def _even(number: Floats) -> float:
    """The grid of 1 / number, if all are powers of two."""
    exact = np.array_equal(np.log2(number), np.round(np.log2(number)))
    return float(1 / number.max()) if exact else 0.0
