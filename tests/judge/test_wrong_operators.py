"""Wrong operators fail the suite, as a user would run it, with messages that say why."""

import re
import subprocess
import sys

import pytest

WRONG = [
    (
        "FlippedKernel",
        "GEO-8",
        r"x\[b, \d, \d, \d\] met kernel\[b, .*\], due was kernel\[b, ",
    ),
    ("StridePhase", "GEO-8", r"stride=\((2|3|5), \d\)"),
    ("OneStrideForBoth", "GEO-8", r"dilation=\((1, 2|3, 1|2, 5)\)"),
    ("NoBorderGradient", "GEO-8", r"wrong +dx: .*\n.*\n.*\n.*row:"),
    ("MeanKernelGradient", "GEO-8", r"wrong +dkernel(.*\n)+.*a sum, not a mean"),
    ("ChangesItsInput", "GEO-8", "x was modified by the call"),
    ("Double", "GEO-8", "must have dtype float32 .FWD-4, GRD-6., got float64"),
    ("AcceptsEverything", "ERR-", "must raise an exception and returned a result"),
]


def judge(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "conformance", "-x", "-q", "-p", "no:cacheprovider"]
    command += ["--hypothesis-profile=ci", "--no-diagnosis"]
    command += [f"--implementation=tests.opponents.wrong_operators:{name}"]
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize(("name", "clause", "words"), WRONG)
def test_rejected_with_a_reason(name: str, clause: str, words: str) -> None:
    run = judge(name)
    assert run.returncode == 1, run.stdout
    assert re.search(rf"ConformanceError: {clause}", run.stdout), run.stdout
    assert re.search(words, run.stdout), run.stdout
    assert f"FAILS {clause}" in run.stdout


def test_the_right_one_conforms() -> None:
    """What the wrong ones are made from passes every clause that it claims."""
    run = judge("Taps")
    assert run.returncode == 0, run.stdout
    assert "conforms: tests.opponents.wrong_operators:Taps" in run.stdout


def test_a_failure_replays() -> None:
    """The command that a failure prints shows the same failure."""
    command = re.search(r"replay +python (-m conformance .*)", judge("FlippedKernel").stdout)
    assert command is not None
    run = subprocess.run(
        [sys.executable, *command[1].split()],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert "first at index" in run.stdout
