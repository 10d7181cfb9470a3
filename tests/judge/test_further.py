"""What other chapters say of forward and backward is asked of jvp and double_backward (GRD-11)."""

from typing import Any, ClassVar

import numpy as np
import pytest

import conformance
import conformance.suite
from conformance.campaign import blocks
from conformance.campaign.drawing import plans
from conformance.cases.operator import OperatorCase, plain_case
from conformance.cases.operator_recipes import SECOND as RESULTS
from conformance.claims.capabilities import Capabilities
from conformance.claims.formats import FORMATS
from conformance.claims.loading import load
from conformance.diagnosis.diagnose import Known
from conformance.implementations.operator.numpy_unfold import Twice, Unfold
from conformance.judging.checks import checks_of
from conformance.judging.session import PROFILES, Session
from conformance.kinds import OPERATOR
from conformance.mutants import planted
from conformance.mutants.operator import SECOND, second_guarded, second_refusals
from conformance.power import measuring
from refimpl import involution

CLAIMED = Capabilities()
# The clause by which each is rejected; "GRD-9" stands alone, the others beside GRD-11.
BROKEN = {
    "TangentOfKernelLostInBfloat16": "GRD-9",
    "SecondOfFloat64InFloat32": "GRD-9",
    "TangentsScaledBeforeTheyAreAdded": "NUM-6",
    "SubnormalSecondFlushed": "SPC-5",
    "NanOfTangentIsZero": "SPC-1",
    "InfinitySecondIsNan": "SPC-2",
    "SecondOfNoSamplesRefused": "SPC-6",
    "ForwardModeIsValid": "GEO-11",
    "SecondStrideOfOneAxis": "GEO-2",
    "TangentReadAsIfContiguous": "FWD-6",
    "SecondClearsDdx": "FWD-5",
    "TangentsKept": "FWD-7",
    "LinearisedOnce": "FWD-5",
    "SecondBufferReused": "FWD-5",
    "TangentsSharedByThreads": "FWD-8",
    "NothingRecordedInOtherThreads": "FWD-8",
    "TangentsBroadcast": "ERR-1",
    "TangentsCast": "ERR-9",
    "SecondGradientsBroadcast": "ERR-4",
    "ForwardModeOfUnknownLayouts": "ERR-7",
}
# The checks that show it by the clause of another one.
CHECKS = {"SPC-1": "SPC-3", "SPC-2": "SPC-3"}


def judged(one: Any, *clauses: str, **how: Any) -> Any:
    how = {"profile": "ci", "seed": 1, "diagnosis": False, **how}
    return conformance.check(one, clauses=[CHECKS.get(name, name) for name in clauses], **how)


def test_the_table_has_each_mutant_once() -> None:
    assert set(BROKEN) == set(planted(second_guarded, second_refusals)) <= set(SECOND)


@pytest.mark.parametrize("name", list(BROKEN))
def test_each_is_rejected_by_the_clause_that_it_breaks(name: str) -> None:
    report = judged(SECOND[name], BROKEN[name])
    assert report.failures, name
    found = {clause for one in report.failures for clause in one.clauses}
    assert BROKEN[name] in found or name == "TangentReadAsIfContiguous"
    assert ("GRD-11" in found) == (BROKEN[name] != "GRD-9")
    names = {one.result for one in report.failures} - {""}
    assert names <= set(RESULTS)


@pytest.mark.parametrize("name", list(BROKEN))
def test_each_is_right_in_what_was_asked_before(name: str) -> None:
    """In the few geometries of GRD-7 and GRD-8, and in all that forward and backward answer."""
    assert judged(SECOND[name], "GRD-7", "GRD-8").conforms


def test_what_validates_in_them_is_right() -> None:
    report = judged(second_refusals._Validating, "ERR", "GRD-7", "GRD-8", "GRD-9")
    assert report.conforms, str(report)
    assert report.clauses["GRD-11"].cases > 100


def test_who_has_neither_is_asked_none_of_it() -> None:
    report = judged(Unfold, "FWD-6", "SPC-3", "GRD-11", profile="survey")
    assert report.conforms, str(report)
    entry = report.clauses["GRD-11"]
    assert (entry.verdict, entry.cases) == ("not claimed", 0)
    assert not any("second-" in token for one in report.records for token, *_ in one.asked)


def test_what_is_asked_of_forward_and_backward_stays_the_same() -> None:
    """Who has them is asked the same of these as who has not, and the more besides."""
    reports = [judged(one, "SPC", "FWD-3") for one in (Unfold, Twice)]
    first, both = (
        {one.check: [n for n in one.asked if "second-" not in n[0]] for one in report.records}
        for report in reports
    )
    assert first == both
    assert reports[1].judged > reports[0].judged
    assert reports[0].clauses["FWD-3"].cases < reports[1].clauses["FWD-3"].cases
    assert reports[1].clauses["GRD-11"].cases


class Half(Twice):
    """Its second derivatives raise in float16 alone."""

    def double_backward(self, ddx: Any, ddkernel: Any, dy: Any, *operands: Any, **how: Any) -> Any:
        if dy.dtype == np.float16:
            raise RuntimeError("not implemented for 'Half'")
        return super().double_backward(ddx, ddkernel, dy, *operands, **how)


