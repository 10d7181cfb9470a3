"""The judge from Python: check, checks, parametrize, Report."""

import gc
import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

import conformance
import conformance.suite
from conformance.claims.loading import LoadError, load
from conformance.diagnosis.hints import hints
from conformance.implementations.operator.numpy_unfold import Array, Unfold
from conformance.judging.failing import ConformanceError
from conformance.judging.session import PROFILES, Session
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS
from refimpl import involution, layer


def test_a_right_implementation() -> None:
    report = conformance.check(involution, clauses=["GRP"], seed=3)
    assert isinstance(report, conformance.Report)
    assert report.conforms
    assert report.verdict == "conforms"
    assert report.failures == []
    assert report.diagnosis is None
    assert list(report.clauses)[:4] == ["GRP-1", "GRP-2", "GRP-3", "GRP-4"]
    assert report.name == "refimpl.involution"
    selected = "CONFORMS in the checks that were selected  refimpl.involution  (operator; "
    assert str(report).startswith(selected)


def test_a_wrong_one() -> None:
    report = conformance.check(MUTANTS["KernelFlipped"], clauses="GEO-8")
    assert not report.conforms
    assert report.diagnosis is not None
    assert report.diagnosis.matches[0] == "KernelFlipped"
    assert report.smallest is not None
    assert report.smallest.replay in str(report)
    assert "GEO-8 and GEO-9 (found by 2 checks), FWD-1" in " ".join(str(report).split())


def test_a_layer() -> None:
    report = conformance.check(layer, layer=True, clauses="LAY-3", profile="ci")
    assert report.conforms
    assert report.kind == "layer"


def test_what_is_judged_may_be_named_made_or_given() -> None:
    for target in ("conformance.implementations.operator.numpy_unfold", Unfold, Unfold()):
        assert conformance.check(target, clauses="GRP-2", profile="ci").conforms


