"""Chapter LAY: whole layers. Equality where nothing rounds, running error bounds elsewhere."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.layers.cases import (
    LayerCase,
    conventional_choices,
    layer_cases,
    layer_operands,
    with_pixels,
)
from conformance.layers.judge import LayerJudge

# Half as many cases a test as of an operator: each has up to a dozen results.
FEWER = settings(max_examples=max(2, settings().max_examples // 2))
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
MODES = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
CONVENTIONS = pytest.mark.parametrize("convention", ["any", "keras_example", "official"])


def claimed(judge: LayerJudge, convention: str, *, training: bool = False) -> None:
    """Leave out, and report, what is not claimed."""
    __tracebackhide__ = True
    if convention not in judge.claimed.conventions:
        pytest.skip(f"not claimed: convention {convention}")
    if training and not judge.claimed.training:
        pytest.skip("not claimed: training")


def first(judge: LayerJudge) -> str:
    """Convention to show on what none of them changes."""
    return str(judge.claimed.conventions[0])


@pytest.mark.clause("LAY-2", "LAY-10", "LAY-11", "LAY-16")
@CONVENTIONS
@FEWER
@given(data=st.data())
def test_kernel_from_bias(layer_judge: LayerJudge, convention: str, data: st.DataObject) -> None:
    """Where the kernel is the expansion's bias, its order and the operator are exact."""
    claimed(layer_judge, convention)
    dtype = layer_judge.claimed.first_dtype
    drawn = layer_cases(
        layer_judge.claimed, dtype=dtype, recipe="plain", training=False, convention=convention
    )
    layer_judge.check(data.draw(drawn))


@pytest.mark.clause("LAY-1", "LAY-7", "LAY-9", "LAY-13", "LAY-14")
@MODES
@FEWER
@given(data=st.data())
def test_integers(layer_judge: LayerJudge, training: bool, data: st.DataObject) -> None:
    """Without normalisation nothing rounds, and ReLU meets zeros."""
    claimed(layer_judge, "any", training=training)
    dtype = layer_judge.claimed.first_dtype
    drawn = layer_cases(
        layer_judge.claimed, dtype=dtype, recipe="integers", training=training, convention="any"
    )
    layer_judge.check(data.draw(drawn))


@pytest.mark.clause("LAY-3", "LAY-4", "LAY-5", "LAY-6")
@pytest.mark.parametrize("pooling", ["same", "valid", "none"])
@FEWER
@given(data=st.data())
def test_pooling(layer_judge: LayerJudge, pooling: str, data: st.DataObject) -> None:
    """Every rule, on sizes that the stride divides and, where it may be, on ragged ones."""
    claimed(layer_judge, "any")
    drawn = layer_cases(
        layer_judge.claimed,
        dtype=layer_judge.claimed.first_dtype,
        recipe="integers",
        training=False,
        convention="any",
        pooling=pooling,
    )
    layer_judge.check(data.draw(drawn))


@pytest.mark.clause("LAY-8", "LAY-7", "LAY-9", "LAY-12", "LAY-13", "LAY-14", "LAY-15", "LAY-16")
@DTYPES
@MODES
@CONVENTIONS
@pytest.mark.parametrize("recipe", ["normal", "faint"])
@FEWER
@given(data=st.data())
def test_bound(
    layer_judge: LayerJudge,
    recipe: str,
    convention: str,
    training: bool,
    dtype: str,
    data: st.DataObject,
) -> None:
    """Every result on real numbers, in both modes."""
    claimed(layer_judge, convention, training=training)
    if dtype not in layer_judge.claimed.dtypes:
        pytest.skip(f"not claimed: dtypes {dtype}")
    drawn = layer_cases(
        layer_judge.claimed, dtype=dtype, recipe=recipe, training=training, convention=convention
    )
    layer_judge.check(data.draw(drawn))


