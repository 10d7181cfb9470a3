"""The oracle on CUDA arrays, on whatever device Numba has; `test_cuda` runs this in the simulator.

``pytest tests/oracle/cuda_cases.py`` runs it on a GPU, and with ``NUMBA_ENABLE_CUDASIM=1`` in the
environment where there is none. Every bit is compared, with rational arithmetic and with the
oracle's own answers on the host.
"""

import re
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from conformance.cases.operator import OperatorCase, cases
from conformance.cases.operator_recipes import operands
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from refimpl import involution
from tests.opponents import exact
from tests.oracle import hard_sums
from tests.oracle.lent import ByDlpack, ByInterface, back, given

SMALL = {"batches": (1, 2), "groups": (1, 2), "members": (1, 3), "spare": 1}
DTYPES = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])


def same_bits(got: np.ndarray, due: np.ndarray) -> bool:
    """One NaN is as good as another; of a zero the sign counts."""
    nan = np.isnan(due)
    return (
        (got.shape, got.dtype) == (due.shape, due.dtype)
        and np.array_equal(np.isnan(got), nan)
        and got[~nan].tobytes() == due[~nan].tobytes()
    )


def on_the_device(**values: np.ndarray) -> dict:
    return {name: given(value) for name, value in values.items()}


def forward(x: np.ndarray, kernel: np.ndarray, **options) -> np.ndarray:
    return back(involution.forward(given(x), given(kernel), **options))


def backward(dy: np.ndarray, x: np.ndarray, kernel: np.ndarray, **options) -> tuple:
    results = involution.backward(given(dy), given(x), given(kernel), **options)
    return tuple(back(result) for result in results)


@DTYPES
@pytest.mark.parametrize("recipe", hard_sums.RECIPES)
def test_hard_sums(dtype: str, recipe: str) -> None:
    rng = np.random.default_rng(len(recipe))
    device = SimpleNamespace(forward=forward, backward=backward)
    with mock.patch.object(hard_sums, "involution", device):
        for name in hard_sums.RESULTS:
            assert hard_sums.compared(name, recipe, dtype, rng, (5, 1, 11)) == [], name


def test_special_numbers() -> None:
    a, b = hard_sums.special_pairs()
    with mock.patch.object(hard_sums, "involution", SimpleNamespace(forward=forward)):
        got = hard_sums.results("y", a[:, None], b[:, None], np.float64)
    due = [hard_sums.due(*pair) for pair in zip(a, b, strict=True)]
    np.testing.assert_array_equal(got.ravel(), due)


@DTYPES
@pytest.mark.parametrize("recipe", ["normal", "wide", "cancelling", "subnormal", "large"])
@settings(max_examples=3)
@drawn(data=st.data())
def test_any_geometry(dtype: str, recipe: str, data: st.DataObject) -> None:
    case = data.draw(cases(Capabilities(), dtype=dtype, recipe=recipe, **SMALL))
    values = operands(case, FORMATS[case.dtype].bits)
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    options = case.geometry.options
    due = exact.sums(case, values)
    on_host = (
        involution.forward(x, kernel, **options),
        *involution.backward(dy, x, kernel, **options),
    )
    results = forward(x, kernel, **options), *backward(dy, x, kernel, **options)
    for name, got, host in zip(("y", "dx", "dkernel"), results, on_host, strict=True):
        assert same_bits(got, host), name
        for index in np.ndindex(got.shape):
            expected = hard_sums.nearest(due[name].get(index, exact.Sum()).value)
            assert float(got[index]).hex() == expected.hex(), (name, index)


def example(dtype: object = "float64", padding: object = "same", layout: str = "blocked") -> tuple:
    """Operands of one call with values of all kinds, and its options."""
    case = OperatorCase("float64", "normal").changed(
        batch=2, height=4, width=5, groups=2, members=2, kernel_shape=(2, 3), stride=(2, 1),
        dilation=(1, 2), padding=padding, group_layout=layout,
    )  # fmt: skip
    rng = np.random.default_rng(11)
    values = {}
    for name, shape in case.shapes.items():
        array = rng.standard_normal(shape) * 2.0 ** rng.integers(-12, 12, shape)
        some = rng.random(shape)
        array[some < 0.1] = -0.0
        array[some > 0.97] = rng.choice([np.inf, -np.inf, np.nan])
        values[name] = array.astype(dtype)
    return values, case.geometry.options


