"""Finds the formulas by which an operator takes its factors, from readings of its map.

For each index of each product the due formula is tried, then the due formula with one part of it
exchanged for any small formula, then with two parts exchanged for atoms, and the same for some
products only. The simplest that agrees with everything that was read is taken.
"""

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS
from conformance.diagnosis.conditions import ALWAYS, Condition, Truth, separating
from conformance.diagnosis.expressions import (
    BEFORE,
    CALL,
    DERIVED,
    OPERATORS,
    PLACE,
    RULES,
    Column,
    Columns,
    Formula,
    atom,
    number,
    places,
    pool,
    renamed,
)
from conformance.diagnosis.model import (
    BORDERS,
    DUE,
    RIGHT,
    SIZES,
    Part,
    Slot,
    products,
)
from conformance.diagnosis.places import FLAGS, INDICES, KINDS, kinds_of, numbers_of, with_groups
from conformance.diagnosis.readings import ENTRY, OUTPUT, PIXEL, ROUNDINGS, Reading

# Products on which formulas are tried before they are tried on all.
_SAMPLE = 60
_SURVIVORS = 40
# How often they are tried on more, where none agrees with all.
_SHARPENED = 8
# Formulas of one index, and combinations of those of several, that are held against what is absent.
_OFFERED, _COMBINATIONS = 12, 120
# Of formulas for some products only so many are enough.
_SEVERAL = 4
# A factor that is one over a formula.
_ONE_OVER = number(0)
# What the rule of "same" padding is, if a number of pixels in it is 1.
SYMMETRIC = {
    size: f"symmetric {given}: ({taps} - 1)*{dilation} // 2 where padding is same, whatever the "
    'size and the stride (if that is meant, declare "paddings": "half")'
    for size, given, taps, dilation in (("H", "top", "Kh", "dh"), ("W", "left", "Kw", "dw"))
}
# Beyond this cost of a formula, formulas for some products only are looked for as well.
_PLAIN = 3.0
# Products on which conditions are looked for.
_MOST_PRODUCTS = 300
# How often conditions on them are learned anew from what contradicts, and so many of that each.
_ROUNDS, _AGAINST = 3, 4
# Products of a reading that formulas are fitted to, of some outputs; held against all of them.
_MOST_FITTED = 12_000
# The number of a reading, as a column.
_WHICH = "reading"


def fitted(
    readings: Sequence[Reading], before: Sequence[Part] = (), stop: float = math.inf
) -> Part | None:
    """Give the simplest part that agrees with all readings of one result.

    Parameters
    ----------
    readings : sequence of Reading
        Of one result, complete ones.
    before : sequence of Part
        Parts that were found for other results, which are tried first.
    stop : float
        When to end, as `time.perf_counter` counts; what was not tried then is not found.

    Returns
    -------
    Part or None
        None if nothing in the language agrees.
    """
    if not any(len(one.columns["n"]) for one in readings) and readings:
        return Part(absent=ALWAYS)
    for part in (RIGHT, *before):
        if all(_agrees(one, part) for one in readings):
            return part
    bases = ("output", "taps") if readings[0].result == "y" else ("kernel", "output", "taps")
    found = [_on(base, readings, stop) for base in bases]
    return min(filter(None, found), key=lambda one: one.cost, default=None)


def wrong(reading: Reading) -> bool:
    """Tell whether a reading is not that of a right implementation."""
    return bool(reading.raised) or not reading.complete or not _agrees(reading, RIGHT)


def _agrees(reading: Reading, part: Part) -> bool:
    due, got = products(reading.case, part, places=False), reading.columns
    due = _kept(due, reading.among(due))
    if len(due["n"]) != len(got["n"]):
        return False
    keys = [_keys(reading.case, one) for one in (due, got)]
    orders = [np.argsort(one, kind="stable") for one in keys]
    return bool(
        (keys[0][orders[0]] == keys[1][orders[1]]).all()
        and _near(got["n"][orders[1]], due["n"][orders[0]], reading.case.dtype).all()
    )


def _kept(columns: Mapping[str, Column], kept: Truth) -> dict[str, Column]:
    return {name: column[kept] for name, column in columns.items()}


