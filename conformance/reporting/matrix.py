"""``python -m conformance matrix REPORT...``: reports as one table, a row a clause.

A report is what ``--report`` writes: a folder, or its JSON. What judged code is called is data: it
cannot break the table. Nothing is judged here.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.claims.program import printable
from conformance.reporting import folder
from conformance.reporting.merging import Matrix, table
from conformance.reporting.page import matrix_page

# So many names stand at the head of their columns; more are listed before the table, by number.
_FEW = 3
_CELLS = {"passes": "yes", "fails": "**no**", "undecided": "?"}


def main(arguments: Sequence[str]) -> int:
    """Print the table; 2 for a command that cannot be understood."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance matrix",
        description="Merge reports into a table in Markdown: a row for each clause, a column for "
        "each implementation.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "report", nargs="+", type=Path, help="folder that --report=DIR wrote, or its JSON"
    )
    parser.add_argument("--html", metavar="FILE", type=Path, help="write it as a page too")
    given = parser.parse_args(list(arguments))
    try:
        merged = table([read(path) for path in given.report])
        if given.html is not None:
            given.html.write_text(matrix_page(merged), encoding="utf-8")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    print("\n".join(_markdown(merged)))
    return 0


def read(path: Path) -> Mapping[str, Any]:
    """Read a report.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        file = path / folder.JSON if path.is_dir() else path
        document = json.loads(file.read_text(encoding="utf-8"))
        for one in document["implementations"]:
            for entry in dict(one["clauses"]).values():
                str(entry["verdict"])
            str(one["name"] + one["verdict"])
        str(document["specification"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} must be a report that --report wrote ({said})") from error
    return document  # type: ignore[no-any-return]


def matrix(documents: Sequence[Mapping[str, Any]]) -> str:
    """Give it in Markdown."""
    return "\n".join(_markdown(table(documents)))


def _markdown(merged: Matrix) -> Iterator[str]:
    # As code, in which no tag is one.
    names = [f"`{_plain(name)}`" for name in merged.names]
    if len(names) > _FEW:
        yield from (f"{number}. {name}" for number, name in enumerate(names, 1))
        yield ""
        names = [f"[{number}]" for number, _ in enumerate(names, 1)]
    yield _row(f"specification {_cell(merged.version)}", names)
    yield _row("---", ["---"] * len(names))
    yield _row("verdict", [_cell(one) for one in merged.verdicts])
    for clause, verdicts in merged.rows:
        yield _row(_cell(clause), [_CELLS.get(one, _cell(one)) for one in verdicts])


def _row(first: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([first, *cells])} |"


def _cell(said: Any) -> str:
    """Give what others say as the text of one cell."""
    return _plain(said).replace("<", "&lt;")


def _plain(said: Any) -> str:
    return printable(str(said)).replace("\n", " ").replace("`", "'").replace("|", "\\|")
