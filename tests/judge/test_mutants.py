"""The suite rejects every mutant in its default profile; what they are made of conforms."""

import statistics

import pytest

from conformance.implementation import load
from conformance.layers.diagnosis import diagnose_layer
from conformance.layers.mutants import LAYER_MUTANTS, state
from conformance.layers.seam import LAYER
from conformance.mutants import MUTANTS
from tests.surveys.kill_matrix import LAYERS, OPERATORS, UNTIL_FAILURE, judge

SIZE = 20
# The default profile, but that a failing case is not made smaller.
AS_DRAWN = ("--hypothesis-profile=as-drawn", "--no-diagnosis")
CHUNKS = [list(MUTANTS)[start : start + SIZE] for start in range(0, len(MUTANTS), SIZE)]


@pytest.mark.parametrize("names", CHUNKS, ids=lambda names: f"{names[0]} to {names[-1]}")
def test_every_mutant_is_rejected(names: list[str]) -> None:
    reports = judge(names, *UNTIL_FAILURE, *AS_DRAWN)
    assert [report["name"] for report in reports] == [OPERATORS.prefix + name for name in names]
    assert [report["name"] for report in reports if report["conforms"]] == []
    assert all(report["failures"] for report in reports)
    # Checks, not seconds: how soon it is does not depend on the machine.
    assert statistics.median(report["failures"][0]["after"] for report in reports) < 2_000


def test_what_they_are_made_of_conforms() -> None:
    (report,) = judge(["Unfold"], "--no-diagnosis", "--hypothesis-profile=ci")
    assert report["conforms"]
    assert report["failures"] == []


# What a layer remembers or writes the tests of single calls see by themselves.
OF_STATE = [name for name, one in LAYER_MUTANTS.items() if one.__module__ == state.__name__]
OF_VALUES = [name for name in LAYER_MUTANTS if name not in OF_STATE]


@pytest.mark.parametrize(
    ("names", "suite"),
    [
        (OF_VALUES, "conformance/test_layer.py"),
        (OF_STATE, "conformance/test_layer_calls.py"),
    ],
    ids=["values", "state"],
)
def test_every_layer_mutant_is_rejected(names: list[str], suite: str) -> None:
    reports = judge(names, *UNTIL_FAILURE, *AS_DRAWN, zoo=LAYERS, suite=suite)
    assert [report["name"] for report in reports] == [LAYERS.prefix + name for name in names]
    assert [report["name"] for report in reports if report["conforms"]] == []


@pytest.mark.parametrize("name", list(LAYER_MUTANTS)[::25])
def test_layer_mutants_are_named(name: str) -> None:
    diagnosis = diagnose_layer(load(LAYERS.prefix + name, LAYER))
    assert diagnosis.matches[0] == name
    assert diagnosis.words.startswith("matches: ")
