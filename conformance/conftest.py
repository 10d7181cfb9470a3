"""``pytest conformance``: what is judged, how hard, and the screen that ends a run."""

import difflib
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import conformance.suite  # noqa: F401  (it notes the checks)
from conformance import selection, specification
from conformance.claims.loading import LoadError
from conformance.judging.ahead import Ahead
from conformance.judging.checks import Check
from conformance.judging.intact import Seal, compiled, settle
from conformance.judging.record import Record
from conformance.judging.session import PROFILES, fresh_seed
from conformance.judging.trial import Trial
from conformance.kinds import KINDS
from conformance.reporting import folder, options
from conformance.reporting import settings as settings_of_the_user
from conformance.reporting.progress import Progress
from conformance.reporting.report import Report, document
from conformance.reporting.terminal import WIDTH, as_text, by_clause, overview, screen

_INTERRUPTED = pytest.ExitCode.INTERRUPTED
_TRIALS = pytest.StashKey[Sequence[Trial]]()
_AHEAD = pytest.StashKey[Ahead]()
_SEAL = pytest.StashKey[Seal]()
_RECORDS = pytest.StashKey[dict[str, list[Record]]]()
_PROGRESS = pytest.StashKey[Progress]()

for _name in PROFILES:
    # So that Hypothesis' own option knows the names; what they mean is in `Profile`.
    settings.register_profile(_name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    options.add(parser.getgroup("conformance").addoption, KINDS)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Load what is judged before anything is collected."""
    try:
        settings_of_the_user.apply(config.option, KINDS, config.invocation_params.dir)
    except settings_of_the_user.SettingsError as error:
        raise pytest.UsageError(str(error)) from error
    # TensorFlow's start-up chatter would bury the header.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    name = selection.profile_name(config)
    if name not in PROFILES:
        raise pytest.UsageError(
            f"--hypothesis-profile must be one of {', '.join(PROFILES)}, got {name}"
        )
    selection.check_options(config)
    profile = replace(PROFILES[name], shapes=selection.shapes(config))
    seed = config.getoption("--seed")
    seed = profile.seed if seed is None else seed
    if seed is None:
        # A worker draws what the controller says.
        own = getattr(config, "workerinput", {}).get("conformance_seed")
        seed = fresh_seed() if own is None else own
    config.stash[_TRIALS] = trials = selection.trials(config, profile, seed)
    if not hasattr(config, "workerinput"):
        # A worker needs those alone that it will judge, and the controller has tried all of them.
        _begin(config, trials)
    known = {check.name for one in trials for check in one.checks}
    for wanted in config.getoption("--check"):
        if not any(_is(name, wanted) for name in known):
            near = difflib.get_close_matches(wanted, known, 3, 0.4)
            instead = f"; did you mean {' or '.join(near)}?" if near else ""
            raise pytest.UsageError(f"--check={wanted}: there is no such check{instead}")
    config.stash[_RECORDS] = {}
    config.pluginmanager.register(_Recorder(config), "conformance recorder")
    if config.get_verbosity() < 1:
        # One screen: the tracebacks and the list of failing tests stay behind -v.
        config.option.tbstyle = "no"
        config.option.reportchars = ""


def _begin(config: pytest.Config, trials: Sequence[Trial]) -> None:
    """Begin with all that is judged at once, and wait until it is there."""
    if not compiled():
        _say_at_once(config, "compiling the oracle, once: this takes a minute or two")
    for kind in {trial.kind for trial in trials}:
        settle(kind)
    config.stash[_SEAL] = Seal()
    try:
        for trial in trials:
            trial.begin()
        for trial in trials:
            session = trial.session
            if config.getoption("dist", "no") != "no":
                session.close()
    except LoadError as error:
        raise pytest.UsageError(str(error)) from error


def _say_at_once(config: pytest.Config, words: str) -> None:
    """Print before pytest has said anything: it keeps what is printed while it starts."""
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(words, file=sys.stderr, flush=True)


def _is(name: str, wanted: str) -> bool:
    """Tell whether a check has a name, or the name before the choice of its parameters."""
    return wanted in {name, name.partition("[")[0]}


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a pytest-xdist worker the seed."""
    node.workerinput["conformance_seed"] = node.config.stash[_TRIALS][0].seed


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each implementation to one worker, so that no graph is traced twice."""
    from xdist.scheduler import LoadScopeScheduling

    names = [trial.name for trial in config.stash[_TRIALS]]

    class ByImplementation(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return next((name for name in names if f"[{name}-" in nodeid), nodeid)

    return ByImplementation(config, log)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say against which specification it is judged, how hard, on what machine."""
    profile = selection.profile_name(config)
    seed = config.stash[_TRIALS][0].seed
    inside = config.getoption("--in-process")
    where = "NOT ISOLATED: in the process of the judge" if inside else "in processes of their own"
    own = "" if any(config.getoption(kind.option) for kind in KINDS) else "nothing is named: "
    return [
        *([f"{own}this project's own implementations are judged"] if own else []),
        f"specification {specification.version()}, profile {profile}, seed {seed}, "
        f"numpy {np.__version__}, {platform.machine()}; judged {where}",
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each check once for each implementation that is of its kind."""
    if "asked" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--check")
    asked = []
    for trial in metafunc.config.stash[_TRIALS]:
        known = {one.name: one for one in trial.checks}
        asked += [
            pytest.param((trial, known[name]), id=f"{trial.name}-{name}")
            for name in known
            if not wanted or any(_is(name, one) for one in wanted)
        ]
    metafunc.parametrize("asked", asked)


@pytest.fixture
def record_of(request: pytest.FixtureRequest) -> Callable[[Trial, Check], Record]:
    """Give what runs a check, or waits for it where it is run ahead."""
    ahead = request.config.stash.get(_AHEAD, None)

    def record(trial: Trial, check: Check) -> Record:
        return ahead.record(trial, check) if ahead else trial.session.run(check)

    return record


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Judge several implementations side by side, as far as they are isolated."""
    config = session.config
    if hasattr(config, "workerinput") or config.getoption("dist", "no") != "no":
        return
    if config.option.collectonly or config.getoption("--in-process"):
        return
    asked = [item.callspec.params["asked"] for item in session.items if hasattr(item, "callspec")]
    if len({id(trial) for trial, _ in asked}) > 1:
        config.stash[_AHEAD] = Ahead(asked)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Put the bar, or plain lines, in the place of pytest's dots; say what it is judged by."""
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    if config.getoption("no_header"):
        # Without pytest's own header too: a run cannot be repeated without its seed.
        for line in pytest_report_header(config):
            reporter.write_line(line)
    if config.get_verbosity() < 1 and not hasattr(config, "workerinput"):
        reporter.showfspath = False
        config.stash[_PROGRESS] = Progress(config.stash[_TRIALS], reporter)


def pytest_report_teststatus(report: Any, config: pytest.Config) -> tuple[str, str, str] | None:
    """Print no dot for a check where a bar or lines are printed."""
    if report.when != "call" or _record(report) is None or _PROGRESS not in config.stash:
        return None
    return report.outcome, "", ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Say of a failure what was found, and nothing of the suite's own source."""
    report: Any = yield
    if call.excinfo is not None and report.failed and hasattr(call.excinfo.value, "failures"):
        report.longrepr = "\n\n".join(one.message for one in call.excinfo.value.failures)
    return report  # type: ignore[no-any-return]


class _Recorder:
    """Keeps the records of checks, whichever process they come from."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the record that a report carries."""
        record = _record(report)
        if record is None or report.when != "call":
            return
        self.config.stash[_RECORDS].setdefault(record.implementation, []).append(record)
        if _PROGRESS in self.config.stash:
            self.config.stash[_PROGRESS].done(record)


def _note_what_was_not_run(config: pytest.Config) -> None:
    """A run that was stopped has no verdict on what it did not come to."""
    for trial in config.stash[_TRIALS]:
        name, records = trial.name, config.stash[_RECORDS]
        run = {record.check for record in records.get(name, [])}
        records.setdefault(name, []).extend(
            trial.session.not_run(check, "the run was stopped")
            for check in trial.checks
            if check.name not in run
        )


def _record(report: Any) -> Record | None:
    dumped = dict(getattr(report, "user_properties", ())).get("conformance")
    return None if dumped is None else Record.load(dumped)


def _reports(config: pytest.Config) -> list[Report]:
    records = config.stash[_RECORDS]
    return [
        Report.of(
            trial.session,
            records[trial.name],
            diagnosed=not config.getoption("--no-diagnosis"),
            power=config.getoption("--power"),
        )
        for trial in config.stash[_TRIALS]
        if trial.name in records
    ]


_REPORTS = pytest.StashKey[list[Report]]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Succeed only where all that was asked for conforms."""
    config = session.config
    if hasattr(config, "workerinput") or _TRIALS not in config.stash:
        return
    if _AHEAD in config.stash:
        config.stash[_AHEAD].stop()
    if _PROGRESS in config.stash:
        config.stash[_PROGRESS].close()
    if session.shouldstop or session.shouldfail or session.exitstatus == _INTERRUPTED:
        _note_what_was_not_run(config)
    config.stash[_REPORTS] = _reports(config)
    # Before anything is written: nothing of what is judged runs any longer.
    for trial in config.stash[_TRIALS]:
        trial.session.close()
    if session.exitstatus == 0 and not all(one.conforms for one in config.stash[_REPORTS]):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if config.stash[_SEAL].broken():
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the verdicts; write the report."""
    if _SEAL in config.stash and (broken := config.stash[_SEAL].broken()):
        words = "while it ran, files of the judge were changed, so that there is no verdict: "
        terminalreporter.write_line(words + ", ".join(broken), red=True)
        return
    if broke := terminalreporter.getreports("error"):
        # A check that could not even begin: without -v pytest's own lines are left out.
        words = f"{len(broke)} checks could not be begun. The first says: {broke[0].longreprtext}"
        terminalreporter.write_line(words, red=True)
    reports, path = config.stash.get(_REPORTS, []), config.getoption("--report")
    more = f"every failure: {path}" if path else "-v or --report=DIR for every failure"
    shown: list[Any] = []
    for report in reports:
        shown += ["", screen(report, more=more)]
        if config.get_verbosity() > 0:
            shown += ["", by_clause(report)]
    if len(reports) > 1:
        shown += ["", overview(reports)]
    if others := _not_judged(config):
        shown += ["", f"waivers for what is not judged here: {', '.join(others)}"]
    color = terminalreporter.hasmarkup
    for line in as_text(*shown, width=WIDTH, color=color).splitlines():
        terminalreporter.write_line(line)
    sys.stdout.flush()
    if path is not None:
        folder.write(document(reports, _command(config)), path)


def _not_judged(config: pytest.Config) -> list[str]:
    """Name the implementations that waivers are for, and that are not judged in this run."""
    own = {trial.name for trial in config.stash[_TRIALS]}
    named = (one.implementation for one in selection.waivers(config) if one.implementation)
    return list(dict.fromkeys(name for name in named if name not in own))


def _command(config: pytest.Config) -> str:
    """Give what repeats the run."""
    here = str(Path(__file__).parent)
    words = [str(one) for one in config.invocation_params.args]
    given = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in (here, "conformance") and "--report" not in (before, word.partition("=")[0])
    ]
    if not any(one.startswith("--seed") for one in given):
        given.append(f"--seed={config.stash[_TRIALS][0].seed}")
    return shlex.join(["python", "-m", "conformance", *given])
