"""``python -m tests.surveys.training``.

the same training steps twice, with and without the reference.

One involutional network is trained by Keras. Its twin has the same layers, weights and batches, but
each involution's output and gradients are those of `refimpl.layer`. Both compute in float64. With
the step w - rate * g(w) the distance of the weights after a step is at most

    |1 - rate * H| * distance + rate * e + u * (|w| + 2 * rate * |g|) for each of the two,

H being the Hessian of the loss, |1 - rate * H| its largest eigenvalue in size (Lanczos, to machine
precision), and e the distance of the two gradients at the same weights, measured; what e is made of
is held to LAY-16 in every step: each involution's results, at the weights and images of that step.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from conformance.bounds.layer import allowed
from conformance.claims.capabilities import LayerCapabilities
from conformance.implementations.layer import keras_layer
from refimpl import layer as reference
from refimpl.keras import Involution, involutional_classifier

RATE = 0.05
BATCH = 16
FLOAT64 = LayerCapabilities().arithmetic("float64")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Step(NamedTuple):
    """What one step leaves behind.

    `worst` is the largest error of an involution's result as a fraction of its LAY-16 bound.
    """

    loss: float
    twin_loss: float
    distance: float
    bound: float
    growth: float
    worst: float


def images() -> tuple[Any, Any]:
    """Hand-written digits of 8x8 pixels, in three channels of different brightness."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = digits.images[..., None] / 16
    return np.concatenate([grey, grey / 2, 1 - grey], -1), digits.target


def network() -> Any:
    """The published involutional network for such images, in float64."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        keras.utils.set_random_seed(1)
        return involutional_classifier((8, 8, 3))
    finally:
        keras.config.set_dtype_policy(before)


def configuration(layer: Any) -> reference.Config:
    return reference.keras_example(layer.channel, layer.group_number, layer.kernel_size, 1, 2)


class Referenced:
    """An involution of the twin: its variables those of Keras, its numbers the reference's."""

    def __init__(self, layer: Any) -> None:
        self.layer, self.config, self.worst = layer, configuration(layer), 0.0

    def __call__(self, x: Any) -> Any:
        """Answer as in training; the moving statistics move too."""
        given = self.layer.get_parameters()
        variables = named(self.layer)
        done = reference.forward(x.numpy(), given, self.config, training=True)
        self.layer.set_parameters(given | done.moving)

        @tf.custom_gradient
        def answer(x: Any, *_: Any) -> tuple[Any, Callable[..., Any]]:
            def back(dy: Any) -> tuple[Any, ...]:
                operands = dy.numpy(), x.numpy()
                dx, found = reference.backward(*operands, given, self.config, training=True)
                self.judge(*operands, given, {"y": done.y, "dx": dx} | found)
                shaped = (found[name].reshape(one.shape) for name, one in variables.items())
                return tf.constant(dx), *map(tf.constant, shaped)

            return tf.constant(done.y), back

        return answer(x, *variables.values())

    def judge(self, dy: Any, x: Any, given: dict[str, Any], due: dict[str, Any]) -> None:
        """Hold the Keras layer to the reference here, within LAY-16."""
        judged = keras_layer.eager
        y, _, _ = judged.forward(x, given, self.config, training=True)
        dx, found = judged.backward(dy, x, given, self.config, training=True)
        limits = allowed(FLOAT64, {"x": x, "dy": dy} | given, self.config, training=True)
        limits |= {name: limits[f"d{name}"] for name in found}
        for name, got in ({"y": y, "dx": dx} | found).items():
            error, limit = np.abs(got - due[name]), limits[name]
            share = np.divide(error, limit, out=np.where(error > 0, np.inf, 0), where=limit > 0)
            self.worst = max(self.worst, float(share.max()))


def named(layer: Any) -> dict[str, Any]:
    """Trainable variables by the names of LAY-1."""
    parts = layer.reduce, layer.normalise, layer.expand
    words = (("reduce", "kernel bias"), ("", "gamma beta"), ("expand", "kernel bias"))
    return {
        f"{word}_{name}".lstrip("_"): getattr(part, name).value
        for part, (word, names) in zip(parts, words, strict=True)
        for name in names.split()
    }


def variables(model: Any) -> list[Any]:
    return [variable.value for variable in model.trainable_variables]


def gradients(model: Any, x: Any, labels: Any) -> tuple[Any, list[Any]]:
    """Loss and gradients of the network as Keras computes them."""
    with tf.GradientTape() as tape:
        loss = LOSS(labels, model(x, training=True))
    return loss, tape.gradient(loss, variables(model))


