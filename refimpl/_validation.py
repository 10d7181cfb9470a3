"""Argument checks of the oracle (specification chapter ERR).

Every message names the argument, the rule with its clause, and the value received. Nothing is
computed here beyond the geometry that the checks need.
"""

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refimpl.geometry import Axis, same_padding

FORMATS = ("float16", "bfloat16", "float32", "float64")
GROUP_LAYOUTS = ("blocked", "interleaved")
_RANKS: Mapping[str, tuple[int, str]] = {
    "x": (4, "(B, H, W, C)"),
    "dy": (4, "(B, Ho, Wo, C)"),
    "kernel": (6, "(B, Ho, Wo, Kh, Kw, G)"),
}


class Problem(NamedTuple):
    """Checked operands and the geometry that they share."""

    operands: dict[str, npt.NDArray[Any]]
    vertical: Axis
    horizontal: Axis
    blocked: bool


def check(
    operands: Mapping[str, object], stride: Any, dilation: Any, padding: Any, group_layout: Any
) -> Problem:
    """Check the arguments of one call.

    Parameters
    ----------
    operands : mapping of str to array_like
        ``x`` and ``kernel``, and ``dy`` for the backward pass.
    stride, dilation, padding, group_layout
        As the caller received them.

    Raises
    ------
    TypeError
        ERR-5, ERR-6 and ERR-9.
    ValueError
        ERR-1 to ERR-8.
    """
    arrays = {name: _array(name, value) for name, value in operands.items()}
    _one_dtype(arrays)
    x, kernel = arrays["x"], arrays["kernel"]
    _sizes(x, kernel)
    strides = pair("stride", stride)
    dilations = pair("dilation", dilation)
    vertical, horizontal = (
        Axis(x.shape[1 + a], kernel.shape[3 + a], strides[a], dilations[a], *before_after)
        for a, before_after in enumerate(
            sides_of(padding, x.shape[1:3], kernel.shape[3:5], strides, dilations)
        )
    )
    if not isinstance(group_layout, str) or group_layout not in GROUP_LAYOUTS:
        raise ValueError(
            f'group_layout must be "blocked" or "interleaved" (ERR-7), got {group_layout!r}'
        )
    _grid(arrays, vertical, horizontal)
    return Problem(arrays, vertical, horizontal, group_layout == "blocked")


def _array(name: str, value: object) -> npt.NDArray[Any]:
    """`value` as an array of one of the four formats and of the rank that is due."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array (ERR-9), got a masked array")
    array = np.asarray(value)
    # A byte-swapped float32 is a float32; its name drops the byte order.
    if array.dtype.name not in FORMATS:
        raise TypeError(f"{name} must be of dtype {', '.join(FORMATS)} (ERR-9), got {array.dtype}")
    rank, shape = _RANKS[name]
    if array.ndim != rank:
        raise ValueError(
            f"{name} must have rank {rank}, shape {shape} (ERR-1), got shape {array.shape}"
        )
    return array


def _one_dtype(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    if len({array.dtype.name for array in arrays.values()}) > 1:
        got = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{' and '.join(arrays)} must have one dtype (ERR-9), got {got}")


def _sizes(x: npt.NDArray[Any], kernel: npt.NDArray[Any]) -> None:
    if x.shape[0] != kernel.shape[0]:
        raise ValueError(
            "kernel must have the batch size of x (ERR-2), "
            f"got x of shape {x.shape} and kernel of shape {kernel.shape}"
        )
    if 0 in x.shape[1:]:
        raise ValueError(f"x must have H, W and C of at least 1 (ERR-3), got shape {x.shape}")
    if 0 in kernel.shape[3:]:
        raise ValueError(
            f"kernel must have Kh, Kw and G of at least 1 (ERR-3), got shape {kernel.shape}"
        )
    channels, groups = x.shape[3], kernel.shape[5]
    if channels % groups:
        raise ValueError(
            "kernel must have a number of groups G that divides the channels C of x (ERR-3), "
            f"got G = {groups} and C = {channels}"
        )


def integer(name: str, part: Any, rule: str, value: Any) -> int:
    """`part` of the argument `value` as an integer; True is none."""
    if not isinstance(part, bool | np.bool_):
        try:
            return operator.index(part)
        except TypeError:
            pass
    raise TypeError(f"{name} must be {rule}, got {value!r}")


def pair(name: str, value: Any) -> tuple[int, int]:
    """`value` as (vertical, horizontal), both at least 1 (GEO-2)."""
    rule = "a positive integer or a pair of them, (vertical, horizontal) (ERR-5)"
    parts = value if isinstance(value, tuple | list) else (value, value)
    if len(parts) != 2:
        raise TypeError(f"{name} must be {rule}, got {value!r}")
    vertical, horizontal = (integer(name, part, rule, value) for part in parts)
    if vertical < 1 or horizontal < 1:
        raise ValueError(f"{name} must be {rule}, got {value!r}")
    return vertical, horizontal


def sides_of(
    padding: Any,
    sizes: tuple[int, ...],
    taps: tuple[int, ...],
    strides: tuple[int, int],
    dilations: tuple[int, int],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """`padding` as ((top, bottom), (left, right)) (GEO-4 to GEO-7)."""
    rule = '"same", "valid", an integer >= 0 or ((top, bottom), (left, right)) (ERR-6)'
    if isinstance(padding, str):
        if padding == "same":
            return (
                same_padding(sizes[0], taps[0], strides[0], dilations[0]),
                same_padding(sizes[1], taps[1], strides[1], dilations[1]),
            )
        if padding == "valid":
            return (0, 0), (0, 0)
        raise ValueError(f"padding must be {rule}, got {padding!r}")
    sides = padding if isinstance(padding, tuple | list) else ((padding,) * 2,) * 2
    if len(sides) != 2 or not all(isinstance(s, tuple | list) and len(s) == 2 for s in sides):
        raise TypeError(f"padding must be {rule}, got {padding!r}")
    (top, bottom), (left, right) = (
        (integer("padding", one, rule, padding), integer("padding", other, rule, padding))
        for one, other in sides
    )
    if min(top, bottom, left, right) < 0:
        raise ValueError(f"padding must be {rule}, got {padding!r}")
    return (top, bottom), (left, right)


def _grid(arrays: Mapping[str, npt.NDArray[Any]], vertical: Axis, horizontal: Axis) -> None:
    x, kernel = arrays["x"], arrays["kernel"]
    outputs = vertical.outputs, horizontal.outputs
    if min(outputs) < 1:
        raise ValueError(
            "padding must leave at least one output row and column (ERR-8), got (Ho, Wo) = "
            f"{outputs} from x of shape {x.shape} and kernel of shape {kernel.shape}"
        )
    if kernel.shape[1:3] != outputs:
        raise ValueError(
            f"kernel must have the output grid (Ho, Wo) = {outputs} (ERR-4), "
            f"got {kernel.shape[1:3]} in shape {kernel.shape}"
        )
    due = (x.shape[0], *outputs, x.shape[3])
    if "dy" in arrays and arrays["dy"].shape != due:
        clause = "ERR-4" if arrays["dy"].shape[0] == due[0] else "ERR-2"
        raise ValueError(f"dy must have the shape of y, {due} ({clause}), got {arrays['dy'].shape}")
