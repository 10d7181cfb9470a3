"""Chapter FWD: the operator's values, and that it depends on its operands and nothing else."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases import cases
from conformance.claims import claim, claim_flag, plain_case
from conformance.geometries import DILATIONS, pairs
from conformance.implementation import Array
from conformance.judge import RESULTS, Judge
from conformance.recipes import operands
from conformance.views import VIEWS

DTYPES = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])


@pytest.mark.clause("FWD-1")
@given(data=st.data())
def test_values(judge: Judge, data: st.DataObject) -> None:
    """The sum over the taps, exactly."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers"))
    judge.check(case, ("y",))


@pytest.mark.clause("FWD-2")
@given(data=st.data())
def test_bilinear(judge: Judge, data: st.DataObject) -> None:
    """Sums and doubles of x or kernel give sums and doubles of y, exactly."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers"))
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
        cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers", batches=(2, 3, 5))
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
@DTYPES
@given(data=st.data())
def test_shapes_and_dtypes(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """Results of the due shape and format; `Judge.run` looks at both."""
    case = data.draw(cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe="normal"))
    results = judge.run(case, operands(case), RESULTS)
    judge.expect(case, set(results) == set(RESULTS), "a result is missing")


@pytest.mark.clause("FWD-5")
@DTYPES
@given(data=st.data())
def test_memory_is_left_alone(judge: Judge, dtype: str, data: st.DataObject) -> None:
    """Operands keep their bits and results have memory of their own; `Judge.run` looks at both."""
    case = data.draw(cases(judge.claimed, dtype=claim(judge, "dtypes", dtype)[0], recipe="normal"))
    judge.check(case)


@pytest.mark.clause("FWD-5")
@given(data=st.data())
def test_calls_leave_no_trace(judge: Judge, data: st.DataObject) -> None:
    """A call repeated after other ones gives the same bits, and its first results stay."""
    claim_flag(judge, "deterministic")
    case, other = (
        data.draw(
            cases(
                judge.claimed, dtype=data.draw(st.sampled_from(judge.claimed.dtypes)), recipe=recipe
            )
        )
        for recipe in ("cancelling", "normal")
    )
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


@pytest.mark.clause("FWD-5")
@given(data=st.data())
def test_backward_needs_no_forward(judge: Judge, data: st.DataObject) -> None:
    """The gradients are those of the operands given, whatever forward saw last."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers"))
    values, other = operands(case), operands(replace(case, seed=case.seed + 1))
    judge.check_operands(case, other, ("y",))
    judge.check_operands(case, values, ("dx", "dkernel"))
    judge.check_operands(case, other, ("dx", "dkernel"))


@pytest.mark.clause("FWD-5")
def test_shapes_do_not_tell_the_options(judge: Judge) -> None:
    """Calls of the same shapes with other options, one after the other."""
    claimed = judge.claimed
    case = plain_case(judge)
    again = [case, *(replace(case, group_layout=name) for name in claimed.group_layouts)]
    if "explicit" in claimed.paddings:
        again += [replace(case, padding=((1, 0), (2, 0))), replace(case, padding=((0, 1), (0, 2)))]
    if "same" in claimed.paddings:
        again += [replace(case, dilation=pair) for pair in pairs(DILATIONS, claimed.dilations)]
    for one in (*again, case):
        judge.check(one)


@pytest.mark.clause("FWD-6")
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__.strip("_"))
@given(data=st.data())
def test_memory_order(judge: Judge, view: Callable[[Array], Array], data: st.DataObject) -> None:
    """Views give what their C-contiguous copies give: one operand at a time, and all."""
    case = data.draw(cases(judge.claimed, dtype=judge.claimed.first_dtype, recipe="integers"))
    values = operands(case)
    chosen = data.draw(st.sampled_from([("x", "kernel", "dy"), ("x",), ("kernel",), ("dy",)]))
    judge.check_operands(case, values | {name: view(values[name]) for name in chosen})
