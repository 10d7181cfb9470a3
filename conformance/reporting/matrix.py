"""``python -m conformance matrix REPORT...``: reports as one table, a row a clause.

A report is the JSON that ``--report=FILE`` writes. What judged code is called is data: it cannot
break the table. Nothing is judged here.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.claims.program import printable

_CELLS = {"passes": "yes", "fails": "**no**", "undecided": "?"}


def main(arguments: Sequence[str]) -> int:
    """Print the table; 2 for a command that cannot be understood."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance matrix",
        description="Merge reports into a table in Markdown: a row for each clause, a column for "
        "each implementation.",
        allow_abbrev=False,
    )
    parser.add_argument("report", nargs="+", type=Path, help="JSON that --report=FILE wrote")
    given = parser.parse_args(list(arguments))
    try:
        print(matrix([read(path) for path in given.report]))
    except ValueError as error:
        parser.error(str(error))
    return 0


def read(path: Path) -> Mapping[str, Any]:
    """Read a report.

    Raises
    ------
    ValueError
        It is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        for one in document["implementations"]:
            dict(one["clauses"])
            str(one["name"] + one["verdict"])
        str(document["specification"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} must be a report that --report=FILE wrote ({said})") from error
    return document  # type: ignore[no-any-return]


def matrix(documents: Sequence[Mapping[str, Any]]) -> str:
    """Give the table of the implementations of some reports, in Markdown.

    Raises
    ------
    ValueError
        The reports are of several versions of the specification.
    """
    versions = sorted({str(document["specification"]) for document in documents})
    if len(versions) != 1:
        raise ValueError(
            "reports must be of one version of the specification, "
            f"got {', '.join(versions) or 'none'}"
        )
    judged = [one for document in documents for one in document["implementations"]]
    return "\n".join(_rows(versions[0], judged))


def _rows(version: str, judged: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    # As code, in which no tag is one.
    names = [f"`{_plain(one['name'])}`" for one in judged]
    yield _row(f"specification {_cell(version)}", names)
    yield _row("---", ["---"] * len(judged))
    yield _row("verdict", [_cell(one["verdict"]) for one in judged])
    # Each report has them in the order of the specification; an operator's before a layer's.
    ordered = dict.fromkeys(number for one in judged for number in one["clauses"])
    for clause in ordered:
        yield _row(_cell(clause), [_decided(one["clauses"].get(clause)) for one in judged])


def _row(first: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([first, *cells])} |"


def _decided(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ""
    return _CELLS.get(entry["verdict"], _cell(entry["verdict"]))


def _cell(said: Any) -> str:
    """Give what others say as the text of one cell."""
    return _plain(said).replace("<", "&lt;")


def _plain(said: Any) -> str:
    return printable(str(said)).replace("\n", " ").replace("`", "'").replace("|", "\\|")
