"""The case that experiments start from: as small and as plain as the fault allows.

Beside the least case that is wrong lies where right turns into wrong: one row less, another stride.
A case of the suite is small in all that the suite tries; here each size is searched for its least
value, and values and formats are made the usual ones. What is wrong is for the caller to say.
"""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from conformance.claims.loading import Judged

# Sizes in the order in which they are made small, as far as a kind of case has them.
_SIZES = ("batch", "height", "width", "reduced_channels", "members", "groups")
# After so many passes nothing becomes smaller that matters.
_PASSES = 3
# A plainer case has so many times as many entries at most; of so few it is no matter.
_GROWN, _ENTRIES = 2, 1 << 12


def on_integers(case: Any) -> Any:
    """Give a case of impulses as one of integers, of as many samples as it has."""
    return case.changed(recipe="integers", seed=0, batch=getattr(case, "samples", case.batch))


def least(judged: Judged, failing: Any, fails: Callable[[Any], bool], seconds: float) -> Any:
    """Give the smallest case found that still fails.

    Parameters
    ----------
    judged : Judged
        The implementation: its kind and claims say which cases can be asked.
    failing : Case
        What fails.
    fails : callable
        Whether another case fails in the same way.
    seconds : float
        How long to look.
    """
    stop, case = time.perf_counter() + seconds, failing

    def grown(other: Any) -> bool:
        """Tell whether a plainer case has many more entries than the first one."""
        entries = max(judged.kind.weight(failing)[0], _ENTRIES)
        return bool(judged.kind.weight(other)[0] > _GROWN * entries)

    def changed(case: Any, **changes: Any) -> Any:
        """Give the changed case if it fails too, as long as there is time; else the case."""
        other = judged.kind.fitting(case.changed(**changes), judged.capabilities)
        if other is None or other == case or time.perf_counter() > stop or grown(other):
            return case
        return other if judged.kind.askable(other, judged.capabilities) and fails(other) else case

    recipes = judged.kind.recipes
    if "integers" in recipes and recipes[case.recipe].certifies:
        plain = on_integers(case)
        case = changed(case, recipe="integers", seed=0, batch=plain.batch)
    elif "integers" in recipes:
        case = changed(case, recipe="integers")
        exact = case.recipe.removesuffix("-real")
        case = changed(case, recipe=exact) if exact in recipes else case
    if recipes[case.recipe].certifies:
        return case
    case = changed(case, dtype=judged.capabilities.first_dtype)
    for _ in range(_PASSES):
        before = case
        for name, value in _plain_options(case):
            case = changed(case, **{name: value})
        for smaller in _smaller_paddings():
            case = changed(case, padding=smaller(_padding(case)))
        for name, axis in _axes(case):
            for smaller in (lambda n: 1, lambda n: n // 2, lambda n: n - 1):  # noqa: ARG005
                pair = list(_own(case, name))
                pair[axis] = max(1, smaller(pair[axis]))
                case = changed(case, **{name: tuple(pair)})
        for name in (one for one in _SIZES if _has(case, one)):
            for factor, more in _descent(_own(case, name)):
                size = factor * _own(case, name) + more
                if 0 < size < _own(case, name):
                    case = changed(case, **{name: size})
        if case == before:
            break
    return case


def _padding(case: Any) -> Any:
    return getattr(getattr(case, case.part), "padding", None)


def _smaller_paddings() -> Iterator[Callable[[Any], Any]]:
    """Give what makes a padding smaller, if it is of numbers: to 0, 1, half of it, one less."""

    def of_sides(padding: Any, axis: int, side: int, least: int) -> Any:
        if not isinstance(padding, tuple):
            return padding
        sides = [list(one) for one in padding]
        sides[axis][side] = min(least, sides[axis][side])
        return tuple(tuple(one) for one in sides)

    def of_one(padding: Any, least: int) -> Any:
        return min(least, padding) if isinstance(padding, int) else padding

    for least in (0, 1):
        yield functools.partial(of_one, least=least)
        for axis, side in ((0, 0), (0, 1), (1, 0), (1, 1)):
            yield functools.partial(of_sides, axis=axis, side=side, least=least)
    yield lambda padding: padding // 2 if isinstance(padding, int) else padding
    yield lambda padding: max(0, padding - 1) if isinstance(padding, int) else padding


def _has(case: Any, name: str) -> bool:
    return hasattr(case, name) or hasattr(getattr(case, case.part), name)


def _own(case: Any, name: str) -> Any:
    return getattr(case if hasattr(case, name) else getattr(case, case.part), name)


def _descent(size: int) -> Iterator[tuple[int, int]]:
    """Give how a size is made smaller, as a factor of it and what is added.

    The least sizes come first, then steps by halves of what is left.
    """
    yield from ((0, small) for small in (1, 2, 3))
    step = size // 2
    while step:
        # Twice: what is a multiple of something may be made smaller by it twice.
        yield from [(1, -step)] * 2
        step //= 2


def _plain_options(case: Any) -> Iterator[tuple[str, Any]]:
    """Give the plainest value of each option that has another one, but for its sizes."""
    part = getattr(case, case.part)
    plain = type(case)("", "")
    for one in fields(part):
        value = getattr(getattr(plain, plain.part), one.name)
        if one.name not in _SIZES and value != getattr(part, one.name):
            yield one.name, value


def _axes(case: Any) -> Iterator[tuple[str, int]]:
    """Give each number of a pair of numbers, by the name of the pair and its axis."""
    part = getattr(case, case.part)
    for one in fields(part):
        value = getattr(part, one.name)
        if isinstance(value, tuple) and all(isinstance(n, int) for n in value):
            yield from ((one.name, axis) for axis in range(len(value)))
