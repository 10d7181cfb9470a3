"""Chapter GRP: which kernel entry a channel uses. Equality on exact sums."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases import cases
from conformance.claims import claim
from conformance.judge import Judge
from conformance.recipes import operands


@pytest.mark.clause("GRP-1")
@given(data=st.data())
def test_channels_of_a_group_share_the_kernel(judge: Judge, data: st.DataObject) -> None:
    """Equal input channels of one group give equal output channels."""
    case = data.draw(
        cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers", members=(2, 3))
    )
    values = operands(case)
    first = values["x"][..., :1]
    values["x"] = np.broadcast_to(first, values["x"].shape).copy()
    y = judge.check_operands(case, values)["y"]
    by_group = y.reshape(*y.shape[:3], case.groups, case.members)
    if case.group_layout == "interleaved":
        by_group = y.reshape(*y.shape[:3], case.members, case.groups).swapaxes(3, 4)
    judge.expect(
        case,
        bool((by_group == by_group[..., :1]).all()),
        "equal input channels of one group give different output channels",
    )


@pytest.mark.clause("GRP-2")
@given(data=st.data())
def test_blocked(judge: Judge, data: st.DataObject) -> None:
    """Channel c uses group c // M."""
    _check_layout(judge, data, "blocked")


@pytest.mark.clause("GRP-3")
@given(data=st.data())
def test_interleaved(judge: Judge, data: st.DataObject) -> None:
    """Channel c uses group c mod G."""
    _check_layout(judge, data, "interleaved")


def _check_layout(judge: Judge, data: st.DataObject, layout: str) -> None:
    __tracebackhide__ = True
    drawn = cases(
        judge.claimed,
        dtype=judge.claimed.first_dtype,
        recipe="integers",
        groups=(2, 3, 4),
        members=(2, 3, 4),
        group_layouts=claim(judge, "group_layouts", layout),
    )
    judge.check(data.draw(drawn))


@pytest.mark.clause("GRP-4")
@pytest.mark.parametrize(("groups", "members"), [((1,), (1, 2, 3)), ((1, 2, 3), (1,))])
@given(data=st.data())
def test_layouts_meet(
    judge: Judge, groups: tuple[int, ...], members: tuple[int, ...], data: st.DataObject
) -> None:
    """With one group, or one channel a group, the layouts are the same."""
    layouts = claim(judge, "group_layouts", "blocked", "interleaved")
    dtype = judge.claimed.first_dtype
    drawn = cases(judge.claimed, dtype=dtype, recipe="integers", groups=groups, members=members)
    case = data.draw(drawn)
    # Each layout against the oracle with the other one.
    values = operands(case)
    results = [
        judge.check_operands(replace(case, group_layout=layout), values) for layout in layouts
    ]
    judge.expect(
        case,
        all(bool((results[0][name] == results[-1][name]).all()) for name in results[0]),
        "blocked and interleaved groups give different results",
    )
