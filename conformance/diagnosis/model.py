"""What an implementation is taken to compute: a small program that foretells its answers.

A model says, for every product of a result, which place of dy, of the kernel and of x it takes, and
how often it counts: a formula for each index. Where nothing else is said, a formula is the due one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.diagnosis.attributes import of_counts, of_values
from conformance.diagnosis.conditions import ALWAYS, Condition, Truth
from conformance.diagnosis.expressions import Column, Columns, Formula, atom, number
from conformance.diagnosis.places import (
    FLAGS,
    INDICES,
    entries_of,
    kinds_of,
    numbers_of,
    place_columns,
)
from conformance.diagnosis.readings import ENTRY, OUTPUT, PIXEL

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

# What identifies an entry of each result, and the operand whose shape it has.
TARGETS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "y": (OUTPUT, "dy"), "dx": (PIXEL, "x"), "dkernel": (ENTRY, "kernel"),
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
    # As Python's and NumPy's indices are, where only the upper end is checked.
    "negative ones from the end": lambda values, size: np.where(
        (values < 0) & (values >= -size), values + size, values
    ),
    "reflected": lambda values, size: _reflected(values, size, edge=False),
    "reflected with the edge": lambda values, size: _reflected(values, size, edge=True),
}
"""What becomes of an index outside: a rule from value and size to an index."""

# And what becomes of it where the product is multiplied by zero.
OUTSIDE: Mapping[str, Callable[[Column, Column], Column]] = {
    **BORDERS,
    "pixel 0": lambda values, size: np.where((values >= 0) & (values < size), values, 0),
}


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
            found = OUTSIDE[self.border](found, columns[SIZES[self.name]])
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


class Constant(NamedTuple):
    """A number that is added to entries of a result, in the format of the result."""

    value: float
    only: Condition = ALWAYS

    def added(self, case: OperatorCase, result: str, sums: Array) -> Array:
        """Add it to sums that are rounded to the format already."""
        there = np.broadcast_to(self.only(entries_of(case, result)), sums.size)
        number, rounded = np.dtype(case.dtype).type(self.value), sums.astype(case.dtype)
        found: Array = rounded.astype(np.float64) + there.reshape(sums.shape) * float(number)
        return found


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
    constant : Constant, optional
        What is added to its sums.
    """

    slots: tuple[Slot, ...] = ()
    absent: Condition | None = None
    every: tuple[str, ...] = ()
    when: Condition = ALWAYS
    constant: Constant | None = None

    @property
    def cost(self) -> float:
        """How far from the simplest."""
        absent = self.absent.cost if self.absent else 0.0
        added = 1 + self.constant.only.cost if self.constant else 0.0
        costs = (*(slot.cost for slot in self.slots), absent, added, self.when.cost)
        return sum(costs) + 2 * len(self.every)


RIGHT = Part()
# A result that has so many times as many entries as there are products is written in part.
_SPARSE = 8


class Sample(NamedTuple):
    """Some entries of a result: the places whose products reach them, and where they stand."""

    places: Mapping[str, Array]
    entries: tuple[Array, ...]


