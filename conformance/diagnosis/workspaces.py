"""Padded images in a workspace whose border is never cleared: what an earlier call left there.

An image is copied into the middle of memory that is kept from call to call and was zero once. A
table says for whom memory is kept, and how large a padded image is taken to be. Nothing is asked.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np

from conformance.bounds.expected import Expected
from conformance.cases.case import Array
from conformance.cases.operator import OperatorCase
from conformance.claims.loading import Judged
from conformance.diagnosis.courses import Step
from conformance.diagnosis.verdicts import expected
from refimpl.geometry import Axis

# For whom one piece of memory is kept; None: it is one that grows, of this format or of any.
_Key = Callable[[tuple[int, ...], str], Hashable]
_BY_SHAPE: dict[str, _Key] = {
    "of the same shape": lambda shape, dtype: shape,  # noqa: ARG005
    "of the same shape and format": lambda shape, dtype: (shape, dtype),
}
_GROWING: dict[str, _Key] = {
    "that grows": lambda shape, dtype: 0,  # noqa: ARG005
    "that grows, of the same format": lambda shape, dtype: dtype,  # noqa: ARG005
    "that grows, of the format of its sums": lambda shape, dtype: dtype == "float64",  # noqa: ARG005
}
# Calls of which functions lay their image there.
_WHOSE = {"forward call": ("forward",), "call": ("forward", "backward")}
# How many pixels a padded image has along an axis: all, or no more than the windows reach.
_SIZES: dict[str, Callable[[Axis], int]] = {
    "": lambda axis: axis.before + axis.size + axis.after,
    ", no larger than the windows reach": lambda axis: max(
        (axis.outputs - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1,
        axis.before + axis.size,
    ),
}


def workspaces() -> Iterator[tuple[str, Any]]:
    """Give what each workspace makes of a call, as `history` has it: of past, call and judge."""
    for size_words, size in _SIZES.items():
        for growing, keys in ((False, _BY_SHAPE), (True, _GROWING)):
            for words, key in keys.items():
                said = f"the padded image lies in a workspace {words}{size_words}"
                for whose, functions in _WHOSE.items():
                    yield (
                        f"{said}, whose border is as an earlier {whose} left it",
                        _given(size, key, functions, growing=growing),
                    )


def _given(
    size: Callable[[Axis], int], key: _Key, functions: Sequence[str], *, growing: bool
) -> Any:
    def give(judged: Judged, past: Sequence[Step], now: Step) -> dict[str, Expected] | None:
        if not isinstance(now.case, OperatorCase) or now.function != "forward":
            return None
        kept = dict[Hashable, Array]()
        own = [one for one in past if one.function in functions]
        image = None
        for step in (*own, now):
            image = _laid(kept, step, size, key, growing=growing)
        assert image is not None
        case = now.case.changed(height=image.shape[1], width=image.shape[2], padding="valid")
        if case.grid != now.case.grid:
            return None
        values = {**now.values, "x": image.astype(now.values["x"].dtype)}
        return {"y": expected(judged, case, values)["y"]}

    return give


def _laid(
    kept: dict[Hashable, Array],
    step: Step,
    size: Callable[[Axis], int],
    key: _Key,
    *,
    growing: bool,
) -> Array:
    """Lay the image of a call into what is kept, and give the padded image that comes of it."""
    axes, x = step.case.geometry.axes(step.case.size), step.values["x"]
    sizes = tuple(map(size, axes))
    shape = (len(x), *sizes, x.shape[3])
    which, number = key(shape, step.case.dtype), int(np.prod(shape))
    if which not in kept or kept[which].size < number:
        kept[which] = np.zeros(number)
    padded = (kept[which][:number] if growing else kept[which]).reshape(shape)
    rows, columns = (slice(axis.before, axis.before + axis.size) for axis in axes)
    padded[:, rows, columns] = x.astype(np.float64)
    return padded.copy()
