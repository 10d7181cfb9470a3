"""Makes a notebook of docs/start.md and runs it: ``python docs/notebook.py docs/start.ipynb``.

What the page puts into files and runs on the command line is in the notebook a cell and a call from
Python: the operator lives in it. Nothing is written here that the page does not say.
"""

import re
import sys
from pathlib import Path

import nbclient
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PAGE = Path(__file__).with_name("start.md")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
# The page's own command, from Python.
JUDGE = """\
import sys

import conformance

conformance.check(sys.modules[__name__], profile="quick", seed=1, budget=3600)"""
NOTE = """\
*This is [Start here](start.md) as a notebook. The operator lives in a cell, and not in a file, and
instead of the command line `conformance.check` judges it.*"""


def notebook(text: str) -> nbformat.NotebookNode:
    """Give the page as a notebook that was not run."""
    cells, at = [], 0
    for match in _BLOCK.finditer(text):
        cells.append(new_markdown_cell(text[at : match.start()].strip()))
        at = match.end()
        language, block = match.groups()
        if language == "python":
            cells.append(new_code_cell(block.rstrip()))
        elif language == "text" and block.startswith("$ "):
            cells.append(new_code_cell(JUDGE))
        else:
            cells.append(new_markdown_cell(match[0].strip()))
    cells.append(new_markdown_cell(text[at:].strip()))
    title, _, rest = cells[0].source.partition("\n\n")
    cells[0] = new_markdown_cell(f"{title}\n\n{NOTE}\n\n{rest}")
    made = new_notebook(cells=[one for one in cells if one.source])
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    for number, one in enumerate(made.cells):
        # The same from run to run.
        one["id"] = f"cell-{number}"
    return made


def run(made: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Execute a notebook."""
    done = nbclient.NotebookClient(made, timeout=600, record_timing=False).execute()
    done.metadata.pop("language_info", None)
    return done


def main(path: Path) -> None:
    """Make it, run it and write it."""
    nbformat.write(run(notebook(PAGE.read_text(encoding="utf-8"))), path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE.with_suffix(".ipynb"))
