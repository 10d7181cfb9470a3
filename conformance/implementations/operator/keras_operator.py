"""Adapter to `refimpl.keras.involution` on TensorFlow; it claims all that its mode can do."""

from conformance import adapt
from refimpl.keras import involution

# Under XLA, where sizes are open, the gradient of a slice is XlaDynamicUpdateSlice, of which
# TensorFlow (2.21) has no gradient: forward mode and second derivatives raise. With sizes that are
# known when it is traced (`open_sizes=False`) both are right.
NEITHER = {"jvp": False, "double_backward": False}

eager, graph = (adapt.tensorflow(involution, mode) for mode in ("eager", "graph"))
xla = adapt.tensorflow(involution, "xla", capabilities=NEITHER)
