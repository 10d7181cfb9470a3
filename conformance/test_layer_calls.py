"""Chapter LAY: a call of a layer depends on its operands, and touches nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.implementation import Array
from conformance.layers.cases import LayerCase, layer_operands, with_pixels
from conformance.layers.claims import claim, first_convention, plain_case
from conformance.layers.judge import LayerJudge
from conformance.views import VIEWS

MODES = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])


@pytest.mark.clause("LAY-17")
@MODES
def test_sizes_in_turn(layer_judge: LayerJudge, training: bool) -> None:
    """One layer, image after image: of one pixel, larger, smaller, ragged, the first again."""
    claim(layer_judge, first_convention(layer_judge), training=training)
    case = plain_case(layer_judge, training=training, stride=(2, 2), kernel_shape=(2, 2))
    between = ((6, 3),) if layer_judge.claimed.compiles else ((6, 3), (11, 2))
    for spare in ((0, 0), *between, (0, 0)):
        layer_judge.check(with_pixels(case, spare))


@pytest.mark.clause("LAY-17")
@MODES
def test_calls_leave_no_trace(layer_judge: LayerJudge, training: bool) -> None:
    """A call repeated after others gives the same bits, and its first results stay."""
    claim(layer_judge, first_convention(layer_judge), training=training)
    case = replace(small_case(layer_judge), training=training)
    other = replace(case, seed=1)
    first = layer_judge.run(case, layer_operands(case))
    kept = bits(first)
    layer_judge.run(other, layer_operands(other))
    if layer_judge.claimed.training:
        layer_judge.run(replace(other, training=not training), layer_operands(other))
    changed = [name for name, array in bits(first).items() if array != kept[name]]
    layer_judge.expect(case, not changed, f"{', '.join(changed)} was overwritten by a later call")
    # The gradients are those of the operands given, whatever forward saw last.
    layer_judge.forward(other, layer_operands(other))
    again = bits(layer_judge.backward(case, layer_operands(case)))
    again |= bits(layer_judge.forward(case, layer_operands(case)))
    if not layer_judge.claimed.deterministic:
        pytest.skip("not claimed: deterministic")
    varying = [name for name in kept if kept[name] != again[name]]
    layer_judge.expect(case, not varying, f"{', '.join(varying)} differs when the call is repeated")


@pytest.mark.clause("LAY-17")
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__.strip("_"))
def test_memory_order(layer_judge: LayerJudge, view: Callable[[Array], Array]) -> None:
    """Views give what their C-contiguous copies give: of the image, of the weights, of all."""
    case = small_case(layer_judge)
    values = layer_operands(case)
    weights = tuple(name for name in values if name not in {"x", "dy"})
    for chosen in (("x",), ("dy",), weights, tuple(values)):
        layer_judge.check_operands(case, values | {name: view(values[name]) for name in chosen})


@pytest.mark.clause("LAY-19")
def test_empty_batch(layer_judge: LayerJudge) -> None:
    """No samples: empty results, gradients of zero."""
    layer_judge.check(replace(small_case(layer_judge), batch=0))


@pytest.mark.clause("LAY-18")
@pytest.mark.parametrize("fault", ["groups", "missing parameter", "wrong shape", "rank"])
def test_misfits(layer_judge: LayerJudge, fault: str) -> None:
    """What does not fit the configuration is refused, by whoever claims to validate."""
    if not layer_judge.claimed.validates:
        pytest.skip("not claimed: validates")
    case = small_case(layer_judge)
    values = layer_operands(case)
    x, parameters = values["x"], {n: v for n, v in values.items() if n not in {"x", "dy"}}
    config: Any = case.config
    if fault == "groups":
        config = replace(case, groups=3).config
    elif fault == "missing parameter":
        del parameters["expand_kernel"]
    elif fault == "wrong shape":
        parameters["expand_kernel"] = parameters["expand_kernel"][:, :-1]
    else:
        x = x[0]
    try:
        layer_judge.judged.implementation.forward(x, parameters, config)
    except Exception:
        layer_judge.expect(case, True, "")
    else:
        layer_judge.fail(case, f"forward accepted a wrong argument: {fault}")


def small_case(judge: LayerJudge) -> LayerCase:
    """Give the case of most tests here: one layer to trace or compile, of unequal weights."""
    return with_pixels(plain_case(judge, reduced=3, kernel_shape=(2, 2)), (4, 5))


def bits(results: Mapping[str, Array]) -> dict[str, bytes]:
    """Results as bytes."""
    return {name: np.asarray(array).tobytes() for name, array in results.items()}
