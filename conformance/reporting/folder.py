"""A report as files: a page for people, JSON with its schema and JUnit for machines.

All of them are made from the document, which is plain data. Nothing is judged here.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.reporting.junit import junit
from conformance.reporting.page import page

_HERE = Path(__file__).parent
# What is written into a folder.
JSON, JUNIT, PAGE, SCHEMA = "report.json", "junit.xml", "index.html", "report.schema.json"


def is_file(path: Path) -> bool:
    """Tell whether the JSON alone is wanted, and not a folder."""
    return path.suffix == ".json" and not path.is_dir()


def unwritable(path: Path) -> str:
    """Say why nothing could be written there; nothing if it could."""
    if not path.absolute().parent.is_dir():
        return "a folder, or a file FILE.json, in a folder that exists is wanted"
    if path.exists() and not path.is_dir() and not is_file(path):
        return "it is a file; a folder, or a file FILE.json, is wanted"
    return ""


def write(document: Mapping[str, Any], path: Any) -> None:
    """Write a document: into a folder in each form, into ``FILE.json`` as JSON alone.

    Parameters
    ----------
    document : mapping
        What `conformance.reporting.report.document` gives.
    path : path
        A folder is made, if its own folder is there.

    Raises
    ------
    ValueError
        Nothing can be written there.
    """
    path, plain = Path(path), _plain(document)
    if wrong := unwritable(path):
        raise ValueError(f"{path}: {wrong}")
    text = json.dumps(plain, indent=2, allow_nan=False) + "\n"
    if is_file(path):
        path.write_text(text, encoding="utf-8")
        return
    path.mkdir(exist_ok=True)
    # The page last: where it is, everything is.
    schema = (_HERE / SCHEMA).read_text(encoding="utf-8")
    parts = {JSON: text, SCHEMA: schema, JUNIT: junit(plain), PAGE: page(plain)}
    for name, words in parts.items():
        (path / name).write_text(words, encoding="utf-8")


def _plain(value: Any) -> Any:
    """Give what JSON can hold: no number that is not finite, no half of a character."""
    if isinstance(value, Mapping):
        return {_plain(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
