"""Reads off answers which factors an operator multiplies: the map, product by product.

An operator that is linear in each operand is fixed by what it answers where one operand is one at a
single place and another one numbers its places. The number that comes back is the place that was
met. Each is asked twice, with the places numbered otherwise, so that a sum of numbers is not taken
for a number; where several products meet, fewer places are asked about at a time.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged
from conformance.diagnosis.answers import Question, Raised
from conformance.diagnosis.expressions import Columns

Indices = npt.NDArray[np.int64]
# Calls that a reading takes at most.
_MOST_CALLS = 1200
# Taps, and entries of an operand, of a case whose map is read.
_MOST_TAPS, _MOST_ENTRIES = 128, 1 << 17
# Labels that are read: all up to so many, of large operands fewer, so many entries in all.
_FEWEST_LABELS, _MOST_LABELS, _LABELLED = 8, 64, 1 << 18
FUNCTION = {"y": "forward", "dx": "backward", "dkernel": "backward"}
# A product that counts in part is rounded where it is multiplied, divided and added, and its share
# once more: so often at most.
ROUNDINGS = 4
# What identifies a product: the places of dy (of y: the output), of the kernel and of x.
OUTPUT, ENTRY, PIXEL = (
    ("Db", "Di", "Dj", "Dc"),
    ("Eb", "Ei", "Ej", "Eu", "Ev", "Eg"),
    ("Pb", "Ph", "Pw", "Pc"),
)


@dataclass(eq=False)
class Reading:
    """The products of one result of one case.

    Attributes
    ----------
    case : OperatorCase
        The geometry and sizes; its values do not matter.
    result : str
        "y", "dx" or "dkernel".
    columns : dict of str to ndarray
        An entry for each product: its indices into dy, kernel and x, and its factor `n`.
    complete : bool
        Every product could be told from every other.
    raised : str
        What was raised instead.
    labels : sequence of tuple of int
        The entries of the kernel, as (u, v, g), whose products were read; of dkernel the channels.
        All of them if empty.
    """

    case: OperatorCase
    result: str
    columns: dict[str, Array] = field(default_factory=dict)
    complete: bool = True
    raised: str = ""
    labels: Sequence[tuple[int, ...]] = ()

    def among(self, columns: Columns) -> npt.NDArray[np.bool_]:
        """Tell which products have one of the labels that were read."""
        sizes, names = _labelled(self.case, self.result)
        if not self.labels or len(self.labels) == math.prod(sizes):
            return np.ones(len(columns[names[0]]), bool)
        flat = np.ravel_multi_index(np.array(self.labels).T, sizes)
        own = tuple(columns[name].astype(np.int64) for name in names)
        return np.isin(np.ravel_multi_index(own, sizes), flat)


class _UnreadError(Exception):
    """What came back is no reading."""


def read(judged: Judged, case: OperatorCase, result: str, scale: float = 1.0) -> Reading:
    """Read one result of one case off an implementation.

    Parameters
    ----------
    judged : Judged
        Who is asked.
    case : OperatorCase
        About which geometry; `affordable` says whether it can be.
    result : str
        "y", "dx" or "dkernel".
    scale : float
        A power of two by which x is multiplied, where it takes other values to be wrong.
    """
    reader = _Reader(judged, case, result, scale)
    found = Reading(case, result, labels=reader.labels)
    try:
        parts = list(reader.products())
    except _UnreadError as error:
        found.raised, found.complete = str(error), False
        return found
    names = (*OUTPUT, *ENTRY, *PIXEL, "n")
    found.columns = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.zeros(0, np.int64)
        for name in names
    }
    found.complete = reader.complete
    return found


def affordable(case: OperatorCase) -> bool:
    """Tell whether a reading of the case takes few calls on small arrays."""
    sizes = [int(np.prod(shape)) for shape in case.shapes.values()]
    return case.geometry.taps <= _MOST_TAPS and max(sizes) <= _MOST_ENTRIES


def _labelled(case: OperatorCase, result: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Give how many labels there are along each axis, and the indices that they are."""
    if result == "dkernel":
        return (case.channels,), ("Dc",)
    return case.shapes["kernel"][3:], ("Eu", "Ev", "Eg")


