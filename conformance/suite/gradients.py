"""Chapter GRD: the vector-Jacobian products. Equality on exact sums."""

from typing import Any

import numpy as np

from conformance.cases.geometries import pairs
from conformance.cases.operator import fitted
from conformance.cases.operator_recipes import inside, read
from conformance.judging.checks import check
from conformance.judging.judge import Judge


@check("GRD-1", exact=True)
def dx(judge: Judge, draw: Any) -> None:
    """What flows back to a pixel is the sum over the outputs that read it."""
    judge.check(draw(judge.cases()), ("dx",))


@check("GRD-2", exact=True)
def dkernel(judge: Judge, draw: Any) -> None:
    """What flows back to a kernel entry is the sum over the channels of its group."""
    judge.check(draw(judge.cases(members=(2, 3, 5))), ("dkernel",))


@check("GRD-3", exact=True)
def dkernel_of_padded_taps(judge: Judge, draw: Any) -> None:
    """Zero wherever the tap lies outside the image."""
    case = draw(judge.cases(recipe="normal"))
    got = judge.run(case, functions=("backward",))["dkernel"]
    judge.expect(case, not got[~inside(case)].any(), "dkernel is not zero at every padded tap")


@check("GRD-4", exact=True)
def adjoint(judge: Judge, draw: Any) -> None:
    """The implementation's own y, dx and dkernel satisfy the adjoint identity, exactly."""
    case = draw(judge.cases())
    values = judge.values(case)
    got = judge.run(case, values)
    products = {
        left: _inner(got[left], values[right])
        for left, right in (("y", "dy"), ("dx", "x"), ("dkernel", "kernel"))
    }
    judge.expect(
        case,
        len(set(products.values())) == 1,
        "<y, dy>, <dx, x> and <dkernel, kernel> are " + ", ".join(map(str, products.values())),
    )


def _inner(one: object, other: object) -> float:
    """Inner product of two arrays of integers, in Python's integers where all are."""
    flat = [np.asarray(a, np.float64).ravel() for a in (one, other)]
    if not all(np.array_equal(a, np.trunc(a)) and np.isfinite(a).all() for a in flat):
        return float(np.dot(*flat))
    return sum(int(a) * int(b) for a, b in zip(*flat, strict=True))


@check("GRD-5", exact=True)
def unread_pixels(judge: Judge, draw: Any) -> None:
    """dx is zero where no tap reads: strides beyond the kernel's extent leave such pixels."""
    strides = pairs(((3, 3), (2, 3)), judge.claimed.strides)
    shapes = pairs(((1, 1), (2, 2)), judge.claimed.kernel_shapes)
    # A kernel no larger than the drawn one still has outputs on the drawn sizes.
    for stride in strides[:1] if judge.claimed.compiles else strides:
        case = draw(judge.cases(spare=8)).changed(stride=stride, kernel_shape=shapes[0])
        case = fitted(case.large_enough, judge.claimed)
        got = judge.run(case, functions=("backward",))["dx"]
        wrong = bool(got[~read(case)].any())
        judge.expect(case, not wrong, "dx of a pixel that no tap reads is not zero")
