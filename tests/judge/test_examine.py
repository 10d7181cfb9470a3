"""The verdict on results: of given bounds, of the oracle's own, and what is said of it."""

import dataclasses

import numpy as np
import pytest

from conformance.bounds.expected import Expected
from conformance.cases.operator import OperatorCase
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from conformance.claims.loading import Judged, load
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.judging.examine import Finding, Mismatch, compare
from conformance.judging.examine import examine as examine_results
from conformance.kinds import LAYER, OPERATOR

INF, NAN = np.inf, np.nan
# The number from which a format rounds to infinity, 2^(e + 1) - 2^(e - p), as a sum of two floats:
# the largest number, and half of its distance to the next power of two.
OVERFLOW = {
    "float16": (65504.0, 16.0),
    "bfloat16": (255 * 2.0**120, 2.0**119),
    "float32": ((2.0**24 - 1) * 2.0**104, 2.0**103),
    "float64": ((2.0**53 - 1) * 2.0**971, 2.0**970),
}


def examine(
    got: list[float], expected: list[float], allowed: list[float], dtype: str = "float64"
) -> tuple[float, Mismatch | None]:
    within = Expected(np.array(expected), np.array(allowed))
    return compare(np.array(got), within, FORMATS[dtype])


def test_an_error_as_large_as_its_bound_is_right() -> None:
    assert examine([1.5], [1.0], [0.5]) == (1.0, None)
    worst, finding = examine([np.nextafter(1.5, 2)], [1.0], [0.5])
    assert worst == INF
    assert finding is not None


def test_the_worst_is_a_fraction_of_its_bound() -> None:
    assert examine([3.25, 4.125, 7.0], [3.0, 4.0, 7.0], [0.5, 0.5, 0.0]) == (0.5, None)


def test_equality_demanded_and_found_is_zero() -> None:
    assert examine([3.0, -0.0], [3.0, 0.0], [0.0, 0.0]) == (0.0, None)


def test_the_finding_tells_the_first_wrong_element() -> None:
    worst, finding = examine([1.0, 9.0, 8.0], [1.0, 2.0, 3.0], [0.0, 0.25, 0.5])
    assert worst == INF
    assert finding is not None
    assert finding.index == (1,)
    assert (finding.got, finding.expected, finding.bound) == (9.0, 2.0, 0.25)
    assert finding.wrong.tolist() == [False, True, True]


@pytest.mark.parametrize("special", [INF, -INF, NAN])
def test_specials_agree_with_themselves_alone(special: float) -> None:
    assert examine([special], [special], [0.0]) == (0.0, None)
    for other in {0.0, INF, -INF, NAN} - {special}:
        assert examine([other], [special], [0.0])[1] is not None
        assert examine([special], [other], [0.0])[1] is not None


@pytest.mark.parametrize("got", [0.0, INF, -INF, NAN])
def test_what_is_unspecified_is_never_wrong(got: float) -> None:
    assert examine([got], [1.0], [INF]) == (0.0, None)


@pytest.mark.clause("NUM-2", "NUM-6")
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", OVERFLOW)
def test_infinity_is_right_where_the_bound_reaches_overflow(dtype: str, sign: int) -> None:
    """Derivation of the bounds, Overflow: from the number on that rounds to infinity."""
    largest, half = OVERFLOW[dtype]
    assert largest == FORMATS[dtype].largest
    expected = [sign * largest]
    assert examine([sign * INF], expected, [half], dtype) == (0.0, None)
    assert examine([-sign * INF], expected, [half], dtype)[1] is not None
    # Beyond the largest number, and yet rounded to it.
    assert examine([sign * INF], expected, [half / 2], dtype)[1] is not None
    assert examine([sign * INF], expected, [0.0], dtype)[1] is not None


