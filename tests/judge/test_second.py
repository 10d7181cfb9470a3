"""Forward mode and second derivatives: who has them is judged, who has not is told so."""

import json
from typing import Any, ClassVar

import numpy as np
import pytest

import conformance
from conformance.__main__ import main
from conformance.bounds import operator as bounds
from conformance.cases.operator import plain_case
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from conformance.claims.loading import LoadError, load
from conformance.implementations.operator.numpy_unfold import Twice, Unfold
from conformance.judging.replay import replay
from conformance.kinds import OPERATOR
from conformance.mutants import planted, words
from conformance.mutants.operator import MUTANTS, SECOND, second
from conformance.mutants.operator.second_refusals import _Validating
from refimpl import involution

NEW = ("GRD-7", "GRD-8", "GRD-9", "GRD-10")


def judged(one: Any, clauses: Any = NEW, **how: Any) -> Any:
    how = {"profile": "ci", "diagnosis": False, **how}
    return conformance.check(one, clauses=list(clauses), **how)


@pytest.mark.parametrize("right", [Twice, involution], ids=["numpy", "oracle"])
def test_who_is_right_conforms(right: Any) -> None:
    report = judged(right)
    assert report.conforms, str(report)
    assert {name: report.clauses[name].verdict for name in NEW} == dict.fromkeys(NEW, "passes")
    assert "also jvp, double_backward" in report.capabilities.scope


def test_who_has_neither_is_told_so() -> None:
    report = judged(Unfold, ("GRD-5", *NEW))
    assert report.conforms, str(report)
    assert {report.clauses[name].verdict for name in NEW} == {"not claimed"}
    reasons = {record.reason for record in report.outcome("not claimed")}
    either = "not claimed: jvp, double_backward"
    assert reasons == {"not claimed: jvp", "not claimed: double_backward", either}
    assert "also" not in report.capabilities.scope


class Half(Twice):
    capabilities: ClassVar[Any] = {**Twice.capabilities, "double_backward": False}


def test_each_is_claimed_by_itself() -> None:
    report = judged(Half)
    assert report.conforms, str(report)
    verdicts = {name: report.clauses[name].verdict for name in NEW}
    assert verdicts == dict.fromkeys(NEW, "passes") | {"GRD-8": "not claimed"}


class Boasts(Unfold):
    capabilities: ClassVar[Any] = {**Unfold.capabilities, "jvp": True}


class Misshapen(Unfold):
    def jvp(self, x: Any, kernel: Any, tx: Any) -> None:
        """Take no tangent of the kernel."""


