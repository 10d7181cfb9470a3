"""Layers with one planted fault each."""

from collections.abc import Mapping

from conformance.implementations.layer.numpy_layer import NumpyLayer
from conformance.mutants import planted
from conformance.mutants.layer import generator, gradients, history, rare, state, statistics

MUTANTS: Mapping[str, type[NumpyLayer]] = planted(
    generator, statistics, gradients, state, history, rare
)


def __getattr__(name: str) -> type[NumpyLayer]:
    if name in MUTANTS:
        return MUTANTS[name]
    raise AttributeError(name)
