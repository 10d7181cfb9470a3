"""Pictures of a report, as SVG that stands in the page itself: windows, heat maps, histograms.

In the style of docs/pictures.md: small arrays of cells with what is in them. Colours are the page's
own, by class, so that they follow light, dark and print; no meaning is told by colour alone. Every
picture says in words what it shows. What is drawn is plain data.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

_CELL, _MARGIN, _FINE = 40, 30, 13
# Numbers are written into the cells of a map of so many columns at most.
_WRITTEN = 10
_BAR, _HIGH, _BELOW = 26, 72, 34
_numbers = itertools.count(1)


def window(shown: Mapping[str, Any], side: str) -> Markup:
    """Draw the window of an output: the pixels that it is ``"due"`` to read, or ``"read"``.

    The taps that meet the pixels stand in the cells.
    """
    row, column, channel = shown["output"]
    marks = [mark for cells in shown["cells"] for mark, _, _ in cells]
    place = f"the output at row {row}, column {column}, channel {channel}"
    if side == "due":
        read = sum(mark in "ox-" for mark in marks)
        words = f"Pixels that {place} is due to read: {read}"
        words += f", and {marks.count(':')} taps on the padding." if ":" in marks else "."
    else:
        said = {"o": "as due", "x": "met by another kernel entry", "-": "not read", "+": "not due"}
        counts = [f"{marks.count(mark)} {what}" for mark, what in said.items() if mark in marks]
        words = f"Pixels that {place} did read: {', '.join(counts)}."
    parts = [
        _due(mark, due, x, y) if side == "due" else _read(mark, due, got, x, y)
        for y, cells in enumerate(shown["cells"])
        for x, (mark, due, got) in enumerate(cells)
    ]
    parts.append(_outline(shown["cells"]))
    return _grid(words, shown["rows"], shown["columns"], parts, ("row", "column"))


def _due(mark: str, due: Any, x: int, y: int) -> Markup:
    if mark in {"o", "x", "-"}:
        return _cell(x, y, "due", _tap(due))
    return _empty(mark, x, y)


def _read(mark: str, due: Any, got: Any, x: int, y: int) -> Markup:
    if mark == "o":
        return _cell(x, y, "due", _tap(got))
    if mark in {"x", "+"}:
        # The due tap of another group is told by the group.
        same = due is not None and got is not None and due[:2] == got[:2] and due != got
        return _cell(x, y, "other", f"g {got[2]}" if same else _tap(got))
    if mark == "-":
        return _cell(x, y, "missed", "\N{EN DASH}")
    return _empty(mark, x, y)


def _empty(mark: str, x: int, y: int) -> Markup:
    if mark == " ":
        return Markup("")
    return _cell(x, y, "padding" if mark == ":" else "pixel", "")


def _tap(tap: Sequence[int] | None) -> str:
    return "?" if tap is None else f"{tap[0]},{tap[1]}"


def _outline(rows: Sequence[Sequence[Any]]) -> Markup:
    """Mark the window: from its first tap to its last."""
    inside = [
        (x, y)
        for y, cells in enumerate(rows)
        for x, (mark, due, _) in enumerate(cells)
        if due is not None or mark == ":"
    ]
    if not inside:
        return Markup("")
    (left, right), (top, bottom) = ((min(some), max(some)) for some in zip(*inside, strict=True))
    return Markup('<rect class="outline" x="{}" y="{}" width="{}" height="{}"/>').format(
        _MARGIN + left * _CELL, _MARGIN + top * _CELL,
        (right - left + 1) * _CELL, (bottom - top + 1) * _CELL,
    )  # fmt: skip


def heat(shown: Mapping[str, Any], *, counted: bool = False) -> Markup:
    """Draw where a result is wrong: the largest error in each cell, or the number of errors.

    Parameters
    ----------
    shown : mapping
        A map of `conformance.judging.exhibit`.
    counted : bool
        Of a certificate, whose differences are those of tags: the numbers tell something.
    """
    values, (first, second) = shown["wrong" if counted else "error"], shown["axes"]
    wrong = [
        (y, x) for y, row in enumerate(shown["wrong"]) for x, one in enumerate(row) if one and row
    ]
    block = shown["block"]
    total = sum(map(sum, shown["wrong"]))
    words = f"Wrong elements by {first} and {second}: {total} in {len(wrong)} of "
    words += f"{sum(map(len, values))} cells"
    if wrong and not counted:
        at = max(wrong, key=lambda at: _large(values[at[0]][at[1]]))
        largest = values[at[0]][at[1]]
        said = "not finite" if largest is None else f"{largest:.3g}"
        words += f"; the largest error, {said}, at {first} {at[0] * block[0]}, "
        words += f"{second} {at[1] * block[1]}"
    if max(block) > 1:
        words += f". A cell is {block[0]} by {block[1]}"
    rows, columns = ([n * step for n in range(size)] for n_, (size, step) in enumerate(
        zip((len(values), len(values[0]) if values else 0), block, strict=True)))  # fmt: skip
    return counts(f"{words}.", rows, columns, values, (first, second), shown["wrong"])


def counts(
    words: str,
    rows: Sequence[int],
    columns: Sequence[int],
    values: Sequence[Sequence[float | None]],
    axes: tuple[str, str],
    wrong: Sequence[Sequence[int]] | None = None,
) -> Markup:
    """Draw numbers as cells, the larger the darker; where nothing is wrong a cell is empty."""
    wrong = [[int(one != 0) for one in row] for row in values] if wrong is None else wrong
    shade = _shade([one for row in values for one in row if one])
    fine = len(columns) > _WRITTEN
    parts = []
    for y, row in enumerate(values):
        for x, one in enumerate(row):
            if not wrong[y][x]:
                parts.append(_cell(x, y, "right", "", size=_FINE if fine else _CELL))
                continue
            text = "\N{INFINITY}" if one is None else _brief(one)
            size = _FINE if fine else _CELL
            parts.append(_cell(x, y, "heat", "" if fine else text, shade(one), size))
    return _grid(words, rows, columns, parts, axes, _FINE if fine else _CELL)


def _large(value: float | None) -> float:
    return math.inf if value is None else value


def _brief(value: float) -> str:
    if value == int(value) and value < 1e4:
        return f"{value:.0f}"
    text = f"{value:.2g}" if 0.01 <= value < 1000 else f"{value:.0e}"
    return text.replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def _shade(values: Sequence[float]) -> Callable[[float | None], float]:
    """Give the opacity of a cell: by the logarithm, from the least to the largest."""
    logs = [math.log(abs(one)) for one in values if one]
    low, high = (min(logs), max(logs)) if logs else (0.0, 0.0)

    def shade(one: float | None) -> float:
        if one is None or not one or high == low:
            return 1.0
        return 0.25 + 0.75 * (math.log(abs(one)) - low) / (high - low)

    return shade


def histogram(bins: Sequence[int], ends: Sequence[float], clause: str) -> Markup:
    """Draw how many elements use how much of their bound; heights are logarithmic."""
    total, most = sum(bins), math.log1p(max(bins))
    near = bins[-1] / total
    words = f"{clause}: of {total:,} elements {bins[0] / total:.0%} have no error, "
    words += f"{near:.2%} use more than half of their bound."
    width = len(bins) * _BAR
    parts = []
    for n, one in enumerate(bins):
        high = _HIGH * math.log1p(one) / most if one else 0.0
        parts.append(
            Markup('<rect class="bar" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
                n * _BAR + 2, _HIGH - high + 4, _BAR - 4, high
            )
        )
        # Every second one: under each bar there is no room.
        if n % 2 == 0:
            parts.append(_text(n * _BAR + _BAR / 2, _HIGH + 18, _end(ends[n]), "tick"))
    parts.append(Markup('<path class="limit" d="M{0} 0V{1}"/>').format(width, _HIGH + 8))
    parts.append(Markup('<path class="base" d="M0 {1}H{0}"/>').format(width, _HIGH + 4))
    return _svg(words, width + 4, _HIGH + _BELOW - 8, parts)


def _end(value: float) -> str:
    return f"{value:g}" if value in (0.0, 1.0) else f"1/{1 / value:.0f}"


def _cell(x: int, y: int, kind: str, text: str, opacity: float = 1.0, size: int = _CELL) -> Markup:
    left, top = _MARGIN + x * size, _MARGIN + y * size
    shade = Markup("") if opacity == 1.0 else Markup(' fill-opacity="{:.2f}"').format(opacity)
    drawn = Markup('<rect class="cell {}" x="{}" y="{}" width="{}" height="{}"{}/>').format(
        kind, left, top, size, size, shade
    )
    return drawn + (_text(left + size / 2, top + size / 2 + 4, text, "inside") if text else "")


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{:g}" y="{:g}">{}</text>').format(kind, x, y, text)


def _grid(
    words: str,
    rows: Sequence[int],
    columns: Sequence[int],
    parts: Iterable[Markup],
    axes: tuple[str, str],
    size: int = _CELL,
) -> Markup:
    """Put cells under the numbers of their columns and beside those of their rows."""
    every = 1 if size == _CELL else 4
    labels = [
        _text(_MARGIN + (n + 0.5) * size, _MARGIN - 6, str(one), "tick")
        for n, one in enumerate(columns)
        if n % every == 0
    ]
    labels += [
        _text(_MARGIN - 13, _MARGIN + (n + 0.5) * size + 4, str(one), "tick")
        for n, one in enumerate(rows)
        if n % every == 0
    ]
    across, down = (len(some) * size + _MARGIN + 4 for some in (columns, rows))
    # What both axes are of is said above the picture.
    first, second = (name.partition(" of ")[0] for name in axes)
    labels.append(_text(2, 11, f"{first} \\ {second}", "corner"))
    return _svg(words, max(across, 120), down, [*parts, *labels])


def _svg(words: str, width: float, height: float, parts: Iterable[Markup]) -> Markup:
    name = f"picture-{next(_numbers)}"
    return Markup(
        '<svg role="img" aria-labelledby="{0}" width="{1:g}" height="{2:g}" '
        'viewBox="0 0 {1:g} {2:g}"><title id="{0}">{3}</title>{4}</svg>'
    ).format(name, width, height, escape(words), Markup("").join(parts))
