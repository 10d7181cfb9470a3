"""What an implementation declares about itself: what it supports, and in which arithmetic.

A declaration is a plain mapping on the implementation, so that nobody has to import this package to
be judged. What is claimed is tested; what is not claimed is reported as not claimed. Whether a case
is claimed is asked here and nowhere else.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from conformance.claims.arithmetic import Arithmetic
from conformance.claims.formats import ACCUMULATORS, FORMATS, MULTIPLIERS
from refimpl.geometry import WORDS

Pair = tuple[int, int]
Supported = Literal["any", "square"] | tuple[Pair, ...]
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "dtypes": tuple(FORMATS),
    "paddings": (*WORDS, "int", "explicit"),
    "group_layouts": ("blocked", "interleaved"),
    "conventions": ("any", "keras_example", "official"),
}


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
        Narrowest format that a partial sum is rounded to. Also "double-double". A format alone is
        meant for the operands whose numbers it holds.
    multiplier : mapping of dtype to format
        Format that operands are rounded to before they are multiplied: "tfloat32" or "bfloat16" for
        float32. Undeclared, they are multiplied as they are.
    result : mapping of dtype to format
        Format of the results, where it is not that of the operands.
    gradual_underflow : bool
        Subnormal numbers are kept, not flushed to zero.
    empty_batch : bool
        A batch of no samples is answered.
    memory : bool
        Operands lie in memory as they are asked to, and it is seen what is done to them. A program
        whose protocol has no layouts is not judged on what it writes and how it reads views.
    deterministic : bool
        A repeated call gives the same bits.
    thread_safe : bool
        Calls at once from several threads are answered as single ones are.
    fork_safe : bool
        Calls in a forked child of a process that has called before are answered too. Not claimed
        unless it is declared: most thread pools do not outlive a fork.
    validates : bool
        What chapter ERR (for a layer LAY-18) lists is rejected.
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
    empty_batch: bool = True
    memory: bool = True
    deterministic: bool = True
    thread_safe: bool = True
    fork_safe: bool = False
    validates: bool = True
    compiles: bool = False

    @property
    def first_dtype(self) -> str:
        """float32, or else the first claimed format: for clauses that no format changes."""
        return "float32" if "float32" in self.dtypes else self.dtypes[0]

    def arithmetic(self, dtype: str) -> Arithmetic:
        """Arithmetic that is declared for operands of `dtype`."""
        multiplier = (self.multiplier or {}).get(dtype)
        return Arithmetic(
            operand=FORMATS[dtype],
            accumulator=ACCUMULATORS[(self.accumulator or {}).get(dtype, FORMATS[dtype].careful)],
            result=FORMATS[(self.result or {}).get(dtype, dtype)],
            gradual_underflow=self.gradual_underflow,
            multiplier=None if multiplier is None else MULTIPLIERS[dtype][multiplier],
        )

    def unclaimed(self, dtype: str, batch: int, geometry: Any) -> str:
        """Say what of a case is not claimed; nothing if all of it is.

        Parameters
        ----------
        dtype : str
            Format of the operands.
        batch : int
            B.
        geometry : object
            With `kernel_shape`, `stride`, `dilation`, `padding` and `group_layout`.
        """
        if dtype not in self.dtypes:
            return f"dtypes {dtype}"
        if batch == 0 and not self.empty_batch:
            return "empty_batch"
        pairs = {"kernel_shape": self.kernel_shapes, "stride": self.strides}
        for name, claimed in (pairs | {"dilation": self.dilations}).items():
            if not supports(claimed, getattr(geometry, name)):
                return f"{name}s {getattr(geometry, name)}"
        if padding_kind(geometry.padding) not in self.paddings:
            return f"paddings {padding_kind(geometry.padding)}"
        if geometry.group_layout not in self.group_layouts:
            return f"group_layouts {geometry.group_layout}"
        return ""

    @property
    def scope(self) -> str:
        """What is claimed, in one line."""
        said = [", ".join(self.dtypes)]
        for entry, words in (
            ("kernel_shapes", "kernels"), ("strides", "strides"), ("dilations", "dilations"),
            ("paddings", "padding"), ("group_layouts", "layout"), ("conventions", "convention"),
        ):  # fmt: skip
            value = getattr(self, entry, None)
            every = value in (None, "any") or value == _CHOICES.get(entry)
            if not every:
                said.append(f"{words} {_words(value)}")
        if len(said) == 1:
            said.append("every geometry")
        usual = type(self)()
        flags = [one.name for one in fields(self) if getattr(usual, one.name) is True]
        without = [entry for entry in flags if not getattr(self, entry)]
        return "; ".join(said) + (f"; not {', '.join(without)}" if without else "")

    @property
    def arithmetic_words(self) -> str:
        """The claimed arithmetic, in one line."""
        each = []
        for dtype in self.dtypes:
            one = self.arithmetic(dtype)
            through = f" from {one.multiplier.name}" if one.multiplier else ""
            result = f" to {one.result.name}" if one.result != one.operand else ""
            each.append(f"{dtype} in {one.accumulator.name}{through}{result}")
        tiny = "kept" if self.gradual_underflow else "kept or flushed"
        return f"sums of {', '.join(each)}; subnormal numbers {tiny}"


@dataclass(frozen=True)
class LayerCapabilities(Capabilities):
    """What a layer claims: as an operator, and beyond.

    Attributes
    ----------
    thread_safe : bool
        As for an operator, but not claimed unless it is declared.
    conventions : tuple of str
        "keras_example", "official" (the two of `refimpl.layer`), "any" (every configuration).
    training : bool
        Training mode is supported.
    optional_normalisation : bool
        Configurations without normalisation are supported.
    returns_kernel : bool
        `forward` returns the generated kernel; else None stands in its place.
    """

    # A layer holds its parameters, which each call of the seam sets anew: two calls, two layers.
    thread_safe: bool = False
    conventions: tuple[str, ...] = _CHOICES["conventions"]
    training: bool = True
    optional_normalisation: bool = True
    returns_kernel: bool = True


def supports(claimed: Supported, pair: Pair) -> bool:
    """Tell whether a pair (vertical, horizontal) is among what is claimed."""
    if claimed == "square":
        return pair[0] == pair[1]
    return claimed == "any" or pair in claimed


def padding_kind(padding: Any) -> str:
    """Give the kind of a padding, as `paddings` has it."""
    if isinstance(padding, str):
        return padding
    return "int" if isinstance(padding, int) else "explicit"


def _words(value: Any) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, value))


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
    unknown = sorted(map(str, set(declaration) - set(known)))
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, 1)
        instead = f"; did you mean {near[0]}?" if near else ""
        raise DeclarationError(f"capabilities may have {', '.join(known)}; got {unknown}{instead}")
    read: dict[str, Any] = {}
    for name, value in declaration.items():
        # None is what stands where nothing is declared.
        if value is not None:
            reader: Callable[[str, Any], Any] = _READERS.get(name, _flag)
            read[name] = reader(name, value)
    return kind(**read)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise DeclarationError(f"capabilities[{name!r}] must be True or False, got {value!r}")
    return value


def _subset(name: str, value: Any) -> tuple[str, ...]:
    chosen = (value,) if isinstance(value, str) else _listed(value)
    if not chosen or not all(isinstance(one, str) and one in _CHOICES[name] for one in chosen):
        raise DeclarationError(
            f"capabilities[{name!r}] must be some of {', '.join(_CHOICES[name])}, got {value!r}"
        )
    return chosen


def _supported(name: str, value: Any) -> Supported:
    if isinstance(value, str) and value in {"any", "square"}:
        return value  # type: ignore[return-value]
    pairs = tuple(_listed(pair) for pair in _listed(value))
    if not pairs or not all(len(p) == 2 and all(type(n) is int for n in p) for p in pairs):
        raise DeclarationError(
            f'capabilities[{name!r}] must be "any", "square" or pairs of integers, got {value!r}'
        )
    return pairs


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()


def _formats(name: str, value: Any) -> Mapping[str, str]:
    formats = ACCUMULATORS if name == "accumulator" else FORMATS
    if isinstance(value, str) and value in formats:
        # An accumulator is no word about operands that it could not even hold.
        meant = FORMATS if name == "result" else _held(value)
        return dict.fromkeys(meant, value)
    mapping = dict(value) if isinstance(value, Mapping) else {}
    if not mapping or not set(mapping) <= set(FORMATS) or not set(mapping.values()) <= set(formats):
        raise DeclarationError(
            f"capabilities[{name!r}] must map some of {', '.join(FORMATS)} to some of "
            f"{', '.join(formats)}, got {value!r}"
        )
    return mapping


def _held(accumulator: str) -> list[str]:
    return [name for name, one in FORMATS.items() if ACCUMULATORS[accumulator].holds(one)]


def _multipliers(name: str, value: Any) -> Mapping[str, str]:
    mapping = dict(value) if isinstance(value, Mapping) else {"": value}
    if any(multiplier not in MULTIPLIERS.get(one, ()) for one, multiplier in mapping.items()):
        known = "; ".join(f"{dtype}: {', '.join(names)}" for dtype, names in MULTIPLIERS.items())
        raise DeclarationError(
            f"capabilities[{name!r}] must map dtypes to formats ({known}), got {value!r}"
        )
    return mapping


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(_CHOICES, _subset),
    **dict.fromkeys(("kernel_shapes", "strides", "dilations"), _supported),
    **dict.fromkeys(("accumulator", "result"), _formats),
    "multiplier": _multipliers,
}
