"""The diagnosis names planted faults, those of independently written operators too."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.cases.operator import OperatorCase
from conformance.claims.loading import load
from conformance.diagnosis.answers import differing
from conformance.diagnosis.diagnose import Diagnosis, diagnose
from conformance.implementations.operator.numpy_unfold import Array, Call, Place, Unfold
from conformance.kinds import LAYER, OPERATOR
from conformance.mutants import layer, words
from conformance.mutants.operator import CONVENTIONS, MUTANTS
from conformance.worker.host import Host
from tests.opponents import wrong_operators
from tests.opponents.right_operators import RIGHT
from tests.opponents.wrong_operators import FirstSampleKernel

# The others are surveyed by tests.surveys.kill_matrix: a diagnosis takes seconds.
# Faults that show on the shapes of networks alone are not among its probes: it knows them only by
# the case that fails, which is not given here. What comes before a call is not among them either.
UNKNOWN = ("fast_paths", "rare", "history", "processes")
SAMPLE, LAYERS = (
    [name for name, one in zoo.items() if not one.__module__.endswith(UNKNOWN)][::every]
    for zoo, every in ((MUTANTS, 36), (layer.MUTANTS, 24))
)

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


def of(operator: Any, failing: OperatorCase | None = None, **claims: Any) -> Diagnosis:
    return diagnose(load(operator, OPERATOR, operator.capabilities | claims), failing)


def test_every_mutant_has_words_of_its_own() -> None:
    assert len(MUTANTS) >= 60
    said = [words(mutant) for mutant in MUTANTS.values()]
    assert all(20 < len(one) < 90 for one in said)
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("name", SAMPLE)
def test_names_the_planted_fault(name: str) -> None:
    found = diagnose(load(MUTANTS[name], OPERATOR))
    assert found.matches[0] == name
    assert words(MUTANTS[name]) in found.words


@pytest.mark.parametrize("name", INDEPENDENT)
def test_names_faults_of_other_code(name: str) -> None:
    found = diagnose(load(getattr(wrong_operators, name), OPERATOR))
    assert found.matches[0] == INDEPENDENT[name]


@pytest.mark.parametrize("name", ["StridePhase", "OneStrideForBoth", "NoBorderGradient"])
def test_localises_unknown_faults_of_other_code(name: str) -> None:
    found = diagnose(load(getattr(wrong_operators, name), OPERATOR))
    assert found.matches == ()
    assert any(line.startswith("window of the output") for line in found.details)


def test_says_which_result_is_right() -> None:
    assert of(FirstSampleKernel).words.endswith("[KernelOfFirstSample], but dkernel right")


def test_names_two_conventions_at_once() -> None:
    both = type("Both", (CONVENTIONS["LayoutsExchanged"], CONVENTIONS["HalfKernelPadding"]), {})
    found = of(both)
    assert set(found.matches[0].split("+")) == {"LayoutsExchanged", "HalfKernelPadding"}


class OneTapAtOneEdge(Unfold):
    """A fault that is no mutant: the first tap is left out of the last column of outputs."""

    def inside(self, call: Call, at: Place, found: Array) -> Array:
        wrong = (at.u == 0) & (at.v == 0) & (at.j == call.grid[1] - 1) & (call.grid[1] > 1)
        return super().inside(call, at, found) & ~wrong


def test_localises_what_it_does_not_know() -> None:
    token = "dtype=float32,recipe=integers,height=3,width=4,kernel_shape=2x2,padding=0x0/0x0"
    found = of(OneTapAtOneEdge, OperatorCase.parse(token))
    assert found.matches == ()
    assert found.details[-10:-1] == (
        "y: 2 of 24 products are missing or met another factor, at 2 of 6 outputs",
        "outputs: rows all; columns 2 of 3; channels all",
        "taps: (0, 0)",
        "window of the output at row 0, column 2, channel 0:",
        "           column    2   3",
        "    row         0    -   o",
        "    row         1    o   o",
        "    o as due   - not met   + not due   x met another entry   : padding   . other pixel",
        "    x[b, 0, 2, 0] met nothing, due was kernel[b, 0, 2, 0, 0, 0]",
    )
    assert found.details[-1] == f"case {token.replace('integers', 'impulse-x')}"


def test_says_that_the_certificate_is_right() -> None:
    found = of(MUTANTS["Saturates"])
    assert "every product of the impulse certificate is right:" in found.details


@pytest.mark.parametrize("name", RIGHT)
def test_no_probe_blames_what_is_right(name: str) -> None:
    """However it is written and rounded, as far as it declares that."""
    judged = load(RIGHT[name], OPERATOR)
    for probe in OPERATOR.probes(judged.capabilities, None):
        got, due = (probe.ask(one) for one in (judged, replace(judged, host=Host(Unfold))))
        assert not differing(got, due), probe.name


def test_a_large_failing_case_is_not_put_to_every_candidate() -> None:
    """There are more than 150; what shows on large images alone has probes of its own."""
    claimed = load(Unfold, OPERATOR).capabilities
    case = OperatorCase("float32", "integers").changed(groups=2, members=2, kernel_shape=(2, 2))
    tall, small = (case.changed(height=height, width=3) for height in (66_001, 5))
    number = len(OPERATOR.probes(claimed, None))
    assert len(OPERATOR.probes(claimed, tall)) == number
    assert len(OPERATOR.probes(claimed, small)) == number + 1


def test_finds_nothing_wrong_with_what_is_right() -> None:
    found = of(Unfold)
    assert found.matches == ()
    assert found.words == "no probe shows the fault: see the failing case"


class Broken(Unfold):
    """It always raises."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:  # noqa: ARG002
        raise RuntimeError("no such luck")


def test_an_implementation_that_always_raises() -> None:
    found = of(Broken)
    assert found.matches == ()
    assert any(line.startswith("raises RuntimeError: no such luck, case") for line in found.details)


def test_narrow_formats_are_read_digit_by_digit() -> None:
    found = of(MUTANTS["KernelFlipped"], dtypes=("bfloat16",))
    assert found.matches[0] == "KernelFlipped"
    assert any("due was kernel[" in line for line in found.details)


class Nan(Unfold):
    """It answers nothing but NaN."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        return np.full_like(super().y(call, x, kernel), np.nan)


def test_numbers_of_an_operator_that_returns_nonsense() -> None:
    assert of(Nan).matches == ()


@pytest.mark.parametrize("name", LAYERS)
def test_layer_mutants_are_named(name: str) -> None:
    found = diagnose(load(layer.MUTANTS[name], LAYER))
    assert found.matches[0] == name
    assert found.words.startswith("matches: ")


def test_the_failing_case_is_among_the_probes_of_a_layer() -> None:
    claimed = load("refimpl.layer", LAYER).capabilities
    case = LAYER.plain(claimed, seed=77)
    assert LAYER.probes(claimed, case)[0].case == case


@pytest.mark.parametrize(
    "claims",
    [{"conventions": ["official"]}, {"conventions": ["keras_example"], "training": False}],
    ids=["official", "keras example"],
)
def test_layers_are_asked_in_the_convention_that_they_claim(claims: dict[str, Any]) -> None:
    judged = load("refimpl.layer", LAYER, claims)
    asked = LAYER.probes(judged.capabilities, None)
    assert len(asked) > 10
    for probe in asked:
        assert LAYER.unclaimed(probe.case, judged.capabilities) == ""
