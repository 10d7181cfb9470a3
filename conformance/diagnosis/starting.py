"""The case that experiments start from: as small and as plain as the fault allows.

Beside the least case that is wrong lies where right turns into wrong: one row less, another stride.
A case of the suite is small in all that the suite tries; here each size is searched for its least
value, and values and formats are made the usual ones. What is wrong is for the caller to say.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from conformance.claims.loading import Judged

# Sizes in the order in which they are made small, and options with the plainest value of each.
_SIZES = ("batch", "height", "width", "members", "groups")
_PLAIN = {
    "group_layout": ("blocked",), "padding": ("same", 0), "dilation": ((1, 1),),
    "stride": ((1, 1),),
}  # fmt: skip
_PAIRS = ("kernel_shape", "stride", "dilation")
# After so many passes nothing becomes smaller that matters.
_PASSES = 3


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
    stop = time.perf_counter() + seconds
    kind, claimed = judged.kind, judged.capabilities
    certifies = kind.recipes[failing.recipe].certifies
    case = failing

    def takes(other: Any) -> bool:
        """Whether another case fails too and can be asked, as long as there is time."""
        other = getattr(other, "large_enough", other)
        if other == case or time.perf_counter() > stop or not kind.askable(other, claimed):
            return False
        return fails(other)

    if certifies and "integers" in kind.recipes and takes(on_integers(case)):
        case = on_integers(case)
    for changes in (
        {"recipe": "integers"}, {"dtype": claimed.first_dtype}, {"seed": 0},
    ):  # fmt: skip
        if changes.get("recipe", "integers") in kind.recipes and not certifies:
            other = case.changed(**changes)
            case = other if takes(other) else case
    if not hasattr(case, "geometry") or not hasattr(case, "products"):
        return case
    for _ in range(_PASSES):
        before = case
        for one in _plainer(case):
            case = one(case) if takes(one(case)) else case
        for name in _SIZES:
            for number in _descent(_own(case, name)):
                current, tried = _own(case, name), number(_own(case, name))
                if 0 < tried < current and takes(case.changed(**{name: tried})):
                    case = case.changed(**{name: tried}).large_enough
        if case == before:
            break
    return case


def _own(case: Any, name: str) -> int:
    return int(getattr(case, name) if hasattr(case, name) else getattr(case.geometry, name))


def _descent(size: int) -> Iterator[Callable[[int], int]]:
    """Give what makes of a size a smaller one: the least first, then by halves of what is left."""
    for small in (1, 2, 3):
        yield lambda _, small=small: small
    step = size // 2
    while step:
        # Twice: what is a multiple of something may be made smaller by it twice.
        yield lambda now, step=step: now - step
        yield lambda now, step=step: now - step
        step //= 2


def _plainer(case: Any) -> Iterator[Callable[[Any], Any]]:
    """Give what makes options of a case plainer."""
    for name, plain in _PLAIN.items():
        for value in plain:
            if getattr(case.geometry, name) == value:
                break
            yield lambda one, name=name, value=value: one.changed(**{name: value}).large_enough
    for name in _PAIRS:
        for axis in (0, 1):
            for change in (lambda n: 1, lambda n: n // 2, lambda n: n - 1):  # noqa: ARG005
                yield lambda one, name=name, axis=axis, change=change: _narrowed(
                    one, name, axis, change
                )


def _narrowed(case: Any, name: str, axis: int, change: Callable[[int], int]) -> Any:
    pair = list(getattr(case.geometry, name))
    pair[axis] = max(1, change(pair[axis]))
    return case.changed(**{name: tuple(pair)}).large_enough
