"""The simplest condition that separates what is wrong from what is right.

A condition is a formula of the language of explanations that is true or false: comparisons,
divisibilities and kinds, joined by "and" or "or". It is looked for among all that agree with every
observation, the simplest first. Nothing is asked of an implementation here.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from conformance.diagnosis.expressions import CALL, Column, Columns, Formula, atom, number

Truth = npt.NDArray[np.bool_]
_DIVISORS = (2, 3, 4, 5, 6, 7, 8, 14, 16, 32, 49, 64)
# Of counts of calls.
_TURNS = range(2, 33)
# Conditions of three parts are looked for among so many of their most telling parts.
_TELLING = 120
_MOST = 24
# Of conditions in which an "or" stands within an "and", so many outer parts are tried.
_OUTER = 12
# Sizes and indices are compared with one another; counts and distances with numbers alone.
_COMPARED = frozenset((*CALL, *"bijuvcgmhw"))


@dataclass(frozen=True)
class Condition:
    """A formula that is true or false, and how far it is from the simplest."""

    formula: Formula
    cost: float

    def __call__(self, columns: Columns) -> Truth:
        """Evaluate it."""
        length = len(next(iter(columns.values())))
        truth: Truth = np.broadcast_to(self.formula(columns), length).astype(bool)
        return truth

    def __str__(self) -> str:
        return str(self.formula)

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
        The simplest first; empty if none of up to three parts separates.
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
    parts = _distinct(_predicates(columns, wrong), columns)
    truths = np.array([truth for _, truth in parts])
    costs = np.array([one.cost for one, _ in parts])
    found = [one for one, truth in parts if (truth == wrong).all()]
    for count in (2, 3):
        if len(found) >= most or (found and count == 3):
            break
        for word, target in (("and", wrong), ("or", ~wrong)):
            # De Morgan: "or" of parts is "and" of their opposites.
            held = truths if word == "and" else ~truths
            usable = np.flatnonzero(held[:, target].all(1))
            usable = usable[np.argsort(costs[usable], kind="stable")]
            for chosen in _covers(~held[usable][:, ~target], count):
                picked = [parts[usable[n]][0] for n in chosen]
                found.append(_joined(word, picked))
    if not found:
        found = list(_nested(parts, truths, wrong))
    return sorted(found, key=lambda one: one.cost)[:most]


def _nested(
    parts: Sequence[tuple[Condition, Truth]], truths: Truth, wrong: Truth
) -> Iterator[Condition]:
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
            inner = _joined("or", [parts[sure[one]][0], parts[sure[other]][0]])
            yield _joined("and", [parts[outer][0], inner])


def _joined(word: str, parts: Sequence[Condition]) -> Condition:
    formula = parts[0].formula
    for part in parts[1:]:
        formula = Formula(word, (formula, part.formula))
    # "or" is harder to think than "and".
    extra = (1.0 if word == "and" else 1.5) * (len(parts) - 1)
    return Condition(formula, sum(part.cost for part in parts) + extra)


def _covers(excluded: Truth, count: int) -> Iterator[tuple[int, ...]]:
    """Give sets of so many rows that exclude every column together, cheap rows first."""
    missing = (~excluded).astype(np.float32)
    if count == 2:
        pairs = np.argwhere(np.triu(missing @ missing.T == 0, 1))
        yield from map(tuple, pairs[np.argsort(pairs.sum(1), kind="stable")][:200].tolist())
        return
    telling = np.argsort(missing.sum(1), kind="stable")[:_TELLING]
    given = 0
    for one in telling:
        left = np.flatnonzero(missing[one])
        rest = missing[np.ix_(telling, left)]
        for other, third in np.argwhere(np.triu(rest @ rest.T == 0, 1))[:4]:
            yield int(one), int(telling[other]), int(telling[third])
            given += 1
        if given > _MOST:
            return


def _distinct(predicates: Iterable[Condition], columns: Columns) -> list[tuple[Condition, Truth]]:
    """Of those that agree everywhere keep the simplest."""
    seen: dict[bytes, tuple[Condition, Truth]] = {}
    for one in sorted(predicates, key=lambda condition: condition.cost):
        truth = one(columns)
        if truth.any() and not truth.all():
            seen.setdefault(truth.tobytes(), (one, truth))
    return list(seen.values())


def _predicates(columns: Columns, wrong: Truth) -> Iterator[Condition]:
    numbers = {}
    for name, column in columns.items():
        if column.dtype.kind in "US":
            for word in np.unique(column):
                if word in {"yes", "no"}:
                    # Of an attribute: that it holds is simpler than that it does not.
                    yield Condition(Formula("is", (name, str(word))), 1.35 + (word == "no") * 0.7)
                    continue
                yield Condition(Formula("is", (name, str(word))), 1.0)
                yield Condition(Formula("is not", (name, str(word))), 1.1)
        elif len(np.unique(column)) > 1:
            numbers[name] = column
    for name, column in numbers.items():
        yield from _of_one(name, column, wrong)
    plain = {name: column for name, column in numbers.items() if name in _COMPARED}
    for (one, left), (other, right) in itertools.combinations(plain.items(), 2):
        yield from _of_two(one, left, other, right)


def _of_one(name: str, column: Column, wrong: Truth) -> Iterator[Condition]:
    values = np.unique(column)
    for before, found in itertools.pairwise(values.tolist()):
        value = _round(before, found)
        # A threshold where right becomes wrong, or wrong right.
        near = np.unique(wrong[(column == before) | (column == found)])
        if len(near) == 2 or len(values) < 8:
            cost = 1.4 if value - before == 1 else 1.5
            yield Condition(Formula(">=", (atom(name), number(value))), cost)
            yield Condition(Formula("<", (atom(name), number(value))), cost + 0.05)
    if len(values) <= 12:
        for value in values.tolist():
            cost = 1.2 if value in (0, 1) else 1.6
            yield Condition(Formula("=", (atom(name), number(value))), cost)
            yield Condition(Formula("!=", (atom(name), number(value))), cost + 0.05)
    if len(values) > 2:
        for divisor in _TURNS if name.startswith("number of") else _DIVISORS:
            rest = Formula("%", (atom(name), number(divisor)))
            # Even and odd are thought of first.
            cost = 1.3 if divisor == 2 else 2.0
            yield Condition(Formula("=", (rest, number(0))), cost)
            yield Condition(Formula("!=", (rest, number(0))), cost + 0.05)
            yield Condition(Formula("=", (rest, number(divisor - 1))), 2.1)


def _round(before: int, value: int) -> int:
    """Give the roundest number above one and up to another: that of most zeros at its end."""
    for digits in range(value.bit_length() if value > 0 else 0, 0, -1):
        unit = 1 << digits
        if value // unit * unit > before:
            return value // unit * unit
    return value


def _of_two(one: str, left: Column, other: str, right: Column) -> Iterator[Condition]:
    a, b = atom(one), atom(other)
    # Of one kind (both strides, both sizes, ...) before any two.
    alike = 0.0 if (one[:-1] or one) == (other[:-1] or other) or {one, other} in _ALIKE else 0.8
    yield Condition(Formula("=", (a, b)), 1.3 + alike)
    yield Condition(Formula("!=", (a, b)), 1.3 + alike)
    yield Condition(Formula("<", (a, b)), 1.7 + alike)
    yield Condition(Formula("<", (b, a)), 1.7 + alike)
    yield Condition(Formula(">=", (a, b)), 1.75 + alike)
    yield Condition(Formula(">=", (b, a)), 1.75 + alike)
    for (x, values), (y, by) in (((a, left), (b, right)), ((b, right), (a, left))):
        if (by > 1).any() and (values > by).any():
            rest = Formula("%", (x, y))
            yield Condition(Formula("=", (rest, number(0))), 2.2 + alike)
            yield Condition(Formula("!=", (rest, number(0))), 2.2 + alike)


_ALIKE = [
    {"H", "W"}, {"top", "bottom"}, {"left", "right"}, {"H", "sh"}, {"W", "sw"}, {"top", "left"},
    {"G", "C"}, {"G", "M"}, {"H", "Ho"}, {"W", "Wo"},
]  # fmt: skip
