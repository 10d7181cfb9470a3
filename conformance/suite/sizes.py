"""Sizes on both sides of the usual block and vector widths, and past the reach of narrow indices.

Small cases never get there. Equality on exact sums, one axis at a time.
"""

from typing import Any

from conformance.cases.geometries import pairs
from conformance.claims.formats import FORMATS
from conformance.judging.checks import check
from conformance.judging.judge import Judge
from conformance.judging.scope import NotClaimedError

WIDTHS = (4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129)
# Past 2^16, and so past what 8 bits, 16 bits and float16 count.
PAST_16_BITS = 66_001

SMALL: dict[str, Any] = {"batch": 1, "height": 2, "width": 3, "groups": 2, "members": 2}
# What stands beside an axis so long that everything else is paid for 66,001 times.
THIN: dict[str, Any] = {"batch": 1, "height": 1, "width": 2, "groups": 2, "members": 2}
AXES = tuple(SMALL)


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", axis=AXES, exact=True)
def block_widths(judge: Judge, axis: str) -> None:
    """Tails, block edges and block counts of one axis."""
    sizes = (17, 65) if _traced(judge, axis) else WIDTHS
    cases = (
        _case(judge, 0 if judge.claimed.compiles else index, **SMALL | {axis: size})
        for index, size in enumerate(sizes)
    )
    for case in judge.claimed_of(cases):
        judge.check(case)


@check("FWD-1", "GRD-1", "GRD-2", "GRP-1", layout=["blocked", "interleaved"], exact=True)
def depthwise(judge: Judge, layout: str) -> None:
    """As many groups as channels, which fast code treats apart."""
    (layout,) = judge.claim("group_layouts", layout)
    several = (8,) if judge.claimed.compiles else (5, 8, 33)
    cases = [judge.plain(groups=groups, members=1, group_layout=layout) for groups in several]
    if all(case.geometry.members > 1 for case in cases):
        raise NotClaimedError("not claimed: group_channels 1")
    for case in judge.claimed_of(cases):
        judge.check(case)


# Several axes large at once, as in networks; and what is larger than the pools have it.
LARGE: dict[str, dict[str, Any]] = {
    "wide": {"batch": 2, "height": 35, "width": 67, "groups": 3, "members": 16,
             "kernel_shape": (7, 7)},
    "strided": {"batch": 2, "height": 37, "width": 131, "groups": 3, "members": 12,
                "kernel_shape": (5, 5), "stride": (2, 3), "dilation": (2, 2)},
    "dilated": {"batch": 3, "height": 67, "width": 35, "groups": 4, "members": 9,
                "dilation": (3, 2), "group_layout": "interleaved"},
    "far": {"height": 41, "width": 43, "dilation": (6, 18)},
    "far down": {"height": 43, "width": 41, "dilation": (12, 7)},
    "long steps": {"height": 41, "width": 43, "stride": (7, 8)},
    "large kernel": {"height": 15, "width": 14, "kernel_shape": (13, 11)},
}  # fmt: skip


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", size=LARGE, exact=True)
def large_at_once(judge: Judge, size: str) -> None:
    """Several axes large together: thresholds of fast code are seldom those of one axis."""
    judge.check(judge.plain(**LARGE[size]))


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", dtype=FORMATS, exact=True)
def block_widths_in_every_format(judge: Judge, dtype: str) -> None:
    """Vectors hold more of the narrow formats."""
    judge.claim("dtypes", dtype)
    cases = [
        _case(judge, 0, **SMALL | {axis: 67, "dtype": dtype})
        for axis in AXES
        if not _traced(judge, axis)
    ]
    for case in judge.claimed_of(cases):
        judge.check(case)


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", axis=AXES)
def narrow_indices(judge: Judge, axis: str) -> None:
    """An axis longer than 16 bits can count."""
    shape = pairs(((2, 2),), judge.claimed.kernel_shapes)[0]
    case = judge.plain(kernel_shape=shape, **THIN | {axis: PAST_16_BITS})
    if axis not in {"batch", "height", "width"} and getattr(case.geometry, axis) < PAST_16_BITS:
        raise NotClaimedError(f"not claimed: {axis} {PAST_16_BITS}")
    # No sum of dkernel may be longer than is exact.
    longest = 2 ** judge.kind.bits(case, judge.claimed)
    judge.check(case.changed(members=min(case.geometry.members, longest)))


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", stride=[(1, 1), (2, 2)], exact=True)
def many_pixels(judge: Judge, stride: tuple[int, int]) -> None:
    """More than 1024 outputs, and more pixels than 16 bits can count."""
    stride = pairs((stride,), judge.claimed.strides)[0]
    sizes = ((67, 69), (259, 263))
    cases = [judge.plain(batch=1, height=h, width=w, stride=stride) for h, w in sizes]
    for case in judge.claimed_of(cases):
        judge.check(case)


@check("FWD-1", "GRD-1", "GRD-2", "GEO-10", exact=True)
def many_taps(judge: Judge) -> None:
    """More taps than a block of 32 or 64 holds."""
    wide, claimed = ((9, 9), (1, 33), (65, 1), (6, 11)), judge.claimed.kernel_shapes
    shapes = claimed if isinstance(claimed, tuple) else pairs(wide, claimed)
    cases = [
        judge.plain(kernel_shape=shape, height=shape[0] + 1, width=shape[1] + 2)
        for shape in (shapes[:1] if judge.claimed.compiles else shapes)
    ]
    for case in judge.claimed_of(cases):
        judge.check(case)


def _traced(judge: Judge, axis: str) -> bool:
    """Tell whether each size of the axis costs a trace or a compilation."""
    return judge.claimed.compiles and axis in {"groups", "members"}


def _case(judge: Judge, index: int, **sizes: Any) -> Any:
    """Make a case of these sizes, with every other stride and layout that is claimed."""
    claimed = judge.claimed
    shape = pairs(((3, 3), (2, 3)), claimed.kernel_shapes)
    stride = pairs(((1, 1), (2, 2)), claimed.strides)
    layouts = claimed.group_layouts
    return judge.plain(
        kernel_shape=shape[index % len(shape)],
        stride=stride[index // 2 % len(stride)],
        group_layout=layouts[index % len(layouts)],
        **sizes,
    )