@dataclass(frozen=True)
class Model:
    """How each result is computed."""

    parts: Mapping[str, Part] = field(default_factory=dict)

    def __call__(
        self,
        case: OperatorCase,
        values: Mapping[str, Array],
        results: Sequence[str] = ("y", "dx", "dkernel"),
        some: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """Foretell results, in float64; of `some` places alone."""
        wide = {name: array.astype(np.float64) for name, array in values.items()}
        listed: dict[Part, _Products] = {}
        foretold = {}
        for result in results:
            part = self.parts.get(result, RIGHT)
            part = part if in_force(case, values, part) else RIGHT
            if part not in listed:
                listed[part] = _products(case, part, some)
            foretold[result] = _summed(result, listed[part], wide)
            if part.constant is not None:
                foretold[result] = part.constant.added(case, result, foretold[result])
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


class _Products(NamedTuple):
    """The products of a part, on an open grid."""

    places: dict[str, Column]
    found: dict[str, Column]
    # Which are inside, and count.
    kept: Truth
    shape: tuple[int, ...]


def _products(case: OperatorCase, part: Part, some: Mapping[str, Array] | None = None) -> _Products:
    columns = place_columns(case, some, len(part.every))
    for number_, name in enumerate(part.every):
        size = int(columns[SIZES[name]])
        behind = (1,) * (len(part.every) - 1 - number_)
        columns[f"all {name}"] = np.arange(size).reshape(-1, *behind)
    grid = [columns[name] for name in (*INDICES, *(f"all {name}" for name in part.every))]
    shape = np.broadcast_shapes(*(one.shape for one in grid))
    slots = {slot.name: slot for slot in part.slots}
    found: dict[str, Column] = {}
    for name, due in DUE.items():
        every = columns.get(f"all {name}")
        found[name] = (slots.get(name) or due)(columns) if every is None else every
    kept: Truth = np.ones((1,) * len(shape), bool)
    for name, of in SIZES.items():
        kept = kept & (found[name] >= 0) & (found[name] < columns[of])
    if part.absent is not None:
        kept = kept & ~part.absent(columns | {"h": found["Ph"], "w": found["Pw"]})
    return _Products(columns, found, kept, shape)


def products(case: OperatorCase, part: Part, *, places: bool = True) -> dict[str, Column]:
    """List the products of a part: where each takes its factors; its place, if that is wanted."""
    columns, found, kept, shape = _products(case, part)
    kept = np.broadcast_to(kept, shape)
    both = columns | found if places else found
    return {name: np.broadcast_to(column, shape)[kept] for name, column in both.items()}


def sampled(
    case: OperatorCase, part: Part, result: str, most: int, telling: Sequence[Array]
) -> Sample:
    """Choose entries of a result that few products reach, at ends and where it tells most.

    Along each axis whose index is the due one no product of another place reaches an entry.

    Parameters
    ----------
    case : OperatorCase
        The call.
    part : Part
        How the result is computed.
    result : str
        Which.
    most : int
        So many products, if the axes allow it.
    telling : sequence of array
        For each axis the indices that are to be among those chosen.
    """
    names, operand = TARGETS[result]
    changed = {slot.name for slot in part.slots} | set(part.every)
    numbers = numbers_of(case)
    # What runs over a whole axis has so many products for each.
    left = case.products * math.prod(numbers[SIZES[name]] for name in part.every)
    lengths = list(case.shapes[operand])
    own = {axis: str(DUE[name]) for axis, name in enumerate(names) if name not in changed}
    own = {axis: name for axis, name in own.items() if name in INDICES}
    while left > most and own:
        axis = max(own, key=lambda axis: lengths[axis])
        if lengths[axis] < 4:
            break
        left = left * (lengths[axis] // 2) // lengths[axis]
        lengths[axis] //= 2
    rng = np.random.default_rng(case.seed)
    index = []
    for size, length, wrong in zip(case.shapes[operand], lengths, telling, strict=True):
        ends = [0, size - 1] if size > 1 else [0]
        some = [*ends, *rng.permutation(wrong)[: length // 2], *rng.permutation(size)]
        index.append(np.sort(np.array(list(dict.fromkeys(map(int, some)))[:length], np.int64)))
    return Sample({name: index[axis] for axis, name in own.items()}, tuple(np.ix_(*index)))


def attributes_of(case: OperatorCase, values: Mapping[str, Array]) -> dict[str, Any]:
    """Give all that a condition on a call may speak of."""
    return {**of_sizes(case), **of_values(values)}


def of_sizes(case: OperatorCase) -> dict[str, Any]:
    """Give all that a condition may speak of but the values."""
    row = {**numbers_of(case), **kinds_of(case), **of_counts(case)}
    for flag in FLAGS:
        del row[flag]
    return row


def in_force(case: OperatorCase, values: Mapping[str, Array], part: Part) -> bool:
    """Tell whether a part holds in a case; where it does not, the right one does."""
    return part.when is ALWAYS or holds(part.when, attributes_of(case, values))


def holds(condition: Condition, row: Mapping[str, Any]) -> bool:
    """Evaluate a condition on the attributes of one call."""
    return bool(condition({name: np.array([value]) for name, value in row.items()})[0])


def _summed(result: str, listed: _Products, values: Mapping[str, Array]) -> Array:
    """Add up the products of a result."""
    target, product = TARGETS[result][1], listed.found["n"].astype(np.float64)
    at = {}
    for names, operand in TARGETS.values():
        shape = values[operand].shape
        at[operand] = tuple(
            np.maximum(np.minimum(listed.found[name], size - 1), 0)
            for name, size in zip(names, shape, strict=True)
        )
        if operand != target and min(shape):
            product = product * values[operand][at[operand]]
    shape, size = values[target].shape, values[target].size
    if not size or not all(listed.shape):
        return np.zeros(shape)
    flat: Column = np.zeros((), np.int64)
    for index, length in zip(at[target], shape, strict=True):
        flat = flat * length + index
    product = np.broadcast_to(np.where(listed.kept, product, 0.0), listed.shape)
    places = np.broadcast_to(flat, listed.shape).ravel()
    if size <= _SPARSE * places.size:
        return np.bincount(places, product.ravel(), size).reshape(shape)
    # Of a large result few entries are reached: no more of it is written.
    reached, which = np.unique(places, return_inverse=True)
    sums = np.zeros(size)
    sums[reached] = np.bincount(which.ravel(), product.ravel(), len(reached))
    return sums.reshape(shape)
