"""What a test needs a layer to claim, and what it leaves out, reported, where it does not."""

from typing import Any

import pytest

from conformance.layers.cases import LayerCase, conventional
from conformance.layers.judge import LayerJudge


def claim(
    judge: LayerJudge, convention: str, *, training: bool = False, dtype: str | None = None
) -> None:
    """Leave the test out, and report it, where one of these is not claimed."""
    __tracebackhide__ = True
    if convention not in judge.claimed.conventions:
        pytest.skip(f"not claimed: convention {convention}")
    if training and not judge.claimed.training:
        pytest.skip("not claimed: training")
    if dtype is not None and dtype not in judge.claimed.dtypes:
        pytest.skip(f"not claimed: dtypes {dtype}")


def first_convention(judge: LayerJudge) -> str:
    """Convention to show on what none of them changes."""
    return str(judge.claimed.conventions[0])


def plain_case(judge: LayerJudge, **chosen: Any) -> LayerCase:
    """Give a case of the first dtype and convention, still without a size."""
    case = LayerCase(**{"dtype": judge.claimed.first_dtype, "recipe": "normal"} | chosen)
    return conventional(case, first_convention(judge))