def test_a_seed_repeats_a_run() -> None:
    reports = [
        conformance.check(Unfold, seed=seed, profile="survey",
                          clauses="NUM-2", dtypes="float32", diagnosis=False)
        for seed in (5, 5, 6)
    ]  # fmt: skip
    worst = [report.clauses["NUM-2"].worst for report in reports]
    assert worst[0] == worst[1] != worst[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clauses": f"GEO-{99}"}, "clauses must be numbers or chapters"),
        ({"clauses": []}, "clauses must be numbers or chapters"),
        ({"dtypes": "float8"}, "dtypes must be some of float16"),
        ({"profile": "hard"}, "profile must be one of default, ci"),
    ],
)
def test_mistakes(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        conformance.check(involution, **options)


def test_a_layer_that_is_not_said_to_be_one() -> None:
    with pytest.raises(LoadError, match="is that of the layer, not of the operator"):
        conformance.check(layer)


def test_checks_are_named_and_called_one_by_one() -> None:
    listed = {one.name: one for one in conformance.checks(Unfold, profile="ci")}
    assert len(listed) == len(conformance.checks(Unfold)) > 150
    assert listed["same_padding"].clauses == ("GEO-7",)
    listed["same_padding"]()
    with pytest.raises(SkipTest, match="not claimed: validates"):
        listed["mixed_dtypes"]()
    (wrong,) = conformance.checks(MUTANTS["OddPixelBefore"], clauses="GEO-7")
    with pytest.raises(ConformanceError, match=r"^FWD-1: "):
        wrong()


def test_parametrize_wants_known_names() -> None:
    with pytest.raises(ValueError, match=r"expected_failures must name .* got \['GEO-9{2}'\]"):
        conformance.parametrize(Unfold, expected_failures={f"GEO-{99}": "no reason"})


SUITE = """
import conformance
from conformance.mutants.operator import MUTANTS

@conformance.parametrize("refimpl.involution", clauses=["GRP", "ERR-1"], profile="ci")
def test_right(check):
    check()

@conformance.parametrize(
    MUTANTS["EmptyBatchRefused"], clauses=["SPC-6", "ERR-1"], profile="ci",
    expected_failures={"SPC-6": "the framework refuses it"},
)
def test_known(check):
    check()

@conformance.parametrize(MUTANTS["KernelFlipped"], clauses=["GRP-2"], profile="ci")
def test_wrong(check):
    check()
"""


def test_a_suite_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert "1 failed, 10 passed, 3 skipped, 4 xfailed" in done.stdout, done.stdout
    assert "test_wrong[blocked]" in done.stdout
    assert "ConformanceError: FWD-1: y[b, i, j, c] = " in done.stdout
    # Nothing of the suite's own source.
    assert "def " not in done.stdout.replace("def test_wrong(check):", "")


def test_importing_it_imports_no_hypothesis() -> None:
    """pytest would warn of it: it is to be imported after pytest is."""
    script = "import sys, conformance; print('hypothesis' in sys.modules, 'numba' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_a_report_is_plain_data_and_a_page_for_notebooks() -> None:
    report = conformance.check(MUTANTS["KernelFlipped"], clauses="GEO-8")
    data = json.loads(json.dumps(report.as_dict()))
    assert data["verdict"] == "fails"
    assert data["clauses"]["FWD-1"]["verdict"] == "fails"
    assert data["failures"][0]["token"].startswith("dtype=float32,recipe=impulse-x")
    shown = report._repr_mimebundle_()
    assert shown["text/plain"] == str(report)
    assert "FAILS" in shown["text/html"]
    assert "<pre" in shown["text/html"]


class HalfInHalf(Unfold):
    """Half precision is summed in half precision, undeclared."""

    def wide(self, array: Any) -> Any:
        return array


def test_a_hint_says_what_may_be_declared() -> None:
    some = {"clauses": ["NUM-2"], "dtypes": ["float16", "float32"], "profile": "survey"}
    report = conformance.check(HalfInHalf, **some)
    assert report.verdict == "fails"
    said = """if it declared "accumulator": {'float16': 'float16'}"""
    assert report.hints == [f"it would conform, as far as asked, {said}"]
    declared = Unfold.capabilities | {"accumulator": {"float16": "float16"}}
    assert conformance.check(HalfInHalf, capabilities=declared, **some)


def test_beside_another_fault_it_is_said_of_the_bounds_alone() -> None:
    class Both(HalfInHalf):
        """Wrong in float32 too, by more than a bound."""

        def rounded(self, result: Any, dtype: Any) -> Any:
            return super().rounded(-result if dtype == "float32" else result, dtype)

    some = {"clauses": ["NUM-2"], "dtypes": ["float16", "float32"], "profile": "survey"}
    report = conformance.check(Both, **some, seed=0, diagnosis=False)
    assert hints(load(Both, OPERATOR), report.failures) == [
        """the failing bounds hold if it declares "accumulator": {'float16': 'float16'}"""
    ]


def test_a_fault_in_values_gets_no_such_hint() -> None:
    report = conformance.check(MUTANTS["DkernelMean"], clauses=["NUM-4"], profile="survey")
    assert report.hints == []


def test_a_report_is_true_if_it_conforms_and_short_in_a_repl() -> None:
    assert conformance.check(involution, clauses=["GRP-1"])
    wrong = conformance.check(MUTANTS["KernelFlipped"], clauses=["GRP-2"], diagnosis=False)
    assert not wrong
    assert repr(wrong) == (
        "<Report conformance.mutants.operator.conventions:KernelFlipped: fails, 1 of 1 checks fail>"
    )


def test_an_object_has_no_command() -> None:
    report = conformance.check(MUTANTS["KernelFlipped"](), clauses=["GRP-2"], diagnosis=False)
    assert report.smallest is not None
    assert report.smallest.replay.startswith("case dtype=float32,")


class Silent(Unfold):
    """It never answers."""

    def call(self, *_: object, **__: object) -> Any:
        raise RuntimeError("no device")


def test_who_never_answers_is_not_said_to_be_right() -> None:
    report = conformance.check(Silent, clauses="FWD-1", diagnosis=False)
    assert report.verdict == "fails"


@pytest.mark.parametrize("option", [{"budget": "20"}, {"budget": 0}, {"seed": "a"}])
def test_numbers_are_numbers(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be an? "):
        conformance.check(involution, **option)


class Named(Unfold):
    """Its words are no more than words."""

    environment = "\x1b[31mred\x1b[0m [bold]not bold[/bold] <b>not</b>"

    def forward(self, *_: object, **__: object) -> object:
        raise RuntimeError("[red]\x1b[2J\x07 <script>alert()</script>")


def test_what_judged_code_says_is_shown_and_not_obeyed() -> None:
    report = conformance.check(Named, clauses="FWD-1")
    text = str(report)
    assert "\x1b" not in text
    assert r"\x1b[31mred\x1b[0m [bold]not bold[/bold]" in text
    assert "[red]" in text
    html = report._repr_mimebundle_()["text/html"]
    assert "<script>" not in html
    assert "<b>not" not in html


def test_the_docstring_is_true() -> None:
    import doctest

    results = doctest.testmod(conformance)
    assert results.attempted
    assert not results.failed


SLOW = """
import time
from conformance.implementations.operator import numpy_unfold as involution

capabilities = involution.capabilities
seen = set()

def _first(key):
    if key not in seen:
        seen.add(key)
        time.sleep(0.3)

def forward(x, kernel, **options):
    _first(("forward", x.dtype, x.shape[3:], kernel.shape[3:], repr(options)))
    return involution.forward(x, kernel, **options)

def backward(dy, x, kernel, **options):
    _first(("backward", x.dtype, x.shape[3:], kernel.shape[3:], repr(options)))
    return involution.backward(dy, x, kernel, **options)
"""


def test_dear_first_calls_are_noticed_and_a_budget_is_kept(tmp_path, monkeypatch) -> None:
    (tmp_path / "slow_one.py").write_text(textwrap.dedent(SLOW))
    monkeypatch.syspath_prepend(str(tmp_path))
    report = conformance.check("slow_one", budget=8, diagnosis=False)
    assert report.economised
    assert report.verdict == "incomplete"
    assert not report.conforms
    # An answer that is waited for is waited for; nothing more is asked once the time is over.
    assert 8 <= report.seconds < 16
    unreached = report.outcome("not run")
    assert unreached
    assert {one.reason for one in unreached} == {"not reached within the budget of 8 seconds"}
    assert "not run" in str(report)
    assert str(report).startswith("INCOMPLETE")
    assert report.records[0].check == "certificate[impulse-x]"
    assert report.records[0].outcome == "passed"


class Waits(Unfold):
    """Every call takes its time, the first as the others."""

    def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
        time.sleep(0.2)
        return super().forward(x, kernel, **options)


def test_checks_that_drew_fewer_cases_than_they_should_are_named() -> None:
    report = conformance.check(Waits, clauses="FWD-2", budget=60)
    assert report.conforms
    (record,) = report.records
    assert record.cut_short == "2 of 10 cases"
    assert "fewer cases were asked, for want of time: bilinear (2 of 10 cases)" in str(report)
    assert report.as_dict()["checks"][0]["cut_short"] == "2 of 10 cases"


def test_checks_that_drew_all_their_cases_are_not() -> None:
    report = conformance.check(Unfold, clauses="FWD-2", budget=60)
    assert [record.cut_short for record in report.records] == [""]
    assert "fewer cases" not in str(report)


@pytest.mark.parametrize("to_the_end", [False, True])
def test_what_a_budget_does_not_reach_is_run_where_that_is_wanted(to_the_end: bool) -> None:
    session = Session(
        load(Unfold, OPERATOR), PROFILES["survey"], seed=0, budget=1e-9, to_the_end=to_the_end
    )
    first, second = session.checks[:2]
    session.run(first)
    assert session.run(second).outcome == ("passed" if to_the_end else "not run")


def test_an_interruption_that_python_drops_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis has a callback of the garbage collector, in which an interruption got lost."""
    calls: list[int] = []
    lost: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)

    class Interrupted(Unfold):
        def forward(self, x: Array, kernel: Array, **options: Any) -> Array:
            calls.append(1)
            if len(calls) == 1:
                gc.callbacks.append(within_a_collection)
                gc.collect()
                gc.callbacks.remove(within_a_collection)
            return super().forward(x, kernel, **options)

    def within_a_collection(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    # Whoever runs the tests in the background has this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            conformance.check(Interrupted(), profile="quick")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(calls) <= 4
    # pytest makes errors of these.
    assert not lost
