"""Chapter GRD: the vector-Jacobian products. Equality on exact sums."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases import cases
from conformance.geometries import pairs
from conformance.judge import RESULTS, Judge
from conformance.recipes import inside, operands


@pytest.mark.clause("GRD-1")
@given(data=st.data())
def test_dx(judge: Judge, data: st.DataObject) -> None:
    """What flows back to a pixel is the sum over the outputs that read it."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers"))
    judge.check(case, ("dx",))


@pytest.mark.clause("GRD-2")
@given(data=st.data())
def test_dkernel(judge: Judge, data: st.DataObject) -> None:
    """What flows back to a kernel entry is the sum over the channels of its group."""
    drawn = cases(
        judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers", members=(2, 3, 5)
    )
    judge.check(data.draw(drawn), ("dkernel",))


@pytest.mark.clause("GRD-3")
@given(data=st.data())
def test_dkernel_of_padded_taps(judge: Judge, data: st.DataObject) -> None:
    """Zero wherever the tap lies outside the image."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="normal"))
    dkernel = judge.run(case, operands(case), ("dkernel",))["dkernel"]
    judge.expect(
        case,
        not dkernel[~inside(case)].any(),
        "dkernel is not zero at every padded tap",
    )


@pytest.mark.clause("GRD-4")
@given(data=st.data())
def test_adjoint(judge: Judge, data: st.DataObject) -> None:
    """The implementation's own y, dx and dkernel satisfy the adjoint identity, exactly."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers"))
    values = operands(case)
    got = judge.run(case, values, RESULTS)
    products = {
        left: _inner(got[left], values[right])
        for left, right in (("y", "dy"), ("dx", "x"), ("dkernel", "kernel"))
    }
    judge.expect(
        case,
        len(set(products.values())) == 1,
        ("<y, dy>, <dx, x> and <dkernel, kernel> are " + ", ".join(map(str, products.values()))),
    )


def _inner(one: object, other: object) -> int:
    """Inner product of two arrays of integers, in Python's integers."""
    flat = (np.asarray(a, np.float64).ravel() for a in (one, other))
    return sum(int(a) * int(b) for a, b in zip(*flat, strict=True))


@pytest.mark.clause("GRD-5")
@given(data=st.data())
def test_unread_pixels(judge: Judge, data: st.DataObject) -> None:
    """dx is zero where no tap reads: strides beyond the kernel's extent leave such pixels."""
    drawn = cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers", spare=8)
    strides = pairs(((3, 3), (2, 3)), judge.claimed.strides)
    shapes = pairs(((1, 1), (2, 2)), judge.claimed.kernel_shapes)
    # A kernel no larger than the drawn one still has outputs on the drawn sizes.
    for stride in strides[:1] if judge.claimed.compiles else strides:
        judge.check(replace(data.draw(drawn), stride=stride, kernel_shape=shapes[0]), ("dx",))
