"""What the judge of layers says about calls: forms, names and memory of the results."""

from typing import Any

import pytest

from conformance.implementation import Judged
from conformance.implementations.numpy_layer import NumpyLayer
from conformance.judge import ConformanceError
from conformance.layers.cases import LayerCase, layer_operands, with_pixels
from conformance.layers.judge import LayerJudge
from conformance.layers.seam import LayerCapabilities
from conformance.ledger import Ledger


def judge(layer: Any) -> LayerJudge:
    claimed = LayerCapabilities(gradual_underflow=True)
    return LayerJudge(Judged("it", layer, claimed), ("LAY-17",), Ledger())


def run(layer: Any, *, training: bool = False) -> None:
    case = with_pixels(LayerCase("float32", "normal", training), (3, 4))
    judge(layer).run(case, layer_operands(case))


class PassesMoving(NumpyLayer):
    """Returns the moving statistics that it was given, whatever the mode."""

    def forward(self, x: Any, parameters: Any, config: Any, *, training: bool = False) -> Any:
        y, kernel, moving = super().forward(x, parameters, config, training=training)
        return y, kernel, {name: parameters[name] for name in moving}


def test_moving_statistics_may_be_the_operands_in_inference_alone() -> None:
    run(PassesMoving())
    words = "results share memory: moving_mean with moving_mean; moving_variance with"
    with pytest.raises(ConformanceError, match=words):
        run(PassesMoving(), training=True)


class Returns(NumpyLayer):
    """Returns something else."""

    def __init__(self, forward: Any = None, backward: Any = None) -> None:
        self.answers = forward, backward

    def forward(self, *operands: Any, **mode: bool) -> Any:
        return self.answers[0] or super().forward(*operands, **mode)

    def backward(self, *operands: Any, **mode: bool) -> Any:
        return self.answers[1] or super().backward(*operands, **mode)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Returns(forward=(1, 2)), r"forward must return \(y, kernel, moving statistics\)"),
        (Returns(forward=(1, 2, 3)), r"forward must return \(y, kernel, moving statistics\)"),
        (Returns(forward=(1, 2, {"mean": 3})), "moving_mean, moving_variance missing, mean too"),
        (Returns(backward=5), r"backward must return \(dx, gradients of the parameters\)"),
        (Returns(backward=(5, {})), "dbeta, dexpand_bias, .* missing, none too many"),
    ],
)
def test_results_of_another_form(layer: Any, words: str) -> None:
    with pytest.raises(ConformanceError, match=words):
        run(layer)
