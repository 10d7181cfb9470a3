"""The verdict's own comparisons: exactly at the bound, at overflow, and the worst fraction."""

import dataclasses

import numpy as np
import pytest

from conformance.formats import FORMATS
from conformance.verdict import Finding, _agrees, _worst


def agrees(got: float, expected: float, allowed: float, overflow: float = np.inf) -> bool:
    arrays = (np.array([number]) for number in (got, expected, allowed))
    return bool(_agrees(*arrays, overflow)[0])


def worst(got: float, expected: float, allowed: float) -> float:
    return _worst(*(np.array([number]) for number in (got, expected, allowed)))


def test_the_bound_itself_is_allowed() -> None:
    assert agrees(3.0, 1.0, 2.0)
    assert not agrees(np.nextafter(3.0, 4.0), 1.0, 2.0)
    assert agrees(1.0, 1.0, 0.0)
    assert not agrees(np.nextafter(1.0, 2.0), 1.0, 0.0)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_infinity_where_the_bound_reaches_it(name: str) -> None:
    """From the number that rounds to infinity on, which lies half a unit above the largest."""
    format_ = FORMATS[name]
    half_a_unit = 2.0 ** (format_.largest_exponent - format_.bits)
    assert format_.overflow == format_.largest + half_a_unit
    with np.errstate(over="ignore"):
        assert np.isinf(np.array(format_.overflow).astype(format_.dtype))
        below = format_.overflow - half_a_unit / 4
        assert np.isfinite(np.array(below).astype(format_.dtype))
    assert agrees(np.inf, format_.largest, half_a_unit, format_.overflow)
    assert not agrees(np.inf, format_.largest, half_a_unit / 2, format_.overflow)
    assert not agrees(-np.inf, format_.largest, half_a_unit, format_.overflow)
    assert agrees(-np.inf, -format_.largest, half_a_unit, format_.overflow)


def test_infinity_in_float64() -> None:
    largest, overflow = FORMATS["float64"].largest, FORMATS["float64"].overflow
    assert agrees(np.inf, largest, 2.0**970, overflow)
    assert not agrees(np.inf, largest, 2.0**969, overflow)


def test_the_worst_fraction() -> None:
    assert worst(3.0, 1.0, 4.0) == 0.5
    assert worst(1.25, 1.0, 0.5) == 0.5
    assert worst(1.0, 1.0, 0.0) == 0.0
    assert worst(np.inf, np.inf, 1.0) == 0.0


def test_a_finding_does_not_change() -> None:
    finding = Finding("y", (0,), 1.0, 2.0, 0.0, np.ones(1, bool))
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.got = 2.0  # type: ignore[misc]
