"""Names the fault that a failing layer has.

The layer answers a fixed list of probes, and so does every mutant. Result by result the two agree,
differ from what is due in different ways, or differ in whether they are right; the fault whose
answers are nearest is named. This is no verdict: what a layer is due `judge.py` decides.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.diagnosis import Diagnosis
from conformance.implementation import Array, Judged
from conformance.implementations.numpy_layer import NumpyLayer
from conformance.layers.cases import LayerCase, conventional_choices, layer_operands, with_pixels
from conformance.layers.judge import RULES, LayerJudge
from conformance.layers.mutants import LAYER_MUTANTS
from conformance.layers.seam import LayerCapabilities
from conformance.ledger import Ledger
from conformance.mutants import words
from conformance.verdict import compare

# A result by its name: an array, or what was raised instead.
Outcome = Mapping[str, Array | str]
FORWARD = ("y", "kernel", "moving_mean", "moving_variance")
# Bounds are those of a correct layer; a faulty one computes with other magnitudes.
_ROOM = 8


def diagnose_layer(judged: Judged) -> Diagnosis:
    """Compare a failing layer with every known fault.

    Parameters
    ----------
    judged : Judged
        The layer.

    Returns
    -------
    Diagnosis
        The nearest faults first.
    """
    listed = probes(judged.capabilities)
    got = _answers(judged.implementation, listed)
    due = _answers(NumpyLayer(), listed)
    agree = _Agreement(judged, listed)
    scores = {name: agree.score(got, answers, due) for name, answers in _mutants(listed).items()}
    ranked = sorted(scores, key=lambda name: scores[name])
    details = tuple(agree.wrong(got, due))
    if not details:
        return Diagnosis((), "every probe is answered right: the fault shows elsewhere")
    best = ranked[0]
    if scores[best] == (0, 0):
        same = tuple(name for name in ranked if scores[name] == (0, 0))
        return Diagnosis(same, f"matches: {words(LAYER_MUTANTS[best])} [{best}]", details)
    if scores[best] < agree.score(got, due, due):
        nearest = f"nearest known fault: {words(LAYER_MUTANTS[best])} [{best}], but not all of it"
        return Diagnosis(tuple(ranked[:4]), nearest, details)
    return Diagnosis((), "matches nothing known", details)


def probes(claimed: LayerCapabilities) -> list[LayerCase]:
    """Few cases on which every known fault shows, as far as they are claimed.

    The first is of a size that nothing else has: who fixes sizes fixes that one.
    """
    dtype = claimed.first_dtype
    plain = LayerCase(dtype, "normal", groups=2, members=2, reduced=3)
    base = [
        with_pixels(plain, (12, 10)),
        *(_configured(one) for one in _probes(dtype)),
    ]
    narrow = [name for name in ("float16", "bfloat16") if name in claimed.dtypes and name != dtype]
    base += [with_pixels(replace(plain, dtype=name, training=True), (28, 40)) for name in narrow]
    convention = claimed.conventions[0]
    if convention != "any":
        fitted = (replace(case, **conventional_choices(case, convention)) for case in base)
        base = [with_pixels(case, (case.height, case.width)) for case in fitted]
    return [case for case in base if claimed.training or not case.training]


def _probes(dtype: str) -> list[LayerCase]:
    case = functools.partial(LayerCase, dtype, groups=2, members=2, reduced=2)
    official: dict[str, Any] = {
        "group_layout": "blocked", "kernel_order": "group_major", "reduce_bias": False,
        "epsilon": 1e-5, "momentum": 0.9, "unbiased_moving_variance": True, "padding": 1,
    }  # fmt: skip
    return [
        # Without the bias ReLU meets zeros.
        case("integers", normalise=False, reduce_bias=False, kernel_shape=(2, 3)),
        case("integers", normalise=False, stride=(2, 2), kernel_order="group_major"),
        case("integers", normalise=False, stride=(4, 2), group_layout="blocked", seed=1),
        case("plain", stride=(2, 2), kernel_shape=(2, 3), batch=3, reduced=3),
        case("plain", stride=(3, 1), **official | {"pooling": "valid"}),
        case("faint", stride=(2, 2), reduced=3),
        case("faint", **official),
        case("faint", training=True, stride=(3, 2), batch=3, reduced=3),
        case("faint", training=True, **official),
        case("normal", training=True, groups=1, members=3, reduced=2, batch=1),
        case("normal", stride=(2, 2), pooling="valid", batch=1),
        case("normal", training=True, stride=(2, 2), group_layout="blocked"),
    ]


def _configured(case: LayerCase) -> LayerCase:
    return with_pixels(case, (4, 6))


@functools.lru_cache(maxsize=4)
def _mutant_answers(tokens: tuple[str, ...]) -> dict[str, list[Outcome]]:
    listed = list(_CASES[tokens])
    return {name: _answers(mutant(), listed) for name, mutant in LAYER_MUTANTS.items()}


# Cases by their tokens: what is remembered is found by words.
_CASES: dict[tuple[str, ...], tuple[LayerCase, ...]] = {}


def _mutants(listed: list[LayerCase]) -> dict[str, list[Outcome]]:
    key = tuple(case.token for case in listed)
    _CASES[key] = tuple(listed)
    return _mutant_answers(key)


def _answers(implementation: Any, listed: list[LayerCase]) -> list[Outcome]:
    """Ask every probe in turn; what the first finds is forgotten, if not by the layer."""
    _answer(implementation, listed[0])
    return [_answer(implementation, case) for case in _compared(listed)]


def _compared(listed: list[LayerCase]) -> list[LayerCase]:
    """Give the probes whose answers count: one of them once more at the end."""
    return [*listed[1:], listed[1]]


def _answer(implementation: Any, case: LayerCase) -> Outcome:
    values = layer_operands(case)
    x, dy = values.pop("x"), values.pop("dy")

    def forward() -> Outcome:
        y, kernel, moving = implementation.forward(x, values, case.config, training=case.training)
        return {"y": y, **({} if kernel is None else {"kernel": kernel}), **moving}

    def backward() -> Outcome:
        dx, found = implementation.backward(dy, x, values, case.config, training=case.training)
        return {"dx": dx, **{f"d{name}": array for name, array in found.items()}}

    return {**_caught(forward, "y"), **_caught(backward, "dx")}


def _caught(ask: Callable[[], Outcome], name: str) -> Outcome:
    try:
        with np.errstate(all="ignore"):
            return ask()
    except Exception as error:
        return {name: f"raises {type(error).__name__}: {error}"}


class _Agreement:
    """How far two lists of answers agree, within the bounds of a layer's arithmetic."""

    def __init__(self, judged: Judged, listed: list[LayerCase]) -> None:
        judge = LayerJudge(judged, ("LAY-16",), Ledger())
        self.cases = _compared(listed)
        self.format = [judged.capabilities.result_format(case.dtype) for case in self.cases]
        self.limits = [judge.limits(case, layer_operands(case)) for case in self.cases]

    def score(
        self, got: list[Outcome], others: list[Outcome], due: list[Outcome]
    ) -> tuple[int, int]:
        """Count disagreements, forward and backward: 1 for another wrong result, 2 for a right."""
        forward = backward = 0
        for number in range(len(self.cases)):
            for name in due[number]:
                one, other, right = (answers[number].get(name) for answers in (got, others, due))
                if self.same(number, name, one, other):
                    continue
                half = self.same(number, name, one, right) or self.same(number, name, other, right)
                forward += (1 + half) * (name in FORWARD)
                backward += (1 + half) * (name not in FORWARD)
        return forward, backward

    def same(self, number: int, name: str, one: Any, other: Any) -> bool:
        """Tell whether two results are one within the bound; every exception is alike."""
        if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
            return not isinstance(one, np.ndarray) and not isinstance(other, np.ndarray)
        limit = self.limits[number].get(name)
        if one.shape != other.shape or limit is None or limit.shape != one.shape:
            return False
        expected = other.astype(np.float64)
        return compare(name, one, expected, _ROOM * limit, self.format[number])[1] is None

    def wrong(self, got: list[Outcome], due: list[Outcome]) -> list[str]:
        """Say which results are wrong, on which probes."""
        lines: dict[str, list[str]] = {}
        for number, case in enumerate(self.cases):
            for name, right in due[number].items():
                one = got[number].get(name)
                if name not in got[number] and not isinstance(one, str):
                    continue
                if not self.same(number, name, one, right):
                    lines.setdefault(name, []).append(one if isinstance(one, str) else case.token)
        return [
            f"{name} ({RULES.get(name, 'LAY-14')}) is wrong on {len(found)} of {len(self.cases)} "
            f"probes, first: {found[0]}"
            for name, found in lines.items()
        ]
