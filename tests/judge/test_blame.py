"""A failure belongs to the clause of what is wrong, whichever check met it."""

from typing import Any

import numpy as np
import pytest

import conformance
from conformance.claims.loading import load
from conformance.implementations.layer.numpy_layer import NumpyLayer
from conformance.implementations.operator.numpy_unfold import Array, Call, Unfold
from conformance.judging.ask import NotRunError
from conformance.judging.failing import ConformanceError
from conformance.judging.judge import Judge
from conformance.judging.record import Record
from conformance.kinds import LAYER, OPERATOR


def broken(operator: Any, **options: Any) -> set[str]:
    usual: dict[str, Any] = {"profile": "survey", "dtypes": "float32"}
    report = conformance.check(operator, diagnosis=False, seed=1, **usual | options)
    return {clause for clause, entry in report.clauses.items() if entry.verdict == "fails"}


class DxTwice(Unfold):
    """dx alone is wrong."""

    def dx(self, call: Call, dy: Array, kernel: Array) -> Array:
        return 2 * super().dx(call, dy, kernel)


def test_dx_alone() -> None:
    assert broken(DxTwice) == {
        "GRD-1", "GRD-4", "NUM-1", "NUM-3", "NUM-8", "SPC-5"
    }  # fmt: skip


class ForwardTruncated(Unfold):
    """y is off by a rounding error of half precision."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        y = super().y(call, x, kernel)
        return (y * (1 + 2.0**-13)).astype(y.dtype) if (y != np.trunc(y)).any() else y


def test_a_rounding_error_is_one_of_a_bound() -> None:
    found = broken(ForwardTruncated, clauses=["GEO-8", "NUM-2"])
    # Among them sums around the underflow threshold, which have a clause of their own.
    assert found == {"NUM-2", "SPC-5"}


class WritesItsOperand(Unfold):
    """backward clears dy."""

    def backward(self, dy: Array, x: Array, kernel: Array, **options: Any) -> tuple[Array, Array]:
        results = super().backward(dy, x, kernel, **options)
        dy[...] = 0
        return results


def test_memory_is_a_matter_of_its_own_clause() -> None:
    assert broken(WritesItsOperand, clauses=["GEO-2", "GRD", "FWD-3"]) == {"FWD-5"}


def test_a_view_is_held_against_a_copy_that_is_contiguous() -> None:
    """The copy kept the view's order of axes, so that the values were blamed."""
    assert broken("conformance.mutants:StridesInMemoryIgnored", clauses=["FWD-6"]) == {"FWD-6"}


@pytest.mark.parametrize(
    ("buffer", "clause"),
    [("conformance.mutants:OutputBufferReused", "FWD-5"),
     ("conformance.mutants.layer:OutputBufferReused", "LAY-17")],
)  # fmt: skip
def test_results_must_stay_whether_calls_repeat_or_not(buffer: str, clause: str) -> None:
    options: dict[str, Any] = {"layer": ".layer" in buffer, "clauses": [clause]}
    assert broken(buffer, capabilities={"deterministic": False}, **options) == {clause}


class NoEmptyBatch(Unfold):
    """An empty batch raises."""

    def call(self, image: tuple[int, ...], *rest: Any, **options: Any) -> Call:
        if image[0] == 0:
            raise ValueError("B = 0")
        return super().call(image, *rest, **options)


def test_an_empty_batch_that_is_refused_is_told_from_wrong_results() -> None:
    some: dict[str, Any] = {"profile": "survey", "clauses": ["SPC", "FWD-2", "ERR"]}
    report = conformance.check(NoEmptyBatch, diagnosis=False, **some)
    assert report.verdict == "refuses"
    assert {clause for one in report.failures for clause in one.clauses} == {"SPC-6"}
    assert str(report).startswith("REFUSES  ")
    unclaimed = conformance.check(
        NoEmptyBatch, capabilities=Unfold.capabilities | {"empty_batch": False}, **some
    )
    assert unclaimed.conforms
    assert unclaimed.clauses["SPC-6"].verdict == "not claimed"
    assert "not empty_batch" in str(unclaimed)


