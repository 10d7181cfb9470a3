"""Each option of the Keras layer against a few lines of NumPy, on integers, with equality."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

tf = pytest.importorskip("tensorflow", reason="the Keras layer runs on TensorFlow here")
keras = pytest.importorskip("keras", reason="the Keras layer needs Keras")

from refimpl import involution as oracle  # noqa: E402
from refimpl.keras import Involution  # noqa: E402

Array = npt.NDArray[Any]
EPSILON = 0.25


def integers(shape: tuple[int, ...], low: int = -3, high: int = 4) -> Array:
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(np.float32)


def prepared(channels: int, **options: Any) -> Any:
    """Build a layer whose parameters are integers and whose moving variance + epsilon is 1."""
    layer = Involution(**({"channel": 4, "group_number": 2, "kernel_size": 3} | options))
    layer.build((None, None, None, channels))
    parameters = {name: integers(p.shape, -2, 3) for name, p in layer.get_parameters().items()}
    if "moving_variance" in parameters:
        parameters["moving_variance"][...] = 1 - EPSILON
    layer.set_parameters(parameters)
    return layer


def pooled(x: Array, strides: tuple[int, int], pooling: str) -> Array:
    """Average `x` over windows of the stride, pixel by pixel."""
    if pooling == "none":
        return x
    grid, befores = [], []
    for size, stride in zip(x.shape[1:3], strides, strict=True):
        grid.append(-(-size // stride) if pooling == "same" else size // stride)
        befores.append(max(grid[-1] * stride - size, 0) // 2)
    out = np.zeros((len(x), *grid, x.shape[3]), x.dtype)
    for i, j in np.ndindex(*grid):
        rows, columns = (
            slice(max(n * s - b, 0), n * s - b + s)
            for n, s, b in zip((i, j), strides, befores, strict=True)
        )
        out[:, i, j] = x[:, rows, columns].mean((1, 2))
    return out


def generated(layer: Any, x: Array, strides: tuple[int, int], pooling: str) -> Array:
    """Return what the second convolution gives at inference."""
    p = layer.get_parameters()
    hidden = pooled(x, strides, pooling) @ p["reduce_kernel"] + p.get("reduce_bias", 0)
    if "gamma" in p:
        hidden = (hidden - p["moving_mean"]) * p["gamma"] + p["beta"]
    return np.maximum(hidden, 0) @ p["expand_kernel"] + p.get("expand_bias", 0)


CASES: list[dict[str, Any]] = [
    {"dilation": (2, 3)},
    {"kernel_size": (2, 5), "dilation": 2},
    {"padding": "valid", "pooling": "none", "kernel_size": 1},
    {"padding": 2, "kernel_size": 5, "stride": (2, 1)},
    {"padding": ((2, 0), (1, 1))},
    {"stride": (3, 2)},
    {"stride": (2, 3), "padding": 1},
    {"stride": (1, 4), "pooling": "same"},
    {"stride": 3, "pooling": "valid", "padding": 0},
    {"group_layout": "blocked"},
    {"kernel_order": "group_major", "kernel_size": (2, 3)},
    {"kernel_order": "group_major", "group_layout": "blocked", "stride": 2},
    {"reduce_bias": False},
    {"expand_bias": False},
    {"normalise": False, "reduction_ratio": 2},
    {"epsilon": EPSILON, "momentum": 0.5, "unbiased_moving_variance": True},
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_an_option_does_what_it_says(options: dict[str, Any]) -> None:
    layer = prepared(6, **({"epsilon": EPSILON} | options))
    # Means over any window of up to 9 pixels are integers.
    x = integers((2, 9, 8, 6)) * 36
    stride = options.get("stride", 1)
    strides = stride if isinstance(stride, tuple) else (stride, stride)
    made = generated(layer, x, strides, options.get("pooling", "same"))
    rows, columns = layer._taps
    group_major = options.get("kernel_order") == "group_major"
    split = (2, rows, columns) if group_major else (rows, columns, 2)
    kernel = made.reshape(*made.shape[:3], *split)
    kernel = np.moveaxis(kernel, 3, 5) if group_major else kernel
    expected = oracle.forward(
        x,
        kernel,
        stride=stride,
        dilation=options.get("dilation", 1),
        padding=options.get("padding", "same"),
        group_layout=options.get("group_layout", "interleaved"),
    )
    output, taps = layer(x)
    np.testing.assert_array_equal(taps, kernel.reshape(*made.shape[:3], rows * columns, 1, 2))
    np.testing.assert_array_equal(output, expected)
    assert layer.compute_output_shape(x.shape) == (output.shape, taps.shape)
    assert len(np.unique(taps)) > 3
    unknown = layer(keras.Input((None, None, 6)))
    assert unknown[0].shape == (None, None, None, 6)
    copy = Involution.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


def test_channels_first_is_channels_last_transposed() -> None:
    x = integers((2, 9, 8, 6)) * 36
    for stride in (1, (2, 3)):
        last = prepared(6, stride=stride)
        first = Involution(4, 2, 3, stride, data_format="channels_first")
        first.build((None, 6, None, None))
        first.set_weights(last.get_weights())
        expected, got = last(x), first(np.transpose(x, (0, 3, 1, 2)))
        np.testing.assert_array_equal(np.transpose(got[0], (0, 2, 3, 1)), expected[0])
        np.testing.assert_array_equal(got[1], expected[1])
        assert first.compute_output_shape((2, 6, 9, 8)) == (got[0].shape, got[1].shape)
        shape = first.compute_output_shape((None, 6, None, 8))[0]
        assert shape[:3] == (None, 6, None)


def test_no_data_format_is_that_of_keras() -> None:
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        layer = Involution(4, 2, 3, data_format=None)
    finally:
        keras.config.set_image_data_format(before)
    assert layer.data_format == layer.get_config()["data_format"] == "channels_first"


def test_the_output_alone() -> None:
    x = integers((2, 5, 4, 6))
    both, one = prepared(6), prepared(6, return_kernel=False)
    np.testing.assert_array_equal(one(x), both(x)[0])
    assert one.compute_output_shape(x.shape) == x.shape
    assert one(keras.Input((None, None, 6))).shape == (None, None, None, 6)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_moving_statistics(unbiased: bool, known: bool) -> None:
    options = {"momentum": 0.5, "unbiased_moving_variance": unbiased}
    layer = Involution(1, 1, 1, **options)
    x = np.array([0, 0, 0, 4], np.float32).reshape((1, 2, 2, 1))
    layer.build(x.shape)
    layer.set_parameters(layer.get_parameters() | {"reduce_kernel": np.ones((1, 1))})
    shape = x.shape if known else (None, None, None, 1)
    tf.function(layer, input_signature=[tf.TensorSpec(shape)])(x)
    assert layer.get_parameters()["moving_mean"] == 0
    train = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec(shape)])
    train(x)
    # The mean is 1, the sum of squared distances 12; before, they were 0 and 1.
    assert layer.get_parameters()["moving_mean"] == 0.5
    assert layer.get_parameters()["moving_variance"] == (1 + (4 if unbiased else 3)) / 2


def test_an_unbiased_variance_of_one_pixel_is_refused() -> None:
    layer = Involution(1, 1, 1, unbiased_moving_variance=True)
    x = np.ones((1, 1, 1, 1), np.float32)
    layer(x)
    with pytest.raises(ValueError, match=r"unbiased_moving_variance=True needs more than one"):
        layer(x, training=True)
    spec = tf.TensorSpec((None, None, None, 1))
    train = tf.function(lambda x: layer(x, training=True), input_signature=[spec])
    train(np.ones((1, 1, 2, 1), np.float32))
    with pytest.raises(tf.errors.InvalidArgumentError):
        train(x)


def test_batch_statistics_normalise() -> None:
    layer = Involution(1, 1, 1, epsilon=0, unbiased_moving_variance=True)
    x = np.array([996, 1004], np.float32).reshape((1, 1, 2, 1))
    layer.build(x.shape)
    ones = {"reduce_kernel": np.ones((1, 1)), "expand_kernel": np.ones((1, 1)), "beta": [1]}
    layer.set_parameters(layer.get_parameters() | ones)
    np.testing.assert_array_equal(np.ravel(layer(x, training=True)[1]), [0, 2])


@pytest.mark.parametrize("frozen", ["argument", "attribute"])
def test_a_frozen_layer_learns_no_statistics(frozen: str) -> None:
    layer = Involution(4, 2, 3, trainable=frozen != "argument")
    layer.trainable = False
    x = integers((2, 4, 4, 6))
    np.testing.assert_array_equal(layer(x, training=True)[0], layer(x)[0])
    assert layer.trainable_weights == []
    assert np.all(layer.get_parameters()["moving_mean"] == 0)
    if frozen == "attribute":
        layer.trainable = True
        layer(x, training=True)
        assert np.any(layer.get_parameters()["moving_mean"] != 0)


@pytest.mark.parametrize("order", ["tap_major", "group_major"])
def test_a_generator_of_ones_own(order: str) -> None:
    x = integers((2, 9, 8, 6))
    generator = keras.Sequential([keras.layers.Conv2D(12, 1, strides=2)])
    layer = Involution(
        1, 2, (3, 2), 2, kernel_generator=generator, kernel_order=order, return_kernel=False
    )
    layer.build((None, None, None, 6))
    weights = [integers(w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    made = x[:, ::2, ::2] @ weights[0][0, 0] + weights[1]
    split = (3, 2, 2) if order == "tap_major" else (2, 3, 2)
    kernel = made.reshape(*made.shape[:3], *split)
    kernel = kernel if order == "tap_major" else np.moveaxis(kernel, 3, 5)
    expected = oracle.forward(x, kernel, stride=2, group_layout="interleaved")
    np.testing.assert_array_equal(layer(x), expected)
    assert layer(integers((1, 5, 7, 6))).shape == (1, 3, 4, 6)
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="have the default generator"):
        layer.get_parameters()


def test_training_reaches_a_generator_of_ones_own() -> None:
    x = integers((2, 4, 4, 3))
    generator = keras.Sequential([keras.layers.Dense(9), keras.layers.Dropout(1.0 - 1e-9)])
    layer = Involution(3, 1, 3, kernel_generator=generator, return_kernel=False)
    assert np.any(layer(x) != 0)
    assert np.all(layer(x, training=True) == 0)


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (lambda: keras.layers.Dense(8), r"Kh \* Kw \* G = 9, got shape \(None, 8, 8, 8\)"),
        (keras.layers.Flatten, r"Kh \* Kw \* G = 9, got shape \(None, 192\)"),
        (
            lambda: keras.layers.Conv2D(9, 1, strides=3),
            r"\(8, 8\) \(ERR-4\), got kernels on \(3, 3\) from \(H, W\) = \(8, 8\)",
        ),
    ],
)
def test_a_wrong_generator_is_named(generator: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Involution(3, 1, 3, kernel_generator=generator()).build((None, 8, 8, 3))


@pytest.mark.parametrize("options", [{"pooling": "valid"}, {"pooling": "none"}, {"padding": 3}])
def test_grids_that_differ_are_named(options: dict[str, Any]) -> None:
    layer = Involution(4, 2, 3, 2, **options)
    with pytest.raises(ValueError, match=r"output grid \(Ho, Wo\) = .* got kernels on"):
        layer.compute_output_shape((None, 9, 9, 6))
    with pytest.raises(ValueError, match=r"output grid \(Ho, Wo\) = .* got kernels on"):
        layer(integers((1, 9, 9, 6)))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 6))])
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph(integers((1, 9, 9, 6)))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kernel_size": 0}, ValueError, "kernel_size must be .* got 0"),
        ({"dilation": "1"}, TypeError, r"dilation must be .* \(ERR-5\), got '1'"),
        ({"padding": "full"}, ValueError, r"padding must be .* \(ERR-6\), got 'full'"),
        ({"group_layout": "striped"}, ValueError, r"group_layout must be .* got 'striped'"),
        ({"kernel_order": "mixed"}, ValueError, "kernel_order must be \"tap_major\" or .* 'mixed'"),
        ({"pooling": "max"}, ValueError, "pooling must be .* got 'max'"),
        ({"data_format": "first"}, ValueError, "data_format must be .* got 'first'"),
        ({"momentum": 1.5}, ValueError, "momentum must be a finite number from 0 to 1, got 1.5"),
        ({"epsilon": -1}, ValueError, "epsilon must be a finite number at least 0, got -1"),
        ({"epsilon": float("nan")}, ValueError, "epsilon must be .* got nan"),
        ({"kernel_generator": 3}, TypeError, "kernel_generator must be a keras.layers.Layer, got"),
        ({"kernel_initializer": "no"}, ValueError, "Could not interpret initializer"),
        ({"taps": 3}, ValueError, "Unrecognized keyword arguments passed to Involution"),
    ],
)
def test_a_wrong_option_is_named(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Involution(**({"channel": 4, "group_number": 2, "kernel_size": 3} | change))


def test_a_window_larger_than_the_image_is_named() -> None:
    layer = Involution(4, 2, 3, padding="valid", pooling="none", dilation=9)
    with pytest.raises(ValueError, match=r"at least one output row and column \(ERR-8\)"):
        layer.compute_output_shape((None, 9, 9, 6))


def test_another_number_of_channels_is_refused_by_keras() -> None:
    layer = prepared(6)
    with pytest.raises(ValueError, match="expected axis 3 of input shape to have value 6"):
        layer(integers((1, 4, 4, 8)))
