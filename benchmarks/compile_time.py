"""What the oracle's first call costs: ``python -m benchmarks.compile_time``.

Each figure comes from a process of its own: cold, with an empty cache on disk, and warm, with the
cache that the cold process left. No other cache is read or written.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from rich.console import Console
from rich.table import Table

# The forward pass has a loop of its own for few channels a group.
CALLS = (("forward", 2), ("forward", 16), ("backward", 16))


def time_calls(dtype: str, direction: str, channels: int) -> dict[str, float]:
    """Time the import of the oracle and its first two calls in this process, in seconds.

    There is one group, so that it has all `channels`.
    """
    x, kernel = np.ones((1, 4, 4, channels), dtype), np.ones((1, 4, 4, 3, 3, 1), dtype)
    operands = (x, kernel) if direction == "forward" else (x, x, kernel)
    seconds = {}
    start = time.perf_counter()
    from refimpl import involution

    seconds["import"] = time.perf_counter() - start
    call = getattr(involution, direction)
    for name in ("first call", "second call"):
        start = time.perf_counter()
        call(*operands)
        seconds[name] = time.perf_counter() - start
    return seconds


def time_in_process(cache: str, dtype: str, direction: str, channels: int) -> dict[str, float]:
    """Run `time_calls` in a new process that caches compiled code in `cache`."""
    code = (
        "import json; from benchmarks.compile_time import time_calls; "
        f"print(json.dumps(time_calls({dtype!r}, {direction!r}, {channels})))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.PIPE
    )
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds


def main() -> None:
    """Print the table."""
    columns = ("import", "first call", "second call")
    headings = ("dtype", "call", "channels a group", "cache")
    table = Table(*headings, *(f"{name} [s]" for name in columns))
    for dtype, (direction, channels) in itertools.product(("float32", "float64"), CALLS):
        with tempfile.TemporaryDirectory() as cache:
            for state in ("cold", "warm"):
                seconds = time_in_process(cache, dtype, direction, channels)
                figures = (f"{seconds[name]:.4f}" for name in columns)
                table.add_row(dtype, direction, str(channels), state, *figures)
    Console().print(table)


if __name__ == "__main__":
    main()