def _labels(case: OperatorCase, result: str) -> list[tuple[int, ...]]:
    """Give the labels: all of them where they are few, else the ends and some between them."""
    sizes, _ = _labelled(case, result)
    every = list(itertools.product(*map(range, sizes)))
    entries = sum(int(np.prod(shape)) for shape in case.shapes.values())
    most = max(_FEWEST_LABELS, min(_MOST_LABELS, _LABELLED // max(entries, 1)))
    if len(every) <= most:
        return every
    rng = np.random.default_rng(len(every))
    within = rng.permutation(np.arange(1, len(every) - 1))[: most - 2]
    return [every[n] for n in sorted({0, len(every) - 1, *within.tolist()})]


class _Reader:
    def __init__(self, judged: Judged, case: OperatorCase, result: str, scale: float) -> None:
        self.scale = scale
        self.question, self.case, self.result = Question(judged, case), case, result
        self.bits = judged.capabilities.arithmetic(case.dtype).bits
        self.dtype = FORMATS[case.dtype].dtype
        self.shapes = case.shapes
        self.labels = _labels(case, result)
        self.calls, self.complete = 0, True

    def products(self) -> Iterator[dict[str, Array]]:
        """Give the products, label by label."""
        source = "dy" if self.result == "dkernel" else "kernel"
        for label in self.labels:
            one = np.zeros(self.shapes[source])
            where: tuple[Any, ...] = (..., *label)
            one[where] = 1
            yield from self._of_label(source, one)

    def _of_label(self, source: str, one: Array) -> Iterator[dict[str, Array]]:
        """Give the products of one label; of fewer places at a time where several meet."""
        # What is split is not the labelled operand but where that one is dy.
        split = {"y": "x", "dx": "dy", "dkernel": "dy"}[self.result]
        masks = [tuple(np.arange(n) for n in self.shapes[split][:3])]
        while masks:
            mask = masks.pop()
            found, several = self._of_mask(source, one, split, mask)
            if several and max(map(len, mask)) > 1 and self.calls < _MOST_CALLS:
                masks += _halves(mask, first=self.result == "dkernel")
                continue
            self.complete &= not several
            if len(found["n"]):
                yield found

    def _of_mask(
        self, source: str, one: Array, split: str, mask: tuple[Indices, ...]
    ) -> tuple[dict[str, Array], bool]:
        seen = np.zeros(self.shapes[split])
        seen[np.ix_(*mask)] = 1
        factors = {source: one}
        factors[split] = factors.get(split, 1) * seen
        other = ({"y": "x", "dx": "dy", "dkernel": "x"})[self.result]
        factors.setdefault(other, np.ones(self.shapes[other]))
        count = self._ask(factors)
        met = count != 0
        places = np.argwhere(met)
        n = count[met]
        columns = {"n": n}
        target = {"y": OUTPUT, "dx": PIXEL, "dkernel": ENTRY}[self.result]
        columns |= dict(zip(target, places.T, strict=True))
        several = False
        for operand in sorted(factors):
            found, wrong = self._met(factors, operand, met, n, places)
            several |= wrong
            columns |= found
        return columns, several

    def _met(
        self,
        factors: Mapping[str, Array],
        operand: str,
        met: npt.NDArray[np.bool_],
        n: Array,
        places: Indices,
    ) -> tuple[dict[str, Array], bool]:
        """Give the places of an operand that were met, and whether they are no single ones."""
        names = {"x": PIXEL, "kernel": ENTRY, "dy": OUTPUT}[operand]
        shape = self.shapes[operand]
        size = int(np.prod(shape))
        plain = np.arange(size)
        mixed = np.random.default_rng(size).permutation(size)
        first = self._tagged(factors, operand, plain, met, n)
        second = self._tagged(factors, operand, mixed, met, n)
        inside = (first >= 0) & (first < size)
        flat = np.where(inside, first, 0).astype(np.int64)
        wrong = bool(len(places)) and not (inside & (mixed[flat] == second)).all()
        return dict(zip(names, np.unravel_index(flat, shape), strict=True)), wrong

    def _tagged(
        self,
        factors: Mapping[str, Array],
        operand: str,
        numbering: Indices,
        met: npt.NDArray[np.bool_],
        n: Array,
    ) -> Array:
        """Give the number that each met place has, digit by digit where the format is narrow."""
        # Numbers below 2^(bits - 4): after ROUNDINGS = 4 roundings of 2^-bits each, what comes back
        # is less than 4 * 2^-bits * 2^(bits - 4) = 1/4 off, and its nearest integer is the number.
        base = 1 << max(1, self.bits - 4)
        found = np.zeros(len(n))
        weight = 1
        while weight <= numbering.max():
            digits = (numbering // weight % base + 1).reshape(self.shapes[operand])
            got = self._ask({**factors, operand: factors[operand] * digits})[met] / n
            whole = np.rint(got)
            near = np.abs(got - whole) <= 0.25
            found += np.where(near, whole - 1, np.nan) * weight
            weight *= base
        return np.where(np.isnan(found), -1, found)

    def _ask(self, factors: Mapping[str, Array]) -> Array:
        self.calls += 1
        own: dict[str, Any] = dict(factors)
        if self.scale != 1:
            own["x"] = own.get("x", 1.0) * self.scale
        values = {
            name: np.broadcast_to(own.get(name, 0.0), shape).astype(self.dtype)
            for name, shape in self.shapes.items()
        }
        answer = self.question.ask(values, (FUNCTION[self.result],))[self.result]
        if isinstance(answer, Raised):
            raise _UnreadError(str(answer))
        shape = self.shapes[{"y": "dy", "dx": "x", "dkernel": "kernel"}[self.result]]
        if not isinstance(answer, np.ndarray) or answer.shape != shape:
            raise _UnreadError("a result of another shape")
        numbers: Array = answer.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise _UnreadError("a result that is not finite")
        return numbers if "x" not in factors else numbers / self.scale


def _halves(mask: tuple[Indices, ...], *, first: bool) -> list[tuple[Indices, ...]]:
    """Split an axis into its even and odd places: what overlaps lies side by side.

    The longest one; the samples `first`, where those may be summed.
    """
    axis = int(np.argmax([len(indices) for indices in mask]))
    axis = 0 if first and len(mask[0]) > 1 else axis
    return [(*mask[:axis], mask[axis][part::2], *mask[axis + 1 :]) for part in (0, 1)]
