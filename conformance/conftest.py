"""The command line of the suite: what is judged, how hard, and the summary by clause."""

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from conformance import specification
from conformance.cases import parse
from conformance.diagnosis import Diagnosis, diagnose
from conformance.implementation import Judged, LoadError, load
from conformance.judge import ConformanceError, Judge
from conformance.layers.diagnosis import diagnose_layer
from conformance.layers.judge import LayerJudge
from conformance.layers.seam import LAYER, LayerCapabilities
from conformance.ledger import Ledger
from conformance.report import report
from conformance.summary import summary_lines

# What `pytest conformance` judges without --implementation.
OURS = (
    "conformance.implementations.keras_operator:eager",
    # The operator within the layer, traced: in a graph it is the operator that is traced.
    "conformance.implementations.keras_layer:graph",
)

# And the layers that it judges without --layer.
OUR_LAYERS = (
    "conformance.implementations.keras_involution:eager",
    "conformance.implementations.keras_involution:graph",
    "conformance.implementations.keras_involution:xla",
)

_LAYERS = pytest.StashKey[list[Judged]]()
_JUDGED = pytest.StashKey[list[Judged]]()
_LEDGER = pytest.StashKey[Ledger]()
_PROFILE = pytest.StashKey[str]()

# No deadline: a first call compiles or traces. No explain phase: it reruns a failing case hundreds
# of times to comment on the code of the suite, not on the code that is judged.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    "phases": (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    "report_multiple_bugs": False,
}
settings.register_profile("default", max_examples=10, **_COMMON)
settings.register_profile("ci", max_examples=5, derandomize=True, database=None, **_COMMON)
settings.register_profile("nightly", max_examples=500, **_COMMON)
# For many that fail: a failing case stays as it was drawn; for surveys to the end, of fewer cases.
_AS_DRAWN = _COMMON | {"phases": (Phase.explicit, Phase.generate)}
settings.register_profile("as-drawn", max_examples=10, **_AS_DRAWN)
settings.register_profile("survey", max_examples=3, **_AS_DRAWN)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --implementation."""
    parser.addoption(
        "--implementation",
        action="append",
        default=[],
        metavar="PACKAGE.MODULE:ATTRIBUTE",
        help="what to judge (repeatable); by default this project's TensorFlow operator and layer",
    )
    parser.addoption(
        "--layer",
        action="append",
        default=[],
        metavar="PACKAGE.MODULE:ATTRIBUTE",
        help="which layer to judge (repeatable); by default, unless --implementation is given, "
        "this project's Keras layer",
    )
    parser.addoption(
        "--until-failure",
        action="store_true",
        help="judge an implementation no further once it has failed",
    )
    parser.addoption(
        "--no-diagnosis", action="store_true", help="do not compare what fails with known faults"
    )
    parser.addoption(
        "--report", metavar="FILE", type=Path, help="write the result as JSON, diagnosis included"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Load what is judged before anything is collected."""
    config.addinivalue_line("markers", "clause(*numbers): the clauses that a test decides")
    config.addinivalue_line("markers", "xdist_group(name): what one worker judges")
    profile = config.getoption("hypothesis_profile", None) or "default"
    settings.load_profile(profile)
    config.stash[_PROFILE] = profile
    config.stash[_LEDGER] = Ledger()
    # TensorFlow's start-up chatter would bury the header.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    operators, layers = config.getoption("--implementation"), config.getoption("--layer")
    if not operators and not layers:
        operators, layers = OURS, OUR_LAYERS
    try:
        config.stash[_JUDGED] = [load(name) for name in operators]
        config.stash[_LAYERS] = [load(name, LAYER) for name in layers]
    except LoadError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is judged, against which specification, how hard, on what machine."""
    header = [
        f"specification {specification.version()}, profile {config.stash[_PROFILE]}, "
        f"numpy {np.__version__}, python {platform.python_version()}, {platform.machine()}"
    ]
    for judged in _all(config):
        formats = ", ".join(judged.capabilities.dtypes)
        header.append(f"judging {judged.name} ({judged.environment}) on {formats}")
    return header


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once for each implementation that is of its kind."""
    if "judged" in metafunc.fixturenames:
        of_layers = "layer_judge" in metafunc.fixturenames
        judged = metafunc.config.stash[_LAYERS if of_layers else _JUDGED]
        metafunc.parametrize("judged", judged, ids=[one.name for one in judged], scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Follow the chapters of the specification: geometry, whose failures explain most, first."""
    # Without an operator, or without a layer, to judge a test has nothing to say.
    items[:] = [item for item in items if isinstance(_judged(item), Judged)]
    for item in items:
        # With pytest-xdist and --dist=loadgroup no graph is traced by two workers.
        item.add_marker(pytest.mark.xdist_group(_judged(item).name))
    chapters = list(dict.fromkeys(number[:3] for number in specification.clauses()))
    items.sort(key=lambda item: [chapters.index(number[:3]) for number in _clauses(item)[:1]])


def _judged(item: Any) -> Any:
    callspec = getattr(item, "callspec", None)
    return callspec and callspec.params.get("judged")


def _all(config: pytest.Config) -> list[Judged]:
    return [*config.stash[_JUDGED], *config.stash[_LAYERS]]


@pytest.fixture
def judge(request: pytest.FixtureRequest, judged: Judged) -> Judge:
    """The judge of one implementation, on behalf of the requesting test."""
    return Judge(judged, _clauses(request.node), _ledger(request, judged))


@pytest.fixture
def layer_judge(request: pytest.FixtureRequest, judged: Judged) -> LayerJudge:
    """The judge of one layer, on behalf of the requesting test."""
    return LayerJudge(judged, _clauses(request.node), _ledger(request, judged))


def _ledger(request: pytest.FixtureRequest, judged: Judged) -> Ledger:
    ledger = request.config.stash[_LEDGER]
    if request.config.getoption("--until-failure") and ledger.first_failure(judged.name):
        pytest.skip("it has failed before")
    return ledger


def _clauses(item: Any) -> tuple[str, ...]:
    return tuple(number for mark in item.iter_markers("clause") for number in mark.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Record each test's outcome under its clauses, and the case that it fails."""
    report: Any = yield
    ledger = item.config.stash[_LEDGER]
    judged = _judged(item)
    if judged:
        ledger.spend(judged.name, report.duration)
    if judged and (report.when == "call" or not report.passed):
        # A test skips itself if something is not claimed; the judge, if it is not to go on.
        skipped = "not claimed" if report.when == "call" else "not run"
        outcome = skipped if report.skipped else report.outcome
        ledger.outcome(judged.name, _clauses(item), outcome)
    if call.excinfo is not None and isinstance(call.excinfo.value, ConformanceError):
        ledger.failures.append(call.excinfo.value.failure)
    return report  # type: ignore[no-any-return]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a pytest-xdist worker's ledger to the controller."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["conformance"] = session.config.stash[_LEDGER].dump()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over a worker's ledger."""
    dumped = getattr(node, "workeroutput", {}).get("conformance")
    if dumped is not None:
        node.config.stash[_LEDGER].merge(dumped)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table of clauses and the diagnosis of what fails; write the report."""
    ledger, judged = config.stash[_LEDGER], _all(config)
    names = [one.name for one in judged]
    terminalreporter.section("conformance")
    for line in summary_lines(ledger, names, color=terminalreporter.hasmarkup):
        terminalreporter.write_line(line)
    diagnoses = {}
    for one in judged:
        failure = ledger.first_failure(one.name)
        if failure is not None and not config.getoption("--no-diagnosis"):
            diagnoses[one.name] = _diagnosis(one, failure.token)
            terminalreporter.section(f"diagnosis of {one.name}")
            for line in diagnoses[one.name].lines:
                terminalreporter.write_line(line)
    path = config.getoption("--report")
    if path is not None:
        path.write_text(json.dumps(report(ledger, judged, diagnoses), indent=2) + "\n")


def _diagnosis(judged: Judged, failing: str) -> Diagnosis:
    # Loaded anew, where it is a class or a factory: what the tests left in it is not its fault.
    if isinstance(judged.capabilities, LayerCapabilities):
        return diagnose_layer(load(judged.name, LAYER))
    return diagnose(load(judged.name), parse(failing))
