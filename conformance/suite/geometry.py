"""Chapter GEO: which pixel a tap reads. Equality on exact sums, on any geometry that is claimed."""

from typing import Any

import numpy as np

from conformance.cases.geometries import DILATIONS, STRIDES, pairs
from conformance.cases.operator import certificate as certified
from conformance.cases.operator_recipes import inside
from conformance.judging.checks import check
from conformance.judging.judge import Judge
from conformance.judging.scope import NotClaimedError


@check("GEO-8", "GEO-9", recipe=["impulse-x", "impulse-dy"], exact=True)
def certificate(judge: Judge, recipe: str) -> None:
    """One-hot images and tagged kernels show, for every output, which pixel met which entry.

    Each kernel shape, stride, dilation, padding, layout, number of channels and ragged size that is
    claimed, with each value of each of the others.
    """
    for case in certified(judge.claimed, judge.claimed.first_dtype, recipe):
        judge.check(case)


@check("GEO-2", "GEO-10", exact=True)
def axes(judge: Judge, draw: Any) -> None:
    """Every stride, dilation, padding and kernel shape, each axis by its own."""
    judge.check(draw(judge.cases()))


@check("GEO-3", "GEO-6", exact=True)
def explicit_padding(judge: Judge, draw: Any) -> None:
    """Each side by its own number."""
    judge.check(draw(judge.cases(paddings=judge.claim("paddings", "explicit"))))


@check("GEO-4", exact=True)
def valid_padding(judge: Judge, draw: Any) -> None:
    """No padding."""
    judge.check(draw(judge.cases(paddings=judge.claim("paddings", "valid"))))


@check("GEO-5", exact=True)
def integer_padding(judge: Judge, draw: Any) -> None:
    """The same number on all sides."""
    judge.check(draw(judge.cases(paddings=judge.claim("paddings", "int"))))


@check("GEO-7", exact=True)
def same_padding(judge: Judge, draw: Any) -> None:
    """TensorFlow's rule: ceil(n / s) outputs, the odd pixel after."""
    judge.check(draw(judge.cases(paddings=judge.claim("paddings", "same"))))


@check("GEO-2", "GRD-11", option=["stride", "dilation"], exact=True)
def an_integer_is_a_pair(judge: Judge, option: str) -> None:
    """stride=2 means stride=(2, 2), and so for dilation."""
    supported = judge.claimed.strides if option == "stride" else judge.claimed.dilations
    pool = pairs(STRIDES if option == "stride" else DILATIONS, supported)
    square = [judge.plain(**{option: pair}) for pair in pool if pair[0] == pair[1]]
    if not square:
        raise NotClaimedError(f"not claimed: a square {option}")
    cases = list(judge.claimed_of(square))
    if judge.further and judge.claimed.compiles:
        # Of functions that there may be or not each is compiled twice for each of them.
        cases = cases[-1:]
    for case in cases:
        pair = getattr(case.geometry, option)
        options = case.geometry.options | {option: pair[0]}
        _expect_same(judge, case, options, f"{option}={pair[0]} and {option}={pair} differ")


@check("GEO-11", "GRD-11", exact=True)
def defaults(judge: Judge) -> None:
    """What is left out is 1, 1, "same" and "blocked"."""
    default = {"stride": (1, 1), "dilation": (1, 1), "padding": "same", "group_layout": "blocked"}
    case = judge.plain(**default)
    for option, value in default.items():
        options = {name: given for name, given in default.items() if name != option}
        _expect_same(judge, case, options, f"{option} left out is not {option}={value!r}")


def _expect_same(judge: Judge, case: Any, options: dict[str, Any], words: str) -> None:
    """Demand that a call with other options gives what the case's call gives."""
    __tracebackhide__ = True
    due, got = judge.run(case), judge.run(case, **options)
    judge.expect(case, all(np.array_equal(got[name], due[name]) for name in due), words)


@check("GEO-9", exact=True)
def padded_taps_add_nothing(judge: Judge, draw: Any) -> None:
    """Other kernel entries at padded taps change neither y nor dx."""
    case = draw(judge.cases())
    values = judge.values(case)
    due, kernel = judge.run(case, values), values["kernel"]
    other = values | {"kernel": np.where(inside(case), kernel, -kernel).astype(kernel.dtype)}
    got = judge.run(case, other)
    changed = [
        name for name in ("y", "dx") if name in got and not np.array_equal(got[name], due[name])
    ]
    words = f"{' and '.join(changed)} changed with the kernel entries at padded taps"
    judge.expect(case, not changed, words)
