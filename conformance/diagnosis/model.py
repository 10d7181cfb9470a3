"""What an implementation is taken to compute: a small program that foretells its answers.

A model says, for every product of a result, which place of dy, of the kernel and of x it takes, and
how often it counts: a formula for each index. Where nothing else is said, a formula is the due one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.diagnosis.attributes import of_counts, of_values
from conformance.diagnosis.conditions import ALWAYS, Condition
from conformance.diagnosis.expressions import Column, Columns, Formula, atom, number
from conformance.diagnosis.readings import ENTRY, OUTPUT, PIXEL
from refimpl.geometry import WORDS

_A = atom
DUE: Mapping[str, Formula] = {
    **{name: _A(name[1]) for name in (*OUTPUT, *ENTRY)},
    "Pb": _A("b"),
    "Ph": _A("i") * _A("sh") + _A("u") * _A("dh") - _A("top"),
    "Pw": _A("j") * _A("sw") + _A("v") * _A("dw") - _A("left"),
    "Pc": _A("c"),
    "n": number(1),
}
"""Formula of each index, from the place (b, i, j, u, v, c) of the product (FWD-1, GRD-1, GRD-2)."""

CLAUSES: Mapping[str, str] = {
    "Ph": "GEO-8", "Pw": "GEO-8", "Pc": "FWD-1", "Pb": "FWD-1", "Eg": "GRP-2", "n": "FWD-1",
}  # fmt: skip
SIZES: Mapping[str, str] = {
    "Db": "B", "Di": "Ho", "Dj": "Wo", "Dc": "C",
    "Eb": "B", "Ei": "Ho", "Ej": "Wo", "Eu": "Kh", "Ev": "Kw", "Eg": "G",
    "Pb": "B", "Ph": "H", "Pw": "W", "Pc": "C",
}  # fmt: skip


def _reflected(values: Column, size: Column, *, edge: bool) -> Column:
    """Mirror at the edge; with the edge pixel repeated, or not."""
    period = np.maximum(2 * size - (0 if edge else 2), 1)
    within = values % period
    mirrored: Column = np.where(within < size, within, period - within - (1 if edge else 0))
    return mirrored


BORDERS: Mapping[str, Callable[[Column, Column], Column]] = {
    "": lambda values, size: values,  # noqa: ARG005
    "clamped": lambda values, size: np.clip(values, 0, size - 1),
    "modulo the size": lambda values, size: values % size,
    "reflected": lambda values, size: _reflected(values, size, edge=False),
    "reflected with the edge": lambda values, size: _reflected(values, size, edge=True),
}
"""What becomes of an index outside: a rule from value and size to an index."""


@dataclass(frozen=True)
class Slot:
    """How an index is found.

    Attributes
    ----------
    name : str
        Which, as in `DUE`.
    formula : Formula
        From the place of the product.
    border : str
        What becomes of an index outside, as in `BORDERS`; "every": all along the axis.
    only : Condition
        For which products; for others it is the due one.
    over : Formula, optional
        Of a factor: what it is divided by.
    edited : int
        How much of the due formula was exchanged.
    change : str
        What was exchanged, in words.
    """

    name: str
    formula: Formula
    border: str = ""
    only: Condition = ALWAYS
    over: Formula | None = None
    edited: int = 0
    change: str = ""

    def __call__(self, columns: Columns) -> Column:
        """The index of each product."""
        found = self.formula(columns)
        if self.border:
            found = BORDERS[self.border](found, columns[SIZES[self.name]])
        if self.over is not None:
            over = self.over(columns)
            found = found / np.where(over == 0, 1, over)
        due = DUE[self.name](columns)
        return found if self.only is ALWAYS else np.where(self.only(columns), found, due)

    @property
    def cost(self) -> float:
        """How far from the simplest."""
        # What stands first in the table is thought of first.
        border = 1.4 + 0.1 * list(BORDERS).index(self.border) if self.border else 0.0
        return self.edited + border + 2 * self.only.cost


@dataclass(frozen=True)
class Part:
    """How one result is computed.

    Attributes
    ----------
    slots : tuple of Slot
        The indices that are not the due ones.
    absent : Condition, optional
        Products that are left out though their indices are inside.
    every : tuple of str
        Indices that run over their whole axis: products of all of them are summed.
    when : Condition
        In which cases; in others it is right.
    """

    slots: tuple[Slot, ...] = ()
    absent: Condition | None = None
    every: tuple[str, ...] = ()
    when: Condition = ALWAYS

    @property
    def cost(self) -> float:
        """How far from the simplest."""
        absent = self.absent.cost if self.absent else 0.0
        return sum(slot.cost for slot in self.slots) + absent + 2 * len(self.every) + self.when.cost


RIGHT = Part()


@dataclass(frozen=True)
class Model:
    """How each result is computed."""

    parts: Mapping[str, Part] = field(default_factory=dict)

    def __call__(
        self,
        case: OperatorCase,
        values: Mapping[str, Array],
        results: Sequence[str] = ("y", "dx", "dkernel"),
    ) -> dict[str, Array]:
        """Foretell results, in float64."""
        wide = {name: array.astype(np.float64) for name, array in values.items()}
        listed: dict[Part, dict[str, Column]] = {}
        foretold = {}
        for result in results:
            part = self.parts.get(result, RIGHT)
            part = part if in_force(case, values, part) else RIGHT
            if part not in listed:
                listed[part] = products(case, part, places=False)
            foretold[result] = _summed(result, listed[part], wide)
        return foretold

    @property
    def cost(self) -> float:
        """How far from the simplest; the same part of several results counts once."""
        return sum(part.cost for part in set(self.parts.values()))

    def within(self, when: Mapping[str, Condition]) -> "Model":
        """The model where each result is wrong in some cases only."""
        return Model({
            result: replace(part, when=when.get(result, ALWAYS))
            for result, part in self.parts.items()
        })  # fmt: skip


def numbers_of(case: OperatorCase) -> dict[str, int]:
    """Give the numbers of a call: the atoms of formulas."""
    where = case.geometry
    vertical, horizontal = where.axes(case.size)
    return {
        "B": case.batch, "H": case.height, "W": case.width, "C": case.channels,
        "G": where.groups, "M": where.members, "Ho": case.grid[0], "Wo": case.grid[1],
        "Kh": where.kernel_shape[0], "Kw": where.kernel_shape[1],
        "sh": where.stride[0], "sw": where.stride[1],
        "dh": where.dilation[0], "dw": where.dilation[1],
        "top": vertical.before, "bottom": vertical.after,
        "left": horizontal.before, "right": horizontal.after, "same": where.padding == "same",
    }  # fmt: skip


KINDS = ("padding", "group_layout", "dtype", "taps")


def kinds_of(case: OperatorCase) -> dict[str, str]:
    """Give what of a call is a word."""
    where, padding = case.geometry, case.geometry.padding
    kind = padding if padding in WORDS else "an integer" if isinstance(padding, int) else "explicit"
    pairs = zip(where.kernel_shape, where.dilation, strict=True)
    apart = any(taps > 1 and dilation > 1 for taps, dilation in pairs)
    return {
        "padding": str(kind), "group_layout": where.group_layout, "dtype": case.dtype,
        "taps": "apart" if apart else "adjacent",
    }  # fmt: skip


def with_groups(case: OperatorCase, columns: dict[str, Column]) -> dict[str, Column]:
    """Add the group and the member of it that a channel is due (GRP-2, GRP-3)."""
    where, c = case.geometry, columns["c"]
    blocked, interleaved = c // where.members, c % where.groups
    columns |= _counts(case, columns)
    if where.group_layout == "blocked":
        return columns | {"g": blocked, "m": c % where.members, "g_other": interleaved}
    return columns | {"g": interleaved, "m": c // where.groups, "g_other": blocked}


def _counts(case: OperatorCase, columns: Columns) -> dict[str, Column]:
    """Count the taps of an output that are inside, and the products that read a due pixel."""
    inside, readers, later = [], [], []
    for axis, output, tap in zip(case.geometry.axes(case.size), "ij", "uv", strict=True):
        outputs, taps = np.arange(max(axis.outputs, 0)), np.arange(axis.taps)
        rows = outputs[:, None] * axis.stride + taps * axis.dilation - axis.before
        found = (rows >= 0) & (rows < axis.size)
        inside.append(found.sum(1)[columns[output]])
        place = rows[columns[output], columns[tap]]
        within = (place >= 0) & (place < axis.size)
        reads = np.zeros((len(outputs), axis.size), np.int64)
        np.add.at(reads, (np.nonzero(found)[0], rows[found]), 1)
        kept = np.where(within, place, 0)
        readers.append(np.where(within, reads.sum(0)[kept], 0))
        # Of outputs that read a pixel, those after one.
        after = (reads > 0)[::-1].cumsum(0)[::-1] - (reads > 0)
        later.append(np.where(within, after[columns[output], kept], 0))
    return {
        "taps_inside": inside[0] * inside[1], "readers": readers[0] * readers[1],
        "later_rows": later[0], "later_columns": later[1],
    }  # fmt: skip


def place_columns(case: OperatorCase) -> dict[str, Column]:
    """Give the place of every product of a case, and the numbers of the call."""
    sizes = (case.batch, *case.grid, *case.geometry.kernel_shape, case.channels)
    grid = np.indices(sizes).reshape(6, -1)
    columns: dict[str, Column] = dict(zip("bijuvc", grid, strict=True))
    length = grid.shape[1]
    columns |= {name: np.full(length, value) for name, value in numbers_of(case).items()}
    columns |= {name: np.full(length, word) for name, word in kinds_of(case).items()}
    return with_groups(case, columns)


def products(case: OperatorCase, part: Part, *, places: bool = True) -> dict[str, Column]:
    """List the products of a part: where each takes its factors; its place, if that is wanted."""
    columns = place_columns(case)
    for name in part.every:
        size = int(columns[SIZES[name]][0]) if len(columns["b"]) else 0
        columns = {key: np.repeat(column, size) for key, column in columns.items()}
        length = len(columns["b"])
        columns[f"all {name}"] = np.tile(np.arange(size), length // max(size, 1))
    slots = {slot.name: slot for slot in part.slots}
    length = len(columns["b"])
    found: dict[str, Column] = {}
    for name, due in DUE.items():
        if name in part.every:
            found[name] = columns[f"all {name}"]
        else:
            found[name] = np.broadcast_to((slots.get(name) or due)(columns), length)
    kept = np.ones(length, bool)
    for name, of in SIZES.items():
        kept &= (found[name] >= 0) & (found[name] < columns[of])
    if part.absent is not None and length:
        kept &= ~part.absent(columns | {"h": found["Ph"], "w": found["Pw"]})
    both = columns | found if places else found
    return {name: column[kept] for name, column in both.items()}


def attributes_of(case: OperatorCase, values: Mapping[str, Array]) -> dict[str, Any]:
    """Give all that a condition on a call may speak of."""
    row = {**numbers_of(case), **kinds_of(case), **of_counts(case), **of_values(values)}
    del row["same"]
    return row


def in_force(case: OperatorCase, values: Mapping[str, Array], part: Part) -> bool:
    """Tell whether a part holds in a case; where it does not, the right one does."""
    if part.when is ALWAYS:
        return True
    words = attributes_of(case, values)
    return bool(part.when({name: np.array([value]) for name, value in words.items()})[0])


def _summed(result: str, listed: Columns, values: Mapping[str, Array]) -> Array:
    """Add up the products of a result."""
    at = {
        "dy": tuple(listed[name] for name in OUTPUT),
        "kernel": tuple(listed[name] for name in ENTRY),
        "x": tuple(listed[name] for name in PIXEL),
    }
    target = {"y": "dy", "dx": "x", "dkernel": "kernel"}[result]
    product = listed["n"].astype(np.float64)
    for operand, where in at.items():
        if operand != target:
            product = product * values[operand][where]
    shape = values[target].shape
    flat = np.ravel_multi_index(at[target], shape) if len(product) else np.zeros(0, np.intp)
    size = int(np.prod(shape))
    return np.bincount(flat, product, size).reshape(shape) if size else np.zeros(shape)
