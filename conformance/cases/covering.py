"""Covering arrays: rows in which all choices of a few factors meet, and the order to try them in.

Greedy, and the same for the same factors: no row of it is the least possible, none is chance. The
libraries for this (allpairspy, covertable) are larger than these lines and would be a dependency of
the judge. No case is made here.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
# A level of a factor, by their places; a choice is a level of each of a few factors, in order.
Level = tuple[int, int]
Choice = tuple[Level, ...]


def _any(row: Row) -> bool:  # noqa: ARG001
    return True


def cover(
    factors: Mapping[str, Sequence[Any]], strength: int, allowed: Callable[[Row], bool] = _any
) -> list[Row]:
    """Give rows in which each choice of so many factors occurs, if any allowed row has it.

    A row begins with a choice that is missing and goes on with what adds most; of equals, with
    the first level.

    Parameters
    ----------
    factors : mapping of name to levels
        The levels in the order in which they are preferred.
    strength : int
        2 for every pair, 3 for every triple.
    allowed : callable
        Whether a row, or the part of one that is chosen so far, may occur.
    """
    names, levels = list(factors), [list(dict.fromkeys(factor)) for factor in factors.values()]
    strength = min(strength, len(names))
    missing = {
        choice
        for some in itertools.combinations(range(len(names)), strength)
        for choice in itertools.product(*([(f, i) for i in range(len(levels[f]))] for f in some))
    }

    def words(chosen: Mapping[int, int]) -> Row:
        return {names[f]: levels[f][i] for f, i in sorted(chosen.items())}

    every = [(f, i) for f, some in enumerate(levels) for i in range(len(some))]
    beside = {} if allowed is _any else _beside(every, lambda pair: allowed(words(dict(pair))))

    def completed(chosen: dict[int, int]) -> dict[int, int] | None:
        if not allowed(words(chosen)) or not _open(chosen, len(names), beside):
            return None
        if len(chosen) == len(names):
            return chosen
        f = next(f for f in range(len(names)) if f not in chosen)
        best = sorted(
            range(len(levels[f])), key=lambda i: (-_added(chosen, (f, i), strength, missing), i)
        )
        return next((row for i in best if (row := completed(chosen | {f: i}))), None)

    rows = []
    while missing:
        begun = min(missing)
        row = completed(dict(begun))
        missing.discard(begun)
        if row is not None:
            missing.difference_update(itertools.combinations(sorted(row.items()), strength))
            rows.append(words(row))
    return rows


def _beside(every: Sequence[Level], allowed: Callable[[Choice], bool]) -> dict[Level, set[Level]]:
    """Give the levels of other factors that may stand beside each level."""
    return {
        one: {other for other in every if other[0] != one[0] and allowed((one, other))}
        for one in every
    }


def _open(chosen: Mapping[int, int], factors: int, beside: Mapping[Level, set[Level]]) -> bool:
    """Tell whether each factor has a level left: else every row that begins so is tried in vain."""
    if not beside or not chosen:
        return True
    left = set.intersection(*(beside[level] for level in chosen.items()))
    return len({f for f, _ in left} | set(chosen)) == factors


def _added(chosen: Mapping[int, int], level: Level, strength: int, missing: set[Choice]) -> int:
    """Count the missing choices that a level would add to a row."""
    others = itertools.combinations(chosen.items(), strength - 1)
    return sum(tuple(sorted((level, *some))) in missing for some in others)


def soonest(rows: Sequence[Row], strength: int, cost: Callable[[Row], float]) -> Iterator[Row]:
    """Give the rows in the order in which they show most that is new for what they cost.

    Whatever choice a fault hides behind, no order by sight meets it sooner on average.
    """
    choices = [frozenset(itertools.combinations(row.items(), strength)) for row in rows]
    number = {choice: n for n, choice in enumerate(set().union(*choices))}
    masks = [sum(1 << number[choice] for choice in some) for some in choices]
    costs, left, seen = [cost(row) for row in rows], dict(enumerate(masks)), 0
    while left:
        best = max(left, key=lambda n: ((left[n] & ~seen).bit_count() / costs[n], -n))
        seen |= left.pop(best)
        yield rows[best]
