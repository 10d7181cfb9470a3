"""The oracle's messages name the argument, the rule with its clause, and the value (ERR-10)."""

from typing import Any

import numpy as np
import pytest

from conformance.cases.operator import OperatorCase
from conformance.cases.operator_recipes import operands
from refimpl import involution
from refimpl._validation import check
from refimpl.geometry import Axis
from tests.opponents import exact
from tests.oracle.oddities import (
    METHODS,
    Claims,
    Endless,
    Wrapped,
    cyclic,
    lying,
    raising,
    signalling,
)

X, KERNEL, DY = (np.ones(s, np.float32) for s in ((2, 5, 6, 4), (2, 5, 6, 3, 3, 2), (2, 5, 6, 4)))
TALL = np.ones((2, 5, 6, 6, 3, 2), np.float32)

FORWARD: list[tuple[dict[str, Any], type[Exception], str, str, str]] = [
    ({"x": X[0]}, ValueError, "x", "ERR-1", r"\(5, 6, 4\)"),
    ({"kernel": KERNEL[..., 0]}, ValueError, "kernel", "ERR-1", r"\(2, 5, 6, 3, 3\)"),
    ({"x": X[..., None]}, ValueError, "x", "ERR-1", r"\(2, 5, 6, 4, 1\)"),
    ({"kernel": KERNEL[..., None]}, ValueError, "kernel", "ERR-1", r"\(2, 5, 6, 3, 3, 2, 1\)"),
    ({"kernel": KERNEL[:1]}, ValueError, "kernel", "ERR-2", r"\(1, 5, 6, 3, 3, 2\)"),
    ({"kernel": KERNEL[[0, 1, 1]]}, ValueError, "kernel", "ERR-2", r"\(3, 5, 6, 3, 3, 2\)"),
    ({"x": X[..., :3]}, ValueError, "kernel", "ERR-3", "G = 2 and C = 3"),
    ({"x": X[:, :0]}, ValueError, "x", "ERR-3", r"\(2, 0, 6, 4\)"),
    ({"kernel": KERNEL[..., :0]}, ValueError, "kernel", "ERR-3", r"\(2, 5, 6, 3, 3, 0\)"),
    ({"kernel": KERNEL[:, :, :, :0]}, ValueError, "kernel", "ERR-3", r"\(2, 5, 6, 0, 3, 2\)"),
    ({"kernel": KERNEL[:, :, :0]}, ValueError, "kernel", "ERR-4", r"got \(5, 0\)"),
    ({"kernel": KERNEL[:, :4]}, ValueError, "kernel", "ERR-4", r"got \(4, 6\)"),
    ({"stride": 2}, ValueError, "kernel", "ERR-4", r"got \(5, 6\)"),
    ({"stride": 0}, ValueError, "stride", "ERR-5", "got 0"),
    ({"stride": (0, 1)}, ValueError, "stride", "ERR-5", r"got \(0, 1\)"),
    ({"stride": (1, 0)}, ValueError, "stride", "ERR-5", r"got \(1, 0\)"),
    ({"stride": (1, -2)}, ValueError, "stride", "ERR-5", r"got \(1, -2\)"),
    ({"stride": 1.0}, TypeError, "stride", "ERR-5", "got 1.0"),
    ({"stride": True}, TypeError, "stride", "ERR-5", "got True"),
    ({"stride": (1, 1, 1)}, TypeError, "stride", "ERR-5", r"got \(1, 1, 1\)"),
    ({"stride": (1,)}, TypeError, "stride", "ERR-5", r"got \(1,\)"),
    ({"dilation": None}, TypeError, "dilation", "ERR-5", "got None"),
    ({"dilation": "2"}, TypeError, "dilation", "ERR-5", "got '2'"),
    ({"padding": "SAME"}, ValueError, "padding", "ERR-6", "got 'SAME'"),
    ({"padding": "zero"}, ValueError, "padding", "ERR-6", "got 'zero'"),
    ({"padding": -1}, ValueError, "padding", "ERR-6", "got -1"),
    ({"padding": (1, 1)}, TypeError, "padding", "ERR-6", r"got \(1, 1\)"),
    ({"padding": ((1, 1),)}, TypeError, "padding", "ERR-6", r"got \(\(1, 1\),\)"),
    ({"padding": ((1, 1),) * 3}, TypeError, "padding", "ERR-6", r"\(1, 1\), \(1, 1\), \(1, 1\)"),
    ({"padding": ((1, 1), (1,))}, TypeError, "padding", "ERR-6", r"\(1,\)"),
    ({"padding": ((1, 1), (1, 1, 1))}, TypeError, "padding", "ERR-6", r"\(1, 1, 1\)"),
    ({"padding": ((1, 1), (1, 0.5))}, TypeError, "padding", "ERR-6", r"\(1, 0.5\)"),
    ({"padding": ((1, 1), (1, -1))}, ValueError, "padding", "ERR-6", r"\(1, -1\)"),
    ({"group_layout": "Blocked"}, ValueError, "group_layout", "ERR-7", "got 'Blocked'"),
    ({"group_layout": None}, ValueError, "group_layout", "ERR-7", "got None"),
    ({"padding": "valid", "dilation": 3}, ValueError, "padding", "ERR-8", r"\(-1, 0\)"),
    ({"padding": "valid", "dilation": (3, 1)}, ValueError, "padding", "ERR-8", r"\(-1, 4\)"),
    ({"padding": "valid", "kernel": TALL}, ValueError, "padding", "ERR-8", r"\(0, 4\)"),
    ({"x": X.astype(complex)}, TypeError, "x", "ERR-9", "complex128"),
    ({"x": X.astype(object)}, TypeError, "x", "ERR-9", "object"),
    ({"x": X.astype(bool)}, TypeError, "x", "ERR-9", "bool"),
    ({"x": X.astype(int)}, TypeError, "x", "ERR-9", "int64"),
    ({"x": X.astype(np.longdouble)}, TypeError, "x", "ERR-9", "float128"),
    ({"x": np.ma.masked_less(X, 0)}, TypeError, "x", "ERR-9", "masked array"),
    ({"kernel": KERNEL.astype(float)}, TypeError, "x and kernel", "ERR-9", "float32.*float64"),
    ({"x": [[1.0], [1.0, 2.0]]}, TypeError, "x", "ERR-9", r"got \[\[1.0\], \[1.0, 2.0\]\]"),
    ({"x": [KERNEL, None]}, TypeError, "x", "ERR-9", r"got \[array"),
    ({"x": None}, TypeError, "x", "ERR-9", "got object of None"),
    ({"x": "x" * 10**6}, TypeError, "x", "ERR-9", r"of 'x{20,50}\.\.\.x{20,50}'$"),
    ({"x": range(10**30)}, TypeError, "x", "ERR-9", r"range\(0, 10{30}\)"),
    ({"x": [*np.ma.masked_less(X, 0)]}, TypeError, "x", "ERR-9", "masked array"),
    ({"kernel": [[[[[[np.ma.masked]]]]]]}, TypeError, "kernel", "ERR-9", "masked array"),
    ({"x": np.zeros(1, [("a" * 999, "f4")])}, TypeError, "x", "ERR-9", r"got \[\('a{77}$"),
    ({"x": cyclic()}, TypeError, "x", "ERR-9", r"got \[\[\[.*\.\.\."),
    ({"x": Wrapped(np.ma.masked_less(X, 0))}, TypeError, "x", "ERR-9", "masked array"),
    ({"x": Wrapped(None)}, TypeError, "x", "ERR-9", "Wrapped"),
    ({"x": raising("__array__", "__repr__")}, TypeError, "x", "ERR-9", "got <Raising"),
    ({"x": Claims(2**62)}, TypeError, "x", "ERR-9", "Claims"),
    ({"x": [Claims(2**62)]}, TypeError, "x", "ERR-9", "Claims"),
    ({"stride": 2**60 + 1}, ValueError, "stride", "ERR-10", f"got {2**60 + 1}"),
    ({"stride": (1, 2**64)}, ValueError, "stride", "ERR-10", f"got \\(1, {2**64}\\)"),
    ({"stride": -(2**64)}, ValueError, "stride", "ERR-5", f"got -{2**64}"),
    ({"stride": (0, 1.5)}, TypeError, "stride", "ERR-5", r"got \(0, 1.5\)"),
    ({"stride": np.uint64(2**63)}, ValueError, "stride", "ERR-10", f"{2**63}"),
    ({"stride": 10**5000}, ValueError, "stride", "ERR-10", rf"got {hex(10**5000)[:40]}\.\.\.$"),
    ({"stride": [1] * 10**6}, TypeError, "stride", "ERR-5", r"got \[1, 1, 1, 1, 1, 1, \.\.\.\]"),
    ({"stride": Endless((1, 1))}, TypeError, "stride", "ERR-5", r"got \(1, 1"),
    ({"stride": raising("__index__")}, TypeError, "stride", "ERR-5", "Raising object at"),
    ({"stride": raising(*METHODS)}, TypeError, "stride", "ERR-5", "Raising object at"),
    ({"stride": lying(__index__=True)}, TypeError, "stride", "ERR-5", "Lying"),
    ({"stride": lying((1, 1), __iter__=7)}, TypeError, "stride", "ERR-5", r"got \(1, 1\)$"),
    ({"dilation": 10**30}, ValueError, "dilation", "ERR-10", "got 10{30}"),
    ({"dilation": 2**60}, ValueError, "padding", "ERR-10", f"dilation={2**60}"),
    ({"padding": 2**63}, ValueError, "padding", "ERR-10", f"got {2**63}"),
    ({"padding": ((0, 0), (0, 2**61))}, ValueError, "padding", "ERR-10", f"{2**61}"),
    ({"padding": ((0, 0), (1, 2**60 - 6))}, ValueError, "padding", "ERR-10", f"after={2**60 - 6}"),
    ({"padding": (1, raising("__len__"))}, TypeError, "padding", "ERR-6", r"got \(1, <"),
    ({"padding": (Endless((1, 1)), (1, 1))}, TypeError, "padding", "ERR-6", r"got \(\(1, 1"),
    ({"padding": b"same"}, TypeError, "padding", "ERR-6", "got b'same'"),
    ({"padding": lying("no", __eq__=True, __hash__=7)}, ValueError, "padding", "ERR-6", "got 'no'"),
    ({"group_layout": ["blocked"]}, ValueError, "group_layout", "ERR-7", r"got \['blocked'\]"),
    ({"group_layout": lying("no", __eq__=True)}, ValueError, "group_layout", "ERR-7", "got 'no'"),
    ({"group_layout": raising(*METHODS)}, ValueError, "group_layout", "ERR-7", "Raising object"),
]  # fmt: skip
BACKWARD = [
    ({"dy": DY[0]}, ValueError, "dy", "ERR-1", r"\(5, 6, 4\)"),
    ({"dy": DY[..., None]}, ValueError, "dy", "ERR-1", r"\(2, 5, 6, 4, 1\)"),
    ({"dy": DY[:1]}, ValueError, "dy", "ERR-2", r"\(1, 5, 6, 4\)"),
    ({"dy": DY[[0, 1, 1]]}, ValueError, "dy", "ERR-2", r"\(3, 5, 6, 4\)"),
    ({"dy": DY[:, :4]}, ValueError, "dy", "ERR-4", r"\(2, 4, 6, 4\)"),
    ({"dy": DY[:, [0, 0, 1, 2, 3, 4]]}, ValueError, "dy", "ERR-4", r"\(2, 6, 6, 4\)"),
    ({"dy": DY[..., :2]}, ValueError, "dy", "ERR-4", r"\(2, 5, 6, 2\)"),
    ({"dy": np.ma.masked_less(DY, 0)}, TypeError, "dy", "ERR-9", "masked array"),
    ({"dy": DY.astype(float)}, TypeError, "x and kernel and dy", "ERR-9", "float64"),
]


