"""Whether an implementation claims what a test is about; what it does not is reported, not run."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from conformance.cases import Case, narrower_bits, with_outputs
from conformance.geometries import PADDINGS, pairs
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


def plain_case(judge: Judge, **changes: object) -> Case:
    """Give a case of moderate sizes in the plainest geometry that is claimed, with changes."""
    claimed, dtype = judge.claimed, judge.claimed.first_dtype
    kind = "same" if "same" in claimed.paddings else claimed.paddings[0]
    plain = Case(
        dtype=dtype,
        recipe="integers",
        bits=narrower_bits(claimed, dtype),
        batch=2,
        height=9,
        width=8,
        groups=2,
        members=2,
        kernel_shape=pairs(((3, 3),), claimed.kernel_shapes)[0],
        stride=pairs(((1, 1),), claimed.strides)[0],
        dilation=pairs(((1, 1),), claimed.dilations)[0],
        padding=PADDINGS[kind][0],
        group_layout=claimed.group_layouts[0],
    )
    return with_outputs(replace(plain, **changes))  # type: ignore[arg-type]


def _words(values: Iterable[str]) -> str:
    return ", ".join(values)
