"""Sizes on both sides of the usual block and vector widths, and past the reach of narrow indices.

Small cases never get there. Equality on exact sums, one axis at a time.
"""

import pytest

from conformance.cases import Case
from conformance.claims import claim, plain_case
from conformance.geometries import pairs
from conformance.judge import Judge

WIDTHS = (4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129)
# Past 2^16, and so past what 8 bits, 16 bits and float16 count.
PAST_16_BITS = 66_001

SMALL = {"batch": 1, "height": 2, "width": 3, "groups": 2, "members": 2}
# What stands beside an axis so long that everything else is paid for 66,001 times.
THIN = {"batch": 1, "height": 1, "width": 2, "groups": 2, "members": 2}
AXES = tuple(SMALL)


@pytest.mark.clause("FWD-1", "GRD-1", "GRD-2", "GEO-10")
@pytest.mark.parametrize("axis", AXES)
def test_block_widths(judge: Judge, axis: str) -> None:
    """Tails, block edges and block counts of one axis."""
    for index, size in enumerate((17, 65) if _traced(judge, axis) else WIDTHS):
        judge.check(_case(judge, 0 if judge.claimed.compiles else index, **SMALL | {axis: size}))


@pytest.mark.clause("FWD-1", "GRD-1", "GRD-2", "GEO-10")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_block_widths_in_every_format(judge: Judge, dtype: str) -> None:
    """Vectors hold more of the narrow formats."""
    claim(judge, "dtypes", dtype)
    for axis in AXES:
        if not _traced(judge, axis):
            judge.check(_case(judge, 0, **SMALL | {axis: 67, "dtype": dtype}))


@pytest.mark.clause("FWD-1", "GRD-1", "GRD-2", "GEO-10")
@pytest.mark.parametrize("axis", AXES)
def test_narrow_indices(judge: Judge, axis: str) -> None:
    """An axis longer than 16 bits can count."""
    shape = pairs(((2, 2),), judge.claimed.kernel_shapes)[0]
    case = plain_case(judge, kernel_shape=shape, **THIN | {axis: PAST_16_BITS})
    # No sum of dkernel may be longer than is exact.
    members = min(case.members, 2**case.exact_bits)
    judge.check(case if members == case.members else plain_case(judge, members=members))


@pytest.mark.clause("FWD-1", "GRD-1", "GRD-2", "GEO-10")
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_many_pixels(judge: Judge, stride: tuple[int, int]) -> None:
    """More than 1024 outputs, and more pixels than 16 bits can count."""
    stride = pairs((stride,), judge.claimed.strides)[0]
    for size in ((67, 69), (259, 263)):
        judge.check(plain_case(judge, batch=1, height=size[0], width=size[1], stride=stride))


@pytest.mark.clause("FWD-1", "GRD-1", "GRD-2", "GEO-10")
def test_many_taps(judge: Judge) -> None:
    """More taps than a block of 32 or 64 holds."""
    wide = ((9, 9), (1, 33), (65, 1), (6, 11))
    claimed = judge.claimed.kernel_shapes
    shapes = wide if claimed == "any" else ((9, 9),) if claimed == "square" else claimed
    for shape in shapes[:1] if judge.claimed.compiles else shapes:
        size = {"height": shape[0] + 1, "width": shape[1] + 2}
        judge.check(plain_case(judge, kernel_shape=shape, **size))


def _traced(judge: Judge, axis: str) -> bool:
    """Tell whether each size of the axis costs a trace or a compilation."""
    return judge.claimed.compiles and axis in {"groups", "members"}


def _case(judge: Judge, index: int, **sizes: object) -> Case:
    """Make a case of these sizes, with every other stride and layout that is claimed."""
    claimed = judge.claimed
    shape = pairs(((3, 3), (2, 3)), claimed.kernel_shapes)
    stride = pairs(((1, 1), (2, 2)), claimed.strides)
    layouts = claimed.group_layouts
    return plain_case(
        judge,
        kernel_shape=shape[index % len(shape)],
        stride=stride[index // 2 % len(stride)],
        group_layout=layouts[index % len(layouts)],
        **sizes,
    )
