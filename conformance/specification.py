"""The clauses of docs/spec.md, as the suite quotes them."""

import functools
import re
from collections.abc import Mapping
from pathlib import Path

_CLAUSE = re.compile(r"^\*\*([A-Z]{3}-\d+)\.\*\* (.*?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
_VERSION = re.compile(r"^Specification version: (\S+)$", re.MULTILINE)


@functools.cache
def _text() -> str:
    here = Path(__file__).parent
    # In the wheel the specification stands beside this file, in a checkout under docs/.
    installed = here / "spec.md"
    path = installed if installed.exists() else here.parent / "docs" / "spec.md"
    return path.read_text(encoding="utf-8")


@functools.cache
def clauses() -> Mapping[str, str]:
    """Sentence of each clause by its number, in the order of the specification."""
    return {number: " ".join(text.split()) for number, text in _CLAUSE.findall(_text())}


def version() -> str:
    """Version of the specification."""
    found = _VERSION.search(_text())
    assert found is not None
    return found[1]
