"""The reference layer against exact and high-precision numbers; its argument checks."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from conformance.bounds.layer import allowed
from conformance.cases.layer import LayerCase, with_pixels
from conformance.cases.layer_recipes import operands
from conformance.claims.arithmetic import FLOAT64
from conformance.claims.capabilities import LayerCapabilities
from conformance.kinds import LAYER
from refimpl import layer
from tests.opponents import exact_layer

OFFICIAL: dict[str, Any] = {
    "padding": 1,
    "group_layout": "blocked",
    "pooling": "valid",
    "kernel_order": "group_major",
    "reduce_bias": False,
    "epsilon": 1e-5,
    "momentum": 0.9,
    "unbiased_moving_variance": True,
}
# Each choice of each option, twice with others.
CHOICES: dict[str, dict[str, Any]] = {
    "keras example": {},
    "official": OFFICIAL,
    "ragged, strided": {"stride": (2, 2), "kernel_size": (2, 3), "batch": 1},
    "official, strided": OFFICIAL | {"stride": (2, 2)},
    "uneven": {"stride": (1, 2), "kernel_size": (1, 2), "kernel_order": "group_major"},
    "explicit": {"padding": ((0, 2), (1, 0)), "kernel_size": (3, 2), "group_layout": "blocked"},
    "windows apart": {
        "stride": (2, 2), "kernel_size": (2, 2), "padding": "valid", "pooling": "valid",
    },
    "plain pixels": {"pooling": "none", "expand_bias": False, "members": 1},
    "dilated": {"dilation": (2, 1), "kernel_size": (2, 2), "unbiased_moving_variance": True},
    "no normalisation": {"normalise": False, "stride": (2, 1)},
}  # fmt: skip
CLAIMED = LayerCapabilities(accumulator={"float64": "float64"}, gradual_underflow=True)
ALL = pytest.mark.parametrize("choice", CHOICES)


def small(choice: str, training: bool, recipe: str = "normal") -> LayerCase:
    case = LayerCase("float64", recipe, training).changed(**CHOICES[choice])
    return with_pixels(case, (2, 1))


def values_of(case: LayerCase) -> dict[str, Any]:
    return operands(case, FLOAT64.bits)


def expected(case: LayerCase, values: dict[str, Any]) -> dict[str, Any]:
    return {name: one.value for name, one in LAYER.expected(case, values, CLAIMED).items()}


def integers(case: LayerCase) -> dict[str, Any]:
    """Integers, and statistics whose root is exact: variance + epsilon is 1 or 4."""
    values = values_of(case.changed(recipe="integers"))
    if case.config.normalise:
        values["moving_variance"] = np.array([1.0, 4.0]) - case.config.epsilon
        values["moving_mean"] = np.array([2.0, -3.0])
        values["gamma"] = np.array([2.0, -4.0])
    return values


def exact(values: dict[str, Any], case: LayerCase, number: Any) -> dict[str, Any]:
    numbers = {name: exact_layer.each(number, array) for name, array in values.items()}
    given = {name: array for name, array in numbers.items() if name not in {"x", "dy"}}
    results = exact_layer.forward(numbers["x"], given, case.config, number, case.training)
    return results | exact_layer.gradients(values, case.config, number, case.training)


@pytest.mark.clause(*(f"LAY-{n}" for n in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15)))
@ALL
def test_inference_is_exact(choice: str) -> None:
    """Every sum, quotient and root of these integers is a float64: equality."""
    case = small(choice, training=False).changed(epsilon=0.25)
    values = integers(case)
    got, due = expected(case, values), exact(values, case, Fraction)
    assert set(got) == set(due)
    for name, array in got.items():
        assert array.shape == due[name].shape
        for index in np.ndindex(array.shape):
            assert Fraction(array[index]) == due[name][index], (name, index)


@pytest.mark.clause("LAY-8", "LAY-12", "LAY-14", "LAY-15", "LAY-16")
@pytest.mark.parametrize(
    ("choice", "recipe"),
    [
        *((choice, "normal") for choice in CHOICES),
        ("keras example", "faint"),
        ("official", "faint"),
    ],
)
def test_training_is_within_its_bound(choice: str, recipe: str) -> None:
    """Against 60 digits: the running error analysis of float64, and no tolerance beside it."""
    case = small(choice, training=True, recipe=recipe)
    values = values_of(case)
    got, limits = expected(case, values), allowed(FLOAT64, values, case.config, training=True)
    with mpmath.workdps(60):
        due = exact(values, case, mpmath.mpf)
        for name, array in got.items():
            for index in np.ndindex(array.shape):
                error = abs(mpmath.mpf(array[index]) - due[name][index])
                assert error <= limits[name][index], (name, index)


@pytest.mark.clause("LAY-13", "LAY-14", "LAY-15")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("choice", ["keras example", "official, strided"])
def test_adjoint_identity(choice: str, training: bool) -> None:
    """On larger images: along a random direction, <dy, J v> is <dx, v_x> + <dparameters, v_p>."""
    case = with_pixels(small(choice, training=training), (6, 7))
    values = values_of(case)
    rng = np.random.default_rng(1)
    direction = {name: rng.standard_normal(array.shape) for name, array in values.items()}
    for name in ("dy", "moving_mean", "moving_variance"):
        direction[name] = np.zeros_like(direction[name])
    got, limits = expected(case, values), allowed(FLOAT64, values, case.config, training=training)
    with mpmath.workdps(60):
        numbers, steps = (
            {name: exact_layer.each(mpmath.mpf, array) for name, array in arrays.items()}
            for arrays in (values, direction)
        )
        left = exact_layer.along(numbers, steps, case.config, mpmath.mpf, training)
        right, room = mpmath.mpf(0), mpmath.mpf(0)
        for name, array in got.items():
            if name[0] == "d":
                for index in np.ndindex(array.shape):
                    step = mpmath.mpf(direction[name[1:]][index])
                    right += mpmath.mpf(array[index]) * step
                    room += mpmath.mpf(limits[name][index]) * abs(step)
        assert abs(left - right) <= room


X = np.ones((1, 4, 4, 4))
CONFIG = layer.keras_example(channel=4, group_number=2, kernel_size=3, reduction_ratio=2)
PARAMETERS = {name: np.ones(shape) for name, shape in CONFIG.shapes(4).items()}


@pytest.mark.clause("LAY-18")
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"kernel_size": 0}, ValueError, r"kernel_size must be .* got 0"),
        ({"groups": 0}, ValueError, r"groups must be a positive integer \(LAY-18\), got 0"),
        ({"groups": 1.5}, TypeError, r"groups must be a positive integer \(LAY-18\), got 1.5"),
        ({"reduced_channels": True}, TypeError, r"reduced_channels .* got True"),
        ({"stride": (1, 0)}, ValueError, r"stride must be .* got \(1, 0\)"),
        ({"padding": "full"}, ValueError, r"padding must be .* got 'full'"),
        ({"group_layout": "mixed"}, ValueError, r"group_layout must be .* got 'mixed'"),
        ({"pooling": "max"}, ValueError, r"pooling must be 'same' or 'valid' or 'none' .* 'max'"),
        ({"kernel_order": 1}, ValueError, r"kernel_order must be .* got 1"),
        ({"normalise": None}, ValueError, r"normalise must be True or False .* got None"),
        ({"epsilon": -1e-3}, ValueError, r"epsilon must be at least 0 .* got -0.001"),
        ({"epsilon": "small"}, TypeError, r"epsilon must be a number .* got 'small'"),
        ({"momentum": 1.5}, ValueError, r"momentum must be between 0 and 1 .* got 1.5"),
        ({"momentum": float("nan")}, ValueError, r"momentum must be between 0 and 1 .* got nan"),
    ],
)
def test_configurations_that_mean_nothing(changes: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        replace(CONFIG, **changes)


@pytest.mark.clause("LAY-1", "LAY-6", "LAY-18")
@pytest.mark.parametrize(
    ("x", "changes", "config", "error", "message"),
    [
        (X[0], {}, {}, ValueError, r"x must have rank 4.*got shape \(4, 4, 4\)"),
        (X.astype(int), {}, {}, TypeError, r"x must be of dtype .* got int64"),
        (X[:, :0], {}, {}, ValueError, r"x must have H, W and C of at least 1 .*\(1, 0, 4, 4\)"),
        (X, {}, {"groups": 3}, ValueError, r"groups must divide .* groups = 3 and C = 4"),
        (X, {"gamma": None}, {}, ValueError, r"parameters must be .*gamma.* got reduce_kernel"),
        (X, {"beta": np.ones(3)}, {}, ValueError, r"beta must have shape \(2,\) .* got \(3,\)"),
        (X, {"beta": np.ones(2, int)}, {}, TypeError, r"beta must be of dtype .* got int64"),
        (X, {"moving_variance": -np.ones(2)}, {}, ValueError, r"moving_variance .* got -1.0"),
        (X[:, :3], {}, {"stride": 2, "pooling": "valid"}, ValueError,
         r"pooling must give the output grid \(Ho, Wo\) = \(2, 2\) \(LAY-6\), got \(1, 2\)"),
        (X[:, :1], {}, {"stride": 2, "pooling": "valid"}, ValueError, r"at least one window"),
    ],
)  # fmt: skip
def test_operands_that_do_not_fit(
    x: Any, changes: Any, config: Any, error: Any, message: str
) -> None:
    parameters = {**PARAMETERS, **changes}
    parameters = {name: value for name, value in parameters.items() if value is not None}
    with pytest.raises(error, match=message):
        layer.forward(x, parameters, replace(CONFIG, **config))


@pytest.mark.clause("LAY-12", "LAY-18", "LAY-19")
def test_statistics_need_pixels() -> None:
    with pytest.raises(ValueError, match="at least 1 pixels"):
        layer.forward(X[:0], PARAMETERS, CONFIG, training=True)
    unbiased = replace(CONFIG, unbiased_moving_variance=True)
    with pytest.raises(ValueError, match="at least 2 pixels"):
        layer.forward(X[:, :1, :1], PARAMETERS, unbiased, training=True)
    assert layer.forward(X[:0], PARAMETERS, CONFIG).y.shape == (0, 4, 4, 4)
    with pytest.raises(ValueError, match="dy must have the shape of y"):
        layer.backward(X[:, 1:], X, PARAMETERS, CONFIG)


def test_the_conventions() -> None:
    example = layer.keras_example(channel=3, group_number=1, kernel_size=3, reduction_ratio=2)
    assert sum(np.prod(shape) for shape in example.shapes(3).values()) == 26
    official = layer.official(64, 7, 2)
    assert (official.groups, official.reduced_channels, official.padding) == (4, 16, 3)
    assert list(official.shapes(64)) == [
        "reduce_kernel", "gamma", "beta", "moving_mean", "moving_variance",
        "expand_kernel", "expand_bias",
    ]  # fmt: skip
    assert official.shapes(64)["expand_kernel"] == (16, 196)
