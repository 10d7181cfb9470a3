"""Argument checks of the oracle and of the reference layer (specification chapter ERR).

Every message names the argument, the rule with its clause, and the value received. What an
argument's own methods raise or answer is not relied on: it is refused, or taken down once as a
plain array, integer or word. Nothing is computed here beyond the geometry that the checks need.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from refimpl._shown import shown
from refimpl.geometry import WORDS, Axis, Padding, axes

FORMATS = ("float16", "bfloat16", "float32", "float64")
GROUP_LAYOUTS = ("blocked", "interleaved")
# Indices are 64-bit integers, sums of no more than four numbers up to this. Of arrays it is the
# number of bytes in float64.
MOST = 2**60
# By NumPy's own numbers, since to ask a dtype for its name takes a microsecond.
_NAMES = {np.dtype(name).num: name for name in ("float16", "float32", "float64")}
_RANKS: Mapping[str, tuple[int, str]] = {
    "x": (4, "(B, H, W, C)"),
    "dy": (4, "(B, Ho, Wo, C)"),
    "kernel": (6, "(B, Ho, Wo, Kh, Kw, G)"),
}
# Tangents, and gradients of gradients: each lies as the operand whose it is.
_LIKE: Mapping[str, str] = {"tx": "x", "ddx": "x", "tkernel": "kernel", "ddkernel": "kernel"}


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
        ``x`` and ``kernel``, ``dy`` for the backward pass, and what is like one of them: ``tx``,
        ``tkernel``, ``ddx``, ``ddkernel``.
    stride, dilation, padding, group_layout
        As the caller received them.

    Raises
    ------
    TypeError
        ERR-5, ERR-6 and ERR-9.
    ValueError
        ERR-1 to ERR-8, and ERR-10 for what is too large.
    """
    arrays = {name: operand(name, value) for name, value in operands.items()}
    _one_dtype(arrays)
    x, kernel = arrays["x"], arrays["kernel"]
    _sizes(x, kernel)
    vertical, horizontal = axes(
        x.shape[1:3],
        kernel.shape[3:5],
        pair("stride", stride),
        pair("dilation", dilation),
        sides(padding),
    )
    layout = word("group_layout", group_layout, GROUP_LAYOUTS, "ERR-7")
    _grid(arrays, vertical, horizontal)
    return Problem(arrays, vertical, horizontal, layout == "blocked")


def array(name: str, value: object, clause: str = "ERR-9") -> npt.NDArray[Any]:
    """`value` as a plain array of one of the four formats: the only conversion that there is."""
    plain = value if type(value) is np.ndarray else _converted(name, value, clause)
    if _format(plain) not in FORMATS:
        got = str(plain.dtype)[:80] + ("" if plain is value else f" of {shown(value)}")
        raise TypeError(f"{name} must be of dtype {', '.join(FORMATS)} ({clause}), got {got}")
    addressable(name, plain.shape)
    return plain


def _format(plain: npt.NDArray[Any]) -> str:
    """Name of the dtype, which drops the byte order: a byte-swapped float32 is a float32."""
    return _NAMES.get(plain.dtype.num) or plain.dtype.name


def operand(name: str, value: object) -> npt.NDArray[Any]:
    """`x`, `dy`, `kernel` or what is like one of them as an array, of the rank that is due."""
    given = array(name, value)
    rank, shape = _RANKS[_LIKE.get(name, name)]
    if given.ndim != rank:
        raise ValueError(
            f"{name} must have rank {rank}, shape {shape} (ERR-1), got shape {given.shape}"
        )
    return given


def addressable(name: str, shape: tuple[int, ...], does: str = "take") -> None:
    """Refuse what leads to a shape that no array of float64 can have, zeros set aside (ERR-10)."""
    if 8 * math.prod([length or 1 for length in shape]) > MOST:
        raise ValueError(
            f"{name} must {does} at most 2**60 bytes in float64, lengths of zero counted as one "
            f"(ERR-10), got shape {shape}"
        )


def _converted(name: str, value: object, clause: str) -> npt.NDArray[Any]:
    try:
        # A conversion drops the masks of arrays within lists, and of what `value` itself gives.
        given = None if _within(value, _is_masked) else np.asanyarray(value)
    except Exception as error:
        if isinstance(error, MemoryError) and not _within(value, _boasts):
            raise
        rule = f"an array or nested sequences of equal lengths ({clause})"
        raise TypeError(f"{name} must be {rule}, got {shown(value)}") from error
    if given is None or _is_masked(given):
        raise TypeError(f"{name} must be a plain array ({clause}), got a masked array")
    return np.asarray(given)


def _within(value: Any, asked: Callable[[Any], bool]) -> bool:
    """Whether it is so of a value, or of one within its lists and tuples."""
    if _single(value):
        return asked(value)
    return any(_within(part, asked) for part in value)


def _is_masked(value: object) -> bool:
    return issubclass(type(value), np.ma.MaskedArray)


def _boasts(value: Any) -> bool:
    """Whether a sequence claims a length that no memory holds."""
    try:
        return len(value) > MOST
    except Exception:
        return False


