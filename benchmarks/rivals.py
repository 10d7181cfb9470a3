"""Who is timed: the oracle, and ways of computing the same in TensorFlow, PyTorch and JAX.

Each rival turns operands into a call without arguments that returns its results complete. Nothing
is timed here, and frameworks are imported only when a rival is asked for. Gradients are those of
the adapters that the judge uses too (`conformance.adapt`), without their way from and to NumPy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.workloads import Operands
from refimpl import involution as oracle

# Returns (y,) or (y, dx, dkernel), arrays or tensors, when they are there to be read.
Call = Callable[[], tuple[Any, ...]]


@dataclass(frozen=True)
class Rival:
    """One implementation and the way in which it is run.

    Attributes
    ----------
    name : str
        As the tables show it.
    group_layout : str
        The one that it is timed with.
    prepare : callable
        ``prepare(operands, backward, device, group_layout)`` gives the call to time. A device is
        "CPU:0" or "GPU:" and a number.
    read : callable
        Gives a result to NumPy.
    """

    name: str
    group_layout: str
    prepare: Callable[[Operands, bool, str, str], Call]
    read: Callable[[Any], Any] = np.asarray

    def call(self, operands: Operands, *, backward: bool, device: str) -> Call:
        """Give the call to time, its operands lying where it wants them."""
        return self.prepare(operands, backward, device, self.group_layout)


def run_oracle(operands: Operands, backward: bool, device: str, group_layout: str) -> Call:
    """Prepare the oracle, which runs on the host alone."""
    if device != "CPU:0":
        raise ValueError(f"the oracle runs on CPU:0, got {device}")
    x, kernel, dy = operands

    def forward() -> tuple[Any, ...]:
        return (oracle.forward(x, kernel, group_layout=group_layout),)

    def forward_and_backward() -> tuple[Any, ...]:
        return (*forward(), *oracle.backward(dy, x, kernel, group_layout=group_layout))

    return forward_and_backward if backward else forward


def check(rival: Rival, operands: Operands, results: tuple[Any, ...]) -> None:
    """Hold results against the oracle's, bit for bit."""
    x, kernel, dy = operands
    expected = [oracle.forward(x, kernel, group_layout=rival.group_layout)]
    if len(results) > 1:
        expected += oracle.backward(dy, x, kernel, group_layout=rival.group_layout)
    for name, got, due in zip(("y", "dx", "dkernel"), results, expected, strict=False):
        wrong = np.count_nonzero(rival.read(got) != due)
        assert not wrong, f"{rival.name}: {name} differs from the oracle's in {wrong} of {due.size}"


def runner(
    load: Callable[[str], Any], finish: Callable[[str, Any], None]
) -> Callable[[Operands, bool, str, str], Call]:
    """Prepare an operator on tensors.

    Parameters
    ----------
    load : callable
        Imports the operator, and gives its adapter on a device.
    finish : callable
        ``finish(device, results)`` waits for results: a GPU returns before it has computed
        anything, and the clock must not stop before it has.
    """

    def prepare(operands: Operands, backward: bool, device: str, group_layout: str) -> Call:
        adapter = load(device)
        x, kernel, dy = map(adapter.to_tensor, operands)
        options = {"stride": 1, "dilation": 1, "padding": "same", "group_layout": group_layout}

        def call() -> tuple[Any, ...]:
            if backward:
                results = adapter.value_and_gradients(dy, x, kernel, **options)
            else:
                results = (adapter.value(x, kernel, **options),)
            finish(device, results)
            return results

        return call

    return prepare


def _keras_operator(mode: str) -> Callable[[str], Any]:
    def load(device: str) -> Any:
        from conformance import adapt
        from refimpl.keras.operator import involution

        return adapt.tensorflow(involution, mode, device=device, open_sizes=False)

    return load


def _published(device: str) -> Any:
    from conformance import adapt
    from conformance.implementations.operator.published import apply

    return adapt.tensorflow(apply, "graph", device=device, open_sizes=False)


def _torch_unfold(device: str) -> Any:
    from conformance import adapt
    from conformance.implementations.operator.torch_unfold import involution

    return adapt.torch(involution, device=_torch_device(device))


def _torch_device(device: str) -> str:
    return "cpu" if device == "CPU:0" else device.replace("GPU", "cuda")


def _read_torch(tensor: Any) -> Any:
    from conformance import adapt

    return adapt.from_torch(tensor)


def _jax_patches(jit: bool) -> Callable[[str], Any]:
    def load(device: str) -> Any:
        from conformance import adapt
        from conformance.implementations.operator.jax_patches import involution

        return adapt.jax(involution, jit=jit, device=device.lower())

    return load


def _finish_tensorflow(device: str, results: Any) -> None:  # noqa: ARG001
    import tensorflow as tf

    tf.test.experimental.sync_devices()


def _finish_torch(device: str, results: Any) -> None:  # noqa: ARG001
    import torch

    if device != "CPU:0":
        torch.cuda.synchronize(_torch_device(device))


def _finish_jax(device: str, results: Any) -> None:  # noqa: ARG001
    import jax

    jax.block_until_ready(results)


ORACLE = Rival("oracle", "blocked", run_oracle)
# By framework. The published formulation runs as Keras trains it, as a graph, with the only layout
# that it has. PyTorch's compiler is left out: it takes half a minute for each shape and pass.
RIVALS: Mapping[str, tuple[Rival, ...]] = {
    "tensorflow": (
        *(
            Rival(f"operator-{mode}", "blocked", runner(_keras_operator(mode), _finish_tensorflow))
            for mode in ("eager", "graph", "xla")
        ),
        Rival("published-graph", "interleaved", runner(_published, _finish_tensorflow)),
    ),
    "torch": (Rival("torch-unfold", "blocked", runner(_torch_unfold, _finish_torch), _read_torch),),
    "jax": (
        Rival("jax-patches-eager", "blocked", runner(_jax_patches(False), _finish_jax)),
        Rival("jax-patches-jit", "blocked", runner(_jax_patches(True), _finish_jax)),
    ),
}
