"""What a condition may speak of besides the numbers of a case: its values, and counts of its work.

Each attribute is a line of a table: a name that completes a sentence, and what it is. What is "yes"
or "no" is a word; the language of conditions knows both. Nothing is asked of an implementation.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.formats import FORMATS

Row = dict[str, Any]


def yes(truth: Any) -> str:
    """Give a truth as the word that conditions know."""
    return "yes" if truth else "no"


def _beyond(case: OperatorCase, axis: int) -> int:
    """Count outputs beyond as many as there are whole strides, or one."""
    return case.grid[axis] - max(case.size[axis] // case.geometry.stride[axis], 1)


def _unread(case: OperatorCase, axis: int) -> int:
    """Count the padded pixels behind the last window."""
    where = case.geometry.axes(case.size)[axis]
    reached = (where.outputs - 1) * where.stride + (where.taps - 1) * where.dilation + 1
    return where.size + where.before + where.after - reached


# Both numbers of a pair in one word.
PAIRS: Mapping[str, str] = {
    "kernel": "kernel_shape", "stride": "stride", "dilation": "dilation",
}  # fmt: skip
# Counts of a call that fast code looks at before it takes another path.
COUNTS: Mapping[str, Callable[[OperatorCase], int]] = {
    "max(sh, sw)": lambda case: max(case.geometry.stride),
    "max(dh, dw)": lambda case: max(case.geometry.dilation),
    "Kh*Kw": lambda case: case.geometry.taps,
    "Ho*Wo": lambda case: case.grid[0] * case.grid[1],
    "B*Ho": lambda case: case.batch * case.grid[0],
    "B*Ho*Wo": lambda case: case.batch * case.grid[0] * case.grid[1],
    "products": lambda case: case.products,
    "entries of y": lambda case: case.batch * case.grid[0] * case.grid[1] * case.channels,
    "entries of x": lambda case: case.batch * case.height * case.width * case.channels,
    "entries of an image": lambda case: case.height * case.width * case.channels,
    "entries of a sample's kernel": lambda case: (
        case.grid[0] * case.grid[1] * case.geometry.taps * case.geometry.groups
    ),
    "outputs beyond whole strides, in rows": lambda case: _beyond(case, 0),
    "outputs beyond whole strides, in columns": lambda case: _beyond(case, 1),
    "rows behind the last window": lambda case: _unread(case, 0),
    "columns behind the last window": lambda case: _unread(case, 1),
    "bytes of an entry": lambda case: FORMATS[case.dtype].dtype.itemsize,
}

_PIXELS = (slice(None), slice(0, 1), slice(0, 1))


def _equal(array: Array, part: Any) -> bool:
    return bool((array == part).all())


def _on_one_index(array: Array) -> bool:
    # Of an axis of three or more at most a third; to list the places of more takes long.
    if 3 * np.count_nonzero(array) > array.size:
        return False
    places = list(zip(array.shape, np.nonzero(array), strict=True))[1:]
    return any(size > 2 and len(at) > 0 and _equal(at, at[0]) for size, at in places)


# Of an operand that has entries: what shortcuts look for.
VALUES: Mapping[str, Callable[[Array], Any]] = {
    "{} is zero": lambda a: not a.any(),
    "{} is one everywhere": lambda a: _equal(a, 1),
    "{} is constant": lambda a: _equal(a, a.flat[0]),
    "{} is constant and not zero": lambda a: _equal(a, a.flat[0]) and bool(a.flat[0]),
    "{} has zeros": lambda a: not a.all(),
    "{} is mostly zero": lambda a: (a == 0).mean() > 0.8,
    "{} is mostly zero, but not all": lambda a: (a == 0).mean() > 0.8 and bool(a.any()),
    "{} is equal in all pixels": lambda a: a.ndim > len(_PIXELS) and _equal(a, a[_PIXELS]),
    "{} is equal in all samples": lambda a: len(a) > 1 and _equal(a, a[:1]),
    "{} is zero but for one index of an axis": _on_one_index,
    "{} is of integers": lambda a: _equal(a, np.trunc(a)),
    "{} has negative numbers": lambda a: (a < 0).any(),
    "{} goes beyond 1000": lambda a: (np.abs(a) > 1000).any(),
    "{} has NaN": lambda a: np.isnan(a).any(),
    "{} has infinities": lambda a: np.isinf(a).any(),
}


def of_counts(case: OperatorCase) -> Row:
    """Give the counts of a case, and its pairs as words."""
    words = {name: "x".join(map(str, getattr(case.geometry, pair))) for name, pair in PAIRS.items()}
    return {**{name: count(case) for name, count in COUNTS.items()}, **words}


def of_values(values: Mapping[str, Array]) -> Row:
    """Give what is special about the values of each operand."""
    found: Row = {}
    for name, array in values.items():
        wide = array.astype(np.float64)
        for words, holds in VALUES.items():
            found[words.format(name)] = yes(array.size and holds(wide))
    return found


def negated(words: str) -> str:
    """Say that an attribute does not hold."""
    for verb in (" is ", " are ", " was ", " has ", " goes "):
        if verb in words:
            now = {" has ": " has no ", " goes ": " does not go "}.get(verb, f"{verb}not ")
            return words.replace(verb, now, 1)
    return f"not {words}"
