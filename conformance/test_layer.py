"""Chapter LAY: whole layers. Equality where nothing rounds, running error bounds elsewhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.layers.cases import layer_cases, with_pixels
from conformance.layers.claims import claim, first_convention, plain_case
from conformance.layers.judge import LayerJudge

# Half as many cases a test as of an operator: each has up to a dozen results.
FEWER = settings(max_examples=max(2, settings().max_examples // 2))
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
MODES = pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
CONVENTIONS = pytest.mark.parametrize("convention", ["any", "keras_example", "official"])


@pytest.mark.clause("LAY-2", "LAY-10", "LAY-11", "LAY-16")
@CONVENTIONS
@FEWER
@given(data=st.data())
def test_kernel_from_bias(layer_judge: LayerJudge, convention: str, data: st.DataObject) -> None:
    """Where the kernel is the expansion's bias, its order and the operator are exact."""
    claim(layer_judge, convention)
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
    claim(layer_judge, "any", training=training)
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
    claim(layer_judge, "any")
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
    claim(layer_judge, convention, training=training, dtype=dtype)
    drawn = layer_cases(
        layer_judge.claimed, dtype=dtype, recipe=recipe, training=training, convention=convention
    )
    layer_judge.check(data.draw(drawn))


@pytest.mark.clause("LAY-3", "LAY-6")
@pytest.mark.parametrize("stride", [(3, 3), (4, 3)])
def test_ragged_windows(layer_judge: LayerJudge, stride: tuple[int, int]) -> None:
    """Every remainder that a size can leave: where the windows begin shows from stride 3 on."""
    if first_convention(layer_judge) == "official":
        pytest.skip("not claimed: ragged sizes (LAY-6)")
    case = plain_case(layer_judge, stride=stride, kernel_shape=(2, 2))
    sizes = ((3, 3),) if layer_judge.claimed.compiles else ((0, 1), (3, 3), (4, 6), (5, 4), (6, 2))
    for spare in sizes:
        layer_judge.check(with_pixels(case, spare))


@pytest.mark.clause("LAY-8", "LAY-14", "LAY-16")
@DTYPES
def test_large_image(layer_judge: LayerJudge, dtype: str) -> None:
    """More than a thousand pixels: sums that a narrow accumulator would spoil."""
    claim(layer_judge, first_convention(layer_judge), dtype=dtype)
    narrow = {"members": 1, "reduced": 1, "kernel_shape": (1, 1)}
    # In training every sum over the pixels is taken.
    case = plain_case(layer_judge, dtype=dtype, training=layer_judge.claimed.training, **narrow)
    layer_judge.check(with_pixels(case, (28, 40)))
