"""Implementations with one planted fault each: what the suite must reject and the diagnosis name.

An operator is judged with ``--implementation=conformance.mutants:NAME``, a layer with
``--layer=conformance.mutants.layer:NAME``. To add one, write a class in the module of
`conformance.mutants.operator` or `conformance.mutants.layer` that it belongs to: it overrides one
step of the NumPy implementation, and the first line of its docstring is what a diagnosis says.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any


def planted(*modules: ModuleType) -> Mapping[str, type[Any]]:
    """Give the classes that some modules define, by name."""
    return {
        name: item
        for module in modules
        for name, item in vars(module).items()
        if isinstance(item, type) and item.__module__ == module.__name__ and name[0] != "_"
    }


def words(mutant: type[object]) -> str:
    """Say the fault of a mutant in one line."""
    assert mutant.__doc__ is not None, mutant
    return mutant.__doc__.partition("\n")[0].rstrip(".")


def __getattr__(name: str) -> type[Any]:
    from conformance.mutants.operator import MUTANTS, SECOND

    if name in MUTANTS or name in SECOND:
        return {**MUTANTS, **SECOND}[name]
    raise AttributeError(name)
