"""Devices to time on. A device or a framework that is missing is a skip with its reason."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.rivals import RIVALS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize `rival` and `device` together: each rival on the devices of its framework."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize(
            ("rival", "device"),
            [
                pytest.param(rival, device, id=f"{rival.name}-{device}", marks=marks)
                for framework, rivals in RIVALS.items()
                for device, marks in _devices(framework)
                for rival in rivals
            ],
        )


def _devices(framework: str) -> list[tuple[str, Any]]:
    """Name a framework's devices, each with the mark that skips it if it is not there."""
    try:
        count = _GPUS[framework]()
    except ModuleNotFoundError:
        return [("CPU:0", pytest.mark.skip(reason=f"{framework} is not installed"))]
    none = ("GPU:0", pytest.mark.skip(reason=f"{framework} sees no GPU"))
    return [("CPU:0", ()), *([(f"GPU:{index}", ()) for index in range(count)] or [none])]


def _tensorflow() -> int:
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def _torch() -> int:
    import torch

    return torch.cuda.device_count()


def _jax() -> int:
    import jax

    try:
        return len(jax.devices("gpu"))
    except RuntimeError:  # there is no such platform
        return 0


_GPUS: dict[str, Callable[[], int]] = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
