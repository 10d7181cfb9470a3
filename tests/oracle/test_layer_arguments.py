"""What the reference layer refuses, and in which words (LAY-18); what it takes that looks odd."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from refimpl import layer
from tests.oracle.oddities import EndlessKeys, Keyless, Wrapped, lying, raising, signalling

X = np.linspace(-1.0, 2.0, 64).reshape(1, 4, 4, 4)
CONFIG = layer.keras_example(channel=4, group_number=2, kernel_size=3, reduction_ratio=2)
PARAMETERS = {
    name: np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)
    for name, shape in CONFIG.shapes(4).items()
}


def call(arguments: dict[str, Any]) -> Any:
    """`forward`, or `backward` where there is a dy."""
    rest = {"x": X, "parameters": PARAMETERS, "config": CONFIG} | arguments
    return layer.backward(**rest) if "dy" in rest else layer.forward(**rest)


@pytest.mark.clause("ERR-10", "LAY-18")
@pytest.mark.parametrize("hidden", [np.ma.masked_less, lambda *a: Wrapped(np.ma.masked_less(*a))])
@pytest.mark.parametrize("name", ["x", "dy", *PARAMETERS])
def test_masked_arrays(name: str, hidden: Any) -> None:
    if name in PARAMETERS:
        masked = hidden(PARAMETERS[name], 0.75)
        changed: dict[str, Any] = {"parameters": PARAMETERS | {name: masked}}
    else:
        changed = {name: hidden(X, 0)}
    with pytest.raises(TypeError, match=rf"^{name} must be a plain array .*, got a masked array"):
        call(changed)


@pytest.mark.clause("ERR-10", "LAY-1", "LAY-18")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": [[1.0], [1.0, 2.0]]}, TypeError, r"x must be an array .*\(ERR-9\), got \[\[1.0\]"),
        ({"dy": None}, TypeError, r"dy must be of dtype .*\(ERR-9\), got object of None"),
        ({"dy": X[0]}, ValueError, r"dy must have rank 4.*\(ERR-1\), got shape \(4, 4, 4\)"),
        ({"config": {}}, TypeError, r"config must be a Config \(LAY-18\), got {}"),
        ({"config": layer.Config}, TypeError, r"config must be a Config \(LAY-18\), got <class"),
        ({"config": raising("__class__", "__repr__")}, TypeError, r"config must be .* got <.*Rais"),
        ({"training": 1}, ValueError, r"training must be True or False \(LAY-18\), got 1"),
        ({"training": None, "dy": X}, ValueError, r"training must be .*\(LAY-18\), got None"),
        ({"parameters": None}, TypeError, r"parameters must be a mapping .*\(LAY-1\), got None"),
        ({"parameters": [*PARAMETERS.items()]}, TypeError, r"must be a mapping .*, got \[\('red"),
        ({"parameters": {}}, ValueError, r"parameters must be reduce_.*\(LAY-1\), got none"),
        ({"parameters": {1: X} | PARAMETERS}, TypeError, r"must be a mapping .*, got {1: "),
        ({"parameters": EndlessKeys()}, ValueError, r"parameters must be .*\(LAY-1\), got key 0, "),
        ({"parameters": Keyless(beta=X)}, TypeError, r"parameters must be a mapping .*\(LAY-1\)"),
        ({"parameters": raising("__class__")}, TypeError, r"must be a mapping .*\(LAY-1\), got <"),
        ({"parameters": PARAMETERS | {lying("beta", __hash__=7, __eq__=False): X}}, ValueError,
         r"parameters must be reduce_kernel, .*\(LAY-1\), got .*beta.*beta"),
        ({"parameters": PARAMETERS | {"y" * 9999: X}}, ValueError, r"LAY-1\), got .{,300}$"),
        ({"parameters": PARAMETERS | {"beta": [1.0, [2.0]]}}, TypeError,
         r"beta must be an array .*\(LAY-18\), got \[1.0, \[2.0\]\]"),
        ({"parameters": PARAMETERS | {"beta": 7}}, TypeError, r"beta must be .* got int64 of 7"),
        ({"x": np.empty((0, 2**57, 1, 8), np.float16)}, ValueError, r"x must take .*\(ERR-10\)"),
    ],
)  # fmt: skip
def test_what_is_no_operand(arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(arguments)


@pytest.mark.clause("ERR-10", "LAY-18")
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"stride": 2**60 + 1}, ValueError, r"stride must be at most 2\*\*60 \(ERR-10\), got 115"),
        ({"kernel_size": (1, 2**64)}, ValueError, r"kernel_size must be at most .*\(ERR-10\)"),
        ({"kernel_size": "3"}, TypeError, r"kernel_size must be .*\(LAY-18\), got '3'"),
        ({"groups": 10**30}, ValueError, r"groups must be at most 2\*\*60 \(ERR-10\), got 10{30}"),
        ({"dilation": (1, None)}, TypeError, r"dilation must be .*\(ERR-5\), got \(1, None\)"),
        ({"padding": ((0, 0), 1)}, TypeError, r"padding must be .*\(ERR-6\), got \(\(0, 0\), 1\)"),
        ({"epsilon": 10**400}, ValueError, r"epsilon must be at least 0 \(LAY-18\), got 1000"),
        ({"epsilon": np.longdouble("1e4000")}, ValueError, r"epsilon must be at .*1e\+4000"),
        ({"epsilon": lying(2.0, __lt__=True)}, None, ""),
        ({"momentum": True}, TypeError, r"momentum must be a number \(LAY-18\), got True"),
        ({"momentum": raising("__float__")}, TypeError, r"momentum must be a number \(LAY-18\)"),
        ({"momentum": lying(2.0, __le__=True, __ge__=True)}, ValueError, r"momentum must be betw"),
        ({"normalise": 1}, ValueError, r"normalise must be True or False \(LAY-18\), got 1"),
        ({"pooling": ["same"]}, ValueError, r"pooling must be 'same' or .*\(LAY-18\), got \['same"),
        ({"kernel_order": lying("x", __eq__=True)}, ValueError, r"kernel_order .*, got 'x'"),
    ],
)  # fmt: skip
def test_fields_that_mean_nothing(changes: Any, error: Any, message: str) -> None:
    if error is None:
        assert type(replace(CONFIG, **changes).epsilon) is float
        return
    with pytest.raises(error, match=f"^{message}"):
        replace(CONFIG, **changes)


@pytest.mark.clause("LAY-18")
@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (lambda: layer.official(8, 3), ValueError,
         r"group_channels must be at most channels = 8 \(LAY-18\), got 16"),
        (lambda: layer.official(3, 3, group_channels=1), ValueError,
         r"reduction_ratio must be at most channels = 3 \(LAY-18\), got 4"),
        (lambda: layer.official(16, (3, 3)), TypeError,  # type: ignore[arg-type]
         r"kernel_size must be a positive integer \(LAY-18\), got \(3, 3\)"),
        (lambda: layer.official("16", 3), TypeError,  # type: ignore[arg-type]
         r"channels must be a positive integer \(LAY-18\), got '16'"),
        (lambda: layer.official(16, 3, group_channels=0), ValueError,
         r"group_channels must be a positive integer \(LAY-18\), got 0"),
        (lambda: layer.keras_example(4, 2, 3, 1, 8), ValueError,
         r"reduction_ratio must be at most channel = 4 \(LAY-18\), got 8"),
        (lambda: layer.keras_example(4, 0, 3), ValueError,
         r"group_number must be a positive integer \(LAY-18\), got 0"),
        (lambda: layer.keras_example(4, 2, 3, reduction_ratio=0), ValueError,
         r"reduction_ratio must be a positive integer \(LAY-18\), got 0"),
        (lambda: layer.keras_example(4.0, 2, 3), TypeError,  # type: ignore[arg-type]
         r"channel must be a positive integer \(LAY-18\), got 4.0"),
        (lambda: CONFIG.shapes(0), ValueError,
         r"channels must be a positive integer \(LAY-1\), got 0"),
        (lambda: CONFIG.grid(4, -1), ValueError,
         r"width must be a positive integer \(ERR-3\), got -1"),
        (lambda: CONFIG.grid(True, 1), TypeError,
         r"height must be a positive integer \(ERR-3\), got True"),
    ],
)  # fmt: skip
def test_the_callers_own_arguments_are_named(made: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        made()


@pytest.mark.clause("ERR-10")
def test_generated_kernels_larger_than_addresses() -> None:
    config = layer.Config(kernel_size=1, groups=1, reduced_channels=16, normalise=False)
    parameters = {name: np.ones(shape) for name, shape in config.shapes(1).items()}
    with pytest.raises(ValueError, match=r"^x must lead to .*\(ERR-10\), got shape \(0, 18014"):
        layer.forward(np.empty((0, 2**54, 1, 1), np.float16), parameters, config)


@pytest.mark.clause("LAY-1")
def test_fields_are_plain_values() -> None:
    """Lists become tuples, and NumPy's numbers, which would wrap or round, Python's."""
    config = layer.Config(
        kernel_size=[5, np.int8(5)],  # type: ignore[arg-type, list-item]
        groups=np.int8(100),  # type: ignore[arg-type]
        reduced_channels=np.uint8(200),  # type: ignore[arg-type]
        stride=np.int64(2),  # type: ignore[arg-type]
        padding=[[1, 2], (3, np.int8(4))],  # type: ignore[arg-type, list-item]
        normalise=np.True_,  # type: ignore[arg-type]
        momentum=np.float16(0.5),  # type: ignore[arg-type]
    )
    same = layer.Config(
        kernel_size=(5, 5), groups=100, reduced_channels=200, stride=2, padding=((1, 2), (3, 4)),
        momentum=0.5,
    )  # fmt: skip
    assert repr(config) == repr(same)
    assert hash(config) == hash(same)
    assert config.shapes(100)["expand_kernel"] == (200, 2500)
    with pytest.raises(FrozenInstanceError):
        config.groups = 1  # type: ignore[misc]


@pytest.mark.clause("LAY-1")
def test_parameters_that_look_odd() -> None:
    """Names of NumPy's, byte-swapped values, values that give themselves as arrays."""
    odd = {np.str_(name): Wrapped(value.astype(">f8")) for name, value in PARAMETERS.items()}
    expected, got = call({}), call({"parameters": odd, "training": np.False_})
    np.testing.assert_array_equal(got.y, expected.y)