@pytest.mark.clause("LAY-3", "LAY-6")
@pytest.mark.parametrize("stride", [(3, 3), (4, 3)])
def test_ragged_windows(layer_judge: LayerJudge, stride: tuple[int, int]) -> None:
    """Every remainder that a size can leave: where the windows begin shows from stride 3 on."""
    convention = first(layer_judge)
    if convention == "official":
        pytest.skip("not claimed: ragged sizes (LAY-6)")
    base = LayerCase(layer_judge.claimed.first_dtype, "normal", stride=stride, kernel_shape=(2, 2))
    sizes = ((3, 3),) if layer_judge.claimed.compiles else ((0, 1), (3, 3), (4, 6), (5, 4), (6, 2))
    for spare in sizes:
        layer_judge.check(with_pixels(conventional(base, convention), spare))


@pytest.mark.clause("LAY-17")
@MODES
def test_sizes_in_turn(layer_judge: LayerJudge, training: bool) -> None:
    """One layer, image after image: of one pixel, larger, smaller, ragged, the first again."""
    convention = first(layer_judge)
    claimed(layer_judge, convention, training=training)
    base = LayerCase(
        layer_judge.claimed.first_dtype, "normal", training, stride=(2, 2), kernel_shape=(2, 2)
    )
    base = conventional(base, convention)
    for spare in ((0, 0), (6, 3), (11, 2), (0, 0)):
        layer_judge.check(with_pixels(base, spare))


@pytest.mark.clause("LAY-8", "LAY-14", "LAY-16")
@DTYPES
@MODES
def test_large_image(layer_judge: LayerJudge, training: bool, dtype: str) -> None:
    """More than a thousand pixels: sums that a narrow accumulator would spoil."""
    convention = first(layer_judge)
    claimed(layer_judge, convention, training=training)
    if dtype not in layer_judge.claimed.dtypes:
        pytest.skip(f"not claimed: dtypes {dtype}")
    base = LayerCase(dtype, "normal", training, members=1, reduced=1, kernel_shape=(1, 1))
    layer_judge.check(with_pixels(conventional(base, convention), (28, 40)))


@pytest.mark.clause("LAY-17")
@MODES
def test_called_again(layer_judge: LayerJudge, training: bool) -> None:
    """A repeated call gives the same bits, whatever was called in between."""
    convention = first(layer_judge)
    claimed(layer_judge, convention, training=training)
    base = conventional(LayerCase(layer_judge.claimed.first_dtype, "normal", training), convention)
    case = with_pixels(base, (4, 5))
    values = layer_operands(case)
    once = bits(layer_judge.run(case, values))
    other = replace(case, training=not training) if layer_judge.claimed.training else case
    layer_judge.run(replace(other, seed=1), layer_operands(replace(other, seed=1)))
    again = bits(layer_judge.run(case, values))
    varying = [name for name in once if once[name] != again[name]]
    if not layer_judge.claimed.deterministic:
        pytest.skip("not claimed: deterministic")
    layer_judge.expect(case, not varying, f"{', '.join(varying)} differ on the second call")


@pytest.mark.clause("LAY-19")
def test_empty_batch(layer_judge: LayerJudge) -> None:
    """No samples: empty results, gradients of zero."""
    base = LayerCase(layer_judge.claimed.first_dtype, "normal")
    case = replace(with_pixels(conventional(base, first(layer_judge)), (3, 4)), batch=0)
    layer_judge.check(case)


@pytest.mark.clause("LAY-18")
@pytest.mark.parametrize("fault", ["groups", "missing parameter", "wrong shape", "rank"])
def test_misfits(layer_judge: LayerJudge, fault: str) -> None:
    """What does not fit the configuration is refused, by whoever claims to validate."""
    if not layer_judge.claimed.validates:
        pytest.skip("not claimed: validates")
    base = LayerCase(layer_judge.claimed.first_dtype, "normal")
    case = with_pixels(conventional(base, first(layer_judge)), (3, 4))
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


def conventional(case: LayerCase, convention: str) -> LayerCase:
    """Give a case the choices of a convention."""
    return case if convention == "any" else replace(case, **conventional_choices(case, convention))


def bits(results: dict[str, Any]) -> dict[str, bytes]:
    """Results as bytes."""
    return {name: np.asarray(array).tobytes() for name, array in results.items()}
