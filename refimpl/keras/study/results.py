"""Everything that a study has found, as plain data: what ``study.json`` holds.

All of it is the same for the same seed, data, options, machine and versions, but for `durations`.
"""

import importlib.metadata
import platform
from typing import Any

import keras
import numpy as np

from refimpl.keras.study.data import Data
from refimpl.keras.study.training import SHUFFLE_BUFFER, Recipe, scaled
from refimpl.keras.study.verdict import Verdict, involutions

# Validation accuracy after 20 epochs on the whole of CIFAR-10, in the two published runs.
PUBLISHED = {"convolution": [0.7184, 0.7304], "involution": [0.4418, 0.4719]}
PUBLISHED_RECIPE = {"epochs": 20, "batch_size": 256}


def collect(
    data: Data,
    recipe: Recipe,
    limit: int | None,
    trained: dict[str, tuple[Any, dict[str, list[float]]]],
    sums: dict[str, Any],
    verdict: Verdict | None,
) -> dict[str, Any]:
    """Put the results together.

    Parameters
    ----------
    data : Data
        The images that were used.
    recipe : Recipe
        How the networks were trained.
    limit : int or None
        How many images were used of each part, where not all.
    trained : dict of (keras.Model, dict)
        Each network with its history.
    sums : dict of ndarray
        The kernel sums of each layer, as in the picture.
    verdict : dict or None
        What the judge said.

    Returns
    -------
    dict
        Ready for JSON.
    """
    seconds = {name: sum(history["seconds"]) for name, (_, history) in trained.items()}
    return {
        "data": _described(data, limit),
        "recipe": {
            "epochs": recipe.epochs,
            "batch_size": recipe.batch_size,
            "seed": recipe.seed,
            "shuffle_buffer": SHUFFLE_BUFFER,
            "optimizer": "Adam",
            "loss": "sparse categorical cross-entropy from logits",
            "pixels": "0 to 1",
        },
        "networks": {
            name: _network(model, history, data) for name, (model, history) in trained.items()
        },
        "published": PUBLISHED if _comparable(data, recipe, limit) else None,
        "kernel_sums": {
            name: {"least": float(maps.min()), "greatest": float(maps.max())}
            for name, maps in sums.items()
        },
        "verdict": verdict,
        "versions": versions(),
        "durations": seconds | {"training": sum(seconds.values())},
    }


def kernel_sums(model: Any, images: Any) -> dict[str, Any]:
    """Sum the entries of each pixel's generated kernel, for each involution layer.

    Parameters
    ----------
    model : keras.Model
        The involutional network.
    images : ndarray of uint8, shape (N, H, W, C)
        Inputs.

    Returns
    -------
    dict of ndarray, shape (N, Ho, Wo)
        By the layers' names. Groups, where there are several, are summed too.
    """
    layers = involutions(model)
    kernels = keras.Model(model.input, [layer.output[1] for layer in layers])(
        scaled(images), training=False
    )
    return {
        layer.name: np.asarray(kernel).sum(axis=(-3, -2, -1))
        for layer, kernel in zip(layers, kernels, strict=True)
    }


def versions() -> dict[str, str]:
    """Return the version of everything that computes."""
    found = {"python": platform.python_version(), "backend": keras.backend.backend()}
    for name in ("refimpl", "keras", keras.backend.backend(), "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout, not installed
            found[name] = "not installed"
    return found


def _described(data: Data, limit: int | None) -> dict[str, Any]:
    return {
        "name": data.name,
        "label": data.label,
        "source": data.source,
        "class_names": list(data.class_names),
        "image_shape": list(data.shape),
        "training_images": len(data.images),
        "validation_images": len(data.validation_images),
        "limit": limit,
        "sha256": data.digest(),
    }


def _network(model: Any, history: dict[str, list[float]], data: Data) -> dict[str, Any]:
    """Describe one network; the seconds are kept with the durations."""
    measures = {name: values for name, values in history.items() if name != "seconds"}
    return {
        "parameters": model.count_params(),
        "trainable": _entries(model.trainable_variables),
        "not_trainable": _entries(model.non_trainable_variables),
        "layers": [
            {
                "name": layer.name,
                "kind": type(layer).__name__,
                "output": _output(layer),
                "parameters": layer.count_params(),
            }
            for layer in model.layers
        ],
        "history": measures,
        "final": {name: values[-1] for name, values in measures.items()},
        "chance": 1 / len(data.class_names),
    }


def _entries(variables: list[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def _output(layer: Any) -> list[int]:
    """Shape of a layer's output without the batch; of an involution's image, not its kernel."""
    output = layer.output[0] if isinstance(layer.output, list | tuple) else layer.output
    return [int(size) for size in output.shape[1:]]


def _comparable(data: Data, recipe: Recipe, limit: int | None) -> bool:
    """Tell whether this is what was published: another study is not set beside those figures."""
    same = {"epochs": recipe.epochs, "batch_size": recipe.batch_size} == PUBLISHED_RECIPE
    return data.name == "cifar10" and limit is None and same
