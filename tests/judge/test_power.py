"""What a verdict is worth: the figures, and that they count what the cases of a run show."""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

import conformance
import conformance.suite
from conformance.claims.capabilities import Capabilities, declared
from conformance.claims.loading import load
from conformance.diagnosis.diagnose import Known
from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.judging.record import Record
from conformance.judging.session import PROFILES, Session
from conformance.kinds import OPERATOR
from conformance.mutants import layer, operator
from conformance.mutants.guarded import guarded
from conformance.mutants.operator import MUTANTS
from conformance.power import Generated, Power, interval, measuring
from conformance.power.measuring import measure, within
from conformance.reporting.report import Report


@pytest.mark.parametrize(
    ("caught", "number", "low", "high"),
    # To the digits that tables have. The second is Brown, Cai and DasGupta's example of n = 40.
    [(5, 10, 0.2366, 0.7634), (0, 40, 0.0, 0.0876), (100, 100, 0.9630, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilsons_interval(caught: int, number: int, low: float, high: float) -> None:
    assert tuple(round(end, 4) for end in interval(caught, number)) == (low, high)


def test_the_interval_holds_what_it_says() -> None:
    """Where so few are drawn that the coverage can be summed: on the mean 95%, in whole percent."""
    import math

    shares, n = [one / 100 for one in range(2, 99)], 50
    coverage = []
    for share in shares:
        inside = [k for k in range(n + 1) if interval(k, n)[0] <= share <= interval(k, n)[1]]
        coverage.append(sum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in inside))
    assert round(sum(coverage) / len(coverage), 2) == 0.95


POWER = Power(("A", "B", "C"), ("D",), ("E", "F"), Generated(40, 30), 1.5)


def test_it_is_said_in_words() -> None:
    assert POWER.lines == [
        "3 of 4 known faults expressible in what is claimed would have been caught; not: D; 2 more "
        "cannot be expressed in it",
        "of 40 generated faults 30, 75% (95% interval 60% to 86%)",
    ]
    found = json.loads(json.dumps(POWER.as_dict()))
    assert found["missed"] == ["D"]
    assert [round(end, 4) for end in found["generated"]["interval"]] == [0.5981, 0.8581]
    assert replace(POWER, generated=None).as_dict()["generated"] is None
    assert "no generated fault" in Generated(0, 0).words


# Few faults, so that it is quick: of strides, of the border, of half formats, of the calls before,
# of checked arguments.
FEW = (
    "StrideAxesSwapped", "EdgeClamped", "NanToZero", "GradientsAddUp", "AcceptsEverything",
    "EmptyBatchRefused",
)  # fmt: skip


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    some = {name: MUTANTS[name] for name in FEW if name in MUTANTS}
    known = Known(Unfold, some, lambda: iter(()))
    monkeypatch.setattr(type(OPERATOR), "known", lambda _: known)
    monkeypatch.setattr(measuring, "GENERATED", 0)
    # The probes alone.
    monkeypatch.setattr(type(OPERATOR), "networks", lambda *_: [])
    return some


def measured(names: Iterable[str], claims: Mapping[str, Any]) -> Report:
    judged = load(Shifted, OPERATOR, Shifted.capabilities | dict(claims))
    session = Session(judged, PROFILES["survey"], seed=5)
    asked = [one for one in session.checks if one.name.startswith(tuple(names))]
    return Report.of(session, [session.run(one) for one in asked], power=True)


def test_what_a_run_shows_is_caught(few: Mapping[str, Any]) -> None:
    report = measured(["exact_sums[float32", "certificate[", "adjoint"], {})
    power = report.power
    assert power is not None
    assert {"EdgeClamped", "GradientsAddUp"} <= set(power.caught)
    # Nothing that was asked is about an empty batch; and nothing claims to validate.
    assert "EmptyBatchRefused" in power.missed
    assert "AcceptsEverything" in power.beyond
    assert set(power.caught) | set(power.missed) | set(power.beyond) == set(few)
    assert power.generated == Generated(0, 0)
    assert (
        f"{len(power.caught)} of {len(power.caught) + len(power.missed)} known faults"
        in " ".join(str(report).split())
    )
    assert report.as_dict()["power"]["caught"] == power.caught


def test_what_is_not_claimed_cannot_be_expressed(few: Mapping[str, Any]) -> None:
    del few
    claims = {
        "empty_batch": False, "dtypes": ["float32"], "paddings": ["valid"], "strides": [(1, 1)],
    }  # fmt: skip
    power = measured(["certificate[", "adjoint"], claims).power
    assert power is not None
    assert "EmptyBatchRefused" in power.beyond
    assert "StrideAxesSwapped" in power.beyond
    # Without padding there is no edge to clamp to.
    assert "EdgeClamped" in power.beyond
    assert "NanToZero" in power.missed


def test_a_report_without_it_says_so() -> None:
    report = conformance.check(Shifted, clauses="GRP-4", seed=1)
    assert report.power is None
    assert "power not measured: how many faults" in " ".join(str(report).split())
    assert report.as_dict()["power"] is None


def test_claims_are_narrowed_to_what_a_fault_can_meet() -> None:
    claimed = declared(
        {
            "accumulator": {"float32": "bfloat16", "float64": "double-double"},
            "result": {"float32": "float64"},
            "gradual_underflow": True,
            "strides": [(1, 1)],
        }
    )
    met = within(claimed, Unfold.capabilities)
    assert not met.validates
    assert met.gradual_underflow
    assert met.strides == ((1, 1),)
    assert met.arithmetic("float32").accumulator.name == "bfloat16"
    assert met.arithmetic("float64").accumulator.name == "float64"
    assert met.arithmetic("float32").result.name == "float32"
    assert met.compiles == claimed.compiles


def test_generated_faults_keep_to_what_is_claimed() -> None:
    claimed = declared({"strides": [(1, 1)], "dtypes": ["float32"]})

    def allowed(call: Any, dtype: str) -> bool:
        return OPERATOR.allows(call, dtype, claimed)

    made = guarded(3, 2, allowed=allowed)
    assert len(made) == 2
    # Each shows on a call that is claimed, and none needs another stride.
    assert not any("stride 2" in one.words or "bfloat16" in one.words for one in made)


def test_generated_faults_share_what_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them together hand hardly more calls to it than there are cases and functions."""
    calls, forward = list[int](), Shifted.forward

    def counted(one: Any, *operands: Any, **options: Any) -> Any:
        calls.append(1)
        return forward(one, *operands, **options)

    session = Session(load(Shifted, OPERATOR), PROFILES["survey"], seed=1)
    by_name = {one.name: one for one in session.checks}
    records = [session.run(by_name["exact_sums[float32]"])]
    run = measuring._Run(session, records, Unfold, MUTANTS)
    made = guarded(3, 6)
    monkeypatch.setattr(measuring, "guarded", lambda *_, **__: made)
    monkeypatch.setattr(Shifted, "forward", counted)
    found = run.generated(6)
    assert found.number == 6
    assert 0 < len(calls) <= len(run.asked)


def test_a_record_keeps_what_was_asked_and_travels() -> None:
    session = Session(load(Shifted, OPERATOR), PROFILES["survey"], seed=1)
    by_name = {one.name: one for one in session.checks}
    record = session.run(by_name["exact_sums[float32]"])
    assert len(record.asked) == record.judged // 3
    assert record.otherwise == 0
    again = Record.load(json.loads(json.dumps(record.dump())))
    assert [tuple(one) for one in again.asked] == record.asked
    assert session.run(by_name["adjoint"]).otherwise > 0


def test_what_needs_a_claim_names_one() -> None:
    named = {
        name: one.needs
        for name, one in itertools.chain(operator.MUTANTS.items(), layer.MUTANTS.items())
        if getattr(one, "needs", "")
    }
    flags = {name for name, value in vars(Capabilities()).items() if isinstance(value, bool)}
    assert set(named.values()) <= flags | {"geometry"}


def test_only_what_conforms_so_far_is_measured() -> None:
    session = Session(load(MUTANTS["EdgeClamped"], OPERATOR), PROFILES["survey"], seed=1)
    (check,) = (one for one in session.checks if one.name == "exact_sums[float32]")
    report = Report.of(session, [session.run(check)], diagnosed=False, power=True)
    assert report.failures
    assert report.power is None
    assert "power" not in str(report)
    assert callable(measure)
