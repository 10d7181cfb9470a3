"""The published classifiers: their counts, layer for layer, and images of other sizes."""

from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="TensorFlow and Keras are not installed")

from refimpl.keras import convolutional_classifier, involutional_classifier  # noqa: E402

Model = Any
BOTH = pytest.mark.parametrize("build", [convolutional_classifier, involutional_classifier])


def counts(model: Model) -> dict[str, int]:
    """Parameters of the layers that have some."""
    return {layer.name: layer.count_params() for layer in model.layers if layer.count_params()}


def kinds(model: Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def entries(variables: list[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def test_convolution_has_the_published_counts() -> None:
    model = convolutional_classifier()
    published = {
        "conv_1": 896,
        "conv_2": 18_496,
        "conv_3": 36_928,
        "dense": 262_208,
        "logits": 650,
    }
    assert counts(model) == published
    assert model.count_params() == entries(model.trainable_variables) == 319_178


def test_involution_has_the_published_counts() -> None:
    model = involutional_classifier()
    published = {"inv_1": 26, "inv_2": 26, "inv_3": 26, "dense": 12_352, "logits": 650}
    assert counts(model) == published
    assert model.count_params() == 13_080
    assert entries(model.trainable_variables) == 13_074
    assert entries(model.non_trainable_variables) == 6


@pytest.mark.parametrize(
    ("build", "mix"),
    [(convolutional_classifier, "Conv2D"), (involutional_classifier, "Involution")],
)
def test_layers_and_shapes_are_the_published_ones(build: Any, mix: str) -> None:
    model = build()
    stage = [mix, "ReLU", "MaxPooling2D"]
    assert kinds(model) == ["InputLayer", *stage, *stage, mix, "ReLU", "Flatten", "Dense", "Dense"]
    sizes = [model.get_layer(f"relu_{number}").output.shape[1:3] for number in (1, 2, 3)]
    assert sizes == [(32, 32), (16, 16), (8, 8)]
    assert model.get_layer("flatten").output.shape[1] == (4096 if mix == "Conv2D" else 192)


@BOTH
@pytest.mark.parametrize(("shape", "classes"), [((8, 8, 1), 10), ((9, 13, 4), 2), ((4, 4, 3), 1)])
def test_any_size_and_any_number_of_classes(
    build: Any, shape: tuple[int, ...], classes: int
) -> None:
    logits = build(shape, classes)(np.ones((2, *shape), "float32"))
    assert tuple(logits.shape) == (2, classes)


@BOTH
def test_logits_are_not_squashed(build: Any) -> None:
    assert build().get_layer("logits").activation is keras.activations.linear


@BOTH
def test_a_saved_model_answers_alike(build: Any, tmp_path: Any) -> None:
    model = build((8, 8, 3), 4)
    images = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(images), model(images))


@BOTH
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (32, 32)}, r"input_shape must be \(height, width, channels\), got"),
        ({"input_shape": (None, 32, 3)}, "height of input_shape must be a positive integer"),
        ({"input_shape": (32, 3, 3)}, "height and width of at least 4"),
        ({"classes": 0}, "classes must be a positive integer, got 0"),
    ],
)
def test_arguments_are_checked(build: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**arguments)
