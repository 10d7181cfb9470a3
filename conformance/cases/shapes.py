"""Shapes of somebody's own network: what a line of a file says of one, and the cases at its size.

A shape is B, H, W, C, G, K, stride, dilation, padding and layout: all but format and values. It is
read strictly, since what is left out would be judged as something else. Nothing is judged here.
"""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from conformance.cases.geometries import Geometry
from conformance.cases.operator import OperatorCase
from conformance.claims.capabilities import HALF, Capabilities
from refimpl.geometry import WORDS

COLUMNS = ("B", "H", "W", "C", "G", "K", "stride", "dilation", "padding", "layout")
LAYOUTS = ("blocked", "interleaved")
# What the judge needs for a case, in bytes for each element of x, kernel and dy: 48 to 62, by
# format and values, were measured.
BYTES = 64
# What it may need: a larger shape is not run, and its row says so.
MEMORY = 4 * 2**30
_NAME = 60


class ShapeError(ValueError):
    """What is no shape; the message names line, column, rule and value."""


@dataclass(frozen=True)
class Shape:
    """One call of the operator in a network.

    Attributes
    ----------
    name : str
        Of its row in a verdict.
    batch, height, width : int
        B, H and W.
    geometry : Geometry
        Everything else.
    """

    name: str
    batch: int
    height: int
    width: int
    geometry: Geometry

    def case(self, dtype: str, recipe: str, seed: int = 0) -> OperatorCase:
        """Give a case of this size."""
        size = self.batch, self.height, self.width
        return OperatorCase(dtype, recipe, seed, *size, self.geometry)

    @property
    def bytes(self) -> int:
        """Memory that judging a case of it takes."""
        shapes = self.case("float32", "normal").shapes
        return BYTES * sum(math.prod(shape) for shape in shapes.values())

    @property
    def words(self) -> str:
        """Its numbers, without its name."""
        where = self.geometry
        said = f"{self.batch} x {self.height}x{self.width}x{where.channels}, G {where.groups}, "
        said += f"K {_pair(where.kernel_shape)}"
        for name, usual in (("stride", (1, 1)), ("dilation", (1, 1))):
            if getattr(where, name) != usual:
                said += f", {name} {_pair(getattr(where, name))}"
        return f"{said}, {_padding_words(where.padding)}, {where.group_layout}"

    @property
    def line(self) -> str:
        """The line of a file that says it, in JSON."""
        where = self.geometry
        values = (
            self.batch, self.height, self.width, where.channels, where.groups, where.kernel_shape,
            where.stride, where.dilation, where.padding, where.group_layout,
        )  # fmt: skip
        return json.dumps({"name": self.name} | dict(zip(COLUMNS, values, strict=True)))

    @classmethod
    def read(cls, entries: Mapping[str, Any]) -> Self:
        """Make one of a mapping of columns to values.

        Raises
        ------
        ShapeError
            Naming the column, the rule and the value.
        """
        known = ("name", *COLUMNS)
        if unknown := [name for name in entries if name not in known]:
            raise ShapeError(f"columns must be {', '.join(known)}, got {unknown[0]!r}")
        if lacking := [name for name in COLUMNS if entries.get(name) in (None, "")]:
            raise ShapeError(f"column {lacking[0]} is missing: a shape has {', '.join(COLUMNS)}")
        batch, height, width, channels, groups = (_count(entries, name) for name in "BHWCG")
        if channels % groups:
            raise ShapeError(f"column G must divide C (GRP-1), got G = {groups} and C = {channels}")
        layout = entries["layout"]
        if layout not in LAYOUTS:
            raise ShapeError(f"column layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
        kernel, stride, dilation = (_two(entries, name) for name in ("K", "stride", "dilation"))
        where = Geometry(
            groups, channels // groups, kernel, stride, dilation, _padding(entries), layout
        )
        shape = cls("", batch, height, width, where)
        if min(shape.case("float32", "normal").grid) < 1:
            raise ShapeError(f"the output must have rows and columns (ERR-8), got {shape.words}")
        name = entries.get("name") or shape.words
        if not isinstance(name, str) or not name.isprintable() or len(name) > 4 * _NAME:
            raise ShapeError(f"column name must be printable text, got {name!r}")
        return cls(name, batch, height, width, where)


def read(path: Path) -> tuple[Shape, ...]:
    """Read a file of shapes, each a line: objects of JSON, or CSV below a line of columns.

    Raises
    ------
    ShapeError
        Naming the file, the line, the column, the rule and the value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ShapeError(f"{path} cannot be read: {error}") from error
    found: list[Shape] = []
    for number, line in enumerate(_lines(text), 1):
        if line is None:
            continue
        try:
            found.append(Shape.read(_entries(line)))
        except ShapeError as error:
            raise ShapeError(f"{path}, line {number}: {error}") from error
    if not found:
        raise ShapeError(f"{path} must have a shape on some line, got none")
    return distinct(found)


def distinct(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    """Leave out repeated ones.

    Raises
    ------
    ShapeError
        Two different ones have one name.
    """
    named: dict[str, Shape] = {}
    for shape in shapes:
        if named.setdefault(shape.name, shape) != shape:
            other = named[shape.name].words
            raise ShapeError(
                f"names must differ where shapes do, got {shape.name!r} for {other} and for "
                f"{shape.words}"
            )
    return tuple(named.values())


def cases(shape: Shape, claimed: Capabilities, seed: int, *, reals: bool) -> Iterator[OperatorCase]:
    """Give what a shape is asked: impulses, exact sums, and in each format real numbers."""
    first = claimed.first_dtype
    for recipe in ("sample-x", "sample-dy", "split"):
        yield shape.case(first, recipe, seed % 1000)
    for dtype in claimed.dtypes if reals else ():
        yield shape.case(dtype, "normal", seed % 1000)


def _lines(text: str) -> Iterator[Any]:
    """Give an entry for each line of a file: what it says, or nothing for an empty one."""
    lines = text.splitlines()
    if text.lstrip().startswith("{"):
        yield from (line.strip() or None for line in lines)
        return
    # The first line that is not empty names the columns. No cell has a line break.
    columns: list[str] | None = None
    for line in lines:
        cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True), [])]
        if any(cells) and columns is not None:
            yield columns, cells
        else:
            columns = columns or (cells if any(cells) else None)
            yield None


def _entries(line: Any) -> Mapping[str, Any]:
    """Read what one line says."""
    if isinstance(line, tuple):
        columns, cells = line
        if len(cells) != len(columns):
            raise ShapeError(f"it must have {len(columns)} cells, got {len(cells)}")
        if len(set(columns)) != len(columns):
            raise ShapeError(f"columns must differ, got {', '.join(columns)}")
        pairs = zip(columns, cells, strict=True)
        return {name: cell if name == "name" else _cell(cell) for name, cell in pairs}
    try:
        entries = json.loads(line)
    except json.JSONDecodeError as error:
        raise ShapeError(f"it must be an object of JSON on one line, got {line[:40]!r}") from error
    if not isinstance(entries, dict):
        raise ShapeError(f"it must be an object of JSON, got {line[:40]!r}")
    return entries


def _cell(text: str) -> Any:
    """Read a cell of CSV: a number or list as JSON has it, a pair 3x5, or a word."""
    if re.fullmatch(r"\d+x\d+", text):
        return [int(part) for part in text.split("x")]
    if re.fullmatch(r"\d+x\d+/\d+x\d+", text):
        return [[int(part) for part in pair.split("x")] for pair in text.split("/")]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _count(entries: Mapping[str, Any], name: str) -> int:
    value = entries[name]
    if type(value) is not int or value < 1:
        raise ShapeError(f"column {name} must be an integer above 0, got {value!r}")
    return value


def _two(entries: Mapping[str, Any], name: str) -> tuple[int, int]:
    value = entries[name]
    pair = value if isinstance(value, list | tuple) else [value, value]
    if len(pair) != 2 or any(type(n) is not int or n < 1 for n in pair):
        raise ShapeError(
            f"column {name} must be an integer above 0 or two of them, vertical and horizontal, "
            f"got {value!r}"
        )
    return pair[0], pair[1]


def _padding(entries: Mapping[str, Any]) -> Any:
    value = entries["padding"]
    words = (*WORDS, HALF)
    if value in words or (type(value) is int and value >= 0):
        return value
    sides = value if isinstance(value, list | tuple) and len(value) == 2 else ()
    pairs = tuple(tuple(side) for side in sides if isinstance(side, list | tuple))
    numbers = [n for pair in pairs for n in pair]
    if [len(pair) for pair in pairs] == [2, 2] and all(type(n) is int and n >= 0 for n in numbers):
        return pairs
    raise ShapeError(
        f"column padding must be one of {', '.join(words)}, an integer from 0 on, or "
        f"[[top, bottom], [left, right]], got {value!r}"
    )


def _pair(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _padding_words(padding: Any) -> str:
    if isinstance(padding, tuple):
        return "padding " + "/".join("x".join(map(str, side)) for side in padding)
    return f"padding {padding}"
