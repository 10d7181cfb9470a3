"""The window of a wrong output: which part of it is drawn, and which pixels are named."""

from conformance.cases.operator import OperatorCase
from conformance.cases.picture import localise

CASE = OperatorCase("float32", "impulse-x", height=3, width=3)
OUTPUT, PIXEL, ENTRY = (0, 0, 0), (0, 0, 0), (0, 0, 0, 0, 0)


def test_a_meeting_with_no_single_entry_is_told_from_none() -> None:
    due = {OUTPUT: {PIXEL: ENTRY}}
    got = {OUTPUT: {PIXEL: ENTRY, (0, 0, 1): None}}
    found = localise(CASE, "y", got, due)
    assert found is not None
    assert "x[b, 0, 0, 1] met no single kernel entry, due was nothing" in "".join(found.lines)


def test_of_a_large_window_the_part_around_the_first_wrong_pixel_is_drawn() -> None:
    case = CASE.changed(height=97, width=89, kernel_shape=(97, 89))
    due = {(48, 44, 0): {(80, 40, 0): (0, 0, 80, 40, 0)}}
    found = localise(case, "y", {}, due)
    assert found is not None
    rows, columns = found.window["rows"], found.window["columns"]
    assert len(rows) == len(columns) == 24
    assert 80 in rows
    assert 40 in columns
    assert found.window["cells"][rows.index(80)][columns.index(40)][0] == "-"
