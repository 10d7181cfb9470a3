"""Chapter GEO: which pixel a tap reads. Equality on exact sums, on any geometry that is claimed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases import Case, cases, certificate
from conformance.claims import claim, plain_case
from conformance.geometries import DILATIONS, STRIDES, pairs
from conformance.judge import Judge
from conformance.recipes import inside, operands


@pytest.mark.clause("GEO-8", "GEO-9")
@pytest.mark.parametrize("recipe", ["impulse-x", "impulse-dy"])
def test_certificate(judge: Judge, recipe: str) -> None:
    """One-hot images and tagged kernels show, for every output, which pixel met which entry.

    Each kernel shape, stride, dilation, padding, layout, number of channels and ragged size that is
    claimed, with each value of each of the others.
    """
    for case in certificate(judge.claimed, judge.claimed.first_dtype, recipe):
        judge.check(case)


@pytest.mark.clause("GEO-11")
def test_defaults(judge: Judge) -> None:
    """What is left out is 1, 1, "same" and "blocked"."""
    case = plain_case(judge)
    defaults = Case(case.dtype, case.recipe).options
    claim(judge, "paddings", "same")
    claim(judge, "group_layouts", "blocked")
    if (case.stride, case.dilation) != ((1, 1), (1, 1)):
        pytest.skip("not claimed: stride and dilation 1")
    for option, default in defaults.items():
        right = replace(case, **defaults)
        options = {name: value for name, value in defaults.items() if name != option}
        _expect_same(judge, right, options, f"{option} left out is not {option}={default!r}")


@pytest.mark.clause("GEO-2", "GEO-10")
@given(data=st.data())
def test_axes(judge: Judge, data: st.DataObject) -> None:
    """Every stride, dilation, padding and kernel shape, each axis by its own."""
    judge.check(data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers")))


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
    drawn = cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers", paddings=kinds)
    judge.check(data.draw(drawn))


@pytest.mark.clause("GEO-2")
@pytest.mark.parametrize("option", ["stride", "dilation"])
def test_an_integer_is_a_pair(judge: Judge, option: str) -> None:
    """stride=2 means stride=(2, 2), and so for dilation."""
    supported = judge.claimed.strides if option == "stride" else judge.claimed.dilations
    pool = pairs(STRIDES if option == "stride" else DILATIONS, supported)
    for pair in (pair for pair in pool if pair[0] == pair[1]):
        case = plain_case(judge, **{option: pair})
        options = case.options | {option: pair[0]}
        _expect_same(judge, case, options, f"{option}={pair[0]} and {option}={pair} differ")


def _expect_same(judge: Judge, case: Case, options: dict[str, Any], message: str) -> None:
    """Demand that a call with other options gives what the case's call gives."""
    __tracebackhide__ = True
    values = operands(case)
    due = judge.check_operands(case, values)
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    y = judge.call(case, "forward", x, kernel, options=options)
    dx, dkernel = judge.call(case, "backward", dy, x, kernel, options=options)
    got = {"y": y, "dx": dx, "dkernel": dkernel}
    judge.expect(case, all(np.array_equal(got[name], due[name]) for name in due), message)


@pytest.mark.clause("GEO-9")
@given(data=st.data())
def test_padded_taps_add_nothing(judge: Judge, data: st.DataObject) -> None:
    """Other kernel entries at padded taps change neither y nor dx."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers"))
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