def twin_gradients(
    model: Any, involutions: dict[str, Referenced], x: Any, labels: Any
) -> tuple[Any, list[Any]]:
    """Loss and gradients of the network with the reference in place of its involutions."""
    with tf.GradientTape() as tape:
        for layer in model.layers[1:]:
            x = involutions[layer.name](x) if layer.name in involutions else layer(x)
        loss = LOSS(labels, x)
    return loss, tape.gradient(loss, variables(model))


def flat(arrays: list[Any]) -> Any:
    return np.concatenate([np.asarray(array).ravel() for array in arrays])


def curvature(model: Any) -> Callable[..., float]:
    """Give the function that finds the largest eigenvalue of 1 - rate * H in size."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    sizes = [variable.shape for variable in variables(model)]
    ends = np.cumsum([int(np.prod(size)) for size in sizes])

    @tf.function
    def product(x: Any, labels: Any, directions: list[Any]) -> list[Any]:
        with tf.GradientTape() as outer:
            _, found = gradients(model, x, labels)
            pairs = zip(found, directions, strict=True)
            along = tf.add_n([tf.reduce_sum(g * d) for g, d in pairs])
        unread = tf.UnconnectedGradients.ZERO
        return outer.gradient(along, variables(model), unconnected_gradients=unread)

    def growth(x: Any, labels: Any) -> float:
        def step(vector: Any) -> Any:
            parts = zip(np.split(vector.ravel(), ends[:-1]), sizes, strict=True)
            directions = [tf.constant(part.reshape(size)) for part, size in parts]
            return vector.ravel() - RATE * flat(product(x, labels, directions))

        n = int(ends[-1])
        start = np.random.default_rng(0).standard_normal(n)
        operator = LinearOperator((n, n), matvec=step, dtype=np.float64)
        values = eigsh(operator, k=1, which="LM", v0=start, return_eigenvectors=False)
        return float(np.abs(values).max())

    return growth


def train(steps: int) -> list[Step]:
    """Train both networks and follow their distance."""
    model, twin = network(), network()
    twin.set_weights(model.get_weights())
    involutions = {one.name: Referenced(one) for one in twin.layers if isinstance(one, Involution)}
    pixels, classes = images()
    unit, bound, found = 2.0**-53, 0.0, []
    growth = curvature(model)
    for number in range(steps):
        chosen = np.arange(number * BATCH, (number + 1) * BATCH) % len(pixels)
        x, labels = tf.constant(pixels[chosen]), tf.constant(classes[chosen])
        rate = growth(x, labels)
        own, twins = flat(variables(model)), flat(variables(twin))
        # Where the gradients are compared the weights are those of Keras.
        for variable, value in zip(variables(twin), variables(model), strict=True):
            variable.assign(value)
        _, there = twin_gradients(twin, involutions, x, labels)
        put(twin, twins)
        twin_loss, twin_step = twin_gradients(twin, involutions, x, labels)
        loss, step = gradients(model, x, labels)
        apart = float(np.linalg.norm(flat(step) - flat(there)))
        size = np.linalg.norm(own) + 2 * RATE * np.linalg.norm(flat(step))
        bound = rate * bound + RATE * apart + 2 * unit * float(size)
        put(model, own - RATE * flat(step))
        put(twin, twins - RATE * flat(twin_step))
        distance = float(np.linalg.norm(flat(variables(model)) - flat(variables(twin))))
        worst = max(one.worst for one in involutions.values())
        found.append(Step(float(loss), float(twin_loss), distance, bound, rate, worst))
    return found


def put(model: Any, vector: Any) -> None:
    """Set all trainable variables."""
    start = 0
    for variable in variables(model):
        size = int(np.prod(variable.shape))
        variable.assign(vector[start : start + size].reshape(variable.shape))
        start += size


def draw(steps: list[Step], path: Path) -> None:
    """Draw both losses, and the distance beside its bound."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, distances = figure.subplots(1, 2)
    losses.plot([one.loss for one in steps], lw=3, alpha=0.5, label="Keras")
    losses.plot(
        [one.twin_loss for one in steps], "k--", lw=1, label="with the reference's gradients"
    )
    losses.set(xlabel="step", ylabel="loss")
    losses.legend()
    distances.semilogy([one.bound for one in steps], label="bound")
    distances.semilogy([one.distance for one in steps], label="distance of the weights")
    distances.set(xlabel="step")
    distances.legend()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Train, draw, and write the figures beside the drawing."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.training", description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--output", type=Path, default=Path("docs/training.svg"))
    options = parser.parse_args()
    steps = train(options.steps)
    draw(steps, options.output)
    last = steps[-1]
    print(json.dumps(last._asdict() | {"held": all(s.distance <= s.bound for s in steps)}))


if __name__ == "__main__":
    main()
