"""Chapter GEO: which pixel a tap reads. Equality on exact sums, on any geometry that is claimed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases import DILATIONS, PADDINGS, STRIDES, Case, cases, pairs
from conformance.claims import claim, first_dtype
from conformance.judge import Judge
from conformance.recipes import inside, operands


@pytest.mark.clause("GEO-8", "GEO-9")
@pytest.mark.parametrize("recipe", ["impulse-x", "impulse-dy"])
@given(data=st.data())
def test_impulses(judge: Judge, recipe: str, data: st.DataObject) -> None:
    """One-hot images and tagged kernels show, for every output, which pixel met which entry."""
    drawn = cases(
        judge.claimed,
        dtype=first_dtype(judge),
        recipe=recipe,
        batches=(1,),
        groups=(1, 2),
        members=(1, 2),
        spare=3,
    )
    judge.check(data.draw(drawn))


@pytest.mark.clause("GEO-2", "GEO-10")
@given(data=st.data())
def test_axes(judge: Judge, data: st.DataObject) -> None:
    """Every stride, dilation, padding and kernel shape, each axis by its own."""
    judge.check(data.draw(cases(judge.claimed, dtype=first_dtype(judge), recipe="integers")))


@pytest.mark.clause("GEO-3", "GEO-6")
@given(data=st.data())
def test_explicit_padding(judge: Judge, data: st.DataObject) -> None:
    """Each side by its own number."""
    _check_padding(judge, data, "explicit")


@pytest.mark.clause("GEO-4")
@given(data=st.data())
def test_valid_padding(judge: Judge, data: st.DataObject) -> None:
    """No padding."""
    _check_padding(judge, data, "valid")


@pytest.mark.clause("GEO-5")
@given(data=st.data())
def test_integer_padding(judge: Judge, data: st.DataObject) -> None:
    """The same number on all sides."""
    _check_padding(judge, data, "int")


@pytest.mark.clause("GEO-7")
@given(data=st.data())
def test_same_padding(judge: Judge, data: st.DataObject) -> None:
    """TensorFlow's rule: ceil(n / s) outputs, the odd pixel after."""
    _check_padding(judge, data, "same")


def _check_padding(judge: Judge, data: st.DataObject, kind: str) -> None:
    __tracebackhide__ = True
    kinds = claim(judge, "paddings", kind)
    drawn = cases(judge.claimed, dtype=first_dtype(judge), recipe="integers", paddings=kinds)
    judge.check(data.draw(drawn))


@pytest.mark.clause("GEO-2")
@pytest.mark.parametrize("option", ["stride", "dilation"])
def test_an_integer_is_a_pair(judge: Judge, option: str) -> None:
    """stride=2 means stride=(2, 2), and so for dilation."""
    supported = judge.claimed.strides if option == "stride" else judge.claimed.dilations
    pool = pairs(STRIDES if option == "stride" else DILATIONS, supported)
    for pair in (pair for pair in pool if pair[0] == pair[1]):
        plain = _plain(judge)
        case = replace(plain, stride=pair) if option == "stride" else replace(plain, dilation=pair)
        written = case.options | {option: pair[0]}
        values = operands(case)
        judge.check_operands(case, values)
        y = judge.call(case, "forward", values["x"], values["kernel"])
        implementation = judge.judged.implementation
        as_integer = implementation.forward(values["x"], values["kernel"], **written)
        judge.expect(
            case,
            y.tobytes() == as_integer.tobytes(),
            f"{option}={pair[0]} and {option}={pair} give different results",
        )


@pytest.mark.clause("GEO-9")
@given(data=st.data())
def test_padded_taps_add_nothing(judge: Judge, data: st.DataObject) -> None:
    """Other kernel entries at padded taps change neither y nor dx."""
    case = data.draw(cases(judge.claimed, dtype=first_dtype(judge), recipe="integers"))
    values = operands(case)
    due = judge.check_operands(case, values)
    kernel = values["kernel"]
    other = values | {"kernel": np.where(inside(case), kernel, -kernel).astype(kernel.dtype)}
    got = judge.run(case, other, ("y", "dx"))
    judge.expect(
        case,
        all(bool((got[name] == due[name]).all()) for name in ("y", "dx")),
        "y or dx changed with the kernel entries at padded taps",
    )


def _plain(judge: Judge) -> Case:
    """One claimed case on which stride and dilation can be varied."""
    shape = pairs(((3, 3),), judge.claimed.kernel_shapes)[0]
    return Case(
        dtype=first_dtype(judge),
        recipe="integers",
        height=9,
        width=8,
        groups=2,
        members=2,
        kernel_shape=shape,
        padding=PADDINGS[judge.claimed.paddings[0]][0],
        group_layout=judge.claimed.group_layouts[0],
        stride=pairs(((1, 1),), judge.claimed.strides)[0],
        dilation=pairs(((1, 1),), judge.claimed.dilations)[0],
    )