PADDINGS = pytest.mark.parametrize("padding", ["same", "valid", 2, ((0, 2), (3, 1))])


@PADDINGS
@pytest.mark.parametrize("layout", ["blocked", "interleaved"])
@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_every_function(padding: object, layout: str, dtype: object) -> None:
    """The derivatives too, with NaN and infinities where they may fall."""
    values, options = example(dtype, padding, layout)
    x, kernel, dy = values["x"], values["kernel"], values["dy"]
    tx, tkernel = x[:, ::-1] + np.ones((), dtype), kernel[..., ::-1]
    calls = (
        (involution.forward, (x, kernel)),
        (involution.backward, (dy, x, kernel)),
        (involution.jvp, (x, kernel, tx, tkernel)),
        (involution.double_backward, (tx, tkernel, dy, x, kernel)),
    )
    with np.errstate(all="ignore"):
        for function, arrays in calls:
            due = function(*arrays, **options)
            got = function(*map(given, arrays), **options)
            for one, other in zip(
                got if isinstance(got, tuple) else (got,),
                due if isinstance(due, tuple) else (due,),
                strict=True,
            ):
                assert same_bits(back(one), other), function.__name__


@pytest.mark.parametrize("lent", [ByInterface, ByDlpack])
def test_memory_as_others_lend_it(lent: type) -> None:
    """Transposed, reversed, every other one, broadcast, and from the middle of something larger."""
    values, options = example()
    due = involution.backward(values["dy"], values["x"], values["kernel"], **options)
    large = np.zeros((2, 8, 7, 8))
    large[:, 1::2, 6:1:-1, 2:6] = values["x"]
    kernel = np.asfortranarray(values["kernel"])
    views = values | {"x": large[:, 1::2, 6:1:-1, 2:6], "kernel": kernel}
    names = ("dy", "x", "kernel")
    got = involution.backward(*(lent(views[name]) for name in names), **options)
    assert all(same_bits(back(one), other) for one, other in zip(got, due, strict=True))
    row = np.broadcast_to(values["x"][:1, :1], values["x"].shape)
    due = involution.forward(row, values["kernel"], **options)
    assert same_bits(back(involution.forward(lent(row), lent(kernel), **options)), due)


def test_without_strides() -> None:
    """Whoever leaves them out is C-contiguous."""
    values, options = example()
    x, kernel = values["x"], values["kernel"]
    due = involution.forward(x, kernel, **options)
    by_interface = ByInterface(x, strides=None), ByInterface(kernel, strides=None)
    assert same_bits(back(involution.forward(*by_interface, **options)), due)
    by_dlpack = ByDlpack(x, strides=None), ByDlpack(kernel, strides=None)
    assert same_bits(back(involution.forward(*by_dlpack, **options)), due)


def test_more_elements_than_threads() -> None:
    from refimpl import _cuda

    values, options = example()
    due = involution.forward(values["x"], values["kernel"], **options)
    with mock.patch.multiple(_cuda, _THREADS=3, _FEWEST=1, _MOST=2):
        assert same_bits(forward(values["x"], values["kernel"], **options), due)


def test_the_example_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "oracle.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    exec(example, {})


def test_an_empty_batch() -> None:
    from refimpl import _cuda

    values, options = example()
    x, kernel, dy = (given(values[name][:0]) for name in ("x", "kernel", "dy"))
    # What is empty may have no address: nobody goes there.
    with mock.patch.object(_cuda, "_array", side_effect=AssertionError):
        results = (
            (involution.forward(x, kernel, **options), dy),
            *zip(involution.backward(dy, x, kernel, **options), (x, kernel), strict=True),
        )
    for result, like in results:
        assert back(result).dtype == np.float64
        assert tuple(result.shape) == tuple(like.shape)


def test_operands_are_left_alone_and_results_are_new() -> None:
    values, options = example()
    x, kernel = given(values["x"]), given(values["kernel"])
    first = involution.forward(x, kernel, **options)
    kept = back(first).copy()
    involution.forward(x, given(-values["kernel"]), **options)
    assert same_bits(back(first), kept)
    assert back(x).tobytes() == values["x"].tobytes()
    assert back(kernel).tobytes() == values["kernel"].tobytes()


