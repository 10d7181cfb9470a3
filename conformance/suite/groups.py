"""Chapter GRP: which kernel entry a channel uses. Equality on exact sums."""

from typing import Any

import numpy as np

from conformance.judging.checks import check
from conformance.judging.judge import Judge


@check("GRP-1", exact=True)
def channels_of_a_group_share_the_kernel(judge: Judge, draw: Any) -> None:
    """Equal input channels of one group give equal output channels."""
    case = draw(judge.cases(members=(2, 3)))
    values = judge.values(case)
    values["x"] = np.broadcast_to(values["x"][..., :1], values["x"].shape).copy()
    y, where = judge.run(case, values, functions=("forward",))["y"], case.geometry
    if where.group_layout == "interleaved":
        by_group = y.reshape(*y.shape[:3], where.members, where.groups).swapaxes(3, 4)
    else:
        by_group = y.reshape(*y.shape[:3], where.groups, where.members)
    judge.expect(
        case,
        np.array_equal(by_group, np.broadcast_to(by_group[..., :1], by_group.shape)),
        "equal input channels of one group give different output channels",
    )


@check("GRP-2", exact=True)
def blocked(judge: Judge, draw: Any) -> None:
    """Channel c uses group c // M."""
    _layout(judge, draw, "blocked")


@check("GRP-3", exact=True)
def interleaved(judge: Judge, draw: Any) -> None:
    """Channel c uses group c mod G."""
    _layout(judge, draw, "interleaved")


def _layout(judge: Judge, draw: Any, layout: str) -> None:
    __tracebackhide__ = True
    layouts = judge.claim("group_layouts", layout)
    several = (2, 3, 4)
    judge.check(draw(judge.cases(groups=several, members=several, group_layouts=layouts)))


@check("GRP-4", channels=[((1,), (1, 2, 3)), ((1, 2, 3), (1,))], exact=True)
def layouts_meet(judge: Judge, draw: Any, channels: tuple[tuple[int, ...], ...]) -> None:
    """With one group, or one channel a group, the layouts are the same."""
    layouts = judge.claimed.group_layouts
    case = draw(judge.cases(groups=channels[0], members=channels[1]))
    values = judge.values(case)
    one, other = (judge.run(case.changed(group_layout=name), values) for name in _both(layouts))
    judge.expect(
        case,
        all(np.array_equal(one[name], other[name]) for name in one),
        "blocked and interleaved groups give different results",
    )


def _both(layouts: tuple[str, ...]) -> tuple[str, str]:
    """Give the two layouts; whoever claims one alone is not asked for the other."""
    return ("blocked", "interleaved") if len(layouts) == 2 else (layouts[0], layouts[0])
