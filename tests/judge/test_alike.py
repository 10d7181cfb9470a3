"""What is known of a fault without asking it: never that it is right where it is wrong."""

from typing import Any

import numpy as np
import pytest

from conformance.claims.loading import load
from conformance.implementations.layer.numpy_layer import NumpyLayer
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.kinds import LAYER, OPERATOR
from conformance.mutants.layer import MUTANTS as LAYERS
from conformance.mutants.operator import MUTANTS
from conformance.power import screening
from conformance.power.alike import Remembering, Steps
from conformance.power.measuring import _IN_TURN, _module
from conformance.worker.host import Call


def operands() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    shapes = {"dy": (2, 3, 3, 4), "x": (2, 5, 6, 4), "kernel": (2, 3, 3, 3, 2, 2)}
    return {n: rng.integers(1, 9, shape).astype(np.float32) for n, shape in shapes.items()}


def steps() -> Steps:
    options = {"stride": 2, "padding": "same", "group_layout": "blocked"}
    return Steps(Unfold, [Call(name, operands(), options) for name in ("forward", "backward")])


class Elsewhere(Unfold):
    """Other code, the same bits."""

    def before(self, call: Any, axis: int) -> int:
        return super().before(call, axis) + 0


class Wrong(Unfold):
    def before(self, call: Any, axis: int) -> int:
        return super().before(call, axis) + 1


class Writes(Unfold):
    def total(self, products: Any) -> Any:
        products *= 1
        return super().total(products)


class Reordered(Unfold):
    def read(self, x: Any, plan: Any) -> Any:
        return np.asfortranarray(super().read(x, plan))


class Shadowed(Unfold):
    def __init__(self) -> None:
        self.rounded = lambda result, dtype: -result.astype(dtype)


class Foreign:
    forward = Unfold.forward


@pytest.mark.parametrize(
    ("kind", "due"),
    [
        (Unfold, True), (Elsewhere, True), (Wrong, False), (Writes, False), (Reordered, False),
        (Shadowed, False), (Foreign, False),
    ],
)  # fmt: skip
def test_alike_means_the_same_bits_in_the_same_order(kind: type, due: bool) -> None:
    assert steps().are_those_of(kind()) is due


def test_screening_finds_what_asking_each_finds() -> None:
    """On a few cases, all faults: by their steps, and by asking each of them each call."""
    apart = {*_IN_TURN, "processes"}
    single = {n: one for n, one in MUTANTS.items() if _module(one) not in apart}
    single = dict(list(single.items())[::6])
    right = load(Unfold, OPERATOR)
    faults = {n: load(one, OPERATOR, Unfold.capabilities) for n, one in single.items()}
    changes: list[dict[str, Any]] = [
        {"recipe": "integers"}, {"recipe": "normal", "dtype": "float16"},
        {"recipe": "specials", "stride": (2, 1)}, {"recipe": "impulse-dy", "kernel_shape": (2, 3)},
    ]  # fmt: skip
    asked = [(OPERATOR.plain(right.capabilities, **one), ()) for one in changes]
    found = screening.screen(right, faults, asked)
    assert found == screening.screen(right, faults, asked, in_turn=True)
    assert 4 < len(found) < len(single)


def test_a_step_that_may_write_elsewhere_is_not_judged_alone() -> None:
    """Of layers: gradients are noted in a mapping that is handed on from step to step."""
    right = load(NumpyLayer, LAYER)
    names = ("BiasGradientZero", "GammaGradientUncentred", "EpsilonMissing")
    faults = {name: load(LAYERS[name], LAYER, NumpyLayer.capabilities) for name in names}
    asked = [(LAYER.plain(right.capabilities, training=True), ())]
    assert screening.screen(right, faults, asked) == set(names)


def test_what_is_remembered_is_of_the_same_operands() -> None:
    class Counting(Unfold):
        calls = 0

        def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
            self.calls += 1
            return super().forward(x, kernel, **options)

    counting, values = Counting(), operands()
    one, x, kernel = Remembering(counting), values["x"], values["kernel"]
    y = one.forward(x, kernel, stride=2)
    assert one.forward(x.copy(), kernel, stride=2) is y
    x[0, 0, 0, 0] += 1
    assert not np.array_equal(one.forward(x, kernel, stride=2), y)
    one.forward(x, kernel, stride=2, padding=((0, 1), (0, 1)))
    assert counting.calls == 3