def _one_dtype(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    if len({_format(array) for array in arrays.values()}) > 1:
        got = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{' and '.join(arrays)} must have one dtype (ERR-9), got {got}")


def _sizes(x: npt.NDArray[Any], kernel: npt.NDArray[Any]) -> None:
    if x.shape[0] != kernel.shape[0]:
        raise ValueError(
            "kernel must have the batch size of x (ERR-2), "
            f"got x of shape {x.shape} and kernel of shape {kernel.shape}"
        )
    some_pixels(x.shape)
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


def some_pixels(shape: tuple[int, ...]) -> None:
    """Refuse an `x` without rows, columns or channels."""
    if 0 in shape[1:]:
        raise ValueError(f"x must have H, W and C of at least 1 (ERR-3), got shape {shape}")


def integers(
    name: str, parts: tuple[Any, ...], rule: str, whole: Any, least: int
) -> tuple[int, ...]:
    """`parts` of the argument `whole` as integers of at least `least`; True is none.

    Raises
    ------
    TypeError
        For what is no integer.
    ValueError
        For what is too small, or larger than indices may be (ERR-10).
    """
    known = [number for part in parts if (number := _index(part)) is not None]
    if len(known) < len(parts):
        raise TypeError(f"{name} must be {rule}, got {shown(whole)}")
    if min(known) < least:
        raise ValueError(f"{name} must be {rule}, got {shown(whole)}")
    if max(known) > MOST:
        raise ValueError(f"{name} must be at most 2**60 (ERR-10), got {shown(whole)}")
    return tuple(known)


def positive(name: str, value: Any, clause: str) -> int:
    """`value` as a positive integer."""
    return integers(name, (value,), f"a positive integer ({clause})", value, 1)[0]


def pair(name: str, value: Any, clause: str = "ERR-5") -> tuple[int, int]:
    """`value` as (vertical, horizontal), both at least 1 (GEO-2)."""
    rule = f"a positive integer or a pair of them, (vertical, horizontal) ({clause})"
    parts = (value, value) if _single(value) else _parts(value)
    if len(parts) != 2:
        raise TypeError(f"{name} must be {rule}, got {shown(value)}")
    vertical, horizontal = integers(name, parts, rule, value, 1)
    return vertical, horizontal


def sides(padding: Any) -> Padding:
    """`padding` as a word, an integer or ((top, bottom), (left, right)) (GEO-4 to GEO-7)."""
    known = ", ".join(f'"{text}"' for text in WORDS)
    rule = f"{known}, an integer >= 0 or ((top, bottom), (left, right)) (ERR-6)"
    if issubclass(type(padding), str):
        text = str.__str__(padding)
        if text not in WORDS:
            raise ValueError(f"padding must be {rule}, got {shown(padding)}")
        return text
    if _single(padding):
        return integers("padding", (padding,), rule, padding, 0)[0]
    pairs = [() if _single(side) else _parts(side) for side in _parts(padding)]
    if [len(both) for both in pairs] != [2, 2]:
        raise TypeError(f"padding must be {rule}, got {shown(padding)}")
    top, bottom, left, right = integers("padding", pairs[0] + pairs[1], rule, padding, 0)
    return (top, bottom), (left, right)


def word(name: str, value: Any, allowed: tuple[str, ...], clause: str) -> str:
    """`value` as one of the words."""
    if not issubclass(type(value), str) or str.__str__(value) not in allowed:
        words = " or ".join(map(repr, allowed))
        raise ValueError(f"{name} must be {words} ({clause}), got {shown(value)}")
    return str.__str__(value)


def switch(name: str, value: Any) -> bool:
    """`value` as True or False."""
    if not issubclass(type(value), (bool, np.bool_)):
        raise ValueError(f"{name} must be True or False (LAY-18), got {shown(value)}")
    return bool(value)


def _index(part: Any) -> int | None:
    """`part` as an integer, or None; what its class says of it, once."""
    kind = type(part)
    if kind is int:
        return part  # type: ignore[no-any-return]
    if kind is bool or kind is np.bool_:
        return None
    try:
        # operator.index would warn of a class that answers True.
        number = int.__index__(part) if issubclass(kind, int) else kind.__index__(part)
    except Exception:
        return None
    return number if type(number) is int else None


def _single(value: Any) -> bool:
    return not issubclass(type(value), (tuple, list))


def _parts(value: Any) -> tuple[Any, ...]:
    """Give the first three parts of a tuple or list: whoever has more is refused."""
    try:
        return tuple(itertools.islice(value, 3))
    except Exception:
        return ()


def _grid(arrays: Mapping[str, npt.NDArray[Any]], vertical: Axis, horizontal: Axis) -> None:
    x, kernel = arrays["x"], arrays["kernel"]
    outputs = vertical.outputs, horizontal.outputs
    if min(outputs) < 1:
        raise ValueError(
            "padding must leave at least one output row and column (ERR-8), got (Ho, Wo) = "
            f"{outputs} from x of shape {x.shape} and kernel of shape {kernel.shape}"
        )
    # An extent, and every index, is within the padded axis.
    for axis in (vertical, horizontal):
        if axis.padded > MOST:
            raise ValueError(
                f"padding must give an axis of at most 2**60 pixels (ERR-10), got {axis}"
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
    for name in _LIKE.keys() & arrays.keys():
        own, shape = _LIKE[name], arrays[name].shape
        if shape != arrays[own].shape:
            clause = "GRD-7" if name[0] == "t" else "GRD-8"
            raise ValueError(
                f"{name} must have the shape of {own}, {arrays[own].shape} ({clause}), got {shape}"
            )
    addressable("kernel", due, "give a y of")
