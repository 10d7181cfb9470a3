"""Holds the oracle against rational arithmetic, bit for bit (NUM-5).

``python -m tests.surveys.exact_sums --elements 2000000 --seed 1``: every recipe of
`tests.oracle.hard_sums`, every format, as y, as dx and as dkernel, until so many elements are
compared. Prints a table, and every difference that it meets. It ends with an error where there is
one. With ``NUMBA_DISABLE_JIT=1`` it is the interpreted definition that is compared.
"""

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from rich.console import Console
from rich.table import Table

from refimpl import _loops
from tests.oracle import hard_sums

FORMATS = ("float16", "bfloat16", "float32", "float64")
LOOPS = {"y": "forward_rows", "dx": "dx_rows", "dkernel": "dkernel_rows"}
# Samples, channels and terms. Each sample is a row; the channels of a row share their beginning.
SHAPES = [(60, 1, 9), (12, 8, 10), (2, 33, 12), (40, 3, 2), (8, 9, 24)]


@contextmanager
def left_open(count: Counter[str], recipe: str, result: str) -> Iterator[None]:
    """Count the elements of a result that the fast forms leave to the definition."""
    define = getattr(_loops, LOOPS[result])

    def counting(first: int, last: int, *arguments: Any) -> None:
        rows = arguments[-1].reshape(-1, *arguments[-1].shape[2:])
        count[recipe] += int(np.isnan(rows[first:last]).sum())
        define(first, last, *arguments)

    with mock.patch.object(_loops, LOOPS[result], counting):
        yield


def survey(elements: int, seed: int, console: Console) -> tuple[Counter[str], ...]:
    """Compare until there are enough; elements, differences and those left open, by recipe."""
    compared: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    open_: Counter[str] = Counter()
    rng = np.random.default_rng(seed)
    kinds = itertools.product(SHAPES, FORMATS, hard_sums.RESULTS, hard_sums.RECIPES)
    for shape, dtype, result, recipe in itertools.cycle(kinds):
        if compared.total() >= elements:
            return compared, wrong, open_
        with left_open(open_, recipe, result):
            differing = hard_sums.compared(result, recipe, dtype, rng, shape)
        compared[recipe] += shape[0] * shape[1]
        wrong[recipe] += len(differing)
        for a, b, got, due in differing:
            console.print(f"{recipe}, {dtype}, {result}: got {got.hex()}, due {due.hex()}")
            console.print(f"  {[one.hex() for one in a]}\n  {[one.hex() for one in b]}")
    raise AssertionError("a cycle never ends")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    console, start = Console(width=100), time.perf_counter()
    compared, wrong, open_ = survey(options.elements, options.seed, console)
    headings = ("recipe", "elements", "different", "left to the definition")
    table = Table(*headings, title=f"seed {options.seed}, {time.perf_counter() - start:.0f} s")
    for recipe in hard_sums.RECIPES:
        share = open_[recipe] / max(compared[recipe], 1)
        table.add_row(recipe, f"{compared[recipe]:,}", f"{wrong[recipe]:,}", f"{share:.2%}")
    share = open_.total() / compared.total()
    table.add_row("all", f"{compared.total():,}", f"{wrong.total():,}", f"{share:.2%}")
    console.print(table)
    sys.exit(1 if wrong.total() else 0)


if __name__ == "__main__":
    main()
