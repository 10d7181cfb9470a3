"""Reads numbers off a layer by what it does to probes: its epsilon, its momentum, its slopes.

A layer whose weights are zero but for one channel shows a step as it is: what comes back as the
kernel is the reciprocal root, the activation of a number, or a bias. The operator is read through a
kernel that is the generator's bias. What is made of the numbers is not known here.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from conformance.cases.case import Array, Floats
from conformance.cases.layer import LayerCase
from conformance.claims.formats import FORMATS
from conformance.diagnosis.answers import Question
from conformance.diagnosis.layers.alternatives import Numbers
from conformance.diagnosis.layers.asking import LayerAsking
from conformance.diagnosis.layers.kernels import operator_case
from conformance.diagnosis.layers.model import Run
from conformance.diagnosis.readings import ENTRY, OUTPUT, PIXEL, Reading

# Beyond every number that comes up in passing.
_LARGE = 1e4
# Taps and groups of a case whose operator is read.
_MOST_TAPS = 64
# Outputs of a case whose dkernel is read, one by one.
_MOST_OUTPUTS = 150


class _Probes:
    """Asks a case with operands of its own."""

    def __init__(self, asking: LayerAsking, case: LayerCase) -> None:
        self.asking, self.case = asking, case
        self.question = Question(asking.judged, case)

    def ask(self, function: str = "forward", **operands: Any) -> Mapping[str, Any]:
        """Ask with operands that are numbers, or arrays; those not named are zero."""
        values = {
            name: np.broadcast_to(np.float64(operands.get(name, 0.0)), shape).astype(
                FORMATS[self.case.dtype].dtype
            )
            for name, shape in self.case.shapes.items()
        }
        return self.question.ask(values, (function,))

    def entry(self, **operands: Any) -> float | None:
        """What the first generated channel is, where the first hidden one alone is passed on."""
        got = self.ask(**{"reduce_kernel": self.first("reduce_kernel"),
                          "expand_kernel": self.first("expand_kernel")} | operands)  # fmt: skip
        kernel = got.get("kernel")
        if not isinstance(kernel, np.ndarray) or not kernel.size:
            return None
        flat = kernel.astype(np.float64).ravel()
        found = float(flat[np.argmax(np.abs(flat))])
        return found if np.isfinite(found) else None

    def first(self, name: str) -> Floats:
        """Weights of the first channels alone."""
        one = np.zeros(self.case.shapes[name])
        one.flat[0] = 1
        return one


def read_numbers(asking: LayerAsking, case: LayerCase) -> Numbers:
    """Read every constant on the sizes and the configuration of a case.

    Parameters
    ----------
    asking : LayerAsking
        Who is asked.
    case : LayerCase
        On which sizes: of a fault behind a guard those that pass it.
    """
    return Numbers(
        epsilons=_round(_epsilons(asking, case), 5),
        momenta=_round(_momenta(asking, case), 5),
        slopes=_round(_slopes(asking, case), 5),
        limits=_round(_limits(asking, case), 6),
        times=_round(_times(asking, case), 6),
    )


def _round(numbers: Iterator[float], digits: int) -> tuple[float, ...]:
    return tuple(dict.fromkeys(float(f"{one:.{digits}g}") for one in numbers))


def _epsilons(asking: LayerAsking, case: LayerCase) -> Iterator[float]:
    """Epsilon, if it is under the root, beside it, or without one: as a number that is alike."""
    if not case.config.normalise:
        return
    probes = _Probes(asking, case.changed(training=False))
    found: dict[str, list[float]] = {}
    for variance in (2.0**-4, 2.0**-10):
        scale = probes.entry(x=1.0, gamma=1.0, moving_variance=variance)
        if not scale or scale < 0:
            return
        forms = {
            "under": scale**-2 - variance,
            "beside": 1 / scale - variance**0.5,
            "without": 1 / scale - variance,
        }
        for name, value in forms.items():
            found.setdefault(name, []).append(value)
    for one, other in found.values():
        if one >= 0 and abs(one - other) <= 1e-4 * abs(one) + 1e-12:
            yield other


def _momenta(asking: LayerAsking, case: LayerCase) -> Iterator[float]:
    """Weight of the old statistics, from two old ones."""
    if not (case.config.normalise and asking.claimed.training):
        return
    probes = _Probes(asking, case.changed(training=True))
    rng = np.random.default_rng(0)
    usual: dict[str, Any] = {
        name: rng.standard_normal(case.shapes[name]) for name in ("x", "reduce_kernel")
    }
    usual |= {"gamma": np.ones(case.shapes["gamma"])}
    for name in ("moving_mean", "moving_variance"):
        old = {"moving_mean": 0.0, "moving_variance": 1.0}
        answers = [probes.ask(**(usual | old | {name: value})).get(name) for value in (1.0, 2.0)]
        weights = [
            float(one.astype(np.float64).flat[0])
            for one in answers
            if isinstance(one, np.ndarray) and one.size
        ]
        if len(weights) == len(answers):
            yield weights[1] - weights[0]


def _activated(asking: LayerAsking, case: LayerCase, z: float) -> float | None:
    """What is made of a number by the activation."""
    probes = _Probes(asking, case.changed(training=False))
    if case.config.normalise:
        return probes.entry(beta=z, gamma=1.0, moving_variance=1.0)
    return probes.entry(x=z)


def _slopes(asking: LayerAsking, case: LayerCase) -> Iterator[float]:
    got = _activated(asking, case, -1.0)
    if got:
        yield -got


def _limits(asking: LayerAsking, case: LayerCase) -> Iterator[float]:
    got = _activated(asking, case, _LARGE)
    if got and abs(got - _LARGE) > 1:
        yield got
    # What the first weights give may be limited before it is normalised.
    probes = _Probes(asking, case.changed(training=False))
    if case.config.normalise:
        one = 1 - case.config.epsilon
        got = probes.entry(x=_LARGE, gamma=1.0, moving_variance=max(one, 0.0))
        if got and got < _LARGE / 2:
            yield got


def _times(asking: LayerAsking, case: LayerCase) -> Iterator[float]:
    """How often each bias counts."""
    probes = _Probes(asking, case.changed(training=False))
    if case.config.expand_bias:
        got = probes.entry(expand_kernel=0.0, expand_bias=1.0, moving_variance=1.0)
        if got is not None and got != 1:
            yield got
    if case.config.reduce_bias and not case.config.normalise:
        got = probes.entry(reduce_kernel=0.0, reduce_bias=1.0)
        if got is not None and got != 1:
            yield got


def read_operator(asking: LayerAsking, case: LayerCase) -> Reading | None:
    """Read which pixel each tap of the operator meets, tap by tap: the kernel is the bias.

    The place of the kernel is not read: it is the same everywhere. None where it cannot be read.
    """
    return _read(asking, case, "y")


def read_gradient(asking: LayerAsking, case: LayerCase, result: str) -> Reading | None:
    """Read the same of a gradient of the operator, "dx" or "dkernel"; None where it cannot be read.

    With no weights behind the ReLU nothing flows back through the generator. The gradient of the
    bias is the sum of dkernel over all outputs: it is read output by output.
    """
    return _read(asking, case, result)


def _read(asking: LayerAsking, case: LayerCase, result: str) -> Reading | None:
    case = case.changed(expand_bias=True, training=False)
    if "float64" in asking.claimed.dtypes:
        case = case.changed(dtype="float64")
    where, number = case.geometry, 2 ** asking.claimed.arithmetic(case.dtype).bits
    largest = max(np.prod(case.shapes[name]) for name in ("x", "dy"))
    few = result != "dkernel" or np.prod(case.shapes["dy"]) <= _MOST_OUTPUTS
    if where.taps * where.groups > _MOST_TAPS or not 0 < largest < number or not few:
        return None
    probes, parts = _Probes(asking, case), []
    taps = [range(n) for n in (*where.kernel_shape, where.groups)]
    for one in itertools.product(*(map(range, case.shapes["dy"]) if result == "dkernel" else taps)):
        part = _of_output(probes, one) if result == "dkernel" else _of_tap(probes, one, result)
        if part is None:
            return None
        parts.append(part)
    names = (*OUTPUT, *ENTRY, *PIXEL, "n")
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return Reading(operator_case(Run(case, {})), result, columns)


def _channel(case: LayerCase) -> Array:
    """Give the generated channel of each tap and group."""
    where = case.geometry
    u, v, g = np.indices((*where.kernel_shape, where.groups))
    if case.config.kernel_order == "group_major":
        return np.asarray((g * where.kernel_shape[0] + u) * where.kernel_shape[1] + v)
    return np.asarray((u * where.kernel_shape[1] + v) * where.groups + g)


def _of_tap(probes: _Probes, tap: tuple[int, ...], result: str) -> dict[str, Array] | None:
    """Read the products of one tap and group, of y or of dx."""
    case = probes.case
    bias = np.zeros(case.shapes["expand_bias"])
    bias[_channel(case)[tap]] = 1
    usual = {"expand_bias": bias, "gamma": 1.0, "moving_variance": 1.0}
    if result == "dx":
        ways, numbered = ("backward", "dx", {**usual, "x": 1.0}), "dy"
    else:
        ways, numbered = ("forward", "y", usual), "x"
    found = _numbered(probes, *ways, numbered)
    if found is None:
        return None
    places, flat, n = found
    met = np.stack(np.unravel_index(flat, case.shapes[numbered]), 1)
    output, pixel = (met, places) if result == "dx" else (places, met)
    columns = dict(zip(OUTPUT, output.T, strict=True)) | dict(zip(PIXEL, pixel.T, strict=True))
    entry = (*output.T[:3], *(np.full(len(n), one) for one in tap))
    return columns | dict(zip(ENTRY, entry, strict=True)) | {"n": n}


def _of_output(probes: _Probes, output: tuple[int, ...]) -> dict[str, Array] | None:
    """Read the products of dkernel of one output."""
    case = probes.case
    dy = np.zeros(case.shapes["dy"])
    dy[output] = 1
    usual = {"dy": dy, "gamma": 1.0, "moving_variance": 1.0}
    found = _numbered(probes, "backward", "dexpand_bias", usual, "x")
    if found is None:
        return None
    places, flat, n = found
    channels = _channel(case)
    order = np.argsort(channels, axis=None)
    taps = np.unravel_index(order[places[:, 0]], channels.shape)
    columns = {name: np.full(len(n), one) for name, one in zip(OUTPUT, output, strict=True)}
    entry = (*(columns[name] for name in OUTPUT[:3]), *taps)
    columns |= dict(zip(ENTRY, entry, strict=True))
    met = np.unravel_index(flat, case.shapes["x"])
    return columns | dict(zip(PIXEL, met, strict=True)) | {"n": n}


def _numbered(
    probes: _Probes, function: str, result: str, usual: Mapping[str, Any], operand: str
) -> tuple[Array, Array, Array] | None:
    """Give the places that are not zero, the places of an operand met there, and how often."""

    def ask(value: Any) -> Any:
        return probes.ask(function, **{**usual, operand: value}).get(result)

    count = ask(1.0)
    if not isinstance(count, np.ndarray):
        return None
    met, size = count != 0, int(np.prod(probes.case.shapes[operand]))
    places, n = np.argwhere(met), count[met].astype(np.float64)
    mixed = np.random.default_rng(size).permutation(size)
    found = []
    for numbering in (np.arange(size), mixed):
        got = ask((numbering + 1.0).reshape(probes.case.shapes[operand]))
        if not isinstance(got, np.ndarray) or got.shape != count.shape:
            return None
        found.append(got[met].astype(np.float64) / n - 1)
    flat = np.rint(found[0]).astype(np.int64)
    inside = (flat >= 0) & (flat < size)
    if not inside.all() or not (np.abs(mixed[flat] - found[1]) < 0.25).all():
        return None
    return places, flat, n
