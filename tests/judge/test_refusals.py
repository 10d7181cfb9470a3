"""Refusals that are tolerated: counted, never passed, and nothing else is let through by them."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jsonschema
import pytest

import conformance
from conformance import adapt
from conformance.claims.loading import LoadError, load
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.kinds import LAYER, OPERATOR
from conformance.power import screening
from conformance.reporting.page import page
from conformance.reporting.report import document

CLAUSES = ["GEO-3", "GRP-4", "SPC-6"]


class Refuses(Unfold):
    """It raises where strides are two numbers, and is wrong elsewhere if it is told so."""

    said = "strides must be equal"
    wrong = False

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        self.refuse(options)
        return super().forward(x, kernel, **options) * (-1 if self.wrong else 1)

    def backward(self, dy: Any, x: Any, kernel: Any, **options: Any) -> Any:
        self.refuse(options)
        return super().backward(dy, x, kernel, **options)

    def refuse(self, options: Mapping[str, Any]) -> None:
        stride = options.get("stride", 1)
        if isinstance(stride, tuple) and stride[0] != stride[1]:
            raise NotImplementedError(self.said)


def judged(one: type, clauses: Any = CLAUSES, **claims: Any) -> conformance.Report:
    declared = {**Unfold.capabilities, **claims}
    return conformance.check(
        one, clauses=clauses, capabilities=declared, profile="survey", seed=3, diagnosis=False
    )


def test_a_tolerated_refusal_is_counted_and_is_no_pass() -> None:
    report = judged(Refuses, may_refuse="sh != sw")
    assert report.verdict == f"conforms with {report.tolerated} tolerated refusals"
    assert report.tolerated > 10
    # All that is asked without a refusal is judged, and nothing more counts as right.
    everything = judged(Unfold)
    assert 0 < report.judged < everything.judged
    words = " ".join(str(report).split())
    assert f"{report.tolerated} calls were refused, which may be: sh != sw" in words
    assert "may refuse sh != sw" in report.capabilities.scope
    made = document([report])
    schema = resources.files("conformance.reporting").joinpath("report.schema.json").read_text()
    jsonschema.Draft202012Validator(json.loads(schema)).validate(
        json.loads(json.dumps(made, default=str))
    )
    assert f"{report.tolerated} calls, which may be: sh != sw" in page(made)


@pytest.mark.parametrize(
    ("changes", "claims"),
    [
        ({}, {}),
        ({}, {"may_refuse": "sh > sw"}),
        ({"said": " "}, {"may_refuse": "sh != sw"}),
        ({"wrong": True}, {"may_refuse": ["sh != sw", "batch == 0"]}),
    ],
    ids=["not claimed", "beyond the condition", "without a word", "wrong where it answers"],
)
def test_nothing_else_is_tolerated(changes: dict[str, Any], claims: dict[str, Any]) -> None:
    report = judged(type("Other", (Refuses,), changes), **claims)
    assert report.verdict == ("fails" if "wrong" in changes else "refuses"), str(report)


def test_what_may_be_refused_and_is_answered_is_judged() -> None:
    wrong = type("Wrong", (Refuses,), {"wrong": True, "refuse": lambda *_: None})
    assert judged(wrong, may_refuse="sh == sh").verdict == "fails"


def test_who_refuses_everything_has_shown_nothing() -> None:
    def refuse(*_: Any) -> None:
        raise NotImplementedError("not today")

    nothing = type("Nothing", (Refuses,), {"refuse": refuse})
    asked = ["GEO-3", "SPC-6", "ERR-7"]
    report = judged(nothing, asked, may_refuse="B >= 0", validates=True)
    assert report.verdict == "incomplete", str(report)
    assert {report.clauses[clause].verdict for clause in asked} == {"refused"}
    assert not report.outcome("passed")


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("strid == 1", "has strid, which no case has; did you mean stride?"),
        (7, 'must be text, as "batch == 0"'),
        ([" "], 'must be text, as "batch == 0"'),
        ("import os", "is no condition"),
    ],
)
def test_bad_conditions(claim: Any, words: str) -> None:
    with pytest.raises(LoadError, match=words.replace("?", r"\?")):
        load(Unfold, OPERATOR, {"may_refuse": claim})


def test_a_layer_has_names_of_its_own() -> None:
    from conformance.implementations.layer.numpy_layer import NumpyLayer

    assert load(NumpyLayer, LAYER, {"may_refuse": "training"}).capabilities.may_refuse


def test_power_counts_no_refusal_that_is_tolerated() -> None:
    case = OPERATOR.plain(load(Unfold, OPERATOR).capabilities, stride=(1, 2))
    for claim, due in ((None, {"it"}), ("sh != sw", set())):
        claims = {**Unfold.capabilities, "may_refuse": claim}
        right, fault = (load(one, OPERATOR, claims) for one in (Unfold, Refuses))
        assert screening.screen(right, {"it": fault}, [(case, ())]) == due


def test_an_adapter_names_its_device() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")

    def elsewhere(x: Any, kernel: Any, **_: Any) -> Any:
        return (x * kernel[:, :, :, 0, 0]).to("meta")

    adapter = adapt.torch(elsewhere, capabilities={"devices": ["cpu", "cuda:0"]})
    assert adapter.capabilities["devices"] == ["cpu"]
    assert load(adapter, OPERATOR).capabilities.scope.endswith("; on cpu")
    x, kernel = (torch.ones(shape).numpy() for shape in ((1, 2, 2, 1), (1, 2, 2, 1, 1, 1)))
    with pytest.raises(TypeError, match="operands are on cpu, and y is on meta"):
        adapter.forward(x, kernel)
    with pytest.raises(ValueError, match="device must be one of those declared, 'cuda:0', got 'cp"):
        adapt.torch(elsewhere, capabilities={"devices": "cuda:0"})
