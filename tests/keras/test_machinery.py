"""What a Keras user expects of a layer, each with Keras's own machinery."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

tf = pytest.importorskip("tensorflow", reason="the Keras layer runs on TensorFlow here")
keras = pytest.importorskip("keras", reason="the Keras layer needs Keras")

from refimpl.keras import Involution  # noqa: E402

Array = npt.NDArray[Any]
ROOT = Path(__file__).parents[2]


def integers(shape: tuple[int, ...], low: int = -3, high: int = 4) -> Array:
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(np.float32)


def classifier(**options: Any) -> Any:
    """Build the published model's beginning, in small."""
    x = inputs = keras.Input((8, 8, 4))
    x = Involution(4, 2, 3, stride=2, return_kernel=False, name="inv", **options)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(3, dtype="float32")(x))


def compiled(model: Any, **options: Any) -> Any:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], **options)
    return model


def batches(samples: int = 24, size: int = 8) -> Any:
    data = integers((samples, 8, 8, 4)), np.arange(samples) % 3
    return tf.data.Dataset.from_tensor_slices(data).batch(size, drop_remainder=True)


def summary(model: Any) -> str:
    lines: list[str] = []
    model.summary(line_length=140, print_fn=lines.append)
    return "\n".join(lines)


def published_model() -> Any:
    x = inputs = keras.Input((32, 32, 3))
    for name in ("inv_1", "inv_2", "inv_3"):
        x, _ = Involution(3, 1, 3, 1, 2, name=name)(x)
        x = keras.layers.ReLU()(x)
        x = keras.layers.MaxPooling2D(2)(x) if name != "inv_3" else keras.layers.Flatten()(x)
    outputs = keras.layers.Dense(10)(keras.layers.Dense(64, activation="relu")(x))
    return keras.Model(inputs, outputs)


def test_summary_counts_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    # A table as wide as it was asked for, whatever the terminal.
    monkeypatch.setenv("COLUMNS", "140")
    text = summary(published_model())
    for words in ("Total params: 13,080", "Trainable params: 13,074", "Non-trainable params: 6"):
        assert words in text
    rows = [re.split(r"[│|]", line) for line in text.splitlines() if "inv_" in line]
    counts = [row[3].strip() for row in rows if "Involution" in row[1]]
    assert counts == ["26", "26", "26"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": ((1, 1), (2, 0)), "kernel_order": "group_major", "group_layout": "blocked"},
        {"normalise": False, "kernel_regularizer": "l2", "kernel_constraint": "max_norm"},
        {"kernel_initializer": keras.initializers.HeNormal(seed=3)},
        {"dtype": "mixed_bfloat16", "unbiased_moving_variance": True},
        {"dilation": 2, "data_format": "channels_first", "stride": 1},
    ],
    ids=["plain", "layout", "regularised", "initialised", "mixed", "channels first"],
)
def test_save_and_load(options: dict[str, Any], tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 4))
    arguments = {"stride": 2, "name": "inv"} | options
    model = keras.Model(inputs, Involution(4, 2, 3, **arguments)(inputs))
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    assert copy.get_layer("inv").get_config() == model.get_layer("inv").get_config()
    x = integers((2, 8, 8, 4))
    for one, other in zip(copy(x), model(x), strict=True):
        np.testing.assert_array_equal(one, other)


@keras.saving.register_keras_serializable(package="tests")
class Halves(keras.layers.Layer):  # type: ignore[misc]
    """A generator that builds its variables itself."""

    def build(self, input_shape: Any) -> None:
        self.weight = self.add_weight(shape=(input_shape[-1], 9), name="weight")

    def call(self, x: Any) -> Any:
        return keras.ops.tensordot(x, self.weight, 1) / 2


@pytest.mark.parametrize(
    "generator",
    [
        Halves,
        lambda: keras.Sequential([keras.layers.Conv2D(5, 1), keras.layers.Conv2D(9, 1)]),
        lambda: keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Dense(9)]),
    ],
)
def test_save_and_load_with_a_generator_of_ones_own(generator: Any, tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 4))
    layer = Involution(1, 1, 3, kernel_generator=generator(), name="inv")
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    copy = keras.models.load_model(tmp_path / "model.keras")
    x = integers((2, 8, 8, 4))
    assert len(layer.trainable_weights) == len(copy.get_layer("inv").trainable_weights) > 0
    np.testing.assert_array_equal(copy(x)[0], model(x)[0])
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    clone.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(clone(x)[0], model(x)[0])