def _id(row: Any) -> str | None:
    return next(iter(row)) if isinstance(row, dict) else None


@pytest.mark.clause("ERR-10")
@pytest.mark.parametrize(("changes", "kind", "argument", "clause", "value"), FORWARD, ids=_id)
def test_forward(
    changes: dict[str, Any], kind: type[Exception], argument: str, clause: str, value: str
) -> None:
    arguments = {"x": X, "kernel": KERNEL} | changes
    x, kernel = arguments.pop("x"), arguments.pop("kernel")
    with pytest.raises(kind, match=rf"^{argument} must (?=.*\({clause}\))(?=.*{value})"):
        involution.forward(x, kernel, **arguments)
    with pytest.raises(kind, match=clause):
        involution.backward(DY, x, kernel, **arguments)


@pytest.mark.clause("ERR-10")
@pytest.mark.parametrize(("changes", "kind", "argument", "clause", "value"), BACKWARD, ids=_id)
def test_backward(
    changes: dict[str, Any], kind: type[Exception], argument: str, clause: str, value: str
) -> None:
    arguments = {"dy": DY, "x": X, "kernel": KERNEL} | changes
    with pytest.raises(kind, match=rf"^{argument} must (?=.*\({clause}\))(?=.*{value})"):
        involution.backward(**arguments)


