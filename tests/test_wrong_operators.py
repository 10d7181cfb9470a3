"""Every wrong operator fails the suite, as a user would run it, with a message that says why."""

import re
import subprocess
import sys

import pytest

WRONG = [
    (
        "FlippedKernel",
        "GEO-8",
        r"got .*\(kernel\[b, \d, \d, .*\n.*expected .*\(kernel\[b, \d, \d, ",
    ),
    ("TransposedTaps", "GEO-8", "not flipped"),
    ("OddPixelBefore", "GEO-", "padding='same'"),
    ("OtherLayout", "GEO-", "group_layout="),
    ("StridePhase", "GEO-", r"stride=\(2, 1\)|stride=\(2, 2\)|stride=\(3|stride=\(2, 3\)"),
    ("OneStrideForBoth", "GEO-", r"dilation=\((1, 2|3, 1)\)"),
    ("NoBorderGradient", "GEO-8", r"wrong +dx: .*\n.*\n.*\n.*row:"),
    ("MeanKernelGradient", "GEO-8", r"wrong +dkernel(.*\n)+.*a sum, not a mean"),
    ("FirstSampleKernel", "GEO-", "batch: "),
    ("SumsInHalf", "", "wrong +(y|dx)"),
    ("ChangesItsInput", "GEO-8", "x was modified by the call"),
    ("Remembers", "", "wrong +(y|dx)"),
    ("Double", "GEO-8", "must have dtype float32 .FWD-4, GRD-6., got float64"),
    ("AcceptsEverything", "ERR-", "must raise an exception and returned a result"),
]


def judge(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "conformance", "-x", "-q", "-p", "no:cacheprovider"]
    command += ["--hypothesis-profile=ci", f"--implementation=tests.wrong_operators:{name}"]
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
    assert "conforms: tests.wrong_operators:Taps" in run.stdout


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
