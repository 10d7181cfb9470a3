"""The Keras layer on every backend that is installed, each in a process of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras", reason="the Keras layer needs Keras")

ROOT = Path(__file__).parents[2]
CHECKS = [
    "options_agree",
    "pooling_agrees",
    "it_trains",
    "official_agrees",
    "statistics_agree",
    "differentiates",
]


def printed(backend: str) -> list[str]:
    """Run the checks; Keras is set to a backend when it is imported."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    run = subprocess.run(
        [sys.executable, "-m", "tests.keras.keras_backend"],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.split()


@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_a_backend(backend: str) -> None:
    assert [name for name in printed(backend) if name != "official"] == CHECKS


def test_the_official_layer_and_ours_agree() -> None:
    assert "official" in printed("torch")
