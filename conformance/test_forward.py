"""Chapter FWD: the operator's values, and that it depends on its operands and nothing else."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases import PADDINGS, Case, cases, pairs
from conformance.claims import claim, claim_flag, first_dtype
from conformance.implementation import Array
from conformance.judge import RESULTS, Judge
from conformance.recipes import operands

# Sizes on both sides of the usual block and vector widths, which small cases never reach.
LARGE = [
    {"height": 3, "width": 67, "groups": 1, "members": 3},
    {"height": 66, "width": 4, "groups": 2, "members": 2},
    {"height": 33, "width": 34, "groups": 1, "members": 1},
    {"height": 5, "width": 17, "groups": 3, "members": 11},
    {"height": 4, "width": 15, "groups": 17, "members": 2},
    {"height": 2, "width": 3, "groups": 2, "members": 65},
    {"height": 7, "width": 9, "groups": 16, "members": 1, "batch": 9},
]


@pytest.mark.clause("FWD-1")
@given(data=st.data())
def test_values(judge: Judge, data: st.DataObject) -> None:
    """The sum over the taps, exactly."""
    case = data.draw(cases(judge.claimed, dtype=first_dtype(judge), recipe="integers"))
    judge.check(case, ("y",))


@pytest.mark.clause("FWD-1", "GRD-1", "GRD-2")
@pytest.mark.parametrize("sizes", LARGE, ids=lambda s: "x".join(str(n) for n in s.values()))
def test_large_sizes(judge: Judge, sizes: dict[str, int]) -> None:
    """Rows, columns, channels and samples past block and vector widths."""
    shapes = pairs(((3, 3), (2, 3)), judge.claimed.kernel_shapes)
    strides = pairs(((2, 2), (1, 1)), judge.claimed.strides)
    both = list(itertools.product(shapes, strides))
    for shape, stride in both[:1] if judge.claimed.compiles else both:
        judge.check(_large(judge, kernel_shape=shape, stride=stride, **sizes))


def _large(judge: Judge, **fields: object) -> Case:
    claimed = judge.claimed
    kind = "same" if "same" in claimed.paddings else claimed.paddings[0]
    return Case(
        dtype=first_dtype(judge),
        recipe="integers",
        dilation=pairs(((1, 1),), claimed.dilations)[0],
        # One pixel on each side leaves every size above an output.
        padding=1 if kind == "int" else PADDINGS[kind][0],
        group_layout=claimed.group_layouts[0],
        **fields,  # type: ignore[arg-type]
    )


@pytest.mark.clause("FWD-2")
@given(data=st.data())
def test_bilinear(judge: Judge, data: st.DataObject) -> None:
    """Sums and doubles of x or kernel give sums and doubles of y, exactly."""
    case = data.draw(cases(judge.claimed, dtype=first_dtype(judge), recipe="integers"))
    # A quarter of the amplitude leaves room for x + 2 x' and still sums exactly.
    small = {
        name: np.trunc(array / 4).astype(array.dtype) for name, array in operands(case).items()
    }
    other = {name: array[::-1, ::-1, ::-1].copy() for name, array in small.items()}
    for name in ("x", "kernel"):
        mixed = small | {name: small[name] + 2 * other[name]}
        parts = [judge.run(case, v, ("y",))["y"] for v in (small, small | {name: other[name]})]
        y = judge.run(case, mixed, ("y",))["y"]
        linear = bool((y == parts[0] + 2 * parts[1]).all())
        judge.expect(case, linear, f"y is not linear in {name}")


@pytest.mark.clause("FWD-3")
@given(data=st.data())
def test_samples_are_independent(judge: Judge, data: st.DataObject) -> None:
    """A batch taken apart, and put together in another order, gives the same samples."""
    case = data.draw(
        cases(judge.claimed, dtype=first_dtype(judge), recipe="integers", batches=(2, 3, 5))
    )
    values = operands(case)
    whole = judge.check_operands(case, values)
    for sample in range(case.batch):
        alone = {name: array[sample : sample + 1] for name, array in values.items()}
        judge.check_operands(replace(case, batch=1), alone)
    turned = judge.check_operands(
        case, {name: array[::-1].copy() for name, array in values.items()}
    )
    judge.expect(
        case,
        all(bool((turned[name][::-1] == whole[name]).all()) for name in RESULTS),
        "samples depend on their place in the batch",
    )


@pytest.mark.clause("FWD-4", "GRD-6", "GEO-1")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@given(data=st.data())
def test_shapes_and_dtypes(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """Results of the due shape and format; `Judge.run` looks at both."""
    case = data.draw(cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe="normal"))
    results = judge.run(case, operands(case), RESULTS)
    judge.expect(case, set(results) == set(RESULTS), "a result is missing")


@pytest.mark.clause("FWD-5")
@given(data=st.data())
def test_operands_are_left_alone(judge: Judge, data: st.DataObject) -> None:
    """Operands keep their bits, as `Judge.run` demands; results share no memory with them."""
    case = data.draw(cases(judge.claimed, dtype=first_dtype(judge), recipe="normal"))
    values = operands(case)
    results = judge.run(case, values, RESULTS)
    shared = [
        f"{result} shares memory with {name}"
        for result, got in results.items()
        for name, array in values.items()
        if np.shares_memory(got, array)
    ]
    judge.expect(case, not shared, "; ".join(shared))


@pytest.mark.clause("FWD-5")
@given(data=st.data())
def test_calls_leave_no_trace(judge: Judge, data: st.DataObject) -> None:
    """A call repeated after another one gives the same bits, and its first results stay."""
    claim_flag(judge, "deterministic")
    drawn = cases(judge.claimed, dtype=first_dtype(judge), recipe="normal")
    case, other = data.draw(drawn), data.draw(drawn)
    values = operands(case)
    first = judge.run(case, values, RESULTS)
    kept = {name: array.tobytes() for name, array in first.items()}
    # The same shapes with other values, then another geometry.
    judge.run(case, {name: -2 * array for name, array in values.items()}, RESULTS)
    judge.run(other, operands(other), RESULTS)
    again = judge.run(case, values, RESULTS)
    differ = [name for name in RESULTS if again[name].tobytes() != kept[name]]
    judge.expect(case, not differ, f"{', '.join(differ)} differs when the call is repeated")
    overwritten = [name for name in RESULTS if first[name].tobytes() != kept[name]]
    judge.expect(case, not overwritten, f"{', '.join(overwritten)} was overwritten by a later call")


def _transposed(array: Array) -> Array:
    return np.ascontiguousarray(array.T).T


def _strided(array: Array) -> Array:
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 99, array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def _reversed(array: Array) -> Array:
    flip = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[flip])[flip]


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


@pytest.mark.clause("FWD-6")
@pytest.mark.parametrize("view", [_transposed, _strided, _reversed, _read_only])
@given(data=st.data())
def test_memory_order(judge: Judge, view: Callable[[Array], Array], data: st.DataObject) -> None:
    """Views give what their C-contiguous copies give."""
    case = data.draw(cases(judge.claimed, dtype=first_dtype(judge), recipe="integers"))
    judge.check_operands(case, {name: view(array) for name, array in operands(case).items()})
