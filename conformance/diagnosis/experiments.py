"""Cases to ask about: drawn anew, or near a failing one. Nothing is asked here."""

import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

from conformance.cases.geometries import CHANNELS, pools
from conformance.cases.operator import OperatorCase, unclaimed
from conformance.cases.operator_recipes import RECIPES, STRUCTURE
from conformance.claims.capabilities import Capabilities
from conformance.diagnosis.readings import affordable

_CHANNELS = (*CHANNELS, (2, 3), (3, 1), (3, 3), (1, 4))
# Of explicit paddings so many are those of the pools; the others are below so many pixels a side.
_AS_POOLED, _WIDEST = 0.3, 4


# Seeds that are so far apart make values of one kind: recipes look at them modulo 3 and 8. So
# many cases that are drawn near another one have values of its kind.
_PERIOD, _OF_KIND = 24, 0.6


def other_values(case: Any, number: int) -> Any:
    """Give a case of either kind with other values, of the same kind, by number."""
    return case.changed(seed=case.seed % _PERIOD + _PERIOD * number)


def reseeded(case: Any, rng: random.Random) -> Any:
    """Give a case with other values, more often than not of the same kind."""
    number = rng.randrange(1000)
    return other_values(case, number) if rng.random() < _OF_KIND else case.changed(seed=number)


def drawn(
    claimed: Capabilities, dtype: str, rng: random.Random, *, small: bool = False
) -> Iterator[OperatorCase]:
    """Draw claimed cases of exact integers, for ever; small ones can be read."""
    allowed = pools(claimed, channels=_CHANNELS)
    while True:
        row: dict[str, Any] = {name: rng.choice(pool) for name, pool in allowed.items()}
        row["padding"] = _varied(row["padding"], rng)
        groups, members = row.pop("channels")
        case = OperatorCase(dtype, "integers", rng.randrange(1000), rng.choice((1, 2, 3)))
        case = case.changed(groups=groups, members=members, **row).large_enough
        spare = [rng.randrange(1, 6) for _ in range(2)]
        case = case.changed(height=case.height + spare[0], width=case.width + spare[1])
        if unclaimed(case, claimed):
            continue
        if not small or _readable(case):
            yield case


def _varied(padding: Any, rng: random.Random) -> Any:
    """Give other pixels on each side, where sides are given: those of the pools are but few."""
    if not isinstance(padding, tuple) or rng.random() < _AS_POOLED:
        return padding
    return tuple((rng.randrange(_WIDEST), rng.randrange(_WIDEST)) for _ in padding)


def _readable(case: OperatorCase) -> bool:
    where = case.geometry
    telling = min(case.grid) >= 2 or max(where.stride) > 2
    taps = 2 <= where.taps <= 12
    return case.batch > 1 and telling and taps and math.prod(case.grid) <= 30 and affordable(case)


_ATTRIBUTES = (
    "batch", "height", "width", "groups", "members", "kernel_shape", "stride", "dilation",
    "padding", "group_layout", "recipe",
)  # fmt: skip
# Pairs beside those of the pools, up to so much.
_PAIRS = {"kernel_shape": 7, "stride": 5, "dilation": 4}
# Recipes of finite numbers whose sums are exact.
FINITE = tuple(
    name
    for name, recipe in RECIPES.items()
    if recipe.exact
    and not recipe.certifies
    # An explanation is about forward and backward, and of sums that are not rounded it is a map.
    and name != "specials"
    and not recipe.rounds
    # What decides some results is exact in these alone.
    and not recipe.decides
)
# Which operand is special, the seed says modulo three.
_OPERANDS = tuple({"seed": seed} for seed in range(3))
_ROUND = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 64)
_TINY = 6
# Of cases near another one so many have one size smaller and another one larger.
_SIZES, _TRADED = ("batch", "height", "width", "groups", "members"), 0.3
# Products of a case that is asked in passing, and how many times those of the failing one may be.
_MOST_PRODUCTS, _TIMES = 1 << 18, 2


def near(case: OperatorCase, claimed: Capabilities, rng: random.Random) -> Iterator[OperatorCase]:
    """Move one, two or three attributes of a case, for ever."""
    allowed = pools(claimed)
    # Other values only where it takes certain values to fail.
    names = _ATTRIBUTES if case.recipe != "integers" else _ATTRIBUTES[:-1]
    most, of_sides = _most(case), isinstance(case.geometry.padding, tuple)
    while True:
        changed = reseeded(case, rng)
        if rng.random() < _TRADED:
            one, other = rng.sample(_SIZES, 2)
            changed = traded(changed, one, other, rng.choice((2, 2, 3, 4)))
            if rng.random() < _TRADED:
                changed = rng.choice(_of_as_many_taps(changed))
        for name in rng.sample(names, rng.choice((0, 1, 1, 2, 2, 3))):
            if name == "recipe":
                value: Any = rng.choice(("integers", rng.choice(FINITE)))
            elif name in _PAIRS and rng.random() < 0.5:
                value = (rng.randint(1, _PAIRS[name]), rng.randint(1, _PAIRS[name]))
            elif name in allowed:
                value = rng.choice(allowed[name])
                # Other sides than those of the pools where they may be what it is about.
                value = _varied(value, rng) if name == "padding" and of_sides else value
            else:
                value = _size(_own(case, name), rng)
            changed = changed.changed(**{name: value})
        changed = changed.large_enough
        if max(changed.size) <= _TINY and rng.random() < 0.5:
            # On a tiny image nothing shows where a wrong pixel is.
            height, width = (size + rng.randrange(2, 6) for size in changed.size)
            changed = changed.changed(height=height, width=width)
        if changed.products <= most and not unclaimed(changed, claimed):
            yield changed