def _near(values: Column, due: Column, dtype: str) -> Truth:
    """Tell which factors are the due ones, but for the roundings of a format."""
    allowed = ROUNDINGS * FORMATS[dtype].unit_roundoff * np.abs(due)
    near: Truth = np.abs(values - due) <= allowed
    return near


def _keys(case: OperatorCase, columns: Mapping[str, Array]) -> Array:
    """Number each product by its places."""
    flat: Any = 0
    for names, operand in ((OUTPUT, "dy"), (ENTRY, "kernel"), (PIXEL, "x")):
        shape = case.shapes[operand]
        where = tuple(columns[name].astype(np.int64) for name in names)
        flat = flat * int(np.prod(shape)) + np.ravel_multi_index(where, shape)
    keys: Array = flat
    return keys


def _on(base: str, readings: Sequence[Reading], stop: float) -> Part | None:
    """Fit every index, with the place of a product taken from its output, kernel or taps."""
    placed = []
    for which, one in enumerate(readings):
        found = _placed(base, one)
        if found is None:
            return None
        placed.append(found | {_WHICH: np.full(len(found["b"]), which)})
    columns = {
        name: np.concatenate([one[name] for one in placed])
        for name in (*PLACE, *CALL, *DUE, *KINDS, *FLAGS, _WHICH)
    }
    repeated = _repeated(columns)
    if repeated is None:
        return None
    columns, every = repeated
    offered = []
    for name in DUE:
        if name in every or (DUE[name](columns) == columns[name]).all():
            continue
        slots = _slots(name, columns, stop)
        if not slots:
            return None
        offered.append(slots)
    # What is read says little of what is not: of the formulas that fit, those that leave out what
    # is left out.
    parts = sorted(
        (Part(chosen, every=every) for chosen in itertools.product(*offered)),
        key=lambda part: part.cost,
    )[:_COMBINATIONS]
    for part in parts:
        if all(_agrees(one, part) for one in readings):
            return part
    with_absent = (_with_absent(part, readings) for part in parts[:3])
    return next((part for part in with_absent if part is not None), None)


def _placed(base: str, reading: Reading) -> dict[str, Column] | None:
    """Add the place of each product, and the numbers of the call; of many, of some outputs."""
    got = _thinned(base, reading)
    length, numbers = len(got["n"]), numbers_of(reading.case)
    own: dict[str, Column] = {
        name: np.broadcast_to(np.array(value), length) for name, value in numbers.items()
    }
    of = "E" if base == "kernel" else "D"
    place = {"b": got[f"{of}b"], "i": got[f"{of}i"], "j": got[f"{of}j"], "c": got["Dc"]}
    if base == "taps":
        taps = {}
        for name, pixel, output, s, d, before, size in (
            ("u", "Ph", "i", "sh", "dh", "top", "Kh"), ("v", "Pw", "j", "sw", "dw", "left", "Kw"),
        ):  # fmt: skip
            reach = got[pixel] + numbers[before] - place[output] * numbers[s]
            taps[name], rest = np.divmod(reach, numbers[d])
            if rest.any() or (taps[name] < 0).any() or (taps[name] >= numbers[size]).any():
                return None
        place |= taps
    else:
        place |= {"u": got["Eu"], "v": got["Ev"]}
    kinds = kinds_of(reading.case)
    own |= {name: np.broadcast_to(np.array(word), length) for name, word in kinds.items()}
    return {**own, **with_groups(reading.case, place), **{name: got[name] for name in DUE}}


def _thinned(base: str, reading: Reading) -> Mapping[str, Column]:
    """Keep the products of some outputs, all that each has, where they are many."""
    got = reading.columns
    if len(got["n"]) <= _MOST_FITTED:
        return got
    of = "E" if base == "kernel" else "D"
    shape = reading.case.shapes["dy"]
    at = tuple(got[name].astype(np.int64) for name in (f"{of}b", f"{of}i", f"{of}j", "Dc"))
    outputs = np.ravel_multi_index(at, shape)
    some = np.random.default_rng(len(outputs)).random(int(np.prod(shape)))
    return _kept(got, some[outputs] < _MOST_FITTED / len(outputs))