class SamePaddingOfItsOwn(Unfold):
    """All results go wrong where the padding is "same" and even."""

    def same(self, call: Call, axis: int) -> int:
        return super().same(call, axis) + (call.taps[axis] % 2 == 0)


def test_geometry_is_blamed_where_no_result_is_right() -> None:
    found = broken(SamePaddingOfItsOwn, clauses=["GEO"])
    assert {"GEO-7", "GEO-8", "FWD-1", "GRD-1", "GRD-2"} <= found
    assert not {"GEO-4", "GEO-5", "GEO-6"} & found


class SkipsItself(Unfold):
    """It raises what pytest takes for a skipped test."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:  # noqa: ARG002
        pytest.skip("not today")


def test_whatever_is_raised_is_a_failure() -> None:
    report = conformance.check(SkipsItself, clauses=["FWD-1"], diagnosis=False)
    assert not report.conforms
    assert "forward raised Skipped: not today" in report.failures[0].words


class SquareMatrix(Unfold):
    """It needs a matrix of all pixels by all pixels."""

    def plan(self, call: Call) -> Any:
        np.empty(2**45)
        return super().plan(call)


def test_what_cannot_be_allocated_is_not_run() -> None:
    judged = load(SquareMatrix, OPERATOR)
    judge = Judge(judged, Record("it", "it", ()))
    with pytest.raises(NotRunError, match="forward could not allocate its memory"):
        judge.check(judge.plain(height=66_001))
    with pytest.raises(ConformanceError, match="MemoryError"):
        judge.check(judge.plain())


def judge(layer: Any) -> Judge:
    return Judge(load(layer, LAYER), Record("it", "it", ("LAY-17",)))


def run(layer: Any, *, training: bool = False) -> None:
    one = judge(lambda: layer)
    one.run(one.enlarged(one.plain(training=training), (3, 4)))


class PassesMoving(NumpyLayer):
    """Returns the moving statistics that it was given, whatever the mode."""

    def forward(self, x: Any, parameters: Any, config: Any, *, training: bool = False) -> Any:
        y, kernel, moving = super().forward(x, parameters, config, training=training)
        return y, kernel, {name: parameters[name] for name in moving}


def test_moving_statistics_may_be_the_operands_in_inference_alone() -> None:
    run(PassesMoving())
    with pytest.raises(
        ConformanceError, match="results share memory: moving_mean with moving_mean"
    ):
        run(PassesMoving(), training=True)


class Returns(NumpyLayer):
    """Returns something else."""

    def __init__(self, forward: Any = None, backward: Any = None) -> None:
        self.answers = forward, backward

    def forward(self, x: Any, parameters: Any, config: Any, **mode: bool) -> Any:
        return self.answers[0] or super().forward(x, parameters, config, **mode)

    def backward(self, dy: Any, x: Any, parameters: Any, config: Any, **mode: bool) -> Any:
        return self.answers[1] or super().backward(dy, x, parameters, config, **mode)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Returns(forward=(1, 2)), r"forward must return \(y, kernel, moving statistics\), got tup"),
        (Returns(forward=(1, 2, 3)), r"forward must return \(y, kernel, moving statistics\)"),
        (Returns(forward=(1, 2, {"mean": 3})), "moving_mean, moving_variance missing, mean too"),
        (Returns(backward=5), r"backward must return \(dx, gradients of the parameters\), got int"),
        (Returns(backward=(5, {})), "dbeta, dexpand_bias, .* missing, none too many"),
    ],
)
def test_results_of_another_form(layer: Any, words: str) -> None:
    with pytest.raises(ConformanceError, match=words):
        run(layer)


class DirtyMemory(NumpyLayer):
    """Its gradient of the expansion's bias is memory that it did not write."""

    def backward(self, *operands: Any, **mode: Any) -> Any:
        dx, found = super().backward(*operands, **mode)
        if "expand_bias" in found:
            found["expand_bias"] = np.empty_like(found["expand_bias"])
        return dx, found


def test_layers_get_poisoned_memory_too() -> None:
    report = conformance.check(
        DirtyMemory, layer=True, clauses="LAY-14", profile="survey", diagnosis=False
    )
    assert any(one.result == "dexpand_bias" for one in report.failures)
