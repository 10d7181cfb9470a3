"""Figures: a median's interval, ratios of one round, and which side of its goal a figure is on."""

import pytest

from benchmarks.figures import Figure
from benchmarks.interleaved import Ratio, in_turn, median, once, ratio


@pytest.mark.parametrize(("number", "skipped"), [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (12, 2)])
def test_the_interval_is_between_two_order_statistics(number: int, skipped: int) -> None:
    """Those beyond which the median lies with less than 2.5% each."""
    # Of 9 values the second and the eighth: both beyond the median with (1 + 9) / 2^8 = 3.9%.
    values = [float(n) for n in range(number)]
    got = median(values[::-1])
    assert got == Ratio((number - 1) / 2, float(skipped), float(number - 1 - skipped))


def test_a_ratio_is_of_one_round() -> None:
    """What slows both calls of a round changes no ratio."""
    # A neighbour doubles both times of the second round, and the ratio is what it was.
    slow, fast = [[4.0, 8.0], [8.0, 16.0], [4.0, 8.0]], [[1.0, 4.0], [2.0, 8.0], [1.0, 4.0]]
    assert ratio(slow, fast) == once(4)
    assert ratio(slow, fast, "processors") == once(2)


def test_calls_take_turns() -> None:
    """One call of each in a round, after one that is not timed."""
    called: list[str] = []
    times = in_turn({name: lambda name=name: called.append(name) for name in "ab"}, 2)  # type: ignore[misc]
    assert "".join(called) == "ababab"
    assert [len(one) for one in times.values()] == [2, 2]


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(Ratio(3, 2, 4), "yes"), (Ratio(2, 1, 3), "perhaps"), (Ratio(1, 0.5, 1.5), "no")],
)
def test_a_goal_is_reached_perhaps_or_not(value: Ratio, verdict: str) -> None:
    """The interval decides, where it lies on one side."""
    assert Figure("", value, at_least=2).verdict == verdict
    other = Ratio(*(4 - bound for bound in (value.median, value.high, value.low)))
    assert Figure("", other, at_most=2).verdict == verdict
    assert not Figure("", value).verdict


def test_more_than_noise_is_no_common_point() -> None:
    """Intervals that touch do not differ."""
    assert Ratio(1, 0.5, 1.5).differs(Ratio(2, 1.6, 3))
    assert not Ratio(1, 0.5, 1.6).differs(Ratio(2, 1.6, 3))
