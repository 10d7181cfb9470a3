"""Wrong operators fail the suite, as a user would run it, with messages that say why."""

import re
import subprocess
import sys

import pytest

import conformance

WRONG = [
    (
        "FlippedKernel",
        "FWD-1",
        r"x\[b, \d, \d, \d\] met kernel\[b, .*\], due was kernel\[b, ",
    ),
    ("StridePhase", "FWD-1", r"stride=\((2|3|5), \d\)"),
    ("OneStrideForBoth", "FWD-1", r"dilation=\((1, 2|3, 1|2, 5)\)"),
    ("NoBorderGradient", "GRD-1", r"dx: \d+ of \d+ elements are wrong; batch: .*; row: "),
    ("MeanKernelGradient", "GRD-2", r"GRD-2: .*a sum, not a mean"),
    ("ChangesItsInput", "FWD-5", "x was modified by forward"),
    ("ChannelsThatAreOneAreANumber", "FWD-6", "d(x|kernel): "),
    ("ZerosReturnEarly", "SPC-3", "d(x|kernel): "),
    ("Double", "FWD-4", "must be of dtype float32, got float64"),
    ("AcceptsEverything", "ERR-2", "must raise an exception and returned a result"),
]


@pytest.mark.parametrize(("name", "clause", "words"), WRONG)
def test_rejected_with_a_reason(name: str, clause: str, words: str) -> None:
    report = conformance.check(
        f"tests.opponents.wrong_operators:{name}",
        profile="ci",
        until_failure=True,
        diagnosis=False,
    )
    first = report.failures[0]
    assert first.clause == clause
    assert re.search(words, first.message), first.message


def test_the_right_one_conforms() -> None:
    """What the wrong ones are made from passes every clause that it claims."""
    report = conformance.check("tests.opponents.wrong_operators:Taps", profile="ci")
    assert report.conforms, str(report)


def test_a_failure_replays() -> None:
    """The command that a failure prints shows the same failure."""
    report = conformance.check("tests.opponents.wrong_operators:FlippedKernel", clauses="GEO-8")
    assert report.smallest is not None
    command = report.smallest.replay.split()
    assert command[:3] == ["python", "-m", "conformance"]
    run = subprocess.run(
        [sys.executable, *command[1:]], capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 1, run.stderr
    assert report.smallest.words in run.stdout
