"""What the oracle's first call costs: ``python -m benchmarks.compile_time``.

Each figure comes from a process of its own: cold, with an empty cache on disk, and warm, with the
cache that the cold process left. No other cache is read or written.
"""

import itertools
import tempfile
import time

from benchmarks.children import run

# The forward pass has a loop of its own for few channels a group.
CALLS = (("forward", 2), ("forward", 16), ("backward", 16))


def time_calls(dtype: str, direction: str, channels: int) -> dict[str, float]:
    """Time the import of the oracle and its first two calls in this process, in seconds.

    There is one group, so that it has all `channels`. The import brings NumPy and numba: nothing
    that this module imports does.
    """
    seconds = {}
    start = time.perf_counter()
    from refimpl import involution

    seconds["import"] = time.perf_counter() - start
    import numpy as np

    x, kernel = np.ones((1, 4, 4, channels), dtype), np.ones((1, 4, 4, 3, 3, 1), dtype)
    operands = (x, kernel) if direction == "forward" else (x, x, kernel)
    call = getattr(involution, direction)
    for name in ("first call", "second call"):
        start = time.perf_counter()
        call(*operands)
        seconds[name] = time.perf_counter() - start
    return seconds


def time_in_process(cache: str, dtype: str, direction: str, channels: int) -> dict[str, float]:
    """Run `time_calls` in a new process that caches compiled code in `cache`."""
    arguments = {"dtype": dtype, "direction": direction, "channels": channels}
    environment = {"NUMBA_CACHE_DIR": cache}
    seconds: dict[str, float] = run("benchmarks.compile_time:time_calls", arguments, environment)
    return seconds


def cold_and_warm(dtype: str, direction: str, channels: int) -> dict[str, dict[str, float]]:
    """Give the seconds of a process with an empty cache, and of one with the cache it left."""
    with tempfile.TemporaryDirectory() as cache:
        return {
            state: time_in_process(cache, dtype, direction, channels) for state in ("cold", "warm")
        }


def main() -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    columns = ("import", "first call", "second call")
    headings = ("dtype", "call", "channels a group", "cache")
    table = Table(*headings, *(f"{name} [s]" for name in columns))
    for dtype, (direction, channels) in itertools.product(("float32", "float64"), CALLS):
        for state, seconds in cold_and_warm(dtype, direction, channels).items():
            figures = (f"{seconds[name]:.4f}" for name in columns)
            table.add_row(dtype, direction, str(channels), state, *figures)
    Console().print(table)


if __name__ == "__main__":
    main()
