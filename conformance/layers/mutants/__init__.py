"""Layers with one planted fault each: what the suite must reject and the diagnosis must name.

Each is a class that overrides one step of `conformance.implementations.numpy_layer.NumpyLayer`; the
first line of its docstring is what a diagnosis says. To add one, write the class in the module that
it belongs to. Judge one with ``--layer=conformance.layers.mutants:NAME``.
"""

from collections.abc import Mapping

from conformance.implementations.numpy_layer import NumpyLayer
from conformance.layers.mutants import generator, gradients, state, statistics

LAYER_MUTANTS: Mapping[str, type[NumpyLayer]] = {
    name: item
    for module in (generator, statistics, gradients, state)
    for name, item in vars(module).items()
    if isinstance(item, type) and item.__module__ == module.__name__ and name[0] != "_"
}


def __getattr__(name: str) -> type[NumpyLayer]:
    if name in LAYER_MUTANTS:
        return LAYER_MUTANTS[name]
    raise AttributeError(name)
