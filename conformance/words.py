"""Joins words, wherever the judge says something in a sentence."""

from collections.abc import Iterable


def listed(names: Iterable[str]) -> str:
    """Join names by commas, the last by a word."""
    *before, last = list(names) or ["none"]
    return f"{', '.join(before)} and {last}" if before else last
