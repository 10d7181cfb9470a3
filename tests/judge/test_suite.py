"""The suite's own parts: tokens, declarations, loading, the command line, bounds and the ledger."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.bounds import Arithmetic, truths
from conformance.capabilities import Capabilities, DeclarationError, declared
from conformance.cases import Case, cases, parse
from conformance.formats import ACCUMULATORS, FORMATS
from conformance.implementation import LoadError, load
from conformance.ledger import Ledger
from conformance.recipes import EXACT, RECIPES, operands
from conformance.verdict import examine


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("dtype", FORMATS)
@given(data=st.data())
def test_tokens_read_back(dtype: str, recipe: str, data: st.DataObject) -> None:
    case = data.draw(cases(Capabilities(), dtype=dtype, recipe=recipe))
    assert parse(case.token) == case


@pytest.mark.parametrize("token", ["", "dtype=float32", "dtype=float32,recipe=normal,colour=red"])
def test_bad_tokens(token: str) -> None:
    with pytest.raises(ValueError, match="--case"):
        parse(token)


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ({"colour": True}, r"got \['colour'\]"),
        ({"dtypes": ["float8"]}, "some of float16"),
        ({"dtypes": []}, "some of float16"),
        ({"strides": [1, 2]}, "pairs of integers"),
        ({"strides": "round"}, "pairs of integers"),
        ({"accumulator": {"float32": "float12"}}, "float12"),
        ({"result": "double-double"}, "double-double"),
        ({"multiplier": {"float32": "float16"}}, "float32: tfloat32, bfloat16"),
        ({"multiplier": "tfloat32"}, "must map dtypes"),
        ({"validates": "yes"}, "True or False"),
        ("everything", "must be a mapping"),
    ],
)
def test_bad_declarations(declaration: object, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        declared(declaration)


@given(data=st.data())
def test_cases_keep_to_the_claims(data: st.DataObject) -> None:
    claimed = declared(
        {
            "kernel_shapes": [(9, 1)],
            "strides": "square",
            "paddings": ["valid"],
            "accumulator": {"float32": "float16"},
        }
    )
    case = data.draw(cases(claimed, dtype="float32", recipe="integers"))
    assert case.kernel_shape == (9, 1)
    assert case.stride[0] == case.stride[1]
    assert case.padding == "valid"
    assert case.exact_bits == 11
    assert min(case.grid) >= 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no.such.module", "cannot import"),
        ("tests.opponents.twin:nothing", "no attribute nothing"),
        ("tests.opponents.twin:Case", "needs the functions forward and backward|missing"),
        ("tests.conftest", "needs the functions forward and backward"),
    ],
)
def test_what_cannot_be_loaded(name: str, words: str) -> None:
    with pytest.raises((LoadError, TypeError), match=words):
        load(name)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conformance", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_command_line_mistakes() -> None:
    unknown = run("--implementation=no.such:thing")
    assert unknown.returncode == 4
    assert "cannot import no.such" in unknown.stderr
    bad_case = run("--implementation=refimpl.involution", "--case=red")
    assert bad_case.returncode == 2
    assert "--case has parts NAME=VALUE" in bad_case.stderr


def test_the_oracle_conforms() -> None:
    """As a user runs it, also in several processes (pytest-xdist merges the ledgers)."""
    done = run("--implementation=refimpl.involution", "--hypothesis-profile=ci", "-q", "-n2")
    assert done.returncode == 0, done.stdout
    assert "conforms: refimpl.involution (47 clauses pass, 0 fail, 0 not claimed" in done.stdout


def arithmetic(operand: str, accumulator: str) -> Arithmetic:
    return Arithmetic(FORMATS[operand], ACCUMULATORS[accumulator], FORMATS[operand])


@pytest.mark.parametrize("recipe", sorted(EXACT - {"impulse-x", "impulse-dy"}))
def test_one_ulp_fails_the_exact_tier(recipe: str) -> None:
    case = Case("float32", recipe, height=4, width=4, kernel_shape=(3, 3))
    values = operands(case)
    truth = truths(values, case.options, FORMATS["float32"], exact=True)["y"]
    right = truth.value.astype(np.float32)
    _, finding = examine("y", right, truth, arithmetic("float32", "float32"))
    assert finding is None
    place = np.unravel_index(np.argmax(np.isfinite(right)), right.shape)
    right[place] = np.nextafter(right[place], np.float32(np.inf))
    _, finding = examine("y", right, truth, arithmetic("float32", "float32"))
    assert finding is not None
    assert finding.index == place


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_specials_do_not_pass_for_numbers(wrong: float) -> None:
    case = Case("float32", "normal", height=2, width=2, kernel_shape=(1, 1))
    truth = truths(operands(case), case.options, FORMATS["float32"], exact=False)["y"]
    got = truth.value.astype(np.float32)
    got[0, 1, 1, 0] = wrong
    _, finding = examine("y", got, truth, arithmetic("float32", "float32"))
    assert finding is not None
    assert finding.index == (0, 1, 1, 0)


def test_ledgers_merge() -> None:
    one, other = Ledger(), Ledger()
    for ledger, worst in ((one, 0.25), (other, 0.5)):
        ledger.count("it", ["FWD-1"], worst)
        ledger.outcome("it", ["FWD-1"], "passed")
    other.outcome("it", ["FWD-1"], "failed")
    one.merge(other.dump())
    entry = one.entry("it", "FWD-1")
    assert (entry.cases, entry.worst, entry.verdict) == (2, 0.5, "fails")