def _repeated(columns: dict[str, Column]) -> tuple[dict[str, Column], tuple[str, ...]] | None:
    """Find the indices that run over their whole axis at one place; keep one product for each.

    None where a place has several products otherwise: no formula gives one place two of them.
    """
    at = [columns[name].astype(np.int64) for name in (_WHICH, *INDICES)]
    flat = np.ravel_multi_index(at, [int(one.max(initial=0)) + 1 for one in at])
    _, first, which, counts = np.unique(
        flat, return_index=True, return_inverse=True, return_counts=True
    )
    if (counts == 1).all():
        return columns, ()
    which = which.ravel()
    every = []
    for name in SIZES:
        different = np.zeros(len(first), np.int64)
        values = columns[name].astype(np.int64)
        pairs = np.unique(which * (values.max(initial=0) + 1) + values)
        np.add.at(different, pairs // (values.max(initial=0) + 1), 1)
        if (different > 1).any() and (different == columns[SIZES[name]][first]).all():
            every.append(name)
    if (np.prod([columns[SIZES[n]][first] for n in every], axis=0) != counts).any():
        return None
    return {name: column[first] for name, column in columns.items()}, tuple(every)


def _slots(name: str, columns: dict[str, Column], stop: float) -> list[Slot]:
    """Find formulas of an index that is not the due one, the simplest first."""
    values = columns[name]
    usable = {key: columns[key] for key in (*PLACE, *CALL, *FLAGS)}
    if name == "n":
        factor = _factor(values, usable, str(columns["dtype"][0]), stop)
        return [factor] if factor else []
    values = values.astype(np.int64)
    due = DUE[name](usable)
    found = list(itertools.islice(_formulas(name, usable, values, due, stop), _OFFERED))
    if found and found[0].cost <= _PLAIN:
        return found
    off = due != values
    kinds = {key: columns[key] for key in KINDS}
    # A rule of one kind of call.
    for only in _kinds_with(kinds, off):
        kept = only(usable | kinds)
        inside = {key: column[kept] for key, column in usable.items()}
        slots = itertools.islice(_formulas(name, inside, values[kept], due[kept], stop), _OFFERED)
        found += [replace(slot, only=only) for slot in slots]
    # A formula for some products; where it gives the due index, it may hold or not.
    inside = {key: column[off] for key, column in usable.items()}
    some_only = 0
    for slot in itertools.islice(_formulas(name, inside, values[off], due[off], stop), _OFFERED):
        if some_only >= _SEVERAL or time.perf_counter() > stop:
            break
        against = slot(usable) != values
        cared = off | against
        some = {key: column[cared] for key, column in (usable | kinds).items()}
        conditions = of_places(some, off[cared], 1)[:3]
        found += [replace(slot, only=only) for only in conditions]
        some_only += bool(conditions)
    return sorted(found, key=lambda slot: slot.cost)[: 2 * _OFFERED]


def _kinds_with(kinds: Columns, off: Truth) -> Iterator[Condition]:
    """Give the kinds of call that all wrong products have."""
    for name, column in kinds.items():
        words = np.unique(column[off])
        if len(words) == 1 and len(np.unique(column)) > 1:
            yield Condition(Formula("is", (name, str(words[0]))), 0.5)


def _factor(values: Column, columns: Columns, dtype: str, stop: float) -> Slot | None:
    """Find the formula of how often a product counts."""
    counts = [atom(name) for name in ("taps_inside", "readers")]
    overs = [None, _ONE_OVER, *counts, atom("Kh") * atom("Kw"), atom("M")]
    for over in overs:
        if over is _ONE_OVER:
            wanted = 1.0 / values
        else:
            wanted = values if over is None else values * over(columns)
        whole = np.rint(wanted)
        if not _near(wanted, whole, dtype).all():
            continue
        off = ~_near(values, np.ones(len(values)), dtype)
        for only in (ALWAYS, *of_places(columns, off, 1)[:2]):
            kept = slice(None) if only is ALWAYS else off
            inside = {key: column[kept] for key, column in columns.items()}
            slot = next(_formulas("n", inside, whole[kept].astype(np.int64), None, stop), None)
            if slot is not None and over is _ONE_OVER:
                return replace(slot, formula=number(1), over=slot.formula, only=only)
            if slot is not None:
                return replace(slot, over=over, only=only)
    return None


def of_places(columns: Columns, off: Truth, rounds: int = _ROUNDS) -> list[Condition]:
    """Give conditions on places and numbers that separate products, or entries.

    They are learned from some of them, and from those that contradict what was learned.
    """
    chosen = _balanced(off, _MOST_PRODUCTS)
    for _ in range(rounds):
        some = {name: column[chosen] for name, column in columns.items() if name not in FLAGS}
        some |= {name: one(some) for name, one in DERIVED.items() if one.atoms <= set(some)}
        some = {name: column for name, column in some.items() if len(column)}
        found = separating(some, off[chosen], 8)
        against = [one(columns) != off for one in found]
        if not found or not all(one.any() for one in against):
            return [one for one, no in zip(found, against, strict=True) if not no.any()]
        # A few of each: what is rare is seldom among those that are chosen by lot.
        more = [np.flatnonzero(no)[:_AGAINST] for no in against]
        chosen = np.unique(np.concatenate([chosen, *more]))
    return []


def _balanced(off: Truth, most: int) -> Column:
    """Choose so many products, wrong and right ones, the same ones every time."""
    rng = np.random.default_rng(len(off))
    parts = [np.flatnonzero(off), np.flatnonzero(~off)]
    few = [rng.permutation(part)[: most // 2] for part in parts]
    return np.sort(np.concatenate(few))


def _formulas(
    name: str, columns: Columns, values: Column, due: Column | None, stop: float
) -> Iterator[Slot]:
    """Give the formulas that agree everywhere, the simplest first."""
    chosen = _balanced(due != values if due is not None else np.ones(len(values), bool), _SAMPLE)
    for candidates in (_in_one_place, _two_places):
        for _ in range(_SHARPENED):
            some = {key: column[chosen] for key, column in columns.items()}
            tried = candidates(name, some, values[chosen], stop)
            listed = sorted(tried, key=_order)[:_SURVIVORS]
            held = [
                (slot, np.broadcast_to(slot(columns), len(values)) == values) for _, slot in listed
            ]
            fits = [slot for slot, alike in held if alike.all()]
            yield from fits
            if fits:
                return
            if not held:
                break
            # Of formulas that agree on the sample one is kept: what refutes it tells them apart.
            against = [int(np.argmin(alike)) for _, alike in held]
            chosen = np.unique([*chosen, *against])


def _order(candidate: tuple[int, Slot]) -> tuple[float, int]:
    rank, slot = candidate
    return slot.cost, rank


def _in_one_place(
    name: str, columns: Columns, wanted: Column, stop: float
) -> Iterator[tuple[int, Slot]]:
    yield from _one_place(name, columns, wanted, stop)
    yield from _everywhere(name, columns, wanted, stop)


def _one_place(
    name: str, columns: Columns, wanted: Column, stop: float
) -> Iterator[tuple[int, Slot]]:
    """Exchange one part of the due formula, or put something beside it."""
    listed = pool(columns)
    formulas = [formula for formula, _ in listed]
    matrix = np.array([values for _, values in listed], np.int64)
    given = Formula("given", (matrix,))
    due = DUE[name]
    changes: list[tuple[Formula | None, Any, int]] = [(*one, 0) for one in places(due)]
    if name == "Eg":
        # The group itself is thought of before the rule by which it is found.
        changes += [(*one, 1) for one in places(_by_rule(name))][1:]
    for _, border in _equal(name, due, columns, wanted, 1):
        yield 0, Slot(name, due, border)
    if due.operator in OPERATORS:
        for word in ("+", "-", "//", "%"):
            changes.append((None, lambda other, word=word: Formula(word, (due, other)), 0))
    for part, whole, more in changes:
        if time.perf_counter() > stop:
            return
        for row, border in _equal(name, whole(given), columns, wanted, len(formulas)):
            formula = whole(formulas[row])
            # What is taken out, and what is put in.
            edited = (part.size if part else 1) + formulas[row].size + more
            change = f"{formulas[row]} where {part} belongs" if part and part is not due else ""
            yield row, Slot(name, formula, border, edited=edited, change=change)


def _by_rule(name: str) -> Formula:
    """Give the due formula with the rules of paddings and groups in the place of their words."""
    whole = DUE[name]
    for given, rule in RULES.items():
        whole = renamed(whole, atom(given), rule)
    return whole


def _everywhere(
    name: str, columns: Columns, wanted: Column, stop: float
) -> Iterator[tuple[int, Slot]]:
    """Exchange an atom wherever it stands, in the rule of the padding too."""
    whole = _by_rule(name)
    if whole == DUE[name]:
        return
    known = [number(1), number(0), *(atom(one) for one in (*PLACE, *CALL) if one in columns)]
    leaves = {part for part, _ in places(whole) if part.operator == "atom"}
    # Steps are thought of before sizes.
    order = sorted(
        leaves - {*map(atom, FLAGS), *map(atom, BEFORE)},
        key=lambda one: (str(one)[0] not in "sd", str(one)),
    )
    for was in order:
        if time.perf_counter() > stop:
            return
        for rank, now in enumerate(known):
            formula = renamed(whole, was, now)
            for _, border in _equal(name, formula, columns, wanted, 1):
                change = f"{now} where {was} belongs, wherever it stands"
                if now == number(1) and str(was) in SYMMETRIC:
                    change = SYMMETRIC[str(was)]
                yield rank, Slot(name, formula, border, edited=2, change=change)


def _two_places(
    name: str, columns: Columns, wanted: Column, stop: float
) -> Iterator[tuple[int, Slot]]:
    """Exchange two atoms of the due formula for other ones."""
    known = [atom(one) for one in (*PLACE, *CALL) if one in columns] + [number(0), number(1)]
    matrix = np.array([np.broadcast_to(one(columns), len(wanted)) for one in known], np.int64)
    given = Formula("given", (matrix,))
    due = _by_rule(name) if name == "Eg" else DUE[name]
    leaves = [one for one, _ in places(due) if one.operator == "atom"]
    for one, other in itertools.permutations(leaves, 2):
        if time.perf_counter() > stop:
            return
        for first in known:
            changed = _exchanged(_exchanged(due, one, first), other, given)
            for row, border in _equal(name, changed, columns, wanted, len(known)):
                formula = _exchanged(_exchanged(due, one, first), other, known[row])
                change = f"{first} where {one} belongs, {known[row]} where {other} belongs"
                yield row, Slot(name, formula, border, edited=4, change=change)


def _exchanged(tree: Formula, part: Formula, other: Formula) -> Formula:
    if tree is part:
        return other
    if tree.operator not in OPERATORS:
        return tree
    return Formula(tree.operator, tuple(_exchanged(one, part, other) for one in tree.parts))


def _equal(
    name: str, formula: Formula, columns: Columns, wanted: Column, rows: int
) -> Iterator[tuple[int, str]]:
    """Give the rows of a formula on a table that are what is wanted, with the rule at borders."""
    values = np.broadcast_to(formula(columns), (rows, len(wanted)))
    size = columns[SIZES[name]] if name in SIZES else np.ones(1, np.int64)
    for border, rule in BORDERS.items():
        if border and name not in SIZES:
            return
        with np.errstate(all="ignore"):
            rows_ = np.flatnonzero((rule(values, size) == wanted).all(1))
        for row in rows_.tolist():
            yield row, border


def _with_absent(part: Part, readings: Sequence[Reading]) -> Part | None:
    """Find which products are left out; None if some are there that should not be."""
    parts, labels = [], []
    for reading in readings:
        due = products(reading.case, part)
        due = _kept(due, reading.among(due))
        ours, theirs = _keys(reading.case, due), _keys(reading.case, reading.columns)
        if not np.isin(theirs, ours).all():
            return None
        parts.append(due | {"h": due["Ph"], "w": due["Pw"]})
        labels.append(~np.isin(ours, theirs))
    off = np.concatenate(labels)
    if not off.any():
        return part
    names = (*PLACE, *CALL, *KINDS, "h", "w")
    columns = {name: np.concatenate([one[name] for one in parts]) for name in names}
    found = of_places(columns, off)
    return Part(part.slots, found[0], part.every) if found else None
