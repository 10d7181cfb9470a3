"""Operators with one planted fault each: what the suite must reject and the diagnosis must name.

Each is a class that overrides one step of `conformance.implementations.numpy_unfold.Unfold`; the
first line of its docstring is what a diagnosis says. To add one, write the class in the module that
it belongs to. Judge one with ``--implementation=conformance.mutants:NAME``.
"""

from collections.abc import Mapping
from types import ModuleType

from conformance.implementations.numpy_unfold import Unfold
from conformance.mutants import (
    arithmetic,
    blocks,
    conventions,
    gradients,
    padding,
    state,
    taps,
)


def _planted(module: ModuleType) -> dict[str, type[Unfold]]:
    return {
        name: item
        for name, item in vars(module).items()
        if isinstance(item, type) and item.__module__ == module.__name__ and name[0] != "_"
    }


# What implementations disagree on: usual enough that two are met at once.
CONVENTIONS: Mapping[str, type[Unfold]] = {**_planted(padding), **_planted(conventions)}

MUTANTS: Mapping[str, type[Unfold]] = {
    name: mutant
    for module in (padding, conventions, taps, gradients, blocks, arithmetic, state)
    for name, mutant in _planted(module).items()
}


def __getattr__(name: str) -> type[Unfold]:
    if name in MUTANTS:
        return MUTANTS[name]
    raise AttributeError(name)


def words(mutant: type[object]) -> str:
    """Say the fault of a mutant in one line."""
    assert mutant.__doc__ is not None, mutant
    return mutant.__doc__.partition("\n")[0].rstrip(".")
