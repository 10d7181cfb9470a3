"""What the Keras operator and layer may be given, shapes apart (specification chapter ERR).

Options are brought into one normal form, operands to one of the four formats. Every message names
the argument, the rule with its clause, and the value received. No tensor is computed here, and no
size is compared: that is `_shapes`.
"""

import math
import operator
from typing import Any, NamedTuple

from keras import KerasTensor, ops

FORMATS = ("float16", "bfloat16", "float32", "float64")

Pair = tuple[int, int]
Padding = str | int | tuple[Pair, Pair]


class Options(NamedTuple):
    """The options of one call, each in its one normal form.

    Attributes
    ----------
    strides, dilations : (int, int)
        Vertical, horizontal.
    sides : ((int, int), (int, int)) or None
        ((top, bottom), (left, right)); None for "same", which depends on the sizes.
    blocked : bool
        GRP-2 rather than GRP-3.
    """

    strides: Pair
    dilations: Pair
    sides: tuple[Pair, Pair] | None
    blocked: bool


def check_options(stride: Any, dilation: Any, padding: Any, group_layout: Any) -> Options:
    """Bring the options of a call into their normal form.

    Raises
    ------
    TypeError
        ERR-5 and ERR-6, for what is no integer and no pair of integers.
    ValueError
        ERR-5, ERR-6 and ERR-7, for what is out of range or unknown.
    """
    if not isinstance(group_layout, str) or group_layout not in {"blocked", "interleaved"}:
        raise ValueError(
            f'group_layout must be "blocked" or "interleaved" (ERR-7), got {group_layout!r}'
        )
    strides, dilations = pair("stride", stride), pair("dilation", dilation)
    return Options(strides, dilations, _sides(padding), group_layout == "blocked")


def check_operands(x: Any, kernel: Any) -> tuple[Any, Any]:
    """Return two operands as tensors of one of the four formats.

    Raises
    ------
    TypeError
        ERR-9.
    """
    x, kernel = _operand("x", x), _operand("kernel", kernel)
    if format_name(x) != format_name(kernel):
        raise TypeError(
            "x and kernel must have one dtype (ERR-9), "
            f"got x {format_name(x)} and kernel {format_name(kernel)}"
        )
    return x, kernel


def positive(name: str, value: Any) -> int:
    """Return `value` as an int of at least 1, or raise ValueError: the layer's one kind of number.

    Raises
    ------
    ValueError
        For anything else, a bool included.
    """
    number = _integer(value)
    if number is None or number < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return number


def pair(name: str, value: Any) -> Pair:
    """Return a positive integer, or a pair of them, as (vertical, horizontal).

    Raises
    ------
    TypeError
        For what is no integer and no pair of integers.
    ValueError
        For what is below 1.
    """
    parts = value if isinstance(value, tuple | list) else (value, value)
    return _integers(name, value, parts, least=1)


def plain(value: Any) -> Any:
    """Return an option that was checked in types that a configuration keeps: int, str and tuple."""
    if isinstance(value, str):
        return value
    return tuple(map(plain, value)) if isinstance(value, tuple | list) else operator.index(value)


def choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return `value`, which is one of a few words.

    Raises
    ------
    ValueError
        For anything else.
    """
    if not isinstance(value, str) or value not in choices:
        words = [f'"{word}"' for word in choices]
        raise ValueError(f"{name} must be {' or '.join(words)}, got {value!r}")
    return value


def real(name: str, value: Any, most: float = math.inf) -> float:
    """Return `value` as a finite float from 0 to `most`.

    Raises
    ------
    ValueError
        For anything else, a bool included.
    """
    number = value if isinstance(value, float | int) and not isinstance(value, bool) else math.nan
    if not (0 <= number <= most and math.isfinite(number)):
        limit = "at least 0" if most == math.inf else f"from 0 to {most}"
        raise ValueError(f"{name} must be a finite number {limit}, got {value!r}")
    return float(number)


def format_name(tensor: Any) -> str:
    """Return the dtype's name, which every backend spells in its own way."""
    return str(getattr(tensor.dtype, "name", tensor.dtype)).removeprefix("torch.")


def wide(dtype: str) -> str:
    """Name the format that sums over `dtype` are accumulated in."""
    return "float32" if dtype in {"float16", "bfloat16"} else dtype


_RULES = {
    "stride": "a positive integer or a pair of them, (vertical, horizontal) (ERR-5)",
    "dilation": "a positive integer or a pair of them, (vertical, horizontal) (ERR-5)",
    "kernel_size": "a positive integer or a pair of them, (vertical, horizontal)",
    "padding": '"same", "valid", an integer >= 0 or ((top, bottom), (left, right)) (ERR-6)',
}


def _operand(name: str, value: Any) -> Any:
    # A plain list has no dtype before the backend gives it one. All else is asked for its dtype
    # first, since a backend may convert what it should refuse.
    tensor = value if hasattr(value, "dtype") else ops.convert_to_tensor(value)
    if format_name(tensor) not in FORMATS:
        raise TypeError(
            f"{name} must be of dtype {', '.join(FORMATS)} (ERR-9), got {format_name(tensor)}"
        )
    return tensor if isinstance(tensor, KerasTensor) else ops.convert_to_tensor(tensor)


def _integer(value: Any) -> int | None:
    # True counts as 1 for Python; here it is a mistake. NumPy's bool names its dtype.
    if isinstance(value, bool) or getattr(value, "dtype", None) == "bool":
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _integers(name: str, original: Any, parts: Any, least: int) -> Pair:
    """Return a pair of integers that are at least `least`."""
    numbers = [_integer(part) for part in parts] if isinstance(parts, tuple | list) else []
    if len(numbers) != 2 or None in numbers:
        raise TypeError(f"{name} must be {_RULES[name]}, got {original!r}")
    first, second = (number or 0 for number in numbers)
    if first < least or second < least:
        raise ValueError(f"{name} must be {_RULES[name]}, got {original!r}")
    return first, second


def _sides(padding: Any) -> tuple[Pair, Pair] | None:
    """Return ((top, bottom), (left, right)), or None for "same" (GEO-4 to GEO-7)."""
    if isinstance(padding, str):
        if padding not in {"same", "valid"}:
            raise ValueError(f"padding must be {_RULES['padding']}, got {padding!r}")
        return None if padding == "same" else ((0, 0), (0, 0))
    parts = padding if isinstance(padding, tuple | list) else ((padding,) * 2,) * 2
    if len(parts) != 2:
        raise TypeError(f"padding must be {_RULES['padding']}, got {padding!r}")
    vertical, horizontal = (_integers("padding", padding, pair, least=0) for pair in parts)
    return vertical, horizontal
