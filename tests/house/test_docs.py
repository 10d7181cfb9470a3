"""Runs every example of the docstrings, the guides and the README; outputs are compared exactly.

A fenced ``python`` block is executed and must not raise; a ``pycon`` block is a doctest. A ``c``
block is a file, whose name its first line says; on such a page the lines of ``console`` blocks are
run that make files. The blocks of a page share their names and a folder, in order. Of the prose
only some figures are checked here.
"""

import doctest
import importlib
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from conformance.mutants.operator import MUTANTS
from tests.surveys import screens

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(path for folder in ("docs", "docs/guides") for path in sorted((ROOT / folder).glob("*.md"))),
]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "refimpl").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
# A page of these is run where they are installed; continuous integration has them all.
FRAMEWORKS = {"tensorflow", "keras", "torch", "jax", "onnx", "onnxruntime"}
# Commands that make files; what is installed and judged on the command line is run elsewhere.
TOOLS = ("cc ", "cp ", "sed ")
_BLOCK = re.compile(r"^```(python|pycon|c|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str, int]]:
    """Language, text and line before the first of each block of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        (match[1], match[2], text.count("\n", 0, match.start(2))) for match in _BLOCK.finditer(text)
    ]


def run_page(page: Path) -> None:
    """Run a page's blocks, in the folder that is current."""
    names: dict[str, object] = {}
    runner, parts = doctest.DocTestRunner(), blocks(page)
    compiled = any(language == "c" for language, _, _ in parts)
    for language, source, line in parts:
        if language == "console" and not compiled:
            continue
        if language == "console":
            for command in source.replace("~/refimpl", str(ROOT)).splitlines():
                if command.startswith(TOOLS):
                    subprocess.run(command, shell=True, check=True)
            continue
        if language == "c":
            named = re.match(r"/\* (\S+\.c) \*/\n", source)
            assert named, f"{page.name}, line {line}: no name of a file"
            Path(named[1]).write_text(source, encoding="utf-8")
            continue
        if language == "python":
            # Blank lines first, so that a traceback tells the line of the page.
            exec(compile("\n" * line + source, str(page), "exec"), names)
            continue
        example = doctest.DocTestParser().get_doctest(source, names, page.name, str(page), line)
        # Not a copy: functions of the page see what is defined anew, as they do at a prompt.
        example.globs = names
        runner.run(example, clear_globs=False)
    failed = runner.summarize(verbose=False).failed
    assert not failed, f"{failed} examples of {page.name} failed, see above"


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    if name.startswith("refimpl.keras"):
        pytest.importorskip("keras", reason="TensorFlow and Keras are not installed")
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed


def test_the_oracle_has_examples() -> None:
    assert "refimpl.involution" in MODULES


def runnable(page: Path) -> bool:
    return any(language != "console" for language, _, _ in blocks(page))


@pytest.mark.parametrize(
    "page", list(filter(runnable, PAGES)), ids=lambda page: str(page.relative_to(ROOT))
)
def test_page_examples(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "```c\n" in page.read_text(encoding="utf-8") and not shutil.which("cc"):
        pytest.skip("there is no C compiler (cc)")
    monkeypatch.chdir(tmp_path)
    try:
        run_page(page)
    except ModuleNotFoundError as error:
        if error.name not in FRAMEWORKS:
            raise
        pytest.skip(f"{error.name} is not installed; what comes before it ran")


@pytest.mark.parametrize(
    "text",
    [
        "```pycon\n>>> 1 + 1\n3\n```\n",
        "```python\nn = 1\n```\n\n```pycon\n>>> n\n2\n```\n",
        # What is defined anew is seen by what was defined before.
        "```python\ndef n(): return m\nm = 1\n```\n\n```pycon\n>>> m = 2\n>>> n()\n1\n```\n",
        "```c\n/* n.c */\nint main(void) { return 1; }\n```\n\n```console\ncc n.c -o n\n```\n\n"
        "```pycon\n>>> import subprocess\n>>> subprocess.call('./n')\n0\n```\n",
    ],
)
def test_a_wrong_example_fails(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "```c\n" in text and not shutil.which("cc"):
        pytest.skip("there is no C compiler (cc)")
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError, match=r"1 examples of page\.md failed"):
        run_page(page)


@pytest.mark.parametrize("name", ["readme", "start"])
def test_the_screens_of_a_page_are_those_of_runs(name: str) -> None:
    """But for versions, seconds, what is explained in ten of them, and where lines break."""
    page, commands = screens.PAGES[name]
    text = page.read_text(encoding="utf-8")
    shown = screens.screens(text)
    assert [screen.partition("\n")[0].removeprefix("$ ") for screen in shown] == list(commands)
    # With time enough: on a slow machine some checks would ask fewer cases.
    for made, screen in zip(
        screens.screens(screens.anew(text, commands, " --budget=3600")), shown, strict=True
    ):
        assert screens.masked(made) == screens.masked(screen)
        assert len(screen.splitlines()) <= 60


def test_the_page_of_vectors_counts_those_that_are_stored() -> None:
    chosen = json.loads((ROOT / "conformance/vectors/chosen.json").read_text(encoding="utf-8"))
    caught = Counter(name for one in chosen for name in one["catches"])
    page = (ROOT / "docs/vectors.md").read_text(encoding="utf-8")
    said = " ".join(page.split())
    assert f"The {len(chosen)} vectors" in said
    assert f"catch {len(caught)} of the {len(caught)} known faults" in said
    assert f"({len(MUTANTS) - len(caught)} of the {len(MUTANTS)} known faults" in said
    assert [name for name, times in caught.items() if times < 2] == ["SumsTowardsZero"]
