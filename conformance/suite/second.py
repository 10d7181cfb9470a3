"""Chapter GRD: forward mode and second derivatives, of whoever claims them.

What other chapters say of forward and backward is asked of these by the checks there (GRD-11).
Few cases: whoever sums forward and backward rightly, and is wrong here, is wrong in what is told to
automatic differentiation, which shows in each geometry of its kind.
"""

from typing import Any

from conformance.cases.geometries import pairs
from conformance.claims.capabilities import HALF
from conformance.judging.checks import check
from conformance.judging.judge import Judge

# What meets in the first geometry, in the second and so on: a stride and the odd pixel of "same"
# padding; sides that differ, a dilation of one axis and the other layout. Few taps, many outputs.
_PADDINGS = {
    "same": "same", "explicit": ((2, 3), (1, 0)), HALF: HALF, "valid": "valid", "int": 1,
}  # fmt: skip
_STRIDES = ((2, 2), (2, 1), (1, 1), (1, 2))
_DILATIONS = ((1, 1), (1, 2), (2, 2), (2, 1))
_SHAPES = ((2, 2), (3, 2), (2, 3), (3, 3))
# Formats that are asked in one check, as far as they are claimed.
_FORMATS = {"wide": ("float32", "float64"), "half": ("float16", "bfloat16")}
# So many are asked where each is compiled, and of those who claim one kind of padding.
_LEAST = 2


@check("GRD-7", exact=True)
def forward_mode(judge: Judge) -> None:
    """What a change of x and of kernel makes of y, exactly."""
    for case in _cases(judge, recipe="second-integers"):
        judge.check(case, ("ty",))


@check("GRD-8", exact=True)
def second_derivatives(judge: Judge) -> None:
    """What flows back from dx and dkernel to dy, x and kernel, exactly."""
    for case in _cases(judge, recipe="second-integers"):
        judge.check(case, ("ddy", "d2x", "d2kernel"))


@check("GRD-9", "GRD-10", formats=_FORMATS)
def second_bound(judge: Judge, formats: str) -> None:
    """Both on real numbers, in one geometry and each of two formats."""
    for dtype in judge.claim("dtypes", *_FORMATS[formats]):
        for recipe in ("second-normal", "second-wide"):
            seed = judge.seed % 1000
            judge.check(_cases(judge, dtype=dtype, recipe=recipe, seed=seed)[0])


def _cases(judge: Judge, **changes: Any) -> list[Any]:
    """List a few geometries that are claimed: a plain one if none of ours is."""
    claimed = judge.claimed
    paddings = [one for kind, one in _PADDINGS.items() if kind in claimed.paddings]
    rows = {
        "padding": paddings,
        "stride": pairs(_STRIDES, claimed.strides),
        "dilation": pairs(_DILATIONS, claimed.dilations),
        "kernel_shape": pairs(_SHAPES, claimed.kernel_shapes),
        "group_layout": claimed.group_layouts,
    }
    number = _LEAST if claimed.compiles else max(_LEAST, len(paddings))
    listed = [
        judge.plain(**{name: pool[n % len(pool)] for name, pool in rows.items()}, **changes)
        for n in range(number)
    ]
    found = [case for case in listed if not judge.kind.unclaimed(case, claimed)]
    return found or [judge.plain(**changes)]