def test_a_finding_does_not_change() -> None:
    _, finding = examine([1.0], [2.0], [0.0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.got = 2.0  # type: ignore[misc,union-attr]


def test_infinity_is_right_well_beyond_overflow() -> None:
    largest, half = OVERFLOW["float16"]
    assert examine([INF], [largest], [4 * half], "float16") == (0.0, None)


def expected_y(recipe: str) -> Expected:
    case, claimed = OperatorCase("float32", recipe, height=4, width=4), Capabilities()
    case = case.changed(kernel_shape=(3, 3))
    return OPERATOR.expected(case, OPERATOR.values(case, 24), claimed)["y"]


@pytest.mark.clause("NUM-1")
@pytest.mark.parametrize("recipe", ["integers", "specials"])
def test_one_ulp_is_wrong_where_sums_are_exact(recipe: str) -> None:
    expected = expected_y(recipe)
    got = expected.value.astype(np.float32)
    assert compare(got, expected, FORMATS["float32"]) == (0.0, None)
    place = np.unravel_index(np.argmax(np.isfinite(got)), got.shape)
    got[place] = np.nextafter(got[place], np.float32(np.inf))
    finding = compare(got, expected, FORMATS["float32"])[1]
    assert finding is not None
    assert finding.index == place


@pytest.mark.parametrize("wrong", [NAN, INF, -INF])
def test_specials_do_not_pass_for_numbers(wrong: float) -> None:
    expected = expected_y("normal")
    got = expected.value.astype(np.float32)
    got[0, 1, 1, 0] = wrong
    finding = compare(got, expected, FORMATS["float32"])[1]
    assert finding is not None
    assert finding.index == (0, 1, 1, 0)


# What is said: a result of ones in the place of zeros, at some places.
CASE = OperatorCase("float32", "integers", batch=2, height=3, width=8).changed(members=4)


def judged() -> Judged:
    return load("conformance.implementations.operator.numpy_unfold", OPERATOR)


def found(
    wrong: tuple[object, ...], *, recipe: str = "integers", result: str = "y", bound: float = 0.0
) -> Finding:
    got = np.zeros((2, 3, 8, 4), np.float32)
    expected = Expected(np.zeros(got.shape), np.full(got.shape, bound))
    got[wrong] = 1
    case = CASE.changed(recipe=recipe)
    worst, findings = examine_results(judged(), case, {result: got}, {result: expected})
    assert worst == {}
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("recipe", "result", "bound", "clause", "tier"),
    [
        ("integers", "y", 0.0, "FWD-1", "equality"),
        ("integers", "dx", 0.0, "GRD-1", "equality"),
        ("impulse-x", "y", 0.0, "FWD-1", "certificate"),
        ("normal", "y", 0.5, "NUM-2", "bound"),
        ("normal", "dx", 0.5, "NUM-3", "bound"),
        ("normal", "y", 0.0, "FWD-1", "equality"),
        ("subnormal", "y", 0.5, "SPC-5", "bound"),
        ("specials", "y", 0.0, "FWD-1", "equality"),
    ],
)
def test_the_clause_and_what_noticed(
    recipe: str, result: str, bound: float, clause: str, tier: str
) -> None:
    finding = found((0, 0, 0, 0), recipe=recipe, result=result, bound=bound)
    assert (finding.clauses, finding.tier, finding.result) == ((clause,), tier, result)
    assert not finding.refusal
    assert not finding.alone


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ((0, 1, slice(0, 6), 2), "6 of 192 elements are wrong; batch: 0 of 2; row: 1 of 3; "
         "column: 0, 1, 2, 3, 4, 5 of 8; channel: 2 of 4"),
        ((1, slice(0, 2), slice(0, 7), slice(None)), "56 of 192 elements are wrong; "
         "batch: 1 of 2; row: 0, 1 of 3; column: 0, 1, 2, 3, 4, 5, ... of 8; channel: all 4"),
        ((slice(None), 2, slice(None), 0), "16 of 192 elements are wrong; batch: all 2; "
         "row: 2 of 3; column: all 8; channel: 0 of 4"),
    ],
)  # fmt: skip
def test_where_it_is_wrong(wrong: tuple[object, ...], words: str) -> None:
    assert found(wrong).details[0] == f"y: {words}"


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (0.0, "y[1, 0, 0, 0]: got 1.0, expected 0.0 (error 1, equality demanded)"),
        (0.5, "y[1, 0, 0, 0]: got 1.0, expected 0.0 (error 1, error bound 0.5)"),
    ],
)
def test_the_first_wrong_element_in_words(bound: float, words: str) -> None:
    assert found((1, 0, 0, 0), bound=bound).words == words


