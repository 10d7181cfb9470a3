"""The verdict on results: first of given bounds, every number exact; then of the oracle's own."""

import dataclasses

import numpy as np
import pytest

from conformance.bounds.expected import Expected
from conformance.cases.operator import OperatorCase
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from conformance.judging.examine import Mismatch, compare
from conformance.kinds import OPERATOR

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
