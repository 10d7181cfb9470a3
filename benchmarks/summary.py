"""The table that ends ``pytest benchmarks --benchmark-only``: rivals side by side, as rates.

Lays out what was measured; nothing is measured here.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from rich.table import Table

PUBLISHED = "published-graph"
COLUMNS = (
    "rival",
    "min [ms]",
    f"{PUBLISHED} : it",
    "GFLOP/s",
    "of product",
    "GB/s",
    "of copy",
    "peak [MB]",
    "first call [s]",
)


def rates(row: Mapping[str, Any], machine: Mapping[str, float]) -> dict[str, float]:
    """Give rates from the least of the times, and their parts of what the machine allows.

    Parameters
    ----------
    row : mapping
        "flops", "bytes" and "seconds" of a call.
    machine : mapping
        "copy" in bytes and "product" in operations a second; on a GPU the copy alone.
    """
    flops, traffic = row["flops"] / row["seconds"], row["bytes"] / row["seconds"]
    found = {"GFLOP/s": flops / 1e9, "GB/s": traffic / 1e9, "of copy": traffic / machine["copy"]}
    if "product" in machine:
        found["of product"] = flops / machine["product"]
    return found


def tables(rows: Iterable[Mapping[str, Any]]) -> list[Table]:
    """Lay out a table for each group of rows, the quickest rival first."""
    ordered = sorted(rows, key=lambda row: (row["group"], row["seconds"]))
    return [_table(group, list(some)) for group, some in groupby(ordered, lambda row: row["group"])]


def _table(group: str, rows: list[Mapping[str, Any]]) -> Table:
    table = Table(*COLUMNS, title=group, title_justify="left")
    published = {row["rival"]: row["seconds"] for row in rows}.get(PUBLISHED)
    for row in rows:
        times = f"{published / row['seconds']:.3g}" if published else ""
        peak = "" if row["peak"] is None else f"{row['peak'] / 1e6:.3g}"
        table.add_row(
            row["rival"],
            f"{1e3 * row['seconds']:.4g}",
            times,
            f"{row['GFLOP/s']:.3g}",
            f"{row['of product']:.0%}" if "of product" in row else "",
            f"{row['GB/s']:.3g}",
            f"{row['of copy']:.0%}",
            peak,
            f"{row['first call']:.3g}",
        )
    return table