class Once(Twice):
    """Differentiable once, and silent about it."""

    def double_backward(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("once_differentiable")


def test_what_is_offered_and_raises_is_not_claimed() -> None:
    report = judged(Once)
    assert report.conforms, str(report)
    assert report.clauses["GRD-7"].verdict == "passes"
    assert report.clauses["GRD-8"].verdict == "not claimed"
    (reason,) = {one.reason for one in report.outcome("not claimed")}
    said = "not claimed, as it is not declared: double_backward raised RuntimeError: once_diff"
    assert reason.startswith(said)
    declared = judged(Once, capabilities={**Twice.capabilities, "double_backward": True})
    assert {one.clause for one in declared.failures} <= {"GRD-8", "GRD-9"}
    assert declared.failures


def test_what_is_declared_must_be_there() -> None:
    with pytest.raises(LoadError, match='"jvp" is declared in its capabilities, and there is no'):
        load(Boasts, OPERATOR)
    with pytest.raises(LoadError, match=r"jvp must take the arguments \(x, kernel, tx, tkernel, "):
        load(Misshapen, OPERATOR)


@pytest.mark.parametrize("name", list(planted(second)))
def test_each_mutant_is_rejected(name: str) -> None:
    """By a clause of its own, in few results."""
    report = judged(SECOND[name], until_failure=True)
    assert report.failures, name
    assert {one.clause for one in report.failures} <= set(NEW)
    assert report.judged < 40


def test_they_are_right_otherwise() -> None:
    """Nothing else rejects them; and they are no part of what a first order is compared with."""
    assert len(SECOND) >= 6
    assert not set(SECOND) & set(MUTANTS)
    assert len({words(one) for one in SECOND.values()}) == len(SECOND)
    for one in SECOND.values():
        # What validates besides computes the same.
        right = _Validating if issubclass(one, _Validating) else Unfold
        assert one.forward is right.forward
        assert one.backward is right.backward


def test_its_screen_says_what_is_wrong_and_no_more() -> None:
    report = judged(SECOND["OperandsSavedAsConstants"], diagnosis=True)
    said = str(report)
    assert report.explanation is None
    assert "double_backward is wrong; nothing that was asked of forward and backward is" in said
    assert "GRD-8" in said
    assert report.smallest.result in {"d2x", "d2kernel"}
    raises = str(judged(SECOND["GradientNotDifferentiable"], diagnosis=True))
    assert raises.startswith("REFUSES")
    assert "double_backward raises; nothing that was asked of forward and backward does" in raises
    mixed = type("Both", (SECOND["TangentsMultiplied"], MUTANTS["DkernelMean"]), {})
    both = judged(mixed, ("GRD-2", *NEW))
    assert both.smallest.result == "dkernel"


def test_a_case_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    case = plain_case(Capabilities(), recipe="second-integers", stride=(2, 1))
    assert case.token.startswith("dtype=float32,recipe=second-integers")
    assert replay(load(Twice, OPERATOR), OPERATOR.case.parse(case.token))
    assert "d2kernel, got =" in capsys.readouterr().out
    assert not replay(load(SECOND["TangentsMultiplied"], OPERATOR), case)
    out = capsys.readouterr().out
    assert "GRD-7: ty[" in out
    assert "GRD-8" not in out


def test_the_protocol_knows_them() -> None:
    """In a process of its own, and a program without the requests is asked none of them."""
    name = "conformance.implementations.operator.numpy_unfold:Twice"
    assert judged(name).conforms
    plain = load("conformance.implementations.operator.numpy_unfold:Unfold", OPERATOR)
    assert not plain.capabilities.jvp
    assert not plain.host.offers
    plain.host.close()


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_sums_are_exact_in_every_format(dtype: str) -> None:
    """So that equality may be demanded: both parts together fit (NUM-1)."""
    claimed = Capabilities()
    for shape in ((1, 1), (3, 3), (7, 7), (17, 17)):
        case = plain_case(
            claimed, dtype=dtype, recipe="second-integers", kernel_shape=shape, members=5
        )
        bits = OPERATOR.bits(case, claimed)
        values = {n: np.abs(a.astype(float)) for n, a in OPERATOR.values(case, bits).items()}
        found = bounds.second(values, case.geometry.options, FORMATS[dtype], exact=True)
        assert max(one.value.max() for one in found.values()) <= 2.0**bits


def test_parts_that_are_rounded_before_they_are_added_are_within_the_bound() -> None:
    """And one that is rounded more coarsely is not; the whole sum has no room of this kind."""
    case = plain_case(Capabilities(), dtype="float16", recipe="second-normal", members=1)
    values = OPERATOR.values(case, 11)
    expected = OPERATOR.expected(case, values, Capabilities())
    options = case.geometry.options
    x, kernel, tx, tkernel = (values[n] for n in ("x", "kernel", "tx", "tkernel"))
    parts = [involution.forward(*two, **options) for two in ((tx, kernel), (x, tkernel))]
    due, allowed = expected["ty"]
    rounded = sum(part.astype(np.float16) for part in parts).astype(np.float64)
    assert (np.abs(rounded - due) <= allowed).all()
    assert (np.abs(due.astype(np.float16) - due) <= allowed).all()
    # Four units of roundoff of the parts, and two of the sum, are more than anybody needs.
    most = 2.0**-11 * (4 * sum(map(np.abs, parts)) + 2 * np.abs(due)) + 2.0**-13
    assert (allowed <= most).all()


def test_forward_mode_in_eight_bits_is_outside_its_bound() -> None:
    mutant = load(SECOND["TangentsAddedInBfloat16"], OPERATOR)
    case = plain_case(Capabilities(), recipe="second-normal")
    assert not replay(mutant, case)


def test_the_command_line_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    token = plain_case(Capabilities(), recipe="second-integers").token
    name = "conformance.mutants:SecondDerivativeZero"
    assert main([f"--implementation={name}", f"--case={token}", "--in-process"]) == 1
    assert "GRD-8" in capsys.readouterr().out


def test_a_report_of_it_is_json() -> None:
    report = judged(SECOND["SecondDerivativeZero"])
    assert json.loads(json.dumps(report.as_dict()))["capabilities"]["jvp"] == "offered"
