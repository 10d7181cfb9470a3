"""The command line: what a run prints, how it ends, what it writes."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conformance.__main__ import main

ROOT = Path(__file__).parents[2]
CI = "--hypothesis-profile=ci"


def run(*arguments: str, module: str = "conformance") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT
    )


def pytest_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("conformance", "-p", "no:cacheprovider", *arguments, module="pytest")


def lines(text: str) -> int:
    """How many lines it takes on a terminal of 100 columns, the copied command apart."""
    return sum(max(1, -(-len(line) // 100)) for line in text.splitlines())


def test_a_failing_run_is_one_screen(tmp_path: Path) -> None:
    """The mutant that fails most checks."""
    path = tmp_path / "verdict.json"
    done = pytest_run(
        "--implementation=conformance.mutants:KernelFlipped", f"--report={path}", "--quick",
        "--seed=1",
    )  # fmt: skip
    assert done.returncode == 1
    assert lines(done.stdout) <= 60, done.stdout
    assert "FAILS  conformance.mutants:KernelFlipped" in done.stdout
    # On a slow machine the explanation is a hint, and the dictionary comes first.
    assert re.search(r"(like|what) +matches: The kernel flipped", done.stdout)
    assert re.search(r"broken +[A-Z]+-\d+[^;]* \(found\s+by\s+\d+\s+checks?\)", done.stdout)
    assert re.search(r"^  again   python -m conformance .*--case=\S+$", done.stdout, re.MULTILINE)
    assert f"everyfailure:{path}" in re.sub(r"\s", "", done.stdout)
    (report,) = json.loads(path.read_text())["implementations"]
    assert report["verdict"] == "fails"
    assert len(report["failures"]) > 40
    assert {"implementation", "clause", "token", "tier", "after"} <= set(report["failures"][0])


def test_a_passing_run_in_two_processes_says_the_same() -> None:
    done = pytest_run(
        "--implementation=refimpl.involution", "--layer=refimpl.layer", "--quick", "--seed=0",
        "-n2",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert lines(done.stdout) <= 80, done.stdout
    assert "CONFORMS in the checks that were selected  refimpl.involution" in done.stdout
    assert "58 of 58 checks pass" in done.stdout
    assert "seed 0" in done.stdout


def test_the_long_form() -> None:
    done = pytest_run(
        "-v", "--implementation=conformance.mutants:LastTapDropped", "-k", "padding", CI,
        "--no-diagnosis",
    )  # fmt: skip
    assert done.returncode == 1
    assert "FWD-1: y[b, i, j, c] = " in done.stdout
    assert re.search(r"GEO-7 +[\d,]+ +=", done.stdout)
    # Nothing of the suite's own source.
    assert "record_property" not in done.stdout


def test_several_at_once(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(
        '[[waiver]]\nclause = "GRP-1"\nreason = "known"\nimplementation = "somebody:else"\n'
    )
    done = run(
        "--implementation=refimpl.involution", "--layer=refimpl.layer", "--hypothesis-profile=ci",
        "--check=blocked", "--check=ragged_windows[3x3]", f"--report={tmp_path / 'r'}",
        f"--waivers={tmp_path / 'w.toml'}",
    )  # fmt: skip
    assert done.returncode == 0
    assert "waivers for what is not judged here: somebody:else" in done.stdout
    files = {path.name for path in (tmp_path / "r").iterdir()}
    assert files == {"index.html", "junit.xml", "report.json", "report.schema.json"}
    assert "clauses that pass" in done.stdout
    selected = "in the checks that were selected"
    assert f"CONFORMS {selected}  refimpl.involution" in done.stdout
    assert f"CONFORMS {selected}  refimpl.layer" in done.stdout
    written = json.loads((tmp_path / "r" / "report.json").read_text())
    judged = [one["name"] for one in written["implementations"]]
    assert judged == ["refimpl.involution", "refimpl.layer"]
    assert written["command"].endswith("--seed=0")


def test_a_check_that_there_is_not() -> None:
    done = run("--implementation=refimpl.involution", "--check=red")
    assert done.returncode == 4
    assert "--check=red: there is no such check" in done.stdout + done.stderr


def test_a_run_that_is_cut_short_does_not_succeed() -> None:
    done = run("--implementation=refimpl.involution", "--budget=0.5")
    assert done.returncode == 1
    assert "INCOMPLETE  refimpl.involution" in done.stdout
    assert "not reached within the budget of 0.5 seconds" in done.stdout


def test_a_check_runs_again_by_name_and_seed() -> None:
    done = run("--implementation=refimpl.involution", "--check=same_padding", "--seed=77")
    assert done.returncode == 0
    assert "seed 77" in done.stdout
    assert "1 of 1 checks pass (selected from 215)" in done.stdout


def test_quick_is_no_verdict_on_the_rest() -> None:
    done = run("--quick", "--implementation=refimpl.involution", "--seed=0")
    assert done.returncode == 0
    assert "CONFORMS in the checks that were selected  refimpl.involution" in done.stdout
    assert "58 of 58 checks pass (selected from 215)" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (
            ["--quick", "--hypothesis-profile=ci", "--implementation=refimpl.involution"],
            4,
            "--quick is a profile of its own, and not ci",
        ),
        (["--implementation=no.such:thing"], 4, "cannot import no.such: there is no module no"),
        (["--implementation=refimpl.layer"], 4, "give it as --layer=refimpl.layer"),
        (["--implementation=refimpl.involution", "--case=red"], 2, "--case has parts NAME=VALUE"),
        (
            ["--implementation=refimpl.involution", "--case=dtype=float32,recipe=blue"],
            2,
            "recipe must be one of integers",
        ),
        (["--case=dtype=float32,recipe=normal"], 2, "--case goes with exactly one"),
        (
            ["--implementation=refimpl.involution", "--waivers=pyproject.toml"],
            4,
            "--waivers: waivers pyproject.toml must be tables [[waiver]]",
        ),
    ],
)
def test_mistakes(arguments: list[str], status: int, words: str) -> None:
    done = run(*arguments)
    assert done.returncode == status
    assert words in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_a_right_case_replays() -> None:
    token = "dtype=float32,recipe=normal,height=3,width=4,kernel_shape=3x2"
    done = run("--implementation=refimpl.involution", f"--case={token}")
    assert done.returncode == 0
    for words in ("x =", "y, got =", "y, expected =", "y, error bound =", "right: 0.000"):
        assert words in done.stdout


def test_the_help_is_worth_reading() -> None:
    done = run("--help")
    assert done.returncode == 0
    for option in ("--implementation", "--layer", "--case", "--budget", "--seed", "--report"):
        assert option in done.stdout


def test_a_run_that_is_interrupted_has_no_verdict_of_conformity() -> None:
    """It passes the first checks: what it was not asked it has not passed."""
    # Whoever runs the tests in the background has this signal ignored, and so would the child.
    hearing = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    command = [
        sys.executable, "-c", hearing, "-u", "-X", "faulthandler", "-m", "conformance",
        "--implementation=conformance.mutants:AcceptsEverything", "--hypothesis-profile=nightly",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("collected"):
                break
        time.sleep(6)
        process.send_signal(signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            # It says where it is.
            process.send_signal(signal.SIGABRT)
            said, _ = process.communicate()
    assert process.returncode == 2, said
    assert "INCOMPLETE  conformance.mutants:AcceptsEverything" in said
    assert "the run was stopped: " in said
    assert "CONFORMS" not in said


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--report=/no/such/folder/r.json", "in a folder that exists is wanted"),
        ("--report=LICENSE", "it is a file; a folder, or a file FILE.json, is wanted"),
        ("--budget=0", "--budget must be more than 0 seconds, got 0"),
        (
            "--hypothesis-profile=hard",
            "one of default, ci, nightly, network, survey, quick, got hard",
        ),
        ("--check=layouts_met", "did you mean layouts_meet"),
    ],
)
def test_what_would_lose_the_verdict_is_refused_before(option: str, words: str) -> None:
    done = run("--implementation=refimpl.involution", option)
    assert done.returncode == 4
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "part",
    [
        "kernel_shape=1", "stride=0", "padding=foo", "padding=-1", "padding=1x1", "seed=abc",
        "batch=-1", "height=0", "groups=0", "group_layout=x",
    ],
)  # fmt: skip
def test_a_case_that_means_nothing(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    token = f"dtype=float32,recipe=integers,{part}"
    with pytest.raises(SystemExit) as stopped:
        main(["--implementation=refimpl.involution", f"--case={token}"])
    assert stopped.value.code == 2
    assert "--case" in capsys.readouterr().err


def test_a_check_may_be_named_without_its_parameters() -> None:
    done = run("--implementation=refimpl.involution", "--check=layouts_meet")
    assert done.returncode == 0
    assert "2 of 2 checks pass (selected from 215)" in done.stdout


def test_a_report_of_pytest_in_one_process(tmp_path: Path) -> None:
    path = tmp_path / "conformance.xml"
    done = pytest_run(
        "--implementation=refimpl.involution", "--check=blocked", f"--junitxml={path}"
    )
    assert done.returncode == 0, done.stdout
    assert 'errors="0"' in path.read_text()
