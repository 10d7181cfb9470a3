"""Whether an implementation claims what a test is about; what it does not is reported, not run."""

from collections.abc import Iterable

import pytest

from conformance.judge import Judge


def claim(judge: Judge, entry: str, *wanted: str) -> tuple[str, ...]:
    """Those of the wanted values that are claimed; the test is not claimed if none is."""
    __tracebackhide__ = True
    claimed = getattr(judge.claimed, entry)
    common = tuple(value for value in wanted if value in claimed)
    if not common:
        pytest.skip(f"not claimed: {entry} {_words(wanted)} (claimed: {_words(claimed)})")
    return common


def claim_flag(judge: Judge, entry: str) -> None:
    """Mark the test as not claimed unless the flag is claimed."""
    __tracebackhide__ = True
    if not getattr(judge.claimed, entry):
        pytest.skip(f"not claimed: {entry}")


def first_dtype(judge: Judge) -> str:
    """float32, or else the first claimed format: for clauses that no format changes."""
    claimed = judge.claimed.dtypes
    return "float32" if "float32" in claimed else claimed[0]


def _words(values: Iterable[str]) -> str:
    return ", ".join(values)
