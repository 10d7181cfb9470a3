"""Where a framework can run, by its own list, and the speed of a copy there.

Devices are named "CPU:0" and "GPU:" with a number. Frameworks are imported when they are asked.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

# Elements of float32 that a copy reads, and as many that it writes: 512 MB in all.
ELEMENTS = 1 << 26
COPIED = 2 * 4 * ELEMENTS


def installed(framework: str) -> bool:
    """Tell whether a framework can be imported."""
    return importlib.util.find_spec(framework) is not None


def gpus(framework: str) -> list[str]:
    """Name the GPUs that a framework sees."""
    return [f"GPU:{index}" for index in range(_COUNTS[framework]())]


def copy(framework: str, device: str) -> Callable[[], Any]:
    """Give a call that reads and writes `COPIED` bytes on a device, and returns when it has.

    The numbers are negated on the way: no framework leaves that out, and memory takes its time all
    the same.
    """
    return _COPIES[framework](device)


def torch_device(device: str) -> str:
    """Give a device in PyTorch's words."""
    return "cpu" if device == "CPU:0" else device.replace("GPU", "cuda")


def _tensorflow() -> int:
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def _torch() -> int:
    import torch

    return int(torch.cuda.device_count())


def _jax() -> int:
    import jax

    try:
        return len(jax.devices("gpu"))
    except RuntimeError:  # there is no such platform
        return 0


def _copy_tensorflow(device: str) -> Callable[[], Any]:
    import tensorflow as tf

    with tf.device(device):
        source = tf.ones(ELEMENTS)

    def call() -> Any:
        with tf.device(device):
            result = tf.negative(source)
        tf.test.experimental.sync_devices()
        return result

    return call


def _copy_torch(device: str) -> Callable[[], Any]:
    import torch

    source = torch.ones(ELEMENTS, device=torch_device(device))

    def call() -> Any:
        result = -source
        if device != "CPU:0":
            torch.cuda.synchronize(torch_device(device))
        return result

    return call


def _copy_jax(device: str) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    platform, _, index = device.lower().partition(":")
    source = jax.device_put(jnp.ones(ELEMENTS, "float32"), jax.devices(platform)[int(index)])
    negated = jax.jit(jnp.negative)
    return lambda: jax.block_until_ready(negated(source))


_COUNTS: dict[str, Callable[[], int]] = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
_COPIES: dict[str, Callable[[str], Callable[[], Any]]] = {
    "tensorflow": _copy_tensorflow,
    "torch": _copy_torch,
    "jax": _copy_jax,
}
