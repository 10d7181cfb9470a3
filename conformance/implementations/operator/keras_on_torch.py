"""Adapter to `refimpl.keras.involution` on PyTorch; it claims everything.

Keras has one backend in a process. In this one it is PyTorch, unless Keras was imported before.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras

from conformance import adapt
from refimpl.keras import involution

if keras.backend.backend() != "torch":
    raise RuntimeError(f"Keras was imported before, on {keras.backend.backend()}")

eager = adapt.torch(involution, order="K")
forward, backward, capabilities = eager.forward, eager.backward, eager.capabilities
jvp, double_backward = eager.jvp, eager.double_backward
environment = f"Keras {keras.__version__} on {eager.environment}"
