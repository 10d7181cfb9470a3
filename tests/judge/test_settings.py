"""The program as a user calls it: its words, settings in a file, a pinned specification."""

import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from conformance.__main__ import main
from conformance.kinds import KINDS
from conformance.reporting.settings import SettingsError, apply


def applied(folder: Path, text: str, **given: Any) -> dict[str, Any]:
    """Give the options of a command line after settings of a file above its folder."""
    (folder / "pyproject.toml").write_text(text)
    inner = folder / "inner"
    inner.mkdir(exist_ok=True)
    usual = {"implementation": [], "layer": [], "seed": None, "quick": False, "budget": None}
    options = Namespace(
        **{**usual, "report": None, "waivers": None, "hypothesis_profile": None, **given}
    )
    apply(options, KINDS, inner)
    return vars(options)


SETTINGS = """
[tool.refimpl]
implementation = "mine:a"
layer = ["mine:b", "mine:c"]
seed = 3
quick = true
budget = 20
report = "out.json"
profile = "ci"
waivers = "known.toml"
"""


def test_settings_stand_for_options(tmp_path: Path) -> None:
    assert applied(tmp_path, SETTINGS) == {
        "implementation": ["mine:a"], "layer": ["mine:b", "mine:c"], "seed": 3, "quick": True,
        "budget": 20.0, "report": Path("out.json"), "hypothesis_profile": "ci",
        # What is read stands beside the file of the settings.
        "waivers": tmp_path / "known.toml",
    }  # fmt: skip


def test_the_command_line_goes_first(tmp_path: Path) -> None:
    got = applied(tmp_path, SETTINGS, implementation=["mine:d"], seed=4)
    assert (got["implementation"], got["layer"], got["seed"]) == (["mine:d"], [], 4)
    assert got["quick"] is True


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("implementatoin = 'mine'", "has no setting implementatoin; did you mean implementation?"),
        ("colour = 1", "has no setting colour; it may have profile, implementation"),
        ("quick = 1", "quick must be true or false, got 1"),
        ("seed = 'three'", "seed must be an integer, got 'three'"),
        ("seed = true", "seed must be an integer, got True"),
        ("budget = [1]", r"budget must be a number, got \[1\]"),
        ("layer = [3]", r"layer must be text, got \[3\]"),
        ("layer = ", "cannot be read"),
    ],
)
def test_wrong_settings(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        applied(tmp_path, f"[tool.refimpl]\n{line}\n")


def test_files_without_settings(tmp_path: Path) -> None:
    assert applied(tmp_path, "[project]\nname = 'mine'\n")["seed"] is None


def test_words_that_are_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jugde", "--quick"]) == 2
    assert "there is no command jugde; did you mean judge? (commands: judge, replay, reveal" in (
        capsys.readouterr().err
    )
    assert main(["mypkg.ops:involution"]) == 2
    assert "say what is to be judged with an option" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["replay", "--implementation=mine"])
    assert "replay needs --case=TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ("quik = true", [], "has no setting quik; did you mean quick?"),
        ("specification = '0.9'", [], "--specification=0.9: this suite judges by version"),
    ],
)
def test_it_is_refused_before_anything_is_judged(
    tmp_path: Path, settings: str, options: list[str], words: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.refimpl]\n{settings}\n")
    words_of_it = "import sys; from conformance.console import main; main()"
    command = [sys.executable, "-c", words_of_it, "judge", "--implementation=refimpl.involution"]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
