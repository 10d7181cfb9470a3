"""The notebook of docs/start.md is what the page says, and it runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
pytest.importorskip("nbclient", reason="nbclient is not installed")

DOCS = Path(__file__).parents[2] / "docs"


def code(path: Path) -> list[Any]:
    return [one for one in nbformat.read(path, 4).cells if one.cell_type == "code"]


def test_the_notebook_runs_and_is_that_of_the_page(tmp_path: Path) -> None:
    made = tmp_path / "start.ipynb"
    # In an interpreter of its own: what it imports warns of what is not ours.
    subprocess.run(
        [sys.executable, str(DOCS / "notebook.py"), str(made)],
        check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(DOCS.parent)},
    )  # fmt: skip
    kept = nbformat.read(DOCS / "start.ipynb", 4)
    assert [one.source for one in nbformat.read(made, 4).cells] == [o.source for o in kept.cells]
    # Each report once: rich would show it by itself, too.
    assert [len(one.outputs) for one in code(made)] == [0, 1, 0, 1]
    verdicts = [one.outputs[0].data for one in code(made) if one.outputs]
    assert [one["text/plain"].split()[0] for one in verdicts] == ["FAILS", "CONFORMS"]
    assert all(one["text/html"].startswith("<pre") for one in verdicts)
    # The explanation, too, is the page's.
    assert "symmetric top" in verdicts[0]["text/plain"]
