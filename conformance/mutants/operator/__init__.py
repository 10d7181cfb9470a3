"""Operators with one planted fault each."""

from collections.abc import Mapping

from conformance.implementations.operator.numpy_unfold import Twice, Unfold
from conformance.mutants import planted
from conformance.mutants.operator import (
    arithmetic,
    blocks,
    conventions,
    fast_paths,
    gradients,
    history,
    padding,
    processes,
    rounding,
    second,
    second_guarded,
    second_refusals,
    state,
    taps,
)

# What implementations disagree on: usual enough that two are met at once.
CONVENTIONS: Mapping[str, type[Unfold]] = planted(padding, conventions)

MUTANTS: Mapping[str, type[Unfold]] = planted(
    padding,
    conventions,
    taps,
    gradients,
    blocks,
    arithmetic,
    state,
    history,
    processes,
    fast_paths,
    rounding,
)

# Of functions that an implementation may have or not: no dictionary, and no table of the others.
SECOND: Mapping[str, type[Twice]] = planted(second, second_guarded, second_refusals)