def test_what_is_accepted() -> None:
    """Lists, NumPy integers, byte-swapped arrays: what means the same gives the same."""
    expected = involution.forward(X, KERNEL[:, :3, :3], stride=2)
    for stride in ((2, 2), [2, 2], np.int64(2), (np.int8(2), 2)):
        np.testing.assert_array_equal(
            involution.forward(X, KERNEL[:, :3, :3], stride=stride), expected
        )
    swapped = involution.forward(X.astype(">f4"), KERNEL[:, :3, :3].astype(">f4"), stride=2)
    np.testing.assert_array_equal(swapped, expected)
    np.testing.assert_array_equal(
        involution.forward([[[[2.0]]]], [[[[[[3.0]]]]]]), np.full((1, 1, 1, 1), 6.0)
    )


# 7 x 12 pixels under 4 x 2 taps, strides 2 and 4, dilations 3 and 5: no number serves two axes.
# "same": 4 outputs, (4 - 1) * 2 + 10 - 7 = 9 missing; 3 outputs, (3 - 1) * 4 + 6 - 12 = 2 missing.
@pytest.mark.clause("GEO-2", "GEO-4", "GEO-5", "GEO-6", "GEO-7")
@pytest.mark.parametrize(
    ("padding", "pixels"),
    [
        ("same", ((4, 5), (1, 1))),
        (3, ((3, 3), (3, 3))),
        (((4, 2), (0, 1)), ((4, 2), (0, 1))),
        (((3, 0), (1, 0)), ((3, 0), (1, 0))),
    ],
)
def test_each_axis_has_its_own_numbers(padding: Any, pixels: Any) -> None:
    expected = Axis(7, 4, 2, 3, *pixels[0]), Axis(12, 2, 4, 5, *pixels[1])
    grid = [axis.outputs for axis in expected]
    operands = {"x": np.ones((1, 7, 12, 3)), "kernel": np.ones((1, *grid, 4, 2, 1))}
    problem = check(operands | {"dy": np.ones((1, *grid, 3))}, (2, 4), (3, 5), padding, "blocked")
    assert (problem.vertical, problem.horizontal) == expected


