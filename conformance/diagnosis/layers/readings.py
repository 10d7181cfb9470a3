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


class _Probes:
    """Asks a case with operands of its own."""

    def __init__(self, asking: LayerAsking, case: LayerCase) -> None:
        self.asking, self.case = asking, case
        self.question = Question(asking.judged, case)

    def ask(self, **operands: Any) -> Mapping[str, Any]:
        """Ask with operands that are numbers, or arrays; those not named are zero."""
        values = {
            name: np.broadcast_to(np.float64(operands.get(name, 0.0)), shape).astype(
                FORMATS[self.case.dtype].dtype
            )
            for name, shape in self.case.shapes.items()
        }
        return self.question.ask(values, ("forward",))

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
    case = case.changed(expand_bias=True, training=False)
    if "float64" in asking.claimed.dtypes:
        case = case.changed(dtype="float64")
    where, number = case.geometry, 2 ** asking.claimed.arithmetic(case.dtype).bits
    if where.taps * where.groups > _MOST_TAPS or not 0 < np.prod(case.shapes["x"]) < number:
        return None
    probes, size = _Probes(asking, case), int(np.prod(case.shapes["x"]))
    plain = np.arange(size)
    numberings = (plain, np.random.default_rng(size).permutation(size))
    parts = []
    for u, v, g in itertools.product(*map(range, (*where.kernel_shape, where.groups))):
        part = _of_tap(probes, case, (u, v, g), numberings)
        if part is None:
            return None
        parts.append(part)
    names = (*OUTPUT, *ENTRY, *PIXEL, "n")
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    operator = operator_case(Run(case, {}))
    return Reading(operator, "y", columns)


def _of_tap(
    probes: _Probes, case: LayerCase, tap: tuple[int, int, int], numberings: tuple[Array, ...]
) -> dict[str, Array] | None:
    u, v, g = tap
    where = case.geometry
    channel = (u * where.kernel_shape[1] + v) * where.groups + g
    if case.config.kernel_order == "group_major":
        channel = (g * where.kernel_shape[0] + u) * where.kernel_shape[1] + v
    bias = np.zeros(case.shapes["expand_bias"])
    bias[channel] = 1
    usual = {"expand_bias": bias, "gamma": 1.0, "moving_variance": 1.0}
    count = probes.ask(x=1.0, **usual).get("y")
    if not isinstance(count, np.ndarray):
        return None
    met = count != 0
    places, n = np.argwhere(met), count[met].astype(np.float64)
    found = []
    for numbering in numberings:
        got = probes.ask(x=(numbering + 1.0).reshape(case.shapes["x"]), **usual).get("y")
        if not isinstance(got, np.ndarray):
            return None
        found.append(got[met].astype(np.float64) / n - 1)
    first, second = found
    size = len(numberings[0])
    flat = np.rint(first).astype(np.int64)
    inside = (flat >= 0) & (flat < size)
    if not inside.all() or not (np.abs(numberings[1][flat] - second) < 0.25).all():
        return None
    columns = dict(zip(OUTPUT, places.T, strict=True))
    columns |= dict(zip(PIXEL, np.unravel_index(flat, case.shapes["x"]), strict=True))
    entry = (places[:, 0], places[:, 1], places[:, 2], *(np.full(len(n), one) for one in tap))
    columns |= dict(zip(ENTRY, entry, strict=True))
    return columns | {"n": n}