class HalfDeclared(Half):
    capabilities: ClassVar[Any] = {**Twice.capabilities, "double_backward": True}


def test_what_is_offered_and_raises_in_a_format_is_not_claimed_in_it() -> None:
    names = ("GRD-8", "GRD-9", "SPC-3", "SPC-6")
    assert judged(Half, *names).conforms
    report = judged(HalfDeclared, *names)
    assert {one.words for one in report.failures} == {
        "double_backward raised RuntimeError: not implemented for 'Half'"
    }


def test_where_each_is_compiled_a_plain_case_is_asked() -> None:
    report = judged(Twice, "SPC-3", "GRD-9", capabilities={**Twice.capabilities, "compiles": True})
    (record,) = (one for one in report.records if one.check == "specials_backward[float32]")
    tokens = {token for token, *_ in record.asked if "second-" in token}
    assert tokens == {plain_case(CLAIMED, recipe="second-specials").token}


@pytest.mark.parametrize("dtype", list(FORMATS))
def test_sums_of_large_operands_are_at_most_half_the_largest_number(dtype: str) -> None:
    case = plain_case(CLAIMED, dtype=dtype, recipe="second-large", kernel_shape=(3, 2))
    values = {n: np.abs(a.astype(float)) for n, a in OPERATOR.values(case, 24).items()}
    given = ("x", "kernel", "tx", "tkernel"), ("x", "kernel", "ddx", "ddkernel")
    for names in given:
        total = involution.jvp(*(values[n] for n in names), **case.geometry.options)
        assert FORMATS[dtype].largest / 8 < total.max() <= FORMATS[dtype].largest / 2


def test_each_check_that_names_the_clause_is_for_both_kinds_as_before() -> None:
    listed = [one for one in checks_of(["GRD"]) if "GRD-11" in one.clauses]
    assert len(listed) > 80
    # The clause of what the check itself finds comes first: GRD-11 says no more than that it holds.
    assert all(one.clauses[0] != "GRD-11" for one in listed)


def job(*names: str) -> dict[str, Any]:
    place = "conformance.implementations.operator.numpy_unfold:"
    listed = [one if "." in one else place + one for one in names]
    return {"option": "--implementation", "implementations": listed, "seed": 3, "cases": 60,
            "size": 60, "timeout": None, "memory": None}  # fmt: skip


def test_a_campaign_asks_them_where_they_are_claimed() -> None:
    both = blocks.run(job("Twice", "Unfold"), 0)
    twice, once = both["judged"].values()
    assert not both["failed"]
    assert (twice, once + sum(both["unclaimed"].values())) == (60, 60)
    assert once < twice
    assert any(key.startswith("recipe second-") for key in both["worst"])
    alone = blocks.run(job("Unfold"), 0)
    assert not alone["unclaimed"]
    assert not any(key.startswith("recipe second-") for key in alone["worst"])
    names = {plan["recipe"] for plan in plans(OPERATOR, Capabilities(jvp=True))}
    assert {"second-integers", "second-specials"} <= names
    assert not any("second" in one["recipe"] for one in plans(OPERATOR, CLAIMED))


def test_a_campaign_finds_what_is_wrong_with_them() -> None:
    found = blocks.run(job("conformance.mutants:SecondClearsDdx"), 0)
    assert found["failed"]
    assert all("second-" in one["token"] for one in found["failures"])


FEW = ("SecondMean", "NanOfTangentIsZero", "LinearisedOnce", "TangentsCast")


@pytest.mark.parametrize(
    ("claims", "caught", "beyond"),
    [
        ({}, ["SecondMean", "LinearisedOnce"], ["TangentsCast"]),
        ({"jvp": False}, ["SecondMean"], ["NanOfTangentIsZero", "LinearisedOnce", "TangentsCast"]),
        ({"jvp": False, "double_backward": False}, [], []),
    ],
)
def test_the_power_counts_them_where_they_are_claimed(
    claims: Any, caught: list[str], beyond: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Known(Unfold, {}, lambda: iter(()), (Twice, {name: SECOND[name] for name in FEW}))
    monkeypatch.setattr(type(OPERATOR), "known", lambda _: known)
    monkeypatch.setattr(measuring, "GENERATED", 0)
    monkeypatch.setattr(type(OPERATOR), "networks", lambda *_: [])
    session = Session(load(Twice, OPERATOR, Twice.capabilities | claims), PROFILES["ci"], seed=1)
    names = ("second_derivatives", "values_in_turn[small]")
    records = [session.run(one) for one in session.checks if one.name in names]
    power = measuring.measure(session, records)
    assert list(power.caught) == caught
    assert list(power.beyond) == beyond
    left = set(FEW) - {*caught, *beyond} if caught else set()
    assert set(power.missed) == left


def test_a_case_of_theirs_is_named_by_its_token() -> None:
    for recipe in ("integers", "normal", "wide", "subnormal", "large", "specials"):
        case = OPERATOR.beyond(plain_case(CLAIMED, recipe=recipe))
        assert case == OperatorCase.parse(case.token)
        assert OPERATOR.is_beyond(case)
    assert OPERATOR.beyond(plain_case(CLAIMED, recipe="impulse-x")) is None
