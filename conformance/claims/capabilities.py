"""What an implementation declares about itself: what it supports, and in which arithmetic.

A declaration is a plain mapping on the implementation, so that nobody has to import this package to
be judged. What is claimed is tested; what is not claimed is reported as not claimed. Whether a case
is claimed is asked here and nowhere else.
"""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from conformance.claims.arithmetic import Arithmetic
from conformance.claims.formats import ACCUMULATORS, FORMATS, MULTIPLIERS
from conformance.claims.numbers import ANY, Numbers
from conformance.words import listed
from refimpl.geometry import WORDS

# Padding of half a window, d * (K - 1) // 2 pixels on each side, in the words of a claim.
HALF = "half"
# Of a function that an implementation may have: it has it, and does not declare it.
OFFERED = "offered"
Pair = tuple[int, int]
Supported = Literal["any", "square", "odd", "odd square"] | tuple[Pair, ...]
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "dtypes": tuple(FORMATS),
    "paddings": (*WORDS, "int", "explicit", HALF),
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
        "square" claims every pair of equal numbers. Of kernel shapes also "odd" and "odd square".
    paddings : tuple of str
        Kinds of padding: "same", "valid", "int", "explicit"; and "half", the pixels
        ``d * (K - 1) // 2`` on each side, which "explicit" has among others.
    group_layouts : tuple of str
        "blocked", "interleaved".
    images : "any" or "square"
        Shapes of images.
    ragged : bool
        Sizes that the stride does not divide are answered.
    resizes : bool
        Outputs of another size than the input's are answered.
    groups, group_channels, channels : Numbers
        G, M and C that are answered; declared as "any", as numbers, or as a mapping of "least" and
        "multiple".
    largest : int or None
        Most elements of an array, operand or result.
    backward : bool
        There are derivatives.
    jvp, double_backward : bool or "offered"
        There is forward mode; there are second derivatives. What is not declared is offered where
        the implementation has the function of that name: what it answers is judged, and if it
        raises instead it is not claimed.
    accumulator : mapping of dtype to format
        Narrowest format that a partial sum is rounded to. Also "double-double". A format alone is
        meant for the operands whose numbers it holds.
    multiplier : mapping of dtype to format
        Format that operands are rounded to before they are multiplied: "tfloat32" or "bfloat16" for
        float32. Undeclared, they are multiplied as they are.
    result : mapping of dtype to format
        Format of the results, where it is not that of the operands.
    rounding : "nearest" or "any"
        Every rounding is to nearest, ties to even; or to either neighbour, which doubles what each
        is granted.
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
    may_refuse : tuple of str
        Conditions on a case, in the words of a waiver's: where one of them holds, a call may raise
        instead of answering. What is answered there is judged all the same.
    devices : tuple of str
        Where what is judged runs, in its framework's words: the verdict is about these. The
        adapters of `conformance.adapt` say their own.
    validates : bool
        What chapter ERR (for a layer LAY-18) lists is rejected.
    compiles : bool
        Each new geometry costs a trace or a compilation, so cases keep to a few geometries.
    """

    dtypes: tuple[str, ...] = _CHOICES["dtypes"]
    kernel_shapes: Supported = "any"
    strides: Supported = "any"
    dilations: Supported = "any"
    paddings: tuple[str, ...] = (*WORDS, "int", "explicit")
    group_layouts: tuple[str, ...] = _CHOICES["group_layouts"]
    images: Literal["any", "square"] = "any"
    ragged: bool = True
    resizes: bool = True
    groups: Numbers = ANY
    group_channels: Numbers = ANY
    channels: Numbers = ANY
    largest: int | None = None
    backward: bool = True
    jvp: bool | str = False
    double_backward: bool | str = False
    accumulator: Mapping[str, str] | None = None
    multiplier: Mapping[str, str] | None = None
    result: Mapping[str, str] | None = None
    rounding: Literal["nearest", "any"] = "nearest"
    gradual_underflow: bool = False
    empty_batch: bool = True
    memory: bool = True
    deterministic: bool = True
    thread_safe: bool = True
    fork_safe: bool = False
    validates: bool = True
    may_refuse: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
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
            nearest=self.rounding == "nearest",
        )

    def unclaimed(self, case: Any) -> str:
        """Say what of a case is not claimed; nothing if all of it is.

        Parameters
        ----------
        case : Case
            With `dtype`, `batch`, `geometry`, the `grid` of its outputs, the `shapes` of its
            arrays, and the number of `samples` that its recipe makes of its batch.
        """
        if case.dtype not in self.dtypes:
            return f"dtypes {case.dtype}"
        if case.batch == 0 and not self.empty_batch:
            return "empty_batch"
        return self.unclaimed_geometry(case.geometry) or self._unclaimed_sizes(case)

    def _unclaimed_sizes(self, case: Any) -> str:
        size = case.shapes["x"][1:3]
        if self.images == "square" and size[0] != size[1]:
            return f"images of {size[0]} x {size[1]} pixels"
        stride = case.geometry.stride
        if not self.ragged and any(n % s for n, s in zip(size, stride, strict=True)):
            return f"ragged: {size[0]} x {size[1]} pixels at stride {stride}"
        if not self.resizes and tuple(case.grid) != tuple(size):
            return f"resizes: {size[0]} x {size[1]} pixels to {case.grid[0]} x {case.grid[1]}"
        samples = case.samples / case.batch if case.batch else 1
        elements = int(samples * max(math.prod(shape) for shape in case.shapes.values()))
        if self.largest is not None and elements > self.largest:
            return f"largest: an array of {elements:,} elements"
        return ""

    def unclaimed_geometry(self, geometry: Any) -> str:
        """Say what of a geometry is not claimed, whatever image it meets."""
        pairs = {"kernel_shape": self.kernel_shapes, "stride": self.strides}
        for name, claimed in (pairs | {"dilation": self.dilations}).items():
            if not supports(claimed, getattr(geometry, name)):
                return f"{name}s {getattr(geometry, name)}"
        kind = padding_kind(geometry.padding)
        kinds = {kind} | ({"explicit"} if kind == HALF else set())
        if kind == "explicit" and geometry.pixels == geometry.half:
            kinds |= {HALF}
        if not kinds & set(self.paddings):
            return f"paddings {kind}"
        if geometry.group_layout not in self.group_layouts:
            return f"group_layouts {geometry.group_layout}"
        numbers = {"groups": geometry.groups, "group_channels": geometry.members}
        for name, number in (numbers | {"channels": geometry.channels}).items():
            if number not in getattr(self, name):
                return f"{name} {number}"
        return ""

    @property
    def scope(self) -> str:
        """What is claimed, in one line."""
        usual = type(self)()
        said = [", ".join(self.dtypes)]
        for entry, words in (
            ("kernel_shapes", "kernels"), ("strides", "strides"), ("dilations", "dilations"),
            ("paddings", "padding"), ("group_layouts", "layout"), ("conventions", "convention"),
            ("images", "images"), ("groups", "groups"), ("group_channels", "channels a group"),
            ("channels", "channels"), ("largest", "elements of an array at most"),
        ):  # fmt: skip
            value = getattr(self, entry, None)
            if value != getattr(usual, entry, None):
                said.append(f"{words} {_words(value)}")
        if len(said) == 1 and self.ragged and self.resizes:
            said.append("every geometry")
        flags = [one.name for one in fields(self) if getattr(usual, one.name) is True]
        without = [entry for entry in flags if not getattr(self, entry)]
        said += [f"not {', '.join(without)}"] if without else []
        beyond = [entry for entry in ("jvp", "double_backward") if getattr(self, entry)]
        said += [f"also {', '.join(beyond)}"] if beyond else []
        said += [f"may refuse {' or '.join(self.may_refuse)}"] if self.may_refuse else []
        return "; ".join(said) + (f"; on {', '.join(self.devices)}" if self.devices else "")

    @property
    def arithmetic_words(self) -> str:
        """The claimed arithmetic, in one line."""
        alike: dict[str, list[str]] = {}
        for dtype in self.dtypes:
            one = self.arithmetic(dtype)
            through = f" from {one.multiplier.name}" if one.multiplier else ""
            result = f", given as {one.result.name}" if one.result != one.operand else ""
            alike.setdefault(f"in {one.accumulator.name}{through}{result}", []).append(dtype)
        each = [f"of {listed(dtypes)} {how}" for how, dtypes in alike.items()]
        tiny = "kept" if self.gradual_underflow else "kept or flushed"
        rounded = "" if self.rounding == "nearest" else "; rounded to either neighbour"
        return f"sums {', '.join(each)}{rounded}; subnormal numbers {tiny}"


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
    if not isinstance(claimed, str):
        return pair in claimed
    square, odd = pair[0] == pair[1], pair[0] % 2 == pair[1] % 2 == 1
    return (square or "square" not in claimed) and (odd or "odd" not in claimed)


def padding_kind(padding: Any) -> str:
    """Give the kind of a padding, as `paddings` has it."""
    if isinstance(padding, str):
        return padding
    return "int" if isinstance(padding, int) else "explicit"


def written(entries: Mapping[str, Any]) -> str:
    """Give entries of a declaration as somebody writes them, to be copied."""

    def one(value: Any) -> str:
        if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], str):
            return one(value[0])
        if isinstance(value, tuple):
            listed = (part if isinstance(part, tuple) else one(part) for part in value)
            return f"[{', '.join(map(str, listed))}]"
        return f'"{value}"' if isinstance(value, str) else str(value)

    return ", ".join(f'"{name}": {one(value)}' for name, value in entries.items())


def _words(value: Any) -> str:
    several = isinstance(value, tuple)
    return ", ".join(map(str, value)) if several else str(value)


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
        raise DeclarationError(
            f"capabilities has no entry {' and no '.join(map(repr, unknown))}{instead} (it may "
            f"have {', '.join(known)})"
        )
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


def _offer(name: str, value: Any) -> bool | str:
    return value if value == OFFERED else _flag(name, value)


def _subset(name: str, value: Any) -> tuple[str, ...]:
    chosen = (value,) if isinstance(value, str) else _listed(value)
    if not chosen or not all(isinstance(one, str) and one in _CHOICES[name] for one in chosen):
        raise DeclarationError(
            f"capabilities[{name!r}] must be some of {', '.join(_CHOICES[name])}, got {value!r}"
        )
    return chosen


def _supported(name: str, value: Any) -> Supported:
    words = ("any", "square", *(("odd", "odd square") if name == "kernel_shapes" else ()))
    if isinstance(value, str) and value in words:
        return value  # type: ignore[return-value]
    pairs = tuple(_listed(pair) for pair in _listed(value))
    if not pairs or not all(len(p) == 2 and all(type(n) is int for n in p) for p in pairs):
        said = ", ".join(f'"{word}"' for word in words)
        raise DeclarationError(
            f"capabilities[{name!r}] must be {said} or pairs of integers, got {value!r}"
        )
    return pairs


def _images(name: str, value: Any) -> str:
    if value not in ("any", "square"):
        raise DeclarationError(f'capabilities[{name!r}] must be "any" or "square", got {value!r}')
    return str(value)


def _rounding(name: str, value: Any) -> str:
    if value not in ("nearest", "any"):
        raise DeclarationError(f'capabilities[{name!r}] must be "nearest" or "any", got {value!r}')
    return str(value)


def _numbers(name: str, value: Any) -> Numbers:
    try:
        return Numbers.read(value)
    except ValueError as error:
        raise DeclarationError(f"capabilities[{name!r}] {error}") from error


def _most(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise DeclarationError(f"capabilities[{name!r}] must be an integer above 0, got {value!r}")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else _listed(value)
    if not texts or not all(isinstance(one, str) and one.strip() for one in texts):
        example = '"batch == 0"' if name == "may_refuse" else '"cuda:0"'
        raise DeclarationError(
            f"capabilities[{name!r}] must be text, as {example}, or several, got {value!r}"
        )
    return texts


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
    **dict.fromkeys(("groups", "group_channels", "channels"), _numbers),
    **dict.fromkeys(("may_refuse", "devices"), _texts),
    **dict.fromkeys(("jvp", "double_backward"), _offer),
    "images": _images,
    "rounding": _rounding,
    "largest": _most,
    "multiplier": _multipliers,
}
