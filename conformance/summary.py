"""The table that ends a run: per clause the cases, the worst error and the verdict."""

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.ledger import Entry, Ledger
from conformance.specification import clauses

_LEGEND = "checks, worst error as a fraction of its bound (=: nothing but equality), verdict"
_STYLES = {"passes": "green", "fails": "bold red", "not claimed": "dim", "not run": "dim"}


def summary_lines(ledger: Ledger, names: Sequence[str], *, color: bool) -> list[str]:
    """Render the table and the verdict on each implementation.

    Parameters
    ----------
    ledger : Ledger
        What was counted.
    names : sequence of str
        Implementations, one column each.
    color : bool
        Use terminal colours.
    """
    buffer = io.StringIO()
    # One line per clause must stay one line, whatever the terminal's width.
    console = Console(
        file=buffer, width=16 + 30 * len(names), force_terminal=color, no_color=not color
    )
    for number, name in enumerate(names, 1):
        console.print(Text(f"[{number}] {name}"), soft_wrap=True)
    console.print(_table(ledger, names))
    console.print(_LEGEND, soft_wrap=True)
    for name in names:
        console.print(_sentence(ledger, name), soft_wrap=True)
    return buffer.getvalue().splitlines()


def _table(ledger: Ledger, names: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("clause", no_wrap=True)
    for number in range(1, len(names) + 1):
        table.add_column(f"[{number}]", no_wrap=True)
    judged = {clause for _, clause in ledger.entries}
    for clause in (number for number in clauses() if number in judged):
        cells = [_cell(ledger.entries.get((name, clause))) for name in names]
        table.add_row(clause, *cells)
    return table


def _cell(entry: Entry | None) -> Text:
    if entry is None:
        return Text("not run", style="dim")
    worst = f"{entry.worst:.3f}" if entry.worst else "="
    figures = f"{entry.cases:>6} {worst:>6} " if entry.cases else " " * 14
    return Text(figures + entry.verdict, style=_STYLES[entry.verdict])


def _sentence(ledger: Ledger, name: str) -> Text:
    """Verdict on one implementation."""
    entries = {clause: e for (judged, clause), e in ledger.entries.items() if judged == name}
    failing = [
        clause for clause in clauses() if clause in entries and entries[clause].verdict == "fails"
    ]
    passing = sum(entry.verdict == "passes" for entry in entries.values())
    open_ = sum(entry.verdict == "not claimed" for entry in entries.values())
    cases = sum(entry.cases for entry in entries.values())
    not_run = sum(entry.verdict == "not run" for entry in entries.values())
    counts = f"{passing} clauses pass, {len(failing)} fail, {open_} not claimed"
    counts += f", {not_run} not run; {cases} checks" if not_run else f"; {cases} checks"
    if failing:
        return Text(f"FAILS {', '.join(failing)}: {name} ({counts})", style="bold red")
    return Text(f"conforms: {name} ({counts})", style="green")
