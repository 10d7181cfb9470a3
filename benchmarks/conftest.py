"""Devices to time on. A device or a framework that is missing is a skip with its reason."""

from typing import Any

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `device` by TensorFlow's device names."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", _devices())


def _devices() -> list[Any]:
    try:
        import tensorflow as tf
    except ModuleNotFoundError:
        return [_skipped("CPU:0", "TensorFlow is not installed")]
    gpus = [f"GPU:{index}" for index, _ in enumerate(tf.config.list_physical_devices("GPU"))]
    none = _skipped("GPU:0", "TensorFlow sees no GPU: tf.config.list_physical_devices is empty")
    return ["CPU:0", *(gpus or [none])]


def _skipped(device: str, reason: str) -> Any:
    return pytest.param(device, marks=pytest.mark.skip(reason=reason))