def test_sequential_functional_and_subclassed_models_agree() -> None:
    class Subclassed(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = Involution(4, 2, 3, return_kernel=False)
            self.second = Involution(4, 2, 3, stride=2, return_kernel=False)

        def call(self, x: Any) -> Any:
            return self.second(self.first(x))

    subclassed, x = Subclassed(), integers((2, 5, 7, 4))
    expected = subclassed(x)
    sequential = keras.Sequential([subclassed.first, subclassed.second])
    inputs = keras.Input((None, None, 4))
    functional = keras.Model(inputs, subclassed.second(subclassed.first(inputs)))
    np.testing.assert_array_equal(sequential(x), expected)
    np.testing.assert_array_equal(functional(x), expected)
    assert functional.output_shape == (None, None, None, 4)
    assert len(subclassed.trainable_weights) == 12


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_fit_evaluate_and_predict(policy: str, jit: bool) -> None:
    keras.utils.set_random_seed(1)
    model = compiled(classifier(dtype=policy), jit_compile=jit)
    before = [w.numpy() for w in model.get_layer("inv").weights]
    history = model.fit(batches(), epochs=2, verbose=0, shuffle=False).history
    assert np.all(np.isfinite(history["loss"]))
    after = [w.numpy() for w in model.get_layer("inv").weights]
    moved = [bool(np.any(one != other)) for one, other in zip(before, after, strict=True)]
    # The bias before a normalisation by batch statistics has no effect, and so no gradient.
    assert all(moved[:1] + moved[2:])
    assert {w.dtype for w in model.get_layer("inv").weights} == {"float32"}
    loss, accuracy = model.evaluate(batches(), verbose=0)
    assert np.isfinite(loss)
    assert 0 <= accuracy <= 1
    assert model.predict(batches().map(lambda x, _: x), verbose=0).shape == (24, 3)


def test_xla_computes_what_eager_mode_does() -> None:
    layer = Involution(4, 2, 3, stride=2, padding=1, dilation=1, group_layout="blocked")
    layer.build((None, None, None, 4))
    layer.set_weights([integers(w.shape, -2, 3) for w in layer.get_weights()])
    ones = np.full((4,), np.float32(1) - np.float32(1e-3))
    layer.set_parameters(layer.get_parameters() | {"moving_variance": ones})
    compiled_layer = tf.function(layer, jit_compile=True)
    for size in ((2, 8, 8), (1, 6, 10)):
        x = tf.constant(integers((*size, 4)) * 4)
        for one, other in zip(compiled_layer(x), layer(x), strict=True):
            np.testing.assert_array_equal(one, other)


def test_saved_model_export(tmp_path: Path) -> None:
    inputs = keras.Input((None, None, 4))
    model = keras.Model(inputs, Involution(4, 2, 3, stride=2)(inputs))
    model.export(tmp_path / "saved")
    served = tf.saved_model.load(str(tmp_path / "saved"))
    for size in ((2, 9, 7), (1, 4, 4)):
        x = integers((*size, 4))
        for one, other in zip(served.serve(x), model(x), strict=True):
            np.testing.assert_array_equal(one, other)


def test_mirrored_strategy_on_two_devices() -> None:
    # Virtual devices are made before TensorFlow starts: in a process of its own.
    run = subprocess.run(
        [sys.executable, "-m", "tests.keras.keras_mirrored"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    if run.stdout.split()[-1] == "unscaled":
        pytest.skip("this Keras trains a Dense layer otherwise on two replicas than on one device")
    assert run.stdout.split()[-1] == "agree"


def test_a_mask_is_passed_where_the_size_stays() -> None:
    x = integers((2, 5, 5, 4))
    x[0, 2] = 0
    masked = keras.layers.Masking()(x)
    plain = Involution(4, 2, 3)
    output, kernel = plain(masked)
    for result in (output, kernel):
        np.testing.assert_array_equal(result._keras_mask, np.any(x, 3))
    np.testing.assert_array_equal(output, plain(x)[0])
    training = plain(masked, training=True)[0], plain(x, training=True)[0]
    np.testing.assert_array_equal(*training)
    for options in ({"stride": 2}, {"padding": 2}, {"padding": "valid", "kernel_size": 1}):
        layer = Involution(**({"channel": 4, "group_number": 2, "kernel_size": 3} | options))
        mask = layer.compute_mask(None, "mask")[0]
        assert (mask == "mask") == ("kernel_size" in options)
    layer = Involution(4, 2, 3, data_format="channels_first")
    assert layer.compute_mask(None, "mask") == ("mask", None)
    alone = Involution(4, 2, 3, padding=1, return_kernel=False)
    assert alone.compute_mask(None, "mask") == "mask"


def test_seeds() -> None:
    def drawn(seed: int | None = None, **options: Any) -> list[Array]:
        if seed is not None:
            keras.utils.set_random_seed(seed)
        layer = Involution(16, 16, 1, **options)
        layer.build((None, 4, 4, 16))
        return kernels(layer)

    for one, other in zip(drawn(1), drawn(1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.any(drawn(1)[0] != drawn(2)[0])
    seeded = {"kernel_initializer": keras.initializers.GlorotUniform(seed=5)}
    np.testing.assert_array_equal(drawn(**seeded)[0], drawn(**seeded)[0])
    # The two kernels have one shape here, and must not be one kernel.
    for options in ({}, {"kernel_initializer": keras.initializers.GlorotUniform()}):
        first, second = drawn(3, **options)
        assert np.any(first != second)


def test_initialisers_regularisers_and_constraints_reach_the_variables() -> None:
    layer = Involution(
        4, 2, 3,
        kernel_initializer=keras.initializers.Constant(2),
        bias_initializer="ones",
        kernel_regularizer=keras.regularizers.L1(0.5),
        bias_regularizer=keras.regularizers.L1(1.0),
        kernel_constraint="non_neg",
        bias_constraint="unit_norm",
    )  # fmt: skip
    layer.build((None, None, None, 6))
    parameters = layer.get_parameters()
    assert np.all(parameters["reduce_kernel"] == 2)
    assert np.all(parameters["expand_kernel"] == 2)
    assert np.all(parameters["reduce_bias"] == 1)
    assert np.all(parameters["expand_bias"] == 1)
    assert [float(loss) for loss in layer.losses] == [24.0, 4.0, 72.0, 18.0]
    for convolution in (layer.reduce, layer.expand):
        assert isinstance(convolution.kernel.constraint, keras.constraints.NonNeg)
        assert isinstance(convolution.bias.constraint, keras.constraints.UnitNorm)


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_sums_are_wide_in_half_precision(policy: str) -> None:
    # What a first weight below -1 gives is cut off by the ReLU.
    positive = tf.keras.initializers.RandomUniform(0.1, 1.0)
    layer = Involution(
        1, 1, 1, normalise=False, dtype=policy,
        bias_initializer="ones", kernel_initializer=positive,
    )  # fmt: skip
    x = np.ones((1, 64, 64, 1))
    with tf.GradientTape() as tape:
        kernel = layer(x)[1]
    # A sum of ones in float16 stops at 2048, in bfloat16 at 256.
    variables = [layer.reduce.bias.value, layer.expand.bias.value, layer.expand.kernel.value]
    gradients = tape.gradient(kernel, variables, output_gradients=tf.ones_like(kernel))
    # As arrays of the compute dtype: hidden is rounded to it, and so are kernels and gradients.
    narrow = kernel.dtype.as_numpy_dtype
    first, second = (p.astype(narrow) for p in kernels(layer))
    hidden = (first.astype(np.float32) + 1).astype(narrow)
    due = [4096 * second.astype(np.float32), 4096, 4096 * hidden.astype(np.float32)]
    for gradient, expected in zip(gradients, due, strict=True):
        np.testing.assert_array_equal(np.ravel(gradient).astype(np.float32), np.ravel(expected))


def kernels(layer: Any) -> list[Array]:
    return [p for name, p in layer.get_parameters().items() if name.endswith("kernel")]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("pooling", ["same", "valid"])
def test_pooling_sums_wide_in_half_precision(dtype: str, pooling: str) -> None:
    layer = Involution(1, 1, 1, stride=64, pooling=pooling, dtype=dtype)
    layer.build((None, None, None, 1))
    np.testing.assert_array_equal(layer.generator.pool(np.full((1, 64, 64, 1), 3.0)), [[[[3]]]])
