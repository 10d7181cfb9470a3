"""The Keras layer against the published one, on integers, with equality."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

tf = pytest.importorskip("tensorflow", reason="the Keras layer runs on TensorFlow here")
keras = pytest.importorskip("keras", reason="the Keras layer needs Keras")

from refimpl.keras import Involution, involution  # noqa: E402
from tests.opponents.published_layer import PublishedInvolution  # noqa: E402

Array = npt.NDArray[Any]


def integers(shape: tuple[int, ...], low: int = -3, high: int = 4) -> Array:
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(np.float32)


def integer_weights(shapes: list[tuple[int, ...]]) -> list[Array]:
    """Weights that make every generated kernel entry an integer.

    The seventh and eighth are the second convolution's; the variance and epsilon make 1.
    """
    weights = [integers(shape, -2, 3) for shape in shapes]
    weights[2] = np.abs(weights[2]) + 1
    weights[5] = np.full(shapes[5], np.float32(1) - np.float32(1e-3))
    assert np.all(weights[5] + np.float32(1e-3) == 1)
    return weights


def assert_integers(kernel: Any) -> None:
    values = kernel.numpy()
    np.testing.assert_array_equal(values, np.round(values))
    assert len(np.unique(values)) > 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"channel": 3, "stride": 1, "reduction_ratio": 1, "name": "inv_1"}, (32, 256, 256, 3)),
        ({"channel": 3, "stride": 2, "reduction_ratio": 1, "name": "inv_2"}, (32, 128, 128, 3)),
        ({"channel": 16, "stride": 1, "reduction_ratio": 2, "name": "inv_3"}, (32, 256, 256, 3)),
    ],
)
def test_the_published_shapes(arguments: dict[str, Any], expected: tuple[int, ...]) -> None:
    layer = Involution(group_number=1, kernel_size=5, **arguments)
    output, kernel = layer(tf.random.normal((32, 256, 256, 3)))
    assert output.shape == expected
    assert kernel.shape == (*expected[:3], 25, 1, 1)
    assert layer.name == arguments["name"]


def test_the_published_variables() -> None:
    layer = Involution(channel=3, group_number=1, kernel_size=3, stride=1, reduction_ratio=2)
    layer.build((None, 32, 32, 3))
    assert layer.count_params() == 26
    assert sum(int(np.prod(w.shape)) for w in layer.trainable_weights) == 24
    names = [(w.path.split("/")[-2], w.name, tuple(w.shape)) for w in layer.weights]
    assert names == [
        ("reduce", "kernel", (1, 1, 3, 1)),
        ("reduce", "bias", (1,)),
        ("normalise", "gamma", (1,)),
        ("normalise", "beta", (1,)),
        ("normalise", "moving_mean", (1,)),
        ("normalise", "moving_variance", (1,)),
        ("expand", "kernel", (1, 1, 1, 9)),
        ("expand", "bias", (9,)),
    ]
    assert (layer.normalise.epsilon, layer.normalise.momentum) == (1e-3, 0.99)


def test_the_published_model_has_13080_parameters() -> None:
    x = inputs = keras.Input((32, 32, 3))
    for name in ("inv_1", "inv_2", "inv_3"):
        x, _ = Involution(
            channel=3, group_number=1, kernel_size=3, stride=1, reduction_ratio=2, name=name
        )(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D(2)(x) if name != "inv_3" else keras.layers.Flatten()(x)
    outputs = keras.layers.Dense(10)(keras.layers.Dense(64, activation="relu")(x))
    model = keras.Model(inputs, outputs)
    assert model.count_params() == 13_080
    assert sum(int(np.prod(w.shape)) for w in model.non_trainable_weights) == 6


@pytest.mark.parametrize(
    ("channel", "groups", "size", "stride", "ratio"),
    [(3, 1, 3, 1, 2), (4, 2, 5, 2, 1), (7, 3, 2, 1, 3), (6, 6, 3, 4, 2)],
)
@pytest.mark.clause("GRP-3", "GEO-7")
def test_published_weights_give_published_results(
    channel: int, groups: int, size: int, stride: int, ratio: int
) -> None:
    published = PublishedInvolution(channel, groups, size, stride, ratio)
    ours = Involution(channel, groups, size, stride, ratio)
    # Pooled integers stay integers: each window's mean is of multiples of its area.
    x = integers((2, 8, 12, 6)) * stride**2
    published.build(x.shape)
    ours.build(x.shape)
    published.set_weights(integer_weights([w.shape for w in published.get_weights()]))
    ours.set_weights(published.get_weights())
    expected, got = published(x), ours(x)
    assert_integers(expected[1])
    for one, other in zip(got, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def prepared(stride: int = 2, **changes: Any) -> Any:
    layer = Involution(channel=4, group_number=3, kernel_size=3, stride=stride, **changes)
    layer.build((None, None, None, 6))
    layer.set_weights(integer_weights([w.shape for w in layer.get_weights()]))
    return layer


SIZES = [(2, 9, 7), (1, 8, 8), (3, 1, 1), (0, 5, 6), (1, 2, 11)]


def test_one_layer_at_several_sizes_eager_equals_graph() -> None:
    layer = prepared()
    # 144 is divisible by the pixels of every window that the border cuts.
    images = [integers((*size, 6)) * 144 for size in SIZES]
    spec = tf.TensorSpec((None, None, None, 6), "float32")
    graph = tf.function(layer).get_concrete_function(spec)
    for x in images:
        batch, height, width = x.shape[0], -(-x.shape[1] // 2), -(-x.shape[2] // 2)
        output, kernel = layer(x)
        assert output.shape == (batch, height, width, 6)
        assert kernel.shape == (batch, height, width, 9, 1, 3)
        assert layer.compute_output_shape(x.shape) == (output.shape, kernel.shape)
        for one, other in zip(graph(tf.constant(x)), (output, kernel), strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
        taps = kernel.numpy().reshape(batch, height, width, 3, 3, 3)
        expected = involution(x, taps, stride=2, group_layout="interleaved")
        np.testing.assert_array_equal(output.numpy(), expected.numpy())


def test_sizes_may_be_unknown_in_a_model_that_is_saved_and_loaded(tmp_path: Any) -> None:
    x = keras.Input((None, None, 6))
    layer = prepared(name="inv")
    output, kernel = layer(x)
    assert output.shape == (None, None, None, 6)
    assert kernel.shape == (None, None, None, 9, 1, 3)
    keras.Model(x, [output, kernel]).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.get_layer("inv").get_config() == layer.get_config()
    for size in ((2, 9, 7), (1, 4, 4)):
        image = integers((*size, 6))
        for one, other in zip(model(image), layer(image), strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_config_makes_an_equal_layer() -> None:
    layer = Involution(8, 2, 5, stride=3, reduction_ratio=4, name="inv", dtype="mixed_bfloat16")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(copy) is Involution
    assert copy.get_config() == layer.get_config()
    assert copy.compute_dtype == "bfloat16"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "mixed_float16"])
def test_all_is_computed_in_the_policy(dtype: str) -> None:
    layer = Involution(4, 2, 3, stride=2, dtype=dtype)
    output, kernel = layer(integers((1, 5, 5, 4)))
    computed = dtype.removeprefix("mixed_")
    assert {output.dtype.name, kernel.dtype.name} == {computed}
    assert {w.dtype for w in layer.weights} == {"float32" if "mixed" in dtype else dtype}
    assert {o.dtype for o in layer(keras.Input((5, 5, 4)))} == {computed}


def test_images_may_be_integers() -> None:
    layer = prepared()
    x = integers((1, 5, 5, 6), 0, 200)
    np.testing.assert_array_equal(layer(x.astype(np.uint8))[0].numpy(), layer(x)[0].numpy())


def test_channels_come_last_whatever_keras_is_set_to() -> None:
    x = integers((2, 9, 7, 6))
    expected = prepared()(x)
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        got = prepared()(x)
    finally:
        keras.config.set_image_data_format(before)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_it_trains() -> None:
    x, y = integers((6, 5, 7, 4)), integers((6, 3, 4, 4))
    inputs = keras.Input((5, 7, 4))
    model = keras.Model(inputs, Involution(4, 2, 3, stride=2)(inputs)[0])
    model.compile("sgd", "mse")
    before = [w.numpy() for w in model.weights]
    model.fit(x, y, batch_size=4, verbose=0)
    # The bias before a normalisation by batch statistics has no effect, and so no gradient.
    moved = [bool(np.any(w.numpy() != b)) for w, b in zip(model.weights, before, strict=True)]
    assert moved[0]
    assert all(moved[2:])


def test_a_generator_can_be_replaced() -> None:
    class Identity(Involution):  # type: ignore[misc]
        def generate_kernel(self, x: Any, training: bool | None = None) -> Any:  # noqa: ARG002
            centre = tf.one_hot([4], 9)[0]
            return tf.ones((*x.shape[:3], 1, 1, 1)) * tf.reshape(centre, (9, 1, 1))

    x = integers((2, 4, 5, 3))
    np.testing.assert_array_equal(Identity(3, 1, 3)(x)[0].numpy(), x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channel": 0}, "channel must be a positive integer, got 0"),
        ({"group_number": -1}, "group_number must be a positive integer, got -1"),
        ({"kernel_size": (3, 3, 3)}, r"kernel_size must be .* a pair .*, got \(3, 3, 3\)"),
        ({"stride": 1.5}, r"stride must be a positive integer or a pair .*, got 1.5"),
        ({"reduction_ratio": True}, "reduction_ratio must be a positive integer, got True"),
        ({"reduction_ratio": 5}, "got channel = 4 and reduction_ratio = 5"),
    ],
)
def test_a_wrong_argument_is_named(change: dict[str, Any], message: str) -> None:
    # ERR-5: what is neither an integer nor a pair of integers is of a wrong type.
    due = TypeError if set(change) & {"kernel_size", "stride"} else ValueError
    with pytest.raises(due, match=message):
        Involution(**({"channel": 4, "group_number": 2, "kernel_size": 3} | change))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 8, 4), r"rank 4, shape \(B, H, W, C\) \(ERR-1\), got shape \(None, 8, 4\)"),
        ((None, 8, 8, None), r"known number of channels C, got shape \(None, 8, 8, None\)"),
        ((None, 8, 8, 5), r"\(ERR-3\), got group_number = 2 and C = 5"),
        ((None, 8, 8, 0), r"\(ERR-3\), got group_number = 2 and C = 0"),
    ],
)
def test_a_wrong_input_is_named(shape: tuple[int | None, ...], message: str) -> None:
    layer = Involution(4, 2, 3)
    with pytest.raises(ValueError, match=message):
        layer.build(shape)
    with pytest.raises(ValueError, match=message):
        layer.compute_output_shape(shape)
