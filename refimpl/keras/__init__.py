"""Involution for Keras 3: the operator as a function, the layer, and networks of it.

For training and for use. It is no reference: it shares no code with `refimpl.involution`, which
judges it. Nothing outside this package imports Keras.
"""

try:
    import keras as _keras  # noqa: F401
except ImportError as error:  # Keras is missing, or the backend that it is set to.
    raise ImportError(
        'refimpl.keras needs Keras and a backend for it: pip install "refimpl[tensorflow]"'
    ) from error

from refimpl.keras.layer import Involution
from refimpl.keras.models import convolutional_classifier, involutional_classifier
from refimpl.keras.operator import involution
from refimpl.keras.rednet import rednet_classifier

__all__ = [
    "Involution",
    "convolutional_classifier",
    "involution",
    "involutional_classifier",
    "rednet_classifier",
]
