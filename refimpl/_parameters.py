"""Checks of the parameters that a call of the reference layer is given (LAY-1).

How a value becomes an array is `refimpl._validation`'s matter; nothing is computed here.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from refimpl._layer_config import Config
from refimpl._shown import shown
from refimpl._validation import array

Floats = npt.NDArray[np.float64]


def check_parameters(parameters: Any, config: Config, channels: int) -> dict[str, Floats]:
    """Give the parameters in float64 if they are those that the configuration asks for (LAY-1).

    Raises
    ------
    TypeError
        For what is no mapping of names to arrays; for a dtype that is not under test, a masked
        array.
    ValueError
        For a parameter that is missing, not known or of another shape; a negative variance.
    """
    given, due = _named(parameters), config.shapes(channels)
    names = [name for name, _ in given]
    if sorted(names) != sorted(due):
        got = ", ".join(name[:60] for name in names[:12]) or "none"
        raise ValueError(f"parameters must be {', '.join(due)} (LAY-1), got {got}")
    wide, values = {}, dict(given)
    for name, shape in due.items():
        plain = array(name, values[name], "LAY-18")
        if plain.shape != shape:
            raise ValueError(f"{name} must have shape {shape} (LAY-1), got {plain.shape}")
        wide[name] = plain.astype(np.float64)
    if config.normalise and (wide["moving_variance"] < 0).any():
        least = wide["moving_variance"].min()
        raise ValueError(f"moving_variance must be at least 0 (LAY-1), got {least}")
    return wide


def _named(parameters: Any) -> list[tuple[str, Any]]:
    """Names and values of a mapping; of one that has too many, enough to see it."""
    rule = "a mapping of names to arrays (LAY-1)"
    try:
        if isinstance(parameters, Mapping):
            names = list(itertools.islice(parameters, 99))
            if all(issubclass(type(name), str) for name in names):
                return [(str.__str__(name), parameters[name]) for name in names]
    except MemoryError:
        raise
    except Exception as error:
        raise TypeError(f"parameters must be {rule}, got {shown(parameters)}") from error
    raise TypeError(f"parameters must be {rule}, got {shown(parameters)}")
