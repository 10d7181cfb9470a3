"""``python -m tests.surveys.screens [--guide]``: write the screens of the README, or of the guide.

They are verbatim from runs.

What differs from machine to machine (versions, seconds) is masked where a test compares them.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
COMMANDS = (
    "python -m conformance --hypothesis-profile=ci "
    "--implementation=conformance.mutants:OddPixelBefore",
    "python -m conformance --hypothesis-profile=ci --implementation=refimpl.involution",
)
GUIDE = README.parent / "docs" / "read-a-failure.md"
_MUTANT = "python -m conformance --seed=1 --implementation=conformance.mutants:"
GUIDE_COMMANDS = tuple(
    _MUTANT + words
    for words in (
        "VerticalStrideForBoth --check=values --in-process",
        "EqualKernelsConvolved --check=views[constant] --in-process",
        "SumsInHalf --check=forward_bound[float32-normal]",
        "KernelCachedByShape --check=values_in_turn[small] --in-process",
        "EvenKernelsRefused --check=values",
    )
)
_BLOCK = re.compile(r"^```text\n\$ (.*)\n(?:.*\n)*?```$", re.MULTILINE)


def run(command: str) -> str:
    """Give what a command prints."""
    words = [sys.executable, *command.split()[1:], "-p", "no:cacheprovider"]
    environment = os.environ | {"COLUMNS": "80"}
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=README.parent, env=environment
    )
    return done.stdout.rstrip().replace(str(README.parent), "~/refimpl")


def masked(screen: str) -> str:
    """Leave out what a run on another day, or another machine, says otherwise."""
    screen = re.sub(r"^(platform|benchmark|plugins|rootdir).*\n", "", screen, flags=re.MULTILINE)
    # How much is foretold in ten seconds.
    screen = re.sub(r"^  what .*?(?=^  broken)", "", screen, flags=re.MULTILINE | re.DOTALL)
    # A line every half minute, where there is no terminal.
    screen = re.sub(r"^\S+: \d+ of \d+ checks.*\n", "", screen, flags=re.MULTILINE)
    screen = re.sub(r"numpy \S+, \S+;", "numpy;", screen)
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
    parser.add_argument("--guide", action="store_true", help="docs/read-a-failure.md")
    guide = parser.parse_args().guide
    page, commands = (GUIDE, GUIDE_COMMANDS) if guide else (README, COMMANDS)
    runs = iter(commands)

    def anew(_: re.Match[str]) -> str:
        command = next(runs)
        return f"```text\n$ {command}\n{run(command)}\n```"

    page.write_text(_BLOCK.sub(anew, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
