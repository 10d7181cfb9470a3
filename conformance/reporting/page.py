"""A report as one page that stands alone: no script, no network, no font of its own.

The page is a template beside this file, filled from the document; pictures are drawn in
`conformance.reporting.drawing`. What judged code says is data: it is escaped, and its control
characters are shown. Nothing is judged here.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from conformance.claims.program import printable
from conformance.reporting import drawing
from conformance.reporting.merging import Matrix, table
from conformance.reporting.shown import WINDOW
from conformance.specification import clauses

_LINK = re.compile(r"\[([^]]+)\]\([^)]*\)")
# What a verdict says of itself, and the sign that stands beside its colour.
SAID: Mapping[str, tuple[str, str]] = {
    "conforms": ("good", "\N{CHECK MARK}"),
    "fails": ("bad", "\N{MULTIPLICATION X}"),
    "refuses": ("bad", "\N{MULTIPLICATION X}"),
    "stale": ("warn", "!"),
    "incomplete": ("warn", "\N{HORIZONTAL ELLIPSIS}"),
}
# The same of a clause's.
CELLS: Mapping[str, tuple[str, str]] = {
    "passes": ("good", "\N{CHECK MARK}"),
    "fails": ("bad", "\N{MULTIPLICATION X}"),
    "waived": ("warn", "~"),
    "refused": ("warn", "~"),
    "undecided": ("warn", "?"),
    "not run": ("warn", "\N{HORIZONTAL ELLIPSIS}"),
    "not claimed": ("soft", "\N{EN DASH}"),
}
# The legend of a window, by class of a cell.
LEGEND: Mapping[str, str] = {
    "due": "read as due, by the tap in the cell (u,v)",
    "other": "not due, or met by another tap, or by that of another group (g)",
    "missed": "due and not read",
    "padding": "padding",
    "pixel": "another pixel",
}


def page(document: Mapping[str, Any]) -> str:
    """Give the page of a document, as plain data has it."""
    judged = document["implementations"]
    several = table([document]) if len(judged) > 1 else None
    return (
        _environment()
        .get_template("page.jinja")
        .render(document=document, matrix=several, title=_title(judged), heard=clauses())
    )


def matrix_page(matrix: Matrix) -> str:
    """Give the page of a matrix alone."""
    title = f"{len(matrix.names)} implementations by clause"
    return _environment().get_template("matrix.jinja").render(matrix=matrix, title=title)


def summary(one: Mapping[str, Any]) -> str:
    """Say in a sentence what was run."""
    number = {
        name: sum(check["outcome"] == name for check in one["checks"])
        for name in ("passed", "failed", "waived", "refused", "not claimed", "not run")
    }
    claimed = len(one["checks"]) - number["not claimed"]
    said = f"{number['passed']} of {claimed} checks pass"
    for name, words in (("failed", "{} fail"), ("waived", "{} meet what is waived alone"),
                        ("refused", "{} were refused whatever they asked"),
                        ("not run", "{} were not run")):  # fmt: skip
        said += f", {words.format(number[name])}" if number[name] else ""
    judged = sum(check["judged"] for check in one["checks"])
    said += f"; {judged:,} results were judged in {one['seconds']:.1f} s"
    if len(one["checks"]) < one["implied"]:
        said += f". These checks were selected: its claims imply {one['implied']}"
    return f"{said}."


def telling(shown: Sequence[Mapping[str, Any]]) -> int:
    """Give the place of the failure whose window stands beside the explanation; -1: there is none.

    The largest that can be taken in at a glance.
    """
    sizes = []
    for number, one in enumerate(shown):
        window = (one["exhibit"] or {}).get("window")
        if window is not None:
            size = len(window["rows"]) * len(window["columns"])
            sizes.append((size <= WINDOW, size if size <= WINDOW else -size, -number))
    return -max(sizes)[2] if sizes else -1


def plain(words: str) -> str:
    """Give a sentence of the specification without its marks."""
    return _LINK.sub(r"\1", words).replace("`", "")


def _title(judged: Sequence[Mapping[str, Any]]) -> str:
    if len(judged) != 1:
        return f"{len(judged)} implementations of involution, judged"
    return f"{judged[0]['name']} {judged[0]['verdict']}"


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("conformance.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    style = made.loader.get_source(made, "page.css")[0]  # type: ignore[union-attr]
    made.filters["plain"] = plain
    made.globals |= {
        "style": Markup(style), "said": SAID, "cells": CELLS, "legend": LEGEND,
        "draw": drawing, "summary": summary,
        "telling": telling,
    }  # fmt: skip
    return made
