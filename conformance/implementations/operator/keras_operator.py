"""Adapter to `refimpl.keras.involution` on TensorFlow; it claims everything."""

from conformance import adapt
from refimpl.keras import involution

eager, graph, xla = (adapt.tensorflow(involution, mode) for mode in ("eager", "graph", "xla"))
