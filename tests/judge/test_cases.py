"""Cases: their words, their values, and that they keep to what is claimed."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases.case import Case
from conformance.cases.layer import LayerCase
from conformance.cases.operator import OperatorCase
from conformance.claims.capabilities import Capabilities, LayerCapabilities, declared
from conformance.claims.formats import FORMATS
from conformance.kinds import KINDS, LAYER, OPERATOR
from refimpl import involution


@pytest.mark.parametrize("recipe", OPERATOR.recipes)
@pytest.mark.parametrize("dtype", FORMATS)
@given(data=st.data())
def test_tokens_read_back(dtype: str, recipe: str, data: st.DataObject) -> None:
    case = data.draw(OPERATOR.draw(Capabilities(), dtype=dtype, recipe=recipe))
    assert OperatorCase.parse(case.token) == case


@pytest.mark.parametrize("convention", ["any", "keras_example", "official"])
@pytest.mark.parametrize("training", [False, True])
@given(data=st.data())
def test_tokens_of_layers_read_back(training: bool, convention: str, data: st.DataObject) -> None:
    wanted = {"recipe": "normal", "training": training, "convention": convention}
    case = data.draw(LAYER.draw(LayerCapabilities(), **wanted))
    assert LayerCase.parse(case.token) == case


@pytest.mark.parametrize(
    ("kind", "token"),
    [
        (OperatorCase, "dtype=float32,recipe=integers,bits=11,height=4,kernel_shape=1x4"),
        (OperatorCase, "dtype=bfloat16,recipe=large,members=3,padding=2x3/1x0,stride=5x4"),
        (
            LayerCase,
            "dtype=float32,recipe=plain,batch=3,height=5,width=7,reduced=3,kernel_shape=2x3,"
            "stride=2x2,epsilon=1e-05,unbiased_moving_variance=True",
        ),
    ],
)
def test_tokens_of_earlier_versions_are_read(kind: type[Case], token: str) -> None:
    case = kind.parse(token)
    assert kind.parse(case.token) == case
    for part in token.split(","):
        assert part in case.token.split(",") or part.startswith("bits=")


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "NAME one of dtype, recipe"),
        ("dtype=float32", "needs dtype and recipe, got 'dtype=float32' without recipe"),
        ("dtype=float32,recipe=normal,colour=red", "got 'colour=red'"),
        ("dtype=float32,recipe=normal,reduced=0", "reduced_channels must be a positive integer"),
    ],
)
def test_bad_tokens(token: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LayerCase.parse(token)


def test_an_unknown_recipe() -> None:
    for kind in KINDS:
        with pytest.raises(ValueError, match=r"recipe must be one of integers, .* got 'blue'"):
            kind.recipe_of(kind.case("float32", "blue"))


NARROW = {
    "kernel_shapes": [(9, 1)], "strides": "square", "paddings": ["valid"],
    "accumulator": {"float32": "float16"},
}  # fmt: skip


@given(data=st.data())
def test_cases_keep_to_the_claims(data: st.DataObject) -> None:
    claimed = declared(NARROW)
    case = data.draw(OPERATOR.draw(claimed, dtype="float32"))
    assert case.geometry.kernel_shape == (9, 1)
    assert case.geometry.stride[0] == case.geometry.stride[1]
    assert case.geometry.padding == "valid"
    assert min(case.grid) >= 1
    values = OPERATOR.values(case, OPERATOR.bits(case, claimed))
    # Nine products of two such factors fit into 11 bits.
    assert all(9 * np.abs(array).max() ** 2 <= 2**11 for array in values.values())


@pytest.mark.parametrize("bits", [3, 5, 8])
@given(data=st.data())
def test_integers_sum_exactly_in_few_bits(bits: int, data: st.DataObject) -> None:
    """Where there are more terms than ones can be summed, some are zero."""
    case = data.draw(OPERATOR.draw(Capabilities(), members=(1, 9, 300)))
    size = {name: np.abs(array) for name, array in OPERATOR.values(case, bits).items()}
    options = case.geometry.options
    sums = [involution.forward(size["x"], size["kernel"], **options)]
    sums += involution.backward(size["dy"], size["x"], size["kernel"], **options)
    assert all(array.max(initial=0) <= 2**bits for array in sums)


SCOPES: dict[str, dict[str, Any]] = {
    "stride 1": {"strides": [(1, 1)]},
    "official, 3x3": {"conventions": ["official"], "kernel_shapes": [(3, 3)]},
    "keras example in inference": {"conventions": ["keras_example"], "training": False},
    "explicit padding": {"paddings": ["explicit"], "group_layouts": ["blocked"]},
    "valid": {"paddings": ["valid"]},
    "square": {"kernel_shapes": "square", "strides": "square", "dilations": [(1, 1)]},
}


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("recipe", ["normal", "plain"])
@given(data=st.data())
def test_drawn_layers_are_claimed(scope: str, recipe: str, data: st.DataObject) -> None:
    claimed = declared(SCOPES[scope], LayerCapabilities)
    assert LAYER.unclaimed(LAYER.plain(claimed, stride=(3, 3)), claimed) == ""
    assert LAYER.unclaimed(data.draw(LAYER.draw(claimed, recipe=recipe)), claimed) == ""


@given(data=st.data())
def test_simpler_cases_are_cases(data: st.DataObject) -> None:
    for kind, claimed in ((OPERATOR, Capabilities()), (LAYER, LayerCapabilities())):
        case = data.draw(kind.draw(claimed))
        for simpler in kind.simpler(case):
            assert kind.case.parse(simpler.token) == simpler
            assert min(simpler.grid) >= 1
            # The truth is defined there.
            assert kind.expected(simpler, kind.values(simpler, 8), claimed)


@pytest.mark.parametrize(
    ("kind", "recipe"), [(kind, name) for kind in KINDS for name in kind.recipes]
)
def test_operands_lie_in_the_usual_order_of_memory(kind: Any, recipe: str) -> None:
    """Else a check of rounding would ask what FWD-6 is about, and be blamed for it."""
    case = kind.plain(kind.capabilities()).changed(recipe=recipe, dtype="float32")
    values = kind.values(case.large_enough if hasattr(case, "large_enough") else case, 24)
    assert all(array.flags.c_contiguous for array in values.values())