def traded(case: OperatorCase, one: str, other: str, times: int) -> OperatorCase:
    """Make one size so many times as small and another one as large: products stay as they are.

    A size that has to be large is told from products that have to be many.
    """
    return case.changed(**{one: -(-_own(case, one) // times), other: _own(case, other) * times})


def _of_as_many_taps(case: OperatorCase) -> list[OperatorCase]:
    """Give about as many taps as another kernel: twice as wide and half as high, in a row, ..."""
    rows, columns = case.geometry.kernel_shape
    shapes = (-(-rows // 2), 2 * columns), (2 * rows, -(-columns // 2))
    lines = ((1, rows * columns), (rows * columns, 1))
    return [case.changed(kernel_shape=one) for one in (*shapes, *lines, (columns, rows))]


def _own(case: OperatorCase, name: str) -> Any:
    return getattr(case if hasattr(case, name) else case.geometry, name)


def valued(case: OperatorCase, rng: random.Random) -> Iterator[OperatorCase]:
    """Give a case with other values, of its own recipe and of every other whose sums are exact."""
    if case.products <= _MOST_PRODUCTS:
        for recipe in (case.recipe, case.recipe, case.recipe, *FINITE):
            yield case.changed(recipe=recipe, seed=rng.randrange(1000))


def _most(case: OperatorCase) -> int:
    """How many products a case near another one may have: where that is large, so are they."""
    return max(_MOST_PRODUCTS, _TIMES * case.products)


def around(case: OperatorCase, claimed: Capabilities) -> Iterator[OperatorCase]:
    """Move each attribute of a case by itself, to the values beside its own and to every kind.

    Two sizes at once only such that there are as many products as before.
    """
    allowed, where = pools(claimed), case.geometry
    changes: list[dict[str, Any]] = []
    for name in _SIZES:
        own = _own(case, name)
        beside = (own - 1, own + 1, own + 2, own + own // 2, 2 * own, 2 * own + 1, 3 * own)
        halves = (own >> n for n in range(1, own.bit_length()))
        changes += [{name: n} for n in dict.fromkeys((*beside, own + 8, *halves)) if 0 < n != own]
    for name in _PAIRS:
        one, other = getattr(where, name)
        moved = ((one + 1, other), (one, other + 1), (one - 1, other), (one, other - 1))
        usual = (pair for pair in allowed[name] if pair != (one, other))
        changes += [{name: pair} for pair in dict.fromkeys((*moved, *usual)) if min(pair) > 0]
    for name in ("padding", "group_layout"):
        changes += [{name: n} for n in dict.fromkeys(allowed[name]) if n != getattr(where, name)]
    changes += [{"dtype": name} for name in claimed.dtypes if name != case.dtype]
    # Special values on an image on which integers are not special by being few; where integers
    # fail, none that have more bits: those would show an arithmetic.
    larger = {"height": 3 * case.height, "width": 3 * case.width}
    kinds = STRUCTURE if case.recipe == "integers" else ("integers", *FINITE)
    others = [name for name in dict.fromkeys(kinds) if name != case.recipe]
    changes += [
        {"recipe": name, **larger, **seed}
        for name in others
        for seed in (_OPERANDS if case.recipe == "integers" else _of_its_operand(case, name))
    ]
    cases = [other_values(case, number).changed(**one) for number, one in enumerate(changes)]
    cases += [
        traded(other_values(case, number), one, other, 2)
        for number, (one, other) in enumerate(itertools.permutations(_SIZES, 2))
        if _own(case, one) > 1
    ]
    cases += _of_as_many_taps(other_values(case, len(cases)))
    for changed in (one.large_enough for one in cases):
        if changed.products <= _most(case) and not unclaimed(changed, claimed):
            yield changed


def turned(case: OperatorCase) -> OperatorCase:
    """Give the case of the other axis: rows for columns, and columns for rows."""
    where = case.geometry
    changes: dict[str, Any] = {name: getattr(where, name)[::-1] for name in _PAIRS}
    if isinstance(where.padding, tuple):
        changes["padding"] = where.padding[::-1]
    return case.changed(height=case.width, width=case.height, **changes)


def _of_its_operand(case: OperatorCase, recipe: str) -> list[dict[str, int]]:
    """Give seeds by which the operand that is special in a case is special in another way.

    Which operand is, the seed says modulo three; a constant is negative by every other seed.
    """
    seed = case.seed % 3
    return [{"seed": seed}, {"seed": seed + 3}] if recipe == "constant" else [{"seed": seed}]


def _size(size: int, rng: random.Random) -> int:
    beside = (size - 1, size + 1, size // 2, size // 2 + 1, 2 * size, size + 8, size - 8)
    return max(1, rng.choice((rng.choice(beside), rng.choice(_ROUND))))
