"""The simplest condition that separates what is wrong from what is right.

A condition is a formula of the language of explanations that is true or false: comparisons,
divisibilities and kinds, joined by "and" or "or". It is looked for among all that agree with every
observation, the simplest first. Nothing is asked of an implementation here.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from conformance.diagnosis.expressions import CALL, Column, Columns, Formula, atom, number

Truth = npt.NDArray[np.bool_]
# What says little to who reads it is thought of late.
_OPAQUE = {"recipe": 2.0, "epsilon": 1.5}
# Counts that few people look at are so much dearer.
_DISTANT, _ODD = ("entries", "rows ", "columns ", "outputs ", "bytes"), 0.5
_DIVISORS = (2, 3, 4, 5, 6, 7, 8, 14, 16, 32, 49, 64)
# Of counts of calls.
_TURNS = range(2, 33)
# Conditions of three parts are looked for from so many of their most telling parts, and of the
# cheapest ones; beside each so many that tell different things of what is left.
_TELLING, _CHEAP, _ALIKE_LEFT = 60, 30, 400
_MOST = 24
# So many kinds are few.
_FEW_WORDS = 4
# Of conditions in which an "or" stands within an "and", so many outer parts are tried.
_OUTER = 12
# Sizes and indices are compared with one another; counts and distances with numbers alone.
_COMPARED = frozenset((*CALL, *"bijuvcgmhw"))


@dataclass(frozen=True)
class Condition:
    """A formula that is true or false, and how far it is from the simplest.

    Where it is `needed` only, it holds wherever something is wrong, and is not all that it takes.
    """

    formula: Formula
    cost: float
    needed: bool = False

    def __call__(self, columns: Columns) -> Truth:
        """Evaluate it."""
        found = self.formula(columns)
        shape = np.broadcast_shapes(next(iter(columns.values())).shape, np.shape(found))
        truth: Truth = np.broadcast_to(found, shape).astype(bool)
        return truth

    def __str__(self) -> str:
        return "always" if self.formula == ALWAYS.formula else str(self.formula)

    @property
    def parts(self) -> tuple["Condition", ...]:
        """The conditions that are joined by "and"; itself, if none are."""
        if self.formula.operator != "and":
            return (self,)
        joined = (Condition(part, 0.0) for part in self.formula.parts)
        return tuple(one for part in joined for one in part.parts)

    @property
    def thresholds(self) -> dict[str, int]:
        """The numbers from which on, or below which, an atom makes a difference."""
        found: dict[str, int] = {}
        left = [self.formula]
        while left:
            one = left.pop()
            left += [part for part in one.parts if isinstance(part, Formula)]
            if one.operator in {">=", "<"} and one.parts[1].operator == "number":
                found[str(one.parts[0])] = one.parts[1].parts[0]
        return found


ALWAYS = Condition(Formula("=", (number(0), number(0))), 0.0)


class _Family(NamedTuple):
    """Conditions of one form: how far each is from the simplest, where it is true, what it says."""

    costs: Sequence[float]
    truths: Truth
    formulas: Callable[[int], Formula]


class _Part(NamedTuple):
    """One of them."""

    cost: float
    family: _Family
    row: int

    @property
    def condition(self) -> Condition:
        """Give it, made when it is wanted: few are."""
        return Condition(self.family.formulas(self.row), self.cost)


def separating(columns: Columns, wrong: Truth, most: int = _MOST) -> list[Condition]:
    """List the simplest conditions that are true where `wrong` is, and nowhere else.

    Parameters
    ----------
    columns : mapping of str to array
        Numbers, or words, of each observation.
    wrong : array of bool
        What is to be separated.
    most : int
        How many to give at most.

    Returns
    -------
    list of Condition
        The simplest first; empty if none of up to three parts separates, nor four joined by "and".
    """
    if wrong.all():
        return [ALWAYS]
    # What is alike in everything is one observation.
    _, first = np.unique(
        np.stack([np.unique(one, return_inverse=True)[1] for one in columns.values()]),
        axis=1, return_index=True,
    )  # fmt: skip
    columns = {name: column[first] for name, column in columns.items()}
    wrong = wrong[first]
    parts = _distinct(_predicates(columns, wrong))
    if not parts:
        return []
    truths = np.array([one.family.truths[one.row] for one in parts])
    costs = np.array([one.cost for one in parts])
    found = [parts[n].condition for n in np.flatnonzero((truths == wrong).all(1))]
    for count in (2, 3):
        if len(found) >= most or (found and count == 3):
            break
        for word, target in (("and", wrong), ("or", ~wrong)):
            # De Morgan: "or" of parts is "and" of their opposites.
            held = truths if word == "and" else ~truths
            usable = np.flatnonzero(held[:, target].all(1))
            usable = usable[np.argsort(costs[usable], kind="stable")]
            for chosen in _covers(~held[usable][:, ~target], costs[usable], count):
                picked = [parts[usable[n]].condition for n in chosen]
                found.append(_joined(word, picked))
    if not found:
        found = list(_nested(parts, truths, wrong))
    if not found:
        usable = np.flatnonzero(truths[:, wrong].all(1))
        for chosen in _covers(~truths[usable][:, ~wrong], costs[usable], 4):
            found.append(_joined("and", [parts[usable[n]].condition for n in chosen]))
    return sorted(found, key=lambda one: one.cost)[:most]


def nearly(
    columns: Columns, wrong: Truth, share: float, dearest: float = np.inf, most: int = 3
) -> Condition | None:
    """Give the condition "a and b and c" that holds wherever it is wrong, and hardly anywhere else.

    For what is right by chance where it might be wrong.

    Parameters
    ----------
    columns : mapping of str to array
        Numbers, or words, of each observation.
    wrong : array of bool
        What is to be separated.
    share : float
        For each wrong observation so many right ones may be there.
    dearest : float
        No part is further from the simplest than this.
    most : int
        How many parts at most.

    Returns
    -------
    Condition or None
        With as few parts as the share allows; None if so many do not do.
    """
    listed = (one for one in _distinct(_predicates(columns, wrong)) if one.cost <= dearest)
    parts = [one for one in listed if _holds(one, wrong)]
    if not parts:
        return None
    inside = np.array([one.family.truths[one.row][~wrong] for one in parts], np.float32)
    costs = np.array([one.cost for one in parts])
    chosen: list[int] = []
    left = np.ones(inside.shape[1], np.float32)
    for _ in range(most):
        # The most telling part; of those that tell as much the simplest.
        counts = inside @ left
        best = int(np.lexsort((costs, counts))[0])
        if counts[best] == left.sum():
            break
        chosen.append(best)
        left = left * inside[best]
        if left.sum() <= share * wrong.sum():
            return _joined("and", [parts[n].condition for n in chosen])
    return None


def _holds(part: _Part, wrong: Truth) -> bool:
    return bool(part.family.truths[part.row][wrong].all())


def _nested(parts: Sequence[_Part], truths: Truth, wrong: Truth) -> Iterator[Condition]:
    """Give conditions "a and (b or c)": within the few most telling ones that are always there."""
    always = np.flatnonzero(truths[:, wrong].all(1))
    telling = always[np.argsort(truths[always][:, ~wrong].sum(1), kind="stable")][:_OUTER]
    for outer in telling:
        within = truths[outer]
        # Those of which none is true where it is right.
        sure = np.flatnonzero(~truths[:, within & ~wrong].any(1))
        lacking = (~truths[sure][:, wrong]).astype(np.float32)
        pairs = np.argwhere(np.triu(lacking @ lacking.T == 0, 1))
        for one, other in pairs[np.argsort(pairs.sum(1), kind="stable")][:4].tolist():
            inner = _joined("or", [parts[sure[one]].condition, parts[sure[other]].condition])
            yield _joined("and", [parts[outer].condition, inner])


def _joined(word: str, parts: Sequence[Condition]) -> Condition:
    formula = parts[0].formula
    for part in parts[1:]:
        formula = Formula(word, (formula, part.formula))
    # "or" is harder to think than "and".
    extra = (1.0 if word == "and" else 1.5) * (len(parts) - 1)
    return Condition(formula, sum(part.cost for part in parts) + extra)


def _covers(
    excluded: Truth, costs: npt.NDArray[Any], count: int, pairs: int = 200
) -> Iterator[tuple[int, ...]]:
    """Give sets of so many rows that exclude every column together; rows are cheap ones first."""
    missing = ~excluded
    if count == 2:
        yield from _pairs(missing, costs, pairs)
        return
    # One that tells much, or is cheap, and others that exclude what it does not.
    telling = np.argsort(missing.sum(1), kind="stable")[: _TELLING if count == 3 else _OUTER]
    cheap = range(min(_CHEAP, len(missing)) if count == 3 else 0)
    for one in dict.fromkeys([*telling.tolist(), *cheap]):
        rest = missing[:, missing[one]]
        # Of those that are alike in what is left the cheapest.
        _, first = np.unique(np.packbits(rest, axis=1), axis=0, return_index=True)
        first = np.sort(first)[:_ALIKE_LEFT]
        within = _covers(~rest[first], costs[first], count - 1, 3)
        for others in itertools.islice(within, 3):
            yield one, *(int(first[n]) for n in others)


def _pairs(missing: Truth, costs: npt.NDArray[Any], most: int) -> list[tuple[int, ...]]:
    """Give the cheapest pairs of rows that miss no column both."""
    wide = missing.astype(np.float32)
    pairs = np.argwhere(np.triu(wide @ wide.T == 0, 1))
    order = np.argsort(costs[pairs].sum(1), kind="stable")[:most]
    return [tuple(pair) for pair in pairs[order].tolist()]


def _distinct(families: Iterable[_Family]) -> list[_Part]:
    """Of the conditions that agree everywhere keep the simplest; those that never change go."""
    kept: dict[bytes, tuple[float, int, _Family, int]] = {}
    order = 0
    for family in families:
        packed = np.packbits(family.truths, axis=1)
        count = family.truths.sum(1)
        for n in np.flatnonzero((count > 0) & (count < family.truths.shape[1])).tolist():
            key, cost, order = packed[n].tobytes(), family.costs[n], order + 1
            if key not in kept or (cost, order) < kept[key][:2]:
                kept[key] = cost, order, family, n
    ordered = sorted(kept.values(), key=lambda one: one[:2])
    return [_Part(cost, family, n) for cost, _, family, n in ordered]


def _predicates(columns: Columns, wrong: Truth) -> Iterator[_Family]:
    numbers = {}
    for name, column in columns.items():
        if column.dtype.kind in "US":
            yield _of_words(name, column)
        elif len(np.unique(column)) > 1:
            numbers[name] = column
    for name, column in numbers.items():
        yield _of_one(name, column, wrong)
    plain = [name for name in numbers if name in _COMPARED]
    if len(plain) > 1:
        yield _of_two(plain, np.array([numbers[name] for name in plain]))


def _of_words(name: str, column: Column) -> _Family:
    costs, truths, said = list[float](), list[Truth](), list[tuple[str, str]]()
    for word in map(str, np.unique(column)):
        if word in {"yes", "no"}:
            # Of an attribute: that it holds is simpler than that it does not.
            costs.append(1.35 + (word == "no") * 0.7)
            truths.append(column == word)
            said.append(("is", word))
            continue
        # To be any but one of many kinds is no reason, unless that one is the plain one.
        more = _OPAQUE.get(name, 0.0)
        but = 1.1 if word in {"1x1", "1"} or len(np.unique(column)) <= _FEW_WORDS else 2.4
        costs += [1.0 + more, but + more]
        truths += [column == word, column != word]
        said += [("is", word), ("is not", word)]
    return _Family(costs, np.array(truths), lambda n: Formula(said[n][0], (name, said[n][1])))


def _of_one(name: str, column: Column, wrong: Truth) -> _Family:
    costs, truths, said = list[float](), list[Truth](), list[tuple[str, int, int]]()

    odd = _ODD * name.startswith(_DISTANT)

    def add(word: str, value: int, cost: float, truth: Truth, divisor: int = 0) -> None:
        costs.append(cost + odd)
        truths.append(truth)
        said.append((word, value, divisor))

    values = np.unique(column)
    for before, found in itertools.pairwise(values.tolist()):
        # A threshold where right becomes wrong, or wrong right.
        near = np.unique(wrong[(column == before) | (column == found)])
        if len(near) == 2 or len(values) < 8:
            value = _round(before, found)
            cost = 1.4 if value - before == 1 else 1.5
            above = column >= value
            add(">=", value, cost, above)
            add("<", value, cost + 0.05, ~above)
    if len(values) <= 12:
        for value in values.tolist():
            cost = 1.2 if value in (0, 1) else 1.6
            add("=", value, cost, column == value)
            add("!=", value, cost + 0.05, column != value)
    elif (values == 0).any():
        # Of many values zero is one to ask about: of a distance, for example.
        add("=", 0, 1.3, column == 0)
        add("!=", 0, 1.35, column != 0)
    if len(values) > 2:
        for divisor in _TURNS if name.startswith("number of") else _DIVISORS:
            rest = column % divisor
            # Even and odd are thought of first.
            cost = 1.3 if divisor == 2 else 2.0
            add("=", 0, cost, rest == 0, divisor)
            add("!=", 0, cost + 0.05, rest != 0, divisor)
            add("=", divisor - 1, 2.1, rest == divisor - 1, divisor)

    def formula(n: int) -> Formula:
        word, value, divisor = said[n]
        one = Formula("%", (atom(name), number(divisor))) if divisor else atom(name)
        return Formula(word, (one, number(value)))

    held = np.array(truths) if truths else np.zeros((0, len(column)), bool)
    return _Family(costs, held, formula)


def _round(before: int, value: int) -> int:
    """Give the roundest number above one and up to another: that of most zeros at its end."""
    for digits in range(value.bit_length() if value > 0 else 0, 0, -1):
        unit = 1 << digits
        if value // unit * unit > before:
            return value // unit * unit
    return value


# How two numbers are compared: the word, whether the second stands first, and the cost.
_COMPARISONS = (
    ("=", False, 1.3), ("!=", False, 1.3), ("<", False, 1.7), ("<", True, 1.7),
    (">=", False, 1.75), (">=", True, 1.75),
)  # fmt: skip


def _of_two(names: Sequence[str], rows: Column) -> _Family:
    pairs = list(itertools.combinations(range(len(names)), 2))
    left, right = (rows[[pair[n] for pair in pairs]] for n in (0, 1))
    less, more, alike = left < right, left > right, left == right
    truths = np.concatenate([alike, ~alike, less, more, ~less, ~more])

    def cost(pair: tuple[int, int]) -> float:
        one, other = names[pair[0]], names[pair[1]]
        # Of one kind (both strides, both sizes, ...) before any two.
        same = (one[:-1] or one) == (other[:-1] or other) or {one, other} in _ALIKE
        return 0.0 if same else 0.8

    extra = [cost(pair) for pair in pairs]
    divided = [*pairs, *(pair[::-1] for pair in pairs)]
    whole = _divisible(rows[[one for one, _ in divided]], rows[[by for _, by in divided]])

    def formula(n: int) -> Formula:
        which, at = divmod(n, len(pairs))
        if which < len(_COMPARISONS):
            word, turned, _ = _COMPARISONS[which]
            a, b = (atom(names[one]) for one in pairs[at])
            return Formula(word, (b, a) if turned else (a, b))
        word, n = ("=", n) if n < start + len(divided) else ("!=", n - len(divided))
        rest = Formula("%", tuple(atom(names[one]) for one in divided[n - start]))
        return Formula(word, (rest, number(0)))

    costs = [base + more_ for _, _, base in _COMPARISONS for more_ in extra]
    start = len(costs)
    # Twice in both orders: divisible, and not.
    costs += [2.2 + more_ for more_ in extra * 4]
    return _Family(costs, np.concatenate([truths, whole, ~whole]), formula)


def _divisible(values: Column, by: Column) -> Truth:
    """Tell which rows divide which; a row of which that is nothing new is false throughout."""
    telling = np.any(by > 1, axis=1) & np.any(values > by, axis=1)
    with np.errstate(all="ignore"):
        # What is divided by zero is zero.
        rest = np.where(by == 0, 0, values % by)
    whole: Truth = np.equal(rest, 0) & np.expand_dims(telling, 1)
    return whole


_ALIKE = [
    {"H", "W"}, {"top", "bottom"}, {"left", "right"}, {"H", "sh"}, {"W", "sw"}, {"top", "left"},
    {"G", "C"}, {"G", "M"}, {"H", "Ho"}, {"W", "Wo"},
]  # fmt: skip
