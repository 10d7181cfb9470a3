"""A training step under tf.distribute.MirroredStrategy on two virtual CPU devices; run alone.

The output alone is asked of the layer, with weights and images that make every sum exact, so that
two replicas and one device must agree bit for bit.
"""

import keras
import numpy as np
import tensorflow as tf

from refimpl.keras import Involution


def trained(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Return the weights after one step of gradient descent."""
    with strategy.scope():
        inputs = keras.Input((4, 4, 2))
        layer = Involution(2, 1, 3, return_kernel=False, momentum=0.5, trainable=True)
        model = keras.Model(inputs, layer(inputs))
        rng = np.random.default_rng(0)
        model.set_weights([rng.integers(-2, 3, w.shape) for w in model.get_weights()])
        # Inference behaviour makes the statistics constants; they are tested apart.
        layer.normalise.trainable = False
        ones = np.ones(2) - np.float32(1e-3)
        layer.set_parameters(layer.get_parameters() | {"moving_variance": ones})
        model.compile(keras.optimizers.SGD(0.5), "mse")
    x = rng.integers(-2, 3, (4, 4, 4, 2)).astype("float32")
    model.fit(tf.data.Dataset.from_tensor_slices((x, x)).batch(4), verbose=0, shuffle=False)
    return model.get_weights()


def statistics(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Return the moving statistics after a training call on every replica."""
    with strategy.scope():
        model = keras.Sequential([keras.Input((4, 4, 2)), Involution(2, 1, 3, return_kernel=False)])
        model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(4, 4, 4, 2)).astype("float32")
    model.fit(tf.data.Dataset.from_tensor_slices((x, x)).batch(4), verbose=0, shuffle=False)
    return model.layers[0].non_trainable_weights


def dense(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Return the weights of Keras's own simplest layer after one step."""
    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.set_weights([np.ones((2, 1)), np.zeros(1)])
        model.compile(keras.optimizers.SGD(0.5), "mse")
    x = np.arange(8, dtype="float32").reshape(4, 2)
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(4)
    model.fit(data, verbose=0, shuffle=False)
    return model.get_weights()


def main() -> None:
    """Compare two replicas with one device."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
    tf.config.set_logical_device_configuration(cpu, parts)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert mirrored.num_replicas_in_sync == 2
    single = tf.distribute.get_strategy()
    assert all(np.any(w.numpy() != 0) for w in statistics(mirrored))
    # Measured: Keras 3.5 does not divide the loss by the number of replicas, whatever the layer.
    if any(np.any(one != two) for one, two in zip(dense(single), dense(mirrored), strict=True)):
        print("unscaled")
        return
    for one, two in zip(trained(single), trained(mirrored), strict=True):
        np.testing.assert_array_equal(one, two)
    print("agree")


if __name__ == "__main__":
    main()
