"""Padding for the operators that are written in a framework; independent of the oracle."""

from typing import Any


def margins(
    size: int, taps: int, stride: int, dilation: int, padding: Any, axis: int
) -> tuple[int, int]:
    """Padding before and after an axis (GEO-4 to GEO-7)."""
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
        return total // 2, total - total // 2
    if padding == "valid":
        return 0, 0
    before, after = padding[axis] if isinstance(padding, tuple) else (padding, padding)
    return before, after
