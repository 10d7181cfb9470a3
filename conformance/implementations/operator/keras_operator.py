"""Adapter to `refimpl.keras.involution` on TensorFlow; it claims everything."""

from conformance.implementations._tensorflow import TensorFlowAdapter
from refimpl.keras import involution

eager, graph, xla = (TensorFlowAdapter(involution, mode) for mode in ("eager", "graph", "xla"))
