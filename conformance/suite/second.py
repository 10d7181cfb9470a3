"""Chapter GRD: forward mode and second derivatives, of whoever claims them.

Few cases: whoever sums forward and backward rightly, and is wrong here, is wrong in what is told to
automatic differentiation, which shows in each geometry of its kind.
"""

from typing import Any

from conformance.cases.geometries import pairs
from conformance.cases.operator_recipes import SECOND
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
# So many are asked where each is compiled, and of those who claim one kind of padding.
_LEAST = 2


@check("GRD-7", exact=True)
def forward_mode(judge: Judge) -> None:
    """What a change of x and of kernel makes of y, exactly."""
    cases = _cases(judge, recipe="second")
    judge.answering(cases[0], ["jvp"])
    for case in cases:
        judge.check(case, ("ty",))


@check("GRD-8", exact=True)
def second_derivatives(judge: Judge) -> None:
    """What flows back from dx and dkernel to dy, x and kernel, exactly."""
    cases = _cases(judge, recipe="second")
    judge.answering(cases[0], ["double_backward"])
    for case in cases:
        judge.check(case, ("ddy", "d2x", "d2kernel"))


@check("GRD-9", "GRD-10", dtype=["float32", "float16"])
def second_bound(judge: Judge, dtype: str) -> None:
    """Both on real numbers, in one geometry."""
    (dtype,) = judge.claim("dtypes", dtype)
    case = _cases(judge, dtype=dtype, recipe="second-real", seed=judge.seed % 1000)[0]
    functions = judge.answering(case, list(judge.kind.further))
    judge.check(case, [name for name in SECOND if judge.kind.function_of(name) in functions])


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
