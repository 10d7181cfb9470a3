"""Calls in turn, and what their times say of each other: medians of ratios, with their intervals.

Rivals take turns, so that they meet the same neighbours on the machine; a ratio is of two calls of
one round. Beside the wall clock stands the time of the processors, which other programs disturb
less, and which counts each thread. Nothing here knows what is called.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

CLOCKS = ("wall", "processors")
Times = list[list[float]]


class Ratio(NamedTuple):
    """A median, and the interval that has held it with a probability of at least 95%."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """As the tables show it; a figure that was measured once has no interval."""
        interval = f" ({self.low:.3g} to {self.high:.3g})" if self.low < self.high else ""
        return f"{self.median:.3g}{interval}"

    def differs(self, other: "Ratio") -> bool:
        """Tell whether the intervals have nothing in common: the difference is more than noise."""
        return self.low > other.high or other.low > self.high


def in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, Times]:
    """Time each call once a round, after one that is not timed.

    Returns
    -------
    dict of list
        For each call its rounds, each with the seconds of both `CLOCKS`.
    """
    for call in calls.values():
        call()
    times: dict[str, Times] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            wall, busy = time.perf_counter(), time.process_time()
            results = call()
            times[name].append([time.perf_counter() - wall, time.process_time() - busy])
            del results
    return times


def ratio(one: Times, other: Times, clock: str = "wall") -> Ratio:
    """Give the median of the ratios, `one` by `other`, of the calls of each round."""
    column = CLOCKS.index(clock)
    pairs = zip(one, other, strict=True)
    return median([first[column] / max(second[column], 1e-9) for first, second in pairs])


def once(value: float) -> Ratio:
    """Give a figure that was measured once."""
    return Ratio(value, value, value)


def median(values: Sequence[float]) -> Ratio:
    """Give the median with the interval between two order statistics.

    Each value is as likely above the median of what it was drawn from as below: no distribution is
    assumed, only that rounds do not depend on each other. Of fewer than 6 values none reach 95%,
    and the interval is all of them.
    """
    ordered = sorted(values)
    number, below, skipped = len(ordered), 0.0, 0
    while True:
        below += math.comb(number, skipped) / 2**number
        if 2 * below > 0.05 or skipped >= (number - 1) // 2:
            break
        skipped += 1
    first = max(skipped - 1, 0)
    return Ratio(float(np.median(ordered)), ordered[first], ordered[number - 1 - first])