class Broken:
    """An array on a device that does not lend its memory."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self) -> object:
        raise BufferError("it requires grad")


class Bogus(Broken):
    def __dlpack__(self) -> object:
        return object()


def refusals() -> list[tuple]:
    """Of each wrong call what is changed, the class of the error, and its words."""
    values, _ = example()
    x, kernel = values["x"], values["kernel"]
    return [
        (
            {"x": x},
            TypeError,
            r"^x must lie on a CUDA device, as kernel does \(ERR-11\), got array",
        ),
        ({"kernel": kernel}, TypeError, r"^kernel must lie on a CUDA device, as x does \(ERR-11\)"),
        ({"kernel": kernel.tolist()}, TypeError, r"^kernel must lie .* got \[\["),
        ({"kernel": None}, TypeError, r"^kernel must lie on a CUDA device, .*\(ERR-11\), got None"),
        (
            {"x": ByDlpack(x, 1), "kernel": ByDlpack(kernel)},
            TypeError,
            r"^x and kernel must lie on one device \(ERR-11\), got x on device 1, kernel on",
        ),
        (
            {"x": given(x.astype("f4"))},
            TypeError,
            r"one dtype \(ERR-9\), got x float32, kernel flo",
        ),
        (
            {"x": given(np.ones(x.shape, "i4"))},
            TypeError,
            r"^x must be of dtype .*\(ERR-9, .* got int32 by",
        ),
        ({"x": ByDlpack(x.astype("c8"))}, TypeError, r"^x must .*ERR-9.* got complex64 by DLPack"),
        ({"x": ByDlpack(x, code=7, bits=8)}, TypeError, r"^x must .*ERR-9.* got kind 7 of 8 by DL"),
        ({"x": ByDlpack(x, lanes=2)}, TypeError, r"^x must be .*ERR-9.* got float64x2 by DLPack"),
        (
            {"x": ByInterface(x, typestr="<V2")},
            TypeError,
            r"bfloat16 \(by DLPack alone\).*got void1",
        ),
        ({"x": ByInterface(x, typestr=">f8")}, TypeError, r"all little-endian .*ERR-11\), got >f8"),
        ({"x": ByInterface(x, mask=given(x))}, TypeError, r"^x must lend .*ERR-11.*a masked array"),
        (
            {"x": ByInterface(x, typestr=None)},
            TypeError,
            r"^x must lend its memory by the CUDA arr",
        ),
        (
            {"x": Broken()},
            TypeError,
            r"^x must lend .* by DLPack \(ERR-11\), got .*Broken, which ra",
        ),
        ({"x": Bogus()}, TypeError, r"^x must lend its memory by DLPack \(ERR-11\), got .*Bogus"),
        (
            {"x": given(x[0])},
            ValueError,
            r"^x must have rank 4, .*\(ERR-1\), got shape \(4, 5, 4\)",
        ),
        ({"x": given(x[:1])}, ValueError, r"^kernel must have the batch size of x \(ERR-2\)"),
        ({"stride": 0}, ValueError, r"^stride must be .*\(ERR-5\), got 0"),
        ({"padding": "all"}, ValueError, r"^padding must be .*\(ERR-6\)"),
        ({"stride": 3}, ValueError, r"^kernel must have the output grid .*\(ERR-4\)"),
    ]


def test_what_is_refused() -> None:
    values, options = example()
    right = on_the_device(x=values["x"], kernel=values["kernel"]) | options
    involution.forward(**right)
    for changed, kind, words in refusals():
        with pytest.raises(kind, match=words):
            involution.forward(**right | changed)
    dy = given(values["dy"])
    with pytest.raises(TypeError, match=r"^dy must lie on a CUDA device"):
        involution.backward(values["dy"], **right)
    with pytest.raises(ValueError, match=r"^dy must have the shape of y, .*\(ERR-4\)"):
        involution.backward(right["x"], **right)
    with pytest.raises(TypeError, match=r"^tx must lie on a CUDA device"):
        involution.jvp(tx=values["x"], tkernel=right["kernel"], **right)
    with pytest.raises(ValueError, match=r"^tx must have the shape of x, .*\(GRD-7\)"):
        involution.jvp(tx=dy, tkernel=right["kernel"], **right)
    with pytest.raises(TypeError, match=r"^ddx must lie on a CUDA device"):
        involution.double_backward(ddx=values["x"], ddkernel=right["kernel"], dy=dy, **right)