@pytest.mark.clause("GEO-4", "GEO-5", "GRP-2", "GRP-3", "SPC-6")
@pytest.mark.parametrize("padding", ["valid", 0, ((0, 0), (0, 0))])
@pytest.mark.parametrize("layout", ["blocked", "interleaved"])
def test_no_padding_and_no_samples(padding: Any, layout: str) -> None:
    operands = {"x": X[:0], "kernel": KERNEL[:0, :3, :4]}
    problem = check(operands, 1, 1, padding, layout)
    assert problem.vertical == Axis(5, 3, 1, 1, 0, 0)
    assert problem.horizontal == Axis(6, 3, 1, 1, 0, 0)
    assert problem.blocked == (layout == "blocked")


# The largest numbers that are taken, and numbers that no one asks for: the arithmetic holds.
@pytest.mark.clause("GEO-3", "GEO-8", "GEO-10", "ERR-10")
@pytest.mark.parametrize(
    "geometry",
    [
        {"stride": (10**6, 2**60)},
        {"stride": (2**60, 1), "kernel_shape": (2, 3), "padding": "valid"},
        {"dilation": (2**60, 10**6), "kernel_shape": (1, 3)},
        {"dilation": (1, 2**59 - 2), "kernel_shape": (1, 3)},
        {"stride": (2**59, 1), "padding": ((2**59, 0), (0, 0))},
        {"stride": (1, 2**60 - 3), "padding": ((0, 0), (2**60 - 3, 0))},
        {"stride": (1, 2**59), "dilation": (1, 2**59), "kernel_shape": (2, 2),
         "padding": ((0, 0), (2**59, 2**59 - 3))},
    ],
)  # fmt: skip
def test_unreasonable_but_valid(geometry: dict[str, Any]) -> None:
    case = OperatorCase("float64", "integers", height=3, width=3)
    case = case.changed(groups=2, members=2, **geometry)
    values = operands(case, 53)
    due = exact.sums(case, values)
    got = {"y": involution.forward(values["x"], values["kernel"], **case.geometry.options)}
    got["dx"], got["dkernel"] = involution.backward(**values, **case.geometry.options)
    for name, array in got.items():
        for index in np.ndindex(array.shape):
            assert array[index] == due[name].get(index, exact.Sum()).value


