"""What an implementation declares about itself: what it supports, and in which arithmetic.

A declaration is a plain mapping on the implementation, so that nobody has to import this package to
be judged. What is claimed is tested; what is not claimed is reported as not claimed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from conformance.formats import ACCUMULATORS, FORMATS, MULTIPLIERS, Format

Pairs = tuple[tuple[int, int], ...]
Supported = Literal["any", "square"] | Pairs
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "dtypes": tuple(FORMATS),
    "paddings": ("same", "valid", "int", "explicit"),
    "group_layouts": ("blocked", "interleaved"),
    "conventions": ("any", "keras_example", "official"),
}
_CAREFUL = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}


class DeclarationError(ValueError):
    """A capabilities declaration that says nothing that could be tested."""


@dataclass(frozen=True)
class Capabilities:
    """What is claimed; by default everything, in the arithmetic of a careful implementation.

    Attributes
    ----------
    dtypes : tuple of str
        Formats of the operands.
    kernel_shapes, strides, dilations : "any", "square" or pairs (vertical, horizontal)
        "square" claims every pair of equal numbers.
    paddings : tuple of str
        Kinds of padding: "same", "valid", "int", "explicit".
    group_layouts : tuple of str
        "blocked", "interleaved".
    accumulator : mapping of dtype to format
        Narrowest format that a partial sum is rounded to. Also "double-double".
    multiplier : mapping of dtype to format
        Format that operands are rounded to before they are multiplied: "tfloat32" or "bfloat16" for
        float32. Undeclared, they are multiplied as they are.
    result : mapping of dtype to format
        Format of the results, where it is not that of the operands.
    gradual_underflow : bool
        Subnormal numbers are kept, not flushed to zero.
    deterministic : bool
        A repeated call gives the same bits.
    validates : bool
        What chapter ERR lists is rejected.
    compiles : bool
        Each new geometry costs a trace or a compilation, so cases keep to a few geometries.
    """

    dtypes: tuple[str, ...] = _CHOICES["dtypes"]
    kernel_shapes: Supported = "any"
    strides: Supported = "any"
    dilations: Supported = "any"
    paddings: tuple[str, ...] = _CHOICES["paddings"]
    group_layouts: tuple[str, ...] = _CHOICES["group_layouts"]
    accumulator: Mapping[str, str] | None = None
    multiplier: Mapping[str, str] | None = None
    result: Mapping[str, str] | None = None
    gradual_underflow: bool = False
    deterministic: bool = True
    validates: bool = True
    compiles: bool = False

    @property
    def first_dtype(self) -> str:
        """float32, or else the first claimed format: for clauses that no format changes."""
        return "float32" if "float32" in self.dtypes else self.dtypes[0]

    def accumulator_format(self, dtype: str) -> Format:
        """Format that sums over operands of `dtype` are accumulated in."""
        return ACCUMULATORS[(self.accumulator or {}).get(dtype, _CAREFUL[dtype])]

    def multiplier_format(self, dtype: str) -> Format | None:
        """Format that operands of `dtype` are rounded to before they are multiplied, if any."""
        name = (self.multiplier or {}).get(dtype)
        return None if name is None else MULTIPLIERS[dtype][name]

    def result_format(self, dtype: str) -> Format:
        """Format of the results for operands of `dtype`."""
        return FORMATS[(self.result or {}).get(dtype, dtype)]


Declared = TypeVar("Declared", bound=Capabilities)


def declared(declaration: Any, kind: type[Declared] = Capabilities) -> Declared:  # type: ignore[assignment]
    """Read a declaration.

    Parameters
    ----------
    declaration : Capabilities, mapping or None
        None claims everything.
    kind : type, default Capabilities
        Of an operator, or of a layer.

    Raises
    ------
    DeclarationError
        Naming the entry, the rule and the value received.
    """
    if isinstance(declaration, kind):
        return declaration
    if declaration is None:
        return kind()
    known = [field.name for field in fields(kind)]
    if not isinstance(declaration, Mapping):
        raise DeclarationError(f"capabilities must be a mapping, got {declaration!r}")
    unknown = sorted(set(declaration) - set(known))
    if unknown:
        raise DeclarationError(f"capabilities may have {', '.join(known)}; got {unknown}")
    return kind(**{name: _entry(name, value) for name, value in declaration.items()})


def _entry(name: str, value: Any) -> Any:
    if name in _CHOICES:
        return _subset(name, value)
    if name in {"kernel_shapes", "strides", "dilations"}:
        return _supported(name, value)
    if name in {"accumulator", "result"}:
        return _formats(name, value)
    if name == "multiplier":
        return _multipliers(value)
    if not isinstance(value, bool):
        raise DeclarationError(f"capabilities[{name!r}] must be True or False, got {value!r}")
    return value


def _subset(name: str, value: Any) -> tuple[str, ...]:
    chosen = (value,) if isinstance(value, str) else tuple(value)
    if not chosen or not set(chosen) <= set(_CHOICES[name]):
        raise DeclarationError(
            f"capabilities[{name!r}] must be some of {', '.join(_CHOICES[name])}, got {value!r}"
        )
    return chosen


def _supported(name: str, value: Any) -> Supported:
    if isinstance(value, str) and value in {"any", "square"}:
        return value  # type: ignore[return-value]
    given = value if isinstance(value, tuple | list) else ()
    pairs = tuple(tuple(pair) if isinstance(pair, tuple | list) else () for pair in given)
    if not pairs or not all(len(p) == 2 and all(isinstance(n, int) for n in p) for p in pairs):
        raise DeclarationError(
            f'capabilities[{name!r}] must be "any", "square" or pairs of integers, got {value!r}'
        )
    return pairs


def _formats(name: str, value: Any) -> Mapping[str, str]:
    formats = ACCUMULATORS if name == "accumulator" else FORMATS
    mapping = dict.fromkeys(FORMATS, value) if isinstance(value, str) else dict(value)
    if not set(mapping) <= set(FORMATS) or not set(mapping.values()) <= set(formats):
        raise DeclarationError(
            f"capabilities[{name!r}] must map some of {', '.join(FORMATS)} to some of "
            f"{', '.join(formats)}, got {value!r}"
        )
    return mapping


def _multipliers(value: Any) -> Mapping[str, str]:
    mapping = dict(value) if isinstance(value, Mapping) else {"": value}
    if any(name not in MULTIPLIERS.get(dtype, ()) for dtype, name in mapping.items()):
        known = "; ".join(f"{dtype}: {', '.join(names)}" for dtype, names in MULTIPLIERS.items())
        raise DeclarationError(
            f"capabilities['multiplier'] must map dtypes to formats ({known}), got {value!r}"
        )
    return mapping
