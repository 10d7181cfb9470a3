"""What configurations and saved models hold: written down, so that old ones stay readable."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="the Keras layer runs on TensorFlow here")
keras = pytest.importorskip("keras", reason="the Keras layer needs Keras")

from refimpl.keras import Involution  # noqa: E402
from refimpl.keras.generator import (  # noqa: E402
    GeneratorKeywords,
    GeneratorOptions,
    KernelGenerator,
)

Config = dict[str, Any]
OF_EVERY_LAYER = {"dtype", "trainable", "activity_regularizer", "autocast"}
GENERATION: Config = {
    "pooling": "valid",
    "reduce_bias": False,
    "expand_bias": True,
    "normalise": True,
    "epsilon": 0.5,
    "momentum": 1.0,
    "unbiased_moving_variance": True,
    "kernel_initializer": {
        "module": "keras.initializers",
        "class_name": "Constant",
        "config": {"value": 2.0},
        "registered_name": None,
    },
    "bias_initializer": {
        "module": "keras.initializers",
        "class_name": "Zeros",
        "config": {},
        "registered_name": None,
    },
    "kernel_regularizer": None,
    "bias_regularizer": None,
    "kernel_constraint": {
        "module": "keras.constraints",
        "class_name": "NonNeg",
        "config": {},
        "registered_name": None,
    },
    "bias_constraint": None,
}
OWN: Config = {
    "name": "inv",
    "trainable": True,
    "dtype": "float32",
    "channel": 8,
    "group_number": 2,
    "kernel_size": 3,
    "stride": [2, 1],
    "reduction_ratio": 4,
    "dilation": 1,
    "padding": [[1, 1], [2, 0]],
    "group_layout": "blocked",
    "kernel_order": "group_major",
    "return_kernel": False,
    "data_format": "channels_first",
}
GENERATOR: Config = {
    "module": "refimpl.keras.generator",
    "class_name": "KernelGenerator",
    "config": {
        "name": "mine",
        "trainable": True,
        "dtype": "float32",
        "entries": 18,
        "hidden": 5,
        "stride": [2, 1],
        **GENERATION,
    },
    "registered_name": "refimpl>KernelGenerator",
}


def as_kept(value: Any) -> Any:
    """A configuration as JSON keeps it, without the dtype, which each Keras writes in its way."""
    written = json.loads(json.dumps(value))
    return {name: part for name, part in written.items() if name != "dtype"}


@pytest.mark.parametrize(
    "config",
    [OWN | GENERATION | {"kernel_generator": None}, OWN | {"kernel_generator": GENERATOR}],
    ids=["default generator", "a generator that is given"],
)
def test_a_configuration_that_was_written_down_is_read_and_written_again(config: Config) -> None:
    layer = Involution.from_config(config)
    written = layer.get_config()
    given, kept = config["kernel_generator"], written["kernel_generator"]
    if given is not None:
        assert as_kept(kept["config"]) == as_kept(given["config"])
        assert kept["registered_name"] == given["registered_name"]
        written = written | {"kernel_generator": given}
    assert as_kept(written) == as_kept(config)
    options = layer.generator.options
    assert isinstance(options.kernel_initializer, keras.initializers.Constant)
    assert isinstance(layer.reduce.options.kernel_constraint, keras.constraints.NonNeg)


def test_where_a_saved_model_keeps_the_weights(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="Keras saves weights with h5py")
    inputs = keras.Input((8, 8, 4))
    keras.Model(inputs, Involution(4, 2, 3, name="inv")(inputs)).save(tmp_path / "model.keras")
    found: set[str] = set()
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        file.visititems(lambda name, one: found.add(name) if hasattr(one, "shape") else None)
    assert {"/".join(name.split("/")[-3:]) for name in found} == {
        *(f"reduce/vars/{number}" for number in range(2)),
        *(f"normalise/vars/{number}" for number in range(4)),
        *(f"expand/vars/{number}" for number in range(2)),
    }


@pytest.mark.parametrize("name", ["pool", "reduce", "normalise", "activate", "expand"])
def test_a_sublayer_can_be_part_of_a_model_that_is_saved(name: str) -> None:
    options = {name: value for name, value in GENERATION.items() if value is not None}
    sublayer = getattr(KernelGenerator(18, 5, stride=2, **options), name)
    copy = keras.layers.deserialize(keras.layers.serialize(sublayer))
    assert type(copy) is type(sublayer)
    assert copy.get_config() == sublayer.get_config()


def test_every_option_is_a_keyword_and_is_documented() -> None:
    options = {field.name for field in dataclasses.fields(GeneratorOptions)}
    assert options == set(GENERATION)
    assert set(GeneratorKeywords.__annotations__) == options | OF_EVERY_LAYER
    others = str(Involution.__doc__).partition("Other Parameters")[2].partition("Raises")[0]
    assert all(option in others for option in options)


def test_options_of_a_generator_stay_as_they_were_checked() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        GeneratorOptions().epsilon = -1.0  # type: ignore[misc]
