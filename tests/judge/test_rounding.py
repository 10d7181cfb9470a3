"""Declared rounding (NUM-8): one rounding to nearest where one is due, and whom that binds."""

from typing import Any

import numpy as np
import pytest

import conformance
from conformance.claims.arithmetic import Arithmetic
from conformance.claims.capabilities import Capabilities, DeclarationError, declared
from conformance.claims.formats import ACCUMULATORS, FORMATS
from conformance.claims.loading import load
from conformance.judging.ask import ask
from conformance.judging.examine import examine
from conformance.kinds import OPERATOR
from conformance.mutants.operator import rounding
from refimpl import involution
from tests.opponents.exact import sums as exact_sums
from tests.opponents.right_operators import RIGHT

RECIPES = ("nearest-x", "nearest-dy")
MUTANTS = [
    one for one in vars(rounding).values() if getattr(one, "__module__", "") == rounding.__name__
]
MUTANTS = [one for one in MUTANTS if one.__name__[0] != "_"]


def case_of(recipe: str, dtype: str, seed: int = 0, **changes: Any) -> Any:
    sizes: dict[str, Any] = {"batch": 2, "height": 6, "width": 5, "groups": 3, "members": 4}
    return OPERATOR.plain(
        Capabilities(), recipe=recipe, dtype=dtype, seed=seed, **{**sizes, **changes}
    )


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("dtype", FORMATS)
def test_one_rounding_is_due_of_what_an_accumulator_of_three_bits_more_holds(
    recipe: str, dtype: str
) -> None:
    bits = FORMATS[dtype].bits
    for seed, stride in enumerate(((1, 1), (2, 1), (2, 3))):
        case = case_of(recipe, dtype, seed, stride=stride)
        values = OPERATOR.values(case, bits)
        size = {name: np.abs(one.astype(np.float64)) for name, one in values.items()}
        options = case.geometry.options
        counts = {name: (one > 0) * 1.0 for name, one in size.items()}
        for one, most in ((counts, 2), (size, 2.0 ** (bits + 3))):
            y = involution.forward(one["x"], one["kernel"], **options)
            dx, dkernel = involution.backward(one["dy"], one["x"], one["kernel"], **options)
            assert max(y.max(), dx.max(), dkernel.max()) <= most


@pytest.mark.parametrize("recipe", RECIPES)
def test_ties_neighbours_and_second_roundings_are_among_them(recipe: str) -> None:
    case = case_of(recipe, "bfloat16", height=12, width=12)
    values = OPERATOR.values(case, 8)
    wide = {name: one.astype(np.float64) for name, one in values.items()}
    options = case.geometry.options
    dx, _ = involution.backward(wide["dy"], wide["x"], wide["kernel"], **options)
    y = involution.forward(wide["x"], wide["kernel"], **options)
    fraction, _ = np.frexp(np.abs(y if recipe == "nearest-x" else dx))
    rest = fraction * 2.0**8 % 1
    assert set(np.unique(rest)) == {n / 8 for n in range(8)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_due_is_the_fraction_rounded_once(recipe: str) -> None:
    """By the exact operator, which is independent of the oracle."""
    case = case_of(recipe, "float16", height=3, width=3, kernel_shape=(2, 2))
    values = OPERATOR.values(case, 11)
    expected = OPERATOR.expected(case, values, Capabilities())
    for name, elements in exact_sums(case, values).items():
        due = np.zeros(expected[name].value.shape)
        for index, one in elements.items():
            # Fourteen bits: a float64 is exact.
            due[index] = np.float16(float(one.value))
        np.testing.assert_array_equal(expected[name].value, due)
        assert not expected[name].bound.any()


def is_right(implementation: Any, recipe: str, dtype: str, seeds: range, **changes: Any) -> bool:
    judged = load(implementation, OPERATOR)
    for seed in seeds:
        case = case_of(recipe, dtype, seed, **changes)
        bits = OPERATOR.bits(case, judged.capabilities)
        values = OPERATOR.values(case, bits)
        results = ask(judged, case, values).results
        expected = OPERATOR.expected(case, values, judged.capabilities)
        if examine(judged, case, results, expected)[1]:
            return False
    return True


@pytest.mark.parametrize("name", RIGHT)
def test_whoever_rounds_to_nearest_conforms(name: str) -> None:
    """In any order, fused, compensated, in twice the precision, in half precision as declared."""
    for dtype in FORMATS:
        for recipe in RECIPES:
            assert is_right(RIGHT[name], recipe, dtype, range(3)), (dtype, recipe)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.__name__)
def test_whoever_does_not_is_rejected(mutant: Any) -> None:
    dtypes = ["float32"] if mutant is rounding.SumsTowardsZero else list(FORMATS)
    for dtype in dtypes:
        assert not is_right(mutant, "nearest-x", dtype, range(3)), dtype


def test_the_checks_reject_what_the_bounds_admit() -> None:
    assert [one.__name__ for one in MUTANTS] == [
        "RoundsTowardsZero", "RoundsUp", "TiesAway", "RoundsTwice", "RoundsAtRandom",
        "SumsTowardsZero",
    ]  # fmt: skip
    report = conformance.check(
        rounding.TiesAway, clauses=["NUM-8"], dtypes="float32", seed=1, diagnosis=False
    )
    assert {one.clause for one in report.failures} == {"NUM-8"}


class AnyWay(rounding.RoundsTowardsZero):
    """It says so."""

    capabilities = rounding.RoundsTowardsZero.capabilities | {"rounding": "any"}


def test_who_declares_any_rounding_is_granted_it() -> None:
    """One product each, of which truncation loses up to a whole unit in the last place."""
    one: dict[str, Any] = {"kernel_shape": (1, 1), "members": 1, "batch": 9}
    # Of float64 the judge's own rounding is granted as well.
    for dtype in ("float16", "bfloat16", "float32"):
        assert is_right(AnyWay, "normal", dtype, range(2), **one)
        assert not is_right(rounding.RoundsTowardsZero, "normal", dtype, range(2), **one)
    report = conformance.check(AnyWay, clauses="NUM-8", seed=1)
    assert report.clauses["NUM-8"].verdict == "not claimed"
    assert "rounded to either neighbour" in " ".join(str(report).split())


@pytest.mark.parametrize(
    ("entries", "due"),
    [
        ({}, True),
        ({"rounding": "any"}, False),
        ({"multiplier": {"float32": "tfloat32"}}, False),
        ({"accumulator": {"float32": "bfloat16"}}, False),
        ({"accumulator": {"float32": "bfloat16"}, "result": {"float32": "bfloat16"}}, True),
        ({"result": {"float32": "float16"}}, True),
    ],
)
def test_of_whom_it_is_due(entries: dict[str, Any], due: bool) -> None:
    claimed = declared(entries)
    assert claimed.arithmetic("float32").rounds_once is due
    case = case_of("nearest-x", "float32")
    values = OPERATOR.values(case, OPERATOR.bits(case, claimed))
    bounds = [one.bound for one in OPERATOR.expected(case, values, claimed).values()]
    assert all(np.isposinf(one).all() != due for one in bounds)


def test_any_rounding_doubles_what_each_is_granted() -> None:
    formats = FORMATS["float16"], ACCUMULATORS["float32"], FORMATS["float16"]
    nearest, other = Arithmetic(*formats), Arithmetic(*formats, nearest=False)
    assert (other.unit, other.last) == (2 * nearest.unit, 2 * nearest.last)


def test_what_is_no_rounding() -> None:
    with pytest.raises(DeclarationError, match='must be "nearest" or "any", got \'up\''):
        declared({"rounding": "up"})
