"""What an operator read, set against what it should have read: in words, and drawn as a window.

Works on the meetings that an impulse certificate shows, so it needs no idea of the fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conformance.cases.impulses import Index, Meetings
from conformance.cases.operator import OperatorCase as Case

_LEGEND = "o as due   - not met   + not due   x met another entry   : padding   . other pixel"
_MOST_LINES = 4
# Of a larger window so many rows and columns are drawn, around the first pixel that differs.
_MOST_PIXELS = 24


@dataclass(frozen=True)
class Picture:
    """Which products of a certificate are wrong, and the window of the first wrong output.

    Attributes
    ----------
    lines : tuple of str
        In words, the window drawn with characters.
    taps : tuple of tuple of int
        How many products are wrong at each tap.
    window : mapping
        Plain data: the ``output`` (i, j, c), the ``rows`` and ``columns`` of pixels that are shown,
        and for each row of them its ``cells``: a mark of the legend, the kernel entry that is due
        to meet the pixel and the one that met it, each (u, v, g) or None.
    """

    lines: tuple[str, ...]
    taps: tuple[tuple[int, ...], ...]
    window: Mapping[str, Any]


def localise(case: Case, result: str, got: Meetings, due: Meetings) -> Picture | None:
    """Say which products, outputs and taps are wrong, and draw the first wrong window.

    Nothing if the two are equal.
    """
    wrong = sorted(
        output for output in got.keys() | due.keys() if _of(got, output) != _of(due, output)
    )
    if not wrong:
        return None
    products = [
        (output, entry)
        for output in wrong
        for pixel, entry in _of(due, output).items()
        if _of(got, output).get(pixel) != entry
    ]
    total = sum(map(len, due.values()))
    taps = sorted({entry[2:4] for _, entry in products if entry is not None})
    lines = [
        f"{result}: {len(products)} of {total} products are missing or met another factor, "
        f"at {len(wrong)} of {case.grid[0] * case.grid[1] * case.channels} outputs",
        "outputs: " + _axes(case, wrong) + _edges(case, wrong),
    ]
    if taps:
        every = len(taps) == case.geometry.taps
        lines.append("taps: " + ("all" if every else ", ".join(map(str, taps))))
    counted = [[0] * case.geometry.kernel_shape[1] for _ in range(case.geometry.kernel_shape[0])]
    for _, entry in products:
        if entry is not None:
            counted[entry[2]][entry[3]] += 1
    shown = (case, wrong[0], _of(got, wrong[0]), _of(due, wrong[0]))
    window = _window(*shown)
    lines += _drawn(window, *shown[2:])
    return Picture(tuple(lines), tuple(map(tuple, counted)), window)


def _window(
    case: Case, output: Index, got: dict[Index, Index | None], due: dict[Index, Index | None]
) -> dict[str, Any]:
    """Give the padded window of one output as data, or the part of it where it is wrong."""
    window = [
        [place * axis.stride + tap * axis.dilation - axis.before for tap in range(axis.taps)]
        for place, axis in zip(output, case.geometry.axes(case.size), strict=False)
    ]
    differing = _differing(got, due)[0]
    rows, columns = (
        _near(differing[axis], {*window[axis], *(pixel[axis] for pixel in (*got, *due))})
        for axis in (0, 1)
    )
    cells = [
        [[_mark(case, (h, w), window, got, due), _first((h, w), due), _first((h, w), got)]
         for w in columns]
        for h in rows
    ]  # fmt: skip
    return {"output": list(output), "rows": list(rows), "columns": list(columns), "cells": cells}


def _differing(got: dict[Index, Index | None], due: dict[Index, Index | None]) -> list[Index]:
    """Give the pixels that met another entry than they should, one that none can tell, or none."""
    return [
        pixel
        for pixel in sorted({*got, *due})
        if (pixel in got, got.get(pixel)) != (pixel in due, due.get(pixel))
    ]


def _near(place: int, seen: set[int]) -> range:
    """Give the places from the first to the last, or of many those around one."""
    first, last = min(seen), max(seen)
    if last - first >= _MOST_PIXELS:
        first = min(max(place - _MOST_PIXELS // 2, first), last + 1 - _MOST_PIXELS)
        last = first + _MOST_PIXELS - 1
    return range(first, last + 1)


def _first(place: Index, met: dict[Index, Index | None]) -> list[int] | None:
    """Give tap and group of the first entry that met the pixel at a place, of any channel."""
    entries = [entry for pixel, entry in sorted(met.items()) if pixel[:2] == place]
    return next((list(entry[2:5]) for entry in entries if entry is not None), None)


def _drawn(
    window: Mapping[str, Any], got: dict[Index, Index | None], due: dict[Index, Index | None]
) -> list[str]:
    """Draw it with characters."""
    row, column, channel = window["output"]
    lines = [
        f"window of the output at row {row}, column {column}, channel {channel}:",
        "           column " + "".join(f"{w:>4}" for w in window["columns"]),
    ]
    for h, cells in zip(window["rows"], window["cells"], strict=True):
        lines.append(f"    row {h:>9} " + "".join(f"{mark:>4}" for mark, _, _ in cells))
    lines.append("    " + _LEGEND)
    for pixel in _differing(got, due)[:_MOST_LINES]:
        lines.append(
            f"    x[b, {_words(pixel)}] met {_entry(pixel, got)}, due was {_entry(pixel, due)}"
        )
    return lines


def _mark(
    case: Case,
    place: Index,
    window: list[list[int]],
    got: dict[Index, Index | None],
    due: dict[Index, Index | None],
) -> str:
    here_got, here_due = (
        {pixel: entry for pixel, entry in met.items() if pixel[:2] == place} for met in (got, due)
    )
    if here_due or here_got:
        if here_got == here_due:
            return "o"
        return "x" if here_got and here_due else "-" if here_due else "+"
    inside = 0 <= place[0] < case.height and 0 <= place[1] < case.width
    if place[0] in window[0] and place[1] in window[1] and not inside:
        return ":"
    return "." if inside else " "


def _entry(pixel: Index, met: dict[Index, Index | None]) -> str:
    if pixel not in met:
        return "nothing"
    entry = met[pixel]
    return "no single kernel entry" if entry is None else f"kernel[b, {_words(entry)}]"


def _words(index: Index) -> str:
    return ", ".join(map(str, index))


def _of(meetings: Meetings, output: Index) -> dict[Index, Index | None]:
    return meetings.get(output, {})


def _axes(case: Case, outputs: list[Index]) -> str:
    sizes = (*case.grid, case.channels)
    parts = []
    for axis, name in enumerate(("rows", "columns", "channels")):
        hit = sorted({output[axis] for output in outputs})
        shown = "all" if len(hit) == sizes[axis] else _some(hit) + f" of {sizes[axis]}"
        parts.append(f"{name} {shown}")
    return "; ".join(parts)


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:6])) + (", ..." if len(numbers) > 6 else "")


def _edges(case: Case, wrong: list[Index]) -> str:
    """Name the edge, if the wrong outputs are those whose window crosses it."""
    vertical, horizontal = axes = case.geometry.axes(case.size)
    places = {output[:2] for output in wrong}
    every = [(i, j) for i in range(case.grid[0]) for j in range(case.grid[1])]
    reach = [(axis.taps - 1) * axis.dilation for axis in axes]
    crossing: dict[str, list[Index]] = {
        "the top edge": [p for p in every if p[0] * vertical.stride < vertical.before],
        "the left edge": [p for p in every if p[1] * horizontal.stride < horizontal.before],
        "the bottom edge": [
            p for p in every
            if p[0] * vertical.stride - vertical.before + reach[0] >= case.height
        ],
        "the right edge": [
            p for p in every
            if p[1] * horizontal.stride - horizontal.before + reach[1] >= case.width
        ],
    }  # fmt: skip
    crossing["an edge"] = [p for some in list(crossing.values()) for p in some]
    named = [name for name, some in crossing.items() if places == set(some) != set(every)]
    return f" (those whose window crosses {named[0]})" if named else ""
