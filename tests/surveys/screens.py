"""``python -m tests.surveys.screens [readme|guide|start]``: write the screens of a page anew.

They are verbatim from runs.

What differs from machine to machine (versions, seconds) is masked where a test compares them.
"""

import argparse
import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CI = "python -m conformance --hypothesis-profile=ci --implementation="
_MUTANT = "python -m conformance --seed=1 --implementation=conformance.mutants:"
_QUICK = "python -m conformance --quick --seed=1 --implementation="
_START = f"{_QUICK}my_ops"
# Of each page the commands whose screens it shows, in order.
PAGES = {
    "readme": (
        ROOT / "README.md",
        (f"{_QUICK}conformance.mutants:OddPixelBefore", f"{_CI}refimpl.involution"),
    ),
    "guide": (
        ROOT / "docs" / "read-a-failure.md",
        tuple(
            _MUTANT + words
            for words in (
                "VerticalStrideForBoth --check=values --in-process",
                "HaloMissingRight --check=network_integers",
                "SumsInHalf --check=forward_bound[float32-normal]",
                "KernelCachedByShape --check=values_in_turn[small] --in-process",
                "EvenKernelsRefused --check=values",
            )
        ),
    ),
    "start": (ROOT / "docs" / "start.md", (_START, _START)),
}
_SCREEN = r"^```text\n\$ .*\n(?:.*\n)*?```$"
_BLOCK = re.compile(_SCREEN, re.MULTILINE)
_PARTS = re.compile(
    rf"{_SCREEN}|^```python\n(?P<code># \w+\.py(?:: \w+)?\n(?:.*\n)*?)```$", re.MULTILINE
)


def run(command: str, folder: Path = ROOT) -> str:
    """Give what a command prints in a folder."""
    words = [sys.executable, *command.split()[1:], "-p", "no:cacheprovider"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=folder,
        env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    # The suite prints where its configuration lies: here, wherever it was called.
    return done.stdout.rstrip().replace(str(ROOT), "~/refimpl").replace(str(folder), "~/mine")


def anew(text: str, commands: Iterable[str], more: str = "") -> str:
    """Give a page with the screens of runs, in a folder with the files that it shows above them.

    A block of code that begins with ``# NAME.py`` is a file, one that begins with ``# NAME.py: f``
    has another function `f` for it.
    """
    runs = iter(commands)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def made(match: re.Match[str]) -> str:
            if match["code"] is not None:
                _write(folder, match["code"])
                return match[0]
            command = next(runs)
            found = run(command + more, folder if any(folder.iterdir()) else ROOT)
            return f"```text\n$ {command}\n{found}\n```"

        return _PARTS.sub(made, text)


def _write(folder: Path, code: str) -> None:
    """Write the file that a block is, or put its function in the place of another."""
    path, _, function = code.partition("\n")[0].removeprefix("# ").partition(": ")
    file = folder / path
    if not function:
        file.write_text(code, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    (old,) = (one for one in ast.parse(text).body if getattr(one, "name", "") == function)
    lines = text.splitlines()
    lines[old.lineno - 1 : old.end_lineno] = code.splitlines()[1:]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def masked(screen: str) -> str:
    """Leave out what a run on another day, or another machine, says otherwise."""
    screen = re.sub(r"^(platform|benchmark|plugins|rootdir).*\n", "", screen, flags=re.MULTILINE)
    # How much is foretold in ten seconds.
    screen = re.sub(r"^  what .*?(?=^  broken)", "", screen, flags=re.MULTILINE | re.DOTALL)
    # A line every half minute, where there is no terminal.
    screen = re.sub(r"^\S+: \d+ of \d+ checks.*\n", "", screen, flags=re.MULTILINE)
    screen = re.sub(r"numpy \S+, \S+;", "numpy;", screen)
    # Hypothesis draws other cases of a seed wherever a number in some module is another.
    screen = re.sub(r"[\d,]+ results judged", "results judged", screen)
    # Seconds, with the minutes that pytest adds to many, and the line breaks that depend on them.
    screen = re.sub(r"\d+\.\d+ ?s\b( \(\d+:\d+:\d+\))?", "s", screen)
    return re.sub(r"[\s=]+", " ", screen)


def screens(text: str) -> list[str]:
    """The screens that stand in a document, their commands in the first lines."""
    return [
        match[0].removeprefix("```text\n").removesuffix("\n```") for match in _BLOCK.finditer(text)
    ]


def main() -> None:
    """Run the commands and put what they print in their places."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", nargs="?", choices=list(PAGES), default="readme")
    page, commands = PAGES[parser.parse_args().page]
    page.write_text(anew(page.read_text(encoding="utf-8"), commands), encoding="utf-8")


if __name__ == "__main__":
    main()