@pytest.mark.clause("LAY-2", "LAY-3", "LAY-13")
@pytest.mark.parametrize("training", [False, True])
def test_strides_far_beyond_the_image(training: bool) -> None:
    """One window and one output, as with the stride that the image just fills."""
    least, most = (replace(CONFIG, stride=stride) for stride in (4, (10**6, 2**60)))
    dy = X[:, :1, :1]
    expected, got = (
        layer.forward(X, PARAMETERS, config, training=training) for config in (least, most)
    )
    np.testing.assert_equal(got._asdict(), expected._asdict())
    expected, got = (
        layer.backward(dy, X, PARAMETERS, config, training=training) for config in (least, most)
    )
    np.testing.assert_equal(got, expected)


@pytest.mark.clause("LAY-18")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "x", [X * 1e300, np.full_like(X, np.nan), signalling(X), np.where(X > 0, np.inf, X)]
)
def test_values_warn_of_nothing(x: Any, training: bool) -> None:
    """Not even where a caller has NumPy raise; warnings are errors in these tests."""
    config = replace(CONFIG, epsilon=0)
    parameters = PARAMETERS | {"moving_variance": np.zeros(2)}
    with np.errstate(all="raise"):
        assert layer.forward(x, parameters, config, training=training).y.shape == X.shape
        assert layer.backward(x, x, parameters, config, training=training)[0].shape == X.shape
