"""Devices to time on, and the table of rates that ends a run.

A device or a framework that is missing is a skip with its reason.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from benchmarks import devices, figures, operators, summary
from benchmarks.interleaved import in_turn
from benchmarks.rivals import RIVALS, timed

# Keras has one backend in a process: TensorFlow, unless the variable says otherwise.
BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# What was timed, for the table.
ROWS = pytest.StashKey[list[dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing timed."""
    config.stash[ROWS] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `rival` and `device` together: each rival on the devices of its framework."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize(
            ("framework", "rival", "device"),
            [
                pytest.param(framework, rival, device, id=f"{rival.name}-{device}", marks=marks)
                for framework in RIVALS
                for device, marks in _devices(framework)
                for rival in timed(framework, BACKEND)
            ],
        )


def _devices(framework: str) -> list[tuple[str, Any]]:
    """Name a framework's devices, each with the mark that skips it if it is not there."""
    if not devices.installed(framework):
        return [("CPU:0", pytest.mark.skip(reason=f"{framework} is not installed"))]
    none = ("GPU:0", pytest.mark.skip(reason=f"{framework} sees no GPU"))
    return [("CPU:0", ()), *([(name, ()) for name in devices.gpus(framework)] or [none])]


@pytest.fixture(scope="session")
def machine() -> dict[str, float]:
    """What the machine allows, measured now: bytes of a copy and operations a second."""
    kept = {"floors": operators.floors(5)}
    return {"copy": figures.bandwidth(kept), "product": figures.arithmetic(kept)}


@pytest.fixture(scope="session")
def allowed(request: pytest.FixtureRequest) -> Callable[[str, str], dict[str, float]]:
    """What a device allows: on a GPU the copy of the framework that sees it."""

    @functools.cache
    def ask(framework: str, device: str) -> dict[str, float]:
        if device == "CPU:0":
            return dict(request.getfixturevalue("machine"))
        times = in_turn({"copy": devices.copy(framework, device)}, 5)["copy"]
        return {"copy": devices.COPIED / figures.least(times)}

    return ask


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Rows of the table, to be added to."""
    return request.config.stash[ROWS]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the rates of what was timed."""
    if found := config.stash[ROWS]:
        terminalreporter.section("rates, from the least of the times")
        console = Console(width=120, file=terminalreporter._tw._file)
        for table in summary.tables(found):
            console.print(table)
