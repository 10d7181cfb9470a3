"""``python -m conformance reveal``: the arithmetic of an implementation, as a table.

What is found is the work of `conformance.diagnosis.reveal`; here it is asked for and shown.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged, LoadError, Where, load
from conformance.claims.program import printable
from conformance.diagnosis import described
from conformance.diagnosis.identify import Identified
from conformance.diagnosis.reveal import Found, Part, reveal, together
from conformance.kinds import OPERATOR
from conformance.reporting.terminal import as_text


def main(arguments: Sequence[str]) -> int:
    """Reveal the arithmetic of each implementation that is named.

    Returns
    -------
    int
        0 if all could be asked, 1 if some result could not. What cannot be loaded ends the program
        with 2.
    """
    parser = argparse.ArgumentParser(
        prog="python -m conformance reveal",
        description="Find the arithmetic of operators: formats, order of sums, subnormal numbers.",
        allow_abbrev=False,
    )
    options = parser.add_argument
    options(
        OPERATOR.option, action="append", required=True, metavar="PACKAGE.MODULE:ATTRIBUTE",
        help="operator to ask (repeatable)",
    )  # fmt: skip
    options("--dtype", nargs="+", choices=tuple(FORMATS), help="formats; all that are claimed")
    options("--in-process", action="store_true", help="ask it in this process: not isolated")
    options("--timeout", type=float, metavar="SECONDS", help="for one call (default 60)")
    options("--memory", type=float, metavar="GIB", help="address space that it may have")
    given = parser.parse_args(list(arguments))
    complete = True
    for name in given.implementation:
        try:
            where = Where(given.in_process, given.timeout, given.memory)
            judged = load(name, OPERATOR, where=where)
        except LoadError as error:
            parser.error(str(error))
        print(as_text(_headline(judged)))
        every = []
        for dtype in given.dtype or judged.capabilities.dtypes:
            start = time.monotonic()
            every.append(reveal(judged, dtype))
            print(as_text(Text(), table(every[-1], time.monotonic() - start)), flush=True)
            complete &= not every[-1].unasked
        if all(found.certain for found in every):
            words = f"the tightest declaration that holds for these formats: {together(every)}"
            print(as_text(Text(f"\n  {words}")))
        judged.host.close()
    return 0 if complete else 1


def _headline(judged: Judged) -> Text:
    line = Text("REVEALS", "bold")
    line.append(f"  {printable(judged.name)}", "bold")
    runs_on = f"; {printable(judged.environment)}" if judged.environment else ""
    return line.append(f"  ({judged.kind.name}{runs_on})", "dim")


def table(found: Found, seconds: float | None = None) -> RenderableType:
    """Show what was found: a column for each result, and below it what follows.

    Parameters
    ----------
    found : Found
        For one format.
    seconds : float, optional
        How long it took.
    """
    columns = Table.grid(padding=(0, 2))
    columns.add_column(no_wrap=True, style="dim")
    for _ in found.parts:
        columns.add_column(overflow="fold", ratio=1)
    columns.add_row(f"  {found.dtype}", *(Text(name, "bold") for name in found.parts))
    rows = [dict(_rows(part, found.dtype)) for part in found.parts.values()]
    for title, lines in _merged(rows):
        columns.add_row(f"  {title}", *lines)
    below = Table.grid(padding=(0, 2))
    below.add_column(no_wrap=True, style="dim")
    below.add_column(overflow="fold")
    for title, lines in _below(found, seconds):
        for number, line in enumerate(lines):
            below.add_row("" if number else f"  {title}", Text(printable(line)))
    return Group(columns, below)


def _merged(rows: Sequence[Mapping[str, Mapping[int, str]]]) -> Iterator[tuple[str, list[str]]]:
    """Give a line for each number of terms, or one for all where they are alike."""
    for title in dict.fromkeys(title for one in rows for title in one):
        cells = [one.get(title, {}) for one in rows]
        if all(len(set(cell.values())) <= 1 for cell in cells):
            yield title, [next(iter(cell.values()), "") for cell in cells]
            continue
        for terms in sorted({terms for cell in cells for terms in cell}):
            yield f"{title}, n = {terms}", [cell.get(terms, "") for cell in cells]


def _rows(part: Part, dtype: str) -> Iterator[tuple[str, dict[int, str]]]:
    """Give the rows of one result, by the number of terms."""
    format_, known = FORMATS[dtype], {one.terms: one for one in part.found}

    def each(say: Callable[[Identified], str]) -> dict[int, str]:
        return {terms: say(one) for terms, one in known.items()}

    yield "factors", each(lambda one: described.factors(one, part.result, format_))
    yield "products", each(described.products)
    yield "sums", each(lambda one: described.sums(one.arithmetic))
    yield "order", each(lambda one: described.order(one, part.names))
    yield "result", each(lambda one: described.results(one.arithmetic))
    yield "subnormals", {0: described.flushed(part.found[0], part.result)}
    if part.shape:
        yield "larger calls", {0: _larger(part)}


def _larger(part: Part) -> str:
    """Say what is otherwise in a call of the shape that networks have."""
    if part.large is None:
        return f"the same (x {part.shape})"
    first, own = part.found[0], part.large
    said = [described.order(own, part.names)]
    for say in (described.products, lambda one: described.sums(one.arithmetic)):
        said += [say(own)] if say(own) != say(first) else []
    return f"{'; '.join(said)} (x {part.shape})"


def _below(found: Found, seconds: float | None) -> Iterable[tuple[str, list[str]]]:
    ends, of = found.at_ends
    said = f"{found.foretold:,} of {found.asked:,} fresh sums, bit for bit"
    said += f"; {ends} of {of} of huge and of tiny terms"
    yield "foretold", [said + (f"; in {seconds:.1f} s" if seconds is not None else "")]
    if found.unasked:
        yield "not asked", [f"{result}: {why}" for result, why in found.unasked.items()]
    if found.words:
        yield "differs", found.words
    yield "verdict", found.verdict