def test_the_error_is_a_distance() -> None:
    mismatch = Mismatch((0,), -2.0, 3.0, 1.0, np.array([True]))
    assert mismatch.words == "got -2.0, expected 3.0 (error 5, error bound 1)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        Finding(("FWD-1",), "").words = "other"  # type: ignore[misc]


def test_results_are_examined_one_by_one() -> None:
    got = {name: np.ones((1, 1, 1, 1), np.float32) for name in ("dx", "y", "dkernel")}
    got["dkernel"] = np.ones((1, 1, 1, 1, 1, 1), np.float32)
    value = {"y": 1.25, "dx": 2.0, "dkernel": 3.0}
    bounds = {"y": 0.5, "dx": 0.0, "dkernel": 0.0}
    expected = {
        name: Expected(np.full(a.shape, value[name]), np.full(a.shape, bounds[name]))
        for name, a in got.items()
    }
    right, findings = examine_results(judged(), CASE, got, expected)
    assert {name: used.worst for name, used in right.items()} == {"y": 0.5}
    assert [one.result for one in findings] == ["dx", "dkernel"]


@pytest.mark.parametrize(
    ("result", "value", "clause"),
    [("y", NAN, "SPC-1"), ("y", INF, "SPC-2"), ("dx", NAN, "SPC-3"), ("dkernel", INF, "SPC-3")],
)
def test_a_recipe_has_a_rule_of_its_own(result: str, value: float, clause: str) -> None:
    shape = (1, 1, 1, 1, 1, 1) if result == "dkernel" else (1, 1, 1, 1)
    expected = {result: Expected(np.full(shape, value), np.zeros(shape))}
    case = CASE.changed(recipe="specials")
    findings = examine_results(judged(), case, {result: np.zeros(shape, np.float32)}, expected)[1]
    assert [one.clauses for one in findings] == [(clause,)]


@pytest.mark.parametrize(("batch", "clause"), [(0, "LAY-19"), (1, "LAY-14"), (2, "LAY-14")])
def test_an_empty_batch_has_a_clause_of_its_own(batch: int, clause: str) -> None:
    """Gradients of the parameters have elements that can be wrong, whatever the batch."""
    layer = load("conformance.implementations.layer.numpy_layer:NumpyLayer", LAYER)
    case = LAYER.plain(layer.capabilities, dtype="float32", batch=batch)
    expected = {"dgamma": Expected(np.zeros(2), np.zeros(2))}
    got = {"dgamma": np.ones(2, np.float32)}
    _, findings = examine_results(layer, case, got, expected)
    assert [one.clauses for one in findings] == [(clause,)]


def test_a_result_that_a_certificate_does_not_decide_has_no_picture() -> None:
    """Calls at once are asked for all results of a function: the judge broke off on such a dx."""
    judged = load(Unfold, OPERATOR)
    case = OPERATOR.case.parse("dtype=float32,recipe=impulse-x,height=2,width=9,stride=2x3")
    case = case.changed(batch=int(np.prod(case.shapes["x"][1:])))
    values = OPERATOR.values(case, OPERATOR.bits(case, judged.capabilities))
    due = OPERATOR.expected(case, values, judged.capabilities)
    wrong = {"dx": (due["dx"].value + 1).astype(np.float32)}
    _, findings = examine_results(judged, case, wrong, due)
    assert len(findings) == 1
