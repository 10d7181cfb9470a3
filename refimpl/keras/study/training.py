"""Training as the published example does it, repeatable to the last bit and safe to interrupt.

Adam, sparse categorical cross-entropy from logits, pixels from 0 to 1, a shuffle buffer of 256.
What an epoch does depends on the seed, the epoch and the state before it, and on nothing else; so
an interrupted run that goes on ends with the figures of one that was never interrupted.
"""

import contextlib
import math
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from refimpl.keras.study import StudyError, checkpoint
from refimpl.keras.study.data import Array, Data

SHUFFLE_BUFFER = 256
MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Recipe:
    """What decides the outcome of a training, besides network and data.

    Attributes
    ----------
    epochs : int
        Passes over the training images.
    batch_size : int
        Images in a step.
    seed : int
        Decides the first weights and the order of the images in every epoch.
    """

    epochs: int = 20
    batch_size: int = 256
    seed: int = 42


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Images in a given order, scaled to 0..1 batch by batch: all of them would fill memory."""

    def __init__(
        self,
        images: Array,
        labels: Array,
        batch_size: int,
        order: npt.NDArray[np.intp] | None = None,
    ) -> None:
        super().__init__()
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.order = np.arange(len(images)) if order is None else order

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], Array]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return scaled(self.images[chosen]), self.labels[chosen]


def scaled(images: Array) -> npt.NDArray[np.float32]:
    """Bring pixels from 0..255 to 0..1."""
    return images.astype(np.float32) / np.float32(255)


def shuffled(count: int, seed: int, epoch: int) -> npt.NDArray[np.intp]:
    """Return the order of an epoch: always one of the next 256 images, drawn at random.

    This is what a shuffle buffer of that size gives; unlike one, it forgets nothing when a run is
    interrupted, since it is a function of its arguments.
    """
    generator = np.random.default_rng([seed, epoch])
    filled = min(SHUFFLE_BUFFER, count)
    buffer, order = np.arange(filled), np.empty(count, np.intp)
    draws = generator.integers(0, filled, size=count - filled)
    for place, (draw, incoming) in enumerate(zip(draws, range(filled, count), strict=True)):
        order[place] = buffer[draw]
        buffer[draw] = incoming
    order[count - filled :] = generator.permutation(buffer)
    return order


def make_deterministic() -> None:
    """Have the backend compute the same bits every time."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "torch":
        import torch

        torch.use_deterministic_algorithms(True)


def train(
    build: Any, data: Data, recipe: Recipe, path: Path, versions: dict[str, str]
) -> tuple[Any, dict[str, list[float]]]:
    """Train a network, going on from its checkpoint where there is one.

    Parameters
    ----------
    build : callable
        ``build(input_shape, classes)``, giving the network.
    data : Data
        Images.
    recipe : Recipe
        How to train.
    path : Path
        The checkpoint, written after every epoch.
    versions : dict
        Versions of what computes; other ones may give other bits.

    Returns
    -------
    model : keras.Model
        The trained network.
    history : dict of lists
        Each measure and the seconds, epoch by epoch.

    Raises
    ------
    StudyError
        A checkpoint of another study, of more epochs, or that cannot be read.
    """
    keras.utils.set_random_seed(recipe.seed)
    model = build(data.shape, len(data.class_names))
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    identity = {
        "network": model.name,
        "data": data.digest(),
        "seed": recipe.seed,
        "batch size": recipe.batch_size,
        "versions": versions,
    }
    history = _resumed(model, identity, recipe.epochs, path)
    done = len(history["loss"])
    print(f"\n{model.name}: {model.count_params():,} parameters, {_span(done, recipe.epochs)}")
    validation = Batches(data.validation_images, data.validation_labels, recipe.batch_size)
    for epoch in range(done, recipe.epochs):
        figures = _epoch(model, data, validation, recipe, epoch)
        for name, figure in figures.items():
            history[name].append(figure)
        checkpoint.save(path, model, {"identity": identity, "history": history})
    return model, history


class Interruptions(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends training at the next batch where an interruption got lost.

    Python drops a KeyboardInterrupt that is raised within a callback of its garbage collector, and
    JAX has such a callback: an interruption of a small study went unheard in this way. Python also
    prints a traceback of what it drops; here it is kept back, as nothing is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.came = False

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Take note of every interruption, and raise it as Python does."""
        self.came = False
        before, dropped = signal.signal(signal.SIGINT, self._note), sys.unraisablehook

        def silent(what: Any) -> None:
            if not (self.came and issubclass(what.exc_type, KeyboardInterrupt)):
                dropped(what)

        sys.unraisablehook = silent
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            sys.unraisablehook = dropped

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Raise what came and is still to be heard."""
        if self.came:
            raise KeyboardInterrupt

    on_test_batch_end = on_train_batch_end

    def _note(self, number: int, frame: Any) -> None:  # noqa: ARG002
        self.came = True
        raise KeyboardInterrupt


INTERRUPTIONS = Interruptions()


class _OneEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends each fit after one epoch, the bar still telling how many there are."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.model.stop_training = True


def _epoch(
    model: Any, data: Data, validation: Batches, recipe: Recipe, epoch: int
) -> dict[str, float]:
    """Train for one epoch and return its measures."""
    order = shuffled(len(data.images), recipe.seed, epoch)
    start = time.perf_counter()
    outcome = model.fit(
        Batches(data.images, data.labels, recipe.batch_size, order),
        validation_data=validation,
        initial_epoch=epoch,
        epochs=recipe.epochs,
        callbacks=[_OneEpoch(), INTERRUPTIONS],
        shuffle=False,  # the order is given
        verbose=1 if sys.stdout.isatty() else 2,
    )
    figures = {name: float(outcome.history[name][0]) for name in MEASURES}
    return figures | {"seconds": time.perf_counter() - start}


def _resumed(
    model: Any, identity: dict[str, Any], epochs: int, path: Path
) -> dict[str, list[float]]:
    """Restore the model from its checkpoint and return the history so far."""
    record = checkpoint.record_of(path)
    if record is None:
        return {name: [] for name in (*MEASURES, "seconds")}
    other = [name for name, value in identity.items() if record["identity"].get(name) != value]
    if other:
        raise StudyError(
            f"{path} is of a study with other {', '.join(other)}.\n"
            "Give another --out, the options of that study, or --fresh to start anew."
        )
    history: dict[str, list[float]] = record["history"]
    if len(history["loss"]) > epochs:
        raise StudyError(
            f"{path} has {len(history['loss'])} epochs already, more than --epochs {epochs}.\n"
            "Give another --out, at least as many epochs, or --fresh to start anew."
        )
    checkpoint.restore(path, model)
    return history


def _span(done: int, epochs: int) -> str:
    if done == epochs:
        return f"all {epochs} epochs done before"
    return f"epochs {done + 1} to {epochs}" + (", going on where it was left" if done else "")
