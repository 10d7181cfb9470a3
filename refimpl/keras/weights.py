"""Weights of the official PyTorch layer and of this one: the same numbers, named and laid out anew.

Plain arrays in, plain arrays out: neither PyTorch nor Keras is needed. Nothing is rounded, and no
channel moves: `Involution.official` reads kernels in the order in which PyTorch writes them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["official_from_parameters", "parameters_from_official"]

Array = npt.NDArray[Any]

# Ours, PyTorch's, sizes of ours. A convolution's kernel is (out, in, 1, 1) there, (in, out) here.
_TABLE = (
    ("reduce_kernel", "conv1.conv.weight", "CR"),
    ("reduce_bias", "conv1.conv.bias", "R"),
    ("gamma", "conv1.bn.weight", "R"),
    ("beta", "conv1.bn.bias", "R"),
    ("moving_mean", "conv1.bn.running_mean", "R"),
    ("moving_variance", "conv1.bn.running_var", "R"),
    ("expand_kernel", "conv2.conv.weight", "RN"),
    ("expand_bias", "conv2.conv.bias", "N"),
)
# The official first convolution has no bias; layers with one exist.
_OPTIONAL = {"reduce_bias", "conv1.conv.bias"}
_COUNTER = "conv1.bn.num_batches_tracked"


def parameters_from_official(state: Mapping[str, Any]) -> dict[str, Array]:
    """Rename and reshape the state of the official layer.

    Parameters
    ----------
    state : mapping of str to array
        The layer's ``state_dict()`` as NumPy arrays: ``conv1.conv.weight`` (R, C, 1, 1),
        ``conv1.bn.weight``, ``.bias``, ``.running_mean``, ``.running_var`` (R),
        ``conv2.conv.weight`` (K * K * G, R, 1, 1) and ``conv2.conv.bias`` (K * K * G).
        ``conv1.conv.bias`` (R) may be there, ``conv1.bn.num_batches_tracked`` is ignored.

    Returns
    -------
    dict of str to numpy.ndarray
        For ``Involution.official(...).set_parameters``: ``reduce_kernel`` (C, R), ``gamma``,
        ``beta``, ``moving_mean``, ``moving_variance`` (R), ``expand_kernel`` (R, K * K * G) and
        ``expand_bias`` (K * K * G); ``reduce_bias`` (R) if there is one.

    Raises
    ------
    ValueError
        A name that is missing or unknown, or shapes that do not fit each other.
    """
    given = {name: np.asarray(value) for name, value in state.items() if name != _COUNTER}
    _check_names(given, [theirs for _, theirs, _ in _TABLE])
    _check_shapes(given, {theirs: _sides(sizes) for _, theirs, sizes in _TABLE})
    return {
        ours: given[theirs][:, :, 0, 0].T.copy() if len(sizes) == 2 else given[theirs].copy()
        for ours, theirs, sizes in _TABLE
        if theirs in given
    }


def official_from_parameters(parameters: Mapping[str, Any]) -> dict[str, Array]:
    """Undo `parameters_from_official`.

    Parameters
    ----------
    parameters : mapping of str to array
        As `Involution.get_parameters` returns them.

    Returns
    -------
    dict of str to numpy.ndarray
        The state of the official layer, but for ``conv1.bn.num_batches_tracked``.

    Raises
    ------
    ValueError
        A name that is missing or unknown, or shapes that do not fit each other.
    """
    given = {name: np.asarray(value) for name, value in parameters.items()}
    _check_names(given, [ours for ours, _, _ in _TABLE])
    _check_shapes(given, {ours: sizes for ours, _, sizes in _TABLE})
    return {
        theirs: given[ours].T[:, :, None, None].copy() if len(sizes) == 2 else given[ours].copy()
        for ours, theirs, sizes in _TABLE
        if ours in given
    }


def _sides(sizes: str) -> str:
    return sizes if len(sizes) == 1 else sizes[::-1] + "11"


def _check_names(given: Mapping[str, Array], names: list[str]) -> None:
    missing = [name for name in names if name not in given and name not in _OPTIONAL]
    unknown = [name for name in given if name not in names]
    if missing or unknown:
        raise ValueError(
            f"the weights must be {', '.join(names)}; missing {missing}, unknown {unknown}"
        )


def _check_shapes(given: Mapping[str, Array], due: Mapping[str, str]) -> None:
    """Hold shapes to letters: a letter is one size wherever it stands, a digit is itself."""
    sizes: dict[str, int] = {"1": 1}
    for name, array in given.items():
        letters = due[name]
        shape = array.shape
        fits = len(shape) == len(letters) and all(
            sizes.setdefault(letter, size) == size
            for letter, size in zip(letters, shape, strict=True)
        )
        if not fits:
            known = ", ".join(f"{letter} = {sizes[letter]}" for letter in sorted(sizes))
            raise ValueError(
                f"{name} must be of shape ({', '.join(letters)}), {known}; got {shape}"
            )