@pytest.mark.clause("ERR-10")
@pytest.mark.parametrize(
    ("x", "kernel", "padding", "message"),
    [
        ((0, 2**57 + 1, 1, 1), (0, 1, 1, 1, 1, 1), "same", r"^x must take .*\(0, 144115188075"),
        (
            (0, 1, 1, 1),
            (0, 1, 1, 1, 1, 2**58),
            "same",
            r"^kernel must take .*\(ERR-10\), got shape",
        ),
        (
            (0, 1, 1, 2**40),
            (0, 2**30 + 1, 1, 1, 1, 1),
            ((2**30, 0), (0, 0)),
            "^kernel must give a y",
        ),
    ],
)
def test_arrays_larger_than_addresses(x: Any, kernel: Any, padding: Any, message: str) -> None:
    """Empty ones, which NumPy makes of any length, but not of any number of bytes."""
    shapes = np.empty(x, np.float16), np.empty(kernel, np.float16)
    with pytest.raises(ValueError, match=message):
        involution.forward(*shapes, padding=padding)


@pytest.mark.clause("ERR-10", "SPC-6")
def test_the_longest_empty_arrays() -> None:
    x, kernel = np.empty((0, 2**57, 1, 1), np.float16), np.empty((0, 2**57, 1, 1, 1, 1), np.float16)
    assert involution.forward(x, kernel).shape == (0, 2**57, 1, 1)


@pytest.mark.clause("ERR-10", "SPC-1")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_signalling_nans_warn_of_nothing(dtype: str) -> None:
    """Warnings are errors in these tests."""
    operand = signalling(np.ones((1, 1, 1, 1)).astype(np.dtype(dtype)))
    assert np.isnan(involution.forward(operand, operand[..., None, None])).all()


def test_integers_and_words_are_read_once() -> None:
    """What an argument answers later, or says of itself, changes nothing."""
    expected = involution.forward(X, KERNEL[:, :3, :3], stride=2)
    answers = iter([2, 3])
    changing = type("Changing", (), {"__index__": lambda _: next(answers)})()
    for stride, padding in ((changing, "same"), (2, lying("same", __eq__=False, __hash__=7))):
        got = involution.forward(X, KERNEL[:, :3, :3], stride=(stride, 2), padding=padding)
        np.testing.assert_array_equal(got, expected)


class Large(Wrapped):
    """What has a length that memory can hold, and an array that it cannot."""

    def __len__(self) -> int:
        return 3

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise MemoryError


@pytest.mark.parametrize(
    "value",
    [
        raising("__array__", error=MemoryError()),
        raising("__array__", "__len__", error=MemoryError()),
        Claims(2**60),
        Large(X),
    ],
    ids=["no length", "a length that fails", "the longest", "a short one"],
)
def test_what_memory_cannot_hold(value: Any) -> None:
    """Of what may be right it is no refusal: the memory is what is wrong."""
    with pytest.raises(MemoryError):
        involution.forward(value, KERNEL)
