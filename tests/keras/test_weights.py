"""Weights carried between the official PyTorch layer's names and ours, bit for bit."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("keras", reason="the Keras layer needs Keras")

from refimpl.keras import Involution
from refimpl.keras.weights import official_from_parameters, parameters_from_official

SHAPES = {
    "conv1.conv.weight": (8, 32, 1, 1),
    "conv1.bn.weight": (8,),
    "conv1.bn.bias": (8,),
    "conv1.bn.running_mean": (8,),
    "conv1.bn.running_var": (8,),
    "conv2.conv.weight": (18, 8, 1, 1),
    "conv2.conv.bias": (18,),
}


def state(dtype: str = "float32") -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("bias", [False, True])
def test_there_and_back(dtype: str, bias: bool) -> None:
    official = state(dtype)
    if bias:
        official["conv1.conv.bias"] = np.arange(8).astype(dtype)
    parameters = parameters_from_official(official | {"conv1.bn.num_batches_tracked": 7})
    assert parameters["reduce_kernel"].shape == (32, 8)
    back = official_from_parameters(parameters)
    assert set(back) == set(official)
    for name, array in official.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_the_layer_takes_and_gives_them() -> None:
    layer = Involution.official(32, 3)
    with pytest.raises(ValueError, match="must be built"):
        layer.get_parameters()
    layer.build((None, None, None, 32))
    parameters = parameters_from_official(state())
    layer.set_parameters(parameters)
    got = layer.get_parameters()
    assert list(got) == list(parameters)
    for name, array in parameters.items():
        np.testing.assert_array_equal(got[name], array)
    assert layer.get_weights()[0].shape == (1, 1, 32, 8)


def test_what_official_stands_for() -> None:
    config = Involution.official(64, 7, 2, group_channels=32, padding=4).get_config()
    expected = {
        "channel": 64,
        "group_number": 2,
        "kernel_size": 7,
        "stride": 2,
        "reduction_ratio": 4,
        "padding": 4,
        "group_layout": "blocked",
        "kernel_order": "group_major",
        "pooling": "valid",
        "reduce_bias": False,
        "expand_bias": True,
        "normalise": True,
        "epsilon": 1e-5,
        "momentum": 0.9,
        "unbiased_moving_variance": True,
        "return_kernel": False,
    }
    assert {name: config[name] for name in expected} == expected
    assert Involution.official(16, 5).get_config()["padding"] == 2
    with pytest.raises(ValueError, match="group_channels must divide channels, got 16 and 24"):
        Involution.official(24, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.bn.bias": None}, r"missing \['conv1.bn.bias'\], unknown \[\]"),
        ({"conv3.weight": np.ones(1)}, r"missing \[\], unknown \['conv3.weight'\]"),
        ({"conv1.bn.weight": np.ones(7)}, r"conv1.bn.weight must be of shape \(R\), .* got \(7,\)"),
        ({"conv2.conv.weight": np.ones((18, 8, 3, 3))}, r"shape \(N, R, 1, 1\), .*\(18, 8, 3, 3\)"),
    ],
)
def test_a_wrong_state_is_named(change: dict[str, Any], message: str) -> None:
    wrong = {name: array for name, array in (state() | change).items() if array is not None}
    with pytest.raises(ValueError, match=message):
        parameters_from_official(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma": None}, "parameters must be reduce_kernel, .*, got reduce_kernel"),
        ({"reduce_bias": np.ones(8)}, "parameters must be reduce_kernel, .*reduce_bias"),
        ({"beta": np.ones((8, 1))}, r"beta must be of shape \(8,\), got \(8, 1\)"),
    ],
)
def test_wrong_parameters_change_nothing(change: dict[str, Any], message: str) -> None:
    layer = Involution.official(32, 3)
    layer.build((None, None, None, 32))
    before = layer.get_weights()
    given = parameters_from_official(state()) | change
    with pytest.raises(ValueError, match=message):
        layer.set_parameters({name: p for name, p in given.items() if p is not None})
    for one, other in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
