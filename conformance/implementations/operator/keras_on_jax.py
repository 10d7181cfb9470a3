"""Adapter to `refimpl.keras.involution` on JAX; it claims everything.

Keras has one backend in a process. In this one it is JAX, unless Keras was imported before.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras

from conformance import adapt
from refimpl.keras import involution

if keras.backend.backend() != "jax":
    raise RuntimeError(f"Keras was imported before, on {keras.backend.backend()}")

jit = adapt.jax(involution, jit=True)
forward, backward, capabilities = jit.forward, jit.backward, jit.capabilities
jvp, double_backward = jit.jvp, jit.double_backward
environment = f"Keras {keras.__version__} on {jit.environment}"
