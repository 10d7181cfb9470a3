"""The diagnosis names planted faults, those of independently written operators too."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.answers import differing
from conformance.capabilities import declared
from conformance.cases import parse, with_outputs
from conformance.diagnosis import Diagnosis, diagnose
from conformance.implementation import Judged, load
from conformance.implementations.numpy_unfold import Array, Call, Place, Unfold
from conformance.mutants import CONVENTIONS, MUTANTS, words
from conformance.probes import probes
from tests.opponents.right_operators import RIGHT

# The others are surveyed by tests.surveys.kill_matrix: a diagnosis takes seconds.
SAMPLE = list(MUTANTS)[::12]

# Faults of operators that share no code with the mutants, by the mutants' names for them.
INDEPENDENT = {
    "FlippedKernel": "KernelFlipped",
    "TransposedTaps": "TapsFromColumns",
    "OddPixelBefore": "OddPixelBefore",
    "OtherLayout": "LayoutsExchanged",
    "MeanKernelGradient": "DkernelMean",
    "FirstSampleKernel": "KernelOfFirstSample",
    "KernelInHalf": "KernelThroughHalf",
    "ChangesItsInput": "ScalesInPlace",
    "Remembers": "KernelCachedByShape",
    "Double": "AnswersInDouble",
    "AcceptsEverything": "AcceptsEverything",
}


def of(operator: Any) -> Diagnosis:
    return diagnose(Judged("it", operator, declared(operator.capabilities)))


def test_every_mutant_has_words_of_its_own() -> None:
    assert len(MUTANTS) >= 60
    said = [words(mutant) for mutant in MUTANTS.values()]
    assert all(20 < len(one) < 90 for one in said)
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("name", SAMPLE)
def test_names_the_planted_fault(name: str) -> None:
    found = diagnose(load(f"conformance.mutants:{name}"))
    assert found.matches[0] == name
    assert words(MUTANTS[name]) in found.words


@pytest.mark.parametrize("name", INDEPENDENT)
def test_names_faults_of_other_code(name: str) -> None:
    found = diagnose(load(f"tests.opponents.wrong_operators:{name}"))
    assert found.matches[0] == INDEPENDENT[name]


@pytest.mark.parametrize("name", ["StridePhase", "OneStrideForBoth", "NoBorderGradient"])
def test_localises_unknown_faults_of_other_code(name: str) -> None:
    found = diagnose(load(f"tests.opponents.wrong_operators:{name}"))
    assert found.matches == ()
    assert any(line.startswith("window of the output") for line in found.details)


def test_says_which_result_is_right() -> None:
    assert of(
        load("tests.opponents.wrong_operators:FirstSampleKernel").implementation
    ).words.endswith("[KernelOfFirstSample], but dkernel right")


def test_names_two_conventions_at_once() -> None:
    both = type("Both", (CONVENTIONS["LayoutsExchanged"], CONVENTIONS["HalfKernelPadding"]), {})
    found = of(both())
    assert set(found.matches[0].split("+")) == {"LayoutsExchanged", "HalfKernelPadding"}


class OneTapAtOneEdge(Unfold):
    """A fault that is no mutant: the first tap is left out of the last column of outputs."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        wrong = (at.u == 0) & (at.v == 0) & (at.j == call.grid[1] - 1) & (call.grid[1] > 1)
        return super().inside(call, at, found) & ~wrong


def test_localises_what_it_does_not_know() -> None:
    judged = Judged("it", OneTapAtOneEdge(), declared(OneTapAtOneEdge.capabilities))
    case = parse("dtype=float32,recipe=integers,height=3,width=4,kernel_shape=2x2,padding=0x0/0x0")
    found = diagnose(judged, case)
    assert found.matches == ()
    assert found.details == (
        "y: 2 of 24 products are missing or met another factor, at 2 of 6 outputs",
        "outputs: rows all; columns 2 of 3; channels all",
        "taps: (0, 0)",
        "window of the output at row 0, column 2, channel 0:",
        "           column    2   3",
        "    row         0    -   o",
        "    row         1    o   o",
        "    o met as due   - due, not met   + met, not due   x met another kernel entry   "
        ": padded tap   . other pixel",
        "    x[b, 0, 2, 0] met nothing, due was kernel[b, 0, 2, 0, 0, 0]",
        "case dtype=float32,recipe=impulse-x,height=3,width=4,kernel_shape=2x2,padding=0x0/0x0",
    )


def test_says_that_the_certificate_is_right() -> None:
    found = diagnose(load("conformance.mutants:Saturates"))
    assert found.details[0] == "every product of the impulse certificate is right:"


@pytest.mark.parametrize("name", RIGHT)
def test_no_probe_blames_what_is_right(name: str) -> None:
    """However it is written and rounded, as far as it declares that."""
    operator = RIGHT[name]()
    claimed = declared(operator.capabilities)
    for probe in probes(claimed):
        assert not differing(probe.ask(operator), probe.ask(Unfold())), probe.name


def test_a_large_failing_case_is_not_put_to_every_candidate() -> None:
    """There are more than 150; what shows on large images alone has probes of its own."""
    claimed = declared(Unfold.capabilities)
    names = [probe.name for probe in probes(claimed)]
    sizes = "dtype=float32,recipe=integers,batch=1,groups=2,members=2,kernel_shape=2x2"
    tall = with_outputs(parse(f"{sizes},height=66001,width=2"))
    small = with_outputs(parse(f"{sizes},height=5,width=3"))
    assert [probe.name for probe in probes(claimed, tall)] == names
    assert len(probes(claimed, small)) == len(names) + 1


def test_finds_nothing_wrong_with_what_is_right() -> None:
    found = of(Unfold())
    assert found.matches == ()
    assert found.words == "no probe shows the fault: see the failing case"


def test_an_implementation_that_always_raises() -> None:
    class Broken(Unfold):
        def forward(self, x: Array, kernel: Array, **options: Any) -> Array:  # noqa: ARG002
            raise RuntimeError("no")

    found = of(Broken())
    assert found.matches == ()
    assert any(line.startswith("y raised; due was: has shape") for line in found.details)


def test_narrow_formats_are_read_digit_by_digit() -> None:
    only = replace(declared(Unfold.capabilities), dtypes=("bfloat16",))
    found = diagnose(Judged("it", MUTANTS["KernelFlipped"](), only))
    assert found.matches[0] == "KernelFlipped"
    assert any("due was kernel[" in line for line in found.details)


def test_numbers_of_an_operator_that_returns_nonsense() -> None:
    class Nan(Unfold):
        def y(self, call: Call, x: Array, kernel: Array) -> Array:
            return np.full_like(super().y(call, x, kernel), np.nan)

    assert of(Nan()).matches == ()
