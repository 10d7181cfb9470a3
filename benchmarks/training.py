"""One step of training with our layer and with the published one in its place, in turn.

Adam on random images and labels, by `train_on_batch`: that is what a user waits for. How well a
network learns is not asked here. Meant for a process of its own (`children`).
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.interleaved import in_turn
from benchmarks.memory import of_tensorflow
from benchmarks.operators import fewer

# Images a step and pixels a side.
MODELS = {"classifier": (256, 32), "rednet-26": (32, 64)}
MODES = {"graph": False, "xla": True}
LAYERS = ("ours", "published")


def measure(model: str, mode: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Time a step, and give the peak of memory and the first step's time, for both layers.

    Parameters
    ----------
    model : str
        "classifier", the involutional network of the Keras example, at 256 images of 32 x 32 a
        step; or "rednet-26", at 32 images of 64 x 64.
    mode : str
        "graph" or "xla".
    rounds : int
        How often a step is timed.
    seconds : float
        What all rounds may take, if there are at least three.

    Returns
    -------
    dict
        "times", "peaks", "first" and "failed", by layer.
    """
    steps: dict[str, Callable[[], Any]] = {}
    result: dict[str, dict[str, Any]] = {"peaks": {}, "first": {}, "failed": {}}
    for layer in LAYERS:
        try:
            step = stepping(model, layer, xla=MODES[mode])
            start, busy = time.perf_counter(), time.process_time()
            step()
            took = [time.perf_counter() - start, time.process_time() - busy]
            result["first"][layer] = took
            # A step returns nothing: what it holds besides the model counts, gradients too.
            result["peaks"][layer] = of_tensorflow(step)
        except Exception as error:  # whatever a compiler may raise: the other layer is timed
            words = str(error).partition("\n")[0]
            result["failed"][layer] = f"{type(error).__name__}: {words}"
            continue
        steps[layer] = step
    return {**result, "times": in_turn(steps, fewer(steps, rounds, seconds))}


def stepping(model: str, layer: str, *, xla: bool) -> Callable[[], tuple[()]]:
    """Build a model, and give a call that trains it for one step."""
    import keras

    from benchmarks.published_layer import in_place

    batch, side = MODELS[model]
    random = np.random.default_rng(2021)
    images = (random.integers(0, 256, (batch, side, side, 3)) / 255).astype("float32")
    labels = random.integers(0, 10, batch)
    keras.utils.set_random_seed(2021)
    network = built(model)
    if layer == "published":
        network = in_place(network)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(), loss, jit_compile=xla)

    def step() -> tuple[()]:
        network.train_on_batch(images, labels)
        return ()

    return step


def built(model: str) -> Any:
    """Build a model with our layer."""
    from refimpl.keras import involutional_classifier, rednet_classifier

    side = MODELS[model][1]
    if model == "classifier":
        return involutional_classifier((side, side, 3))
    return rednet_classifier(26, (side, side, 3), classes=10)
