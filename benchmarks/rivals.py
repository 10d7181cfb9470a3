"""Who is timed: the oracle, and ways of computing the same in TensorFlow, PyTorch and JAX.

Each rival turns operands into a call without arguments that returns its results complete. Nothing
is timed here, and frameworks are imported only when a rival is asked for. Gradients are those of
the adapters that the judge uses too (`conformance.adapt`), without their way from and to NumPy.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.devices import torch_device
from benchmarks.workloads import Operands
from refimpl import involution as oracle

# Returns (y,) or (y, dx, dkernel), arrays or tensors, when they are there to be read.
Call = Callable[[], tuple[Any, ...]]
# Those of an operator's call, by name.
Options = Mapping[str, Any]


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
        ``prepare(operands, backward, device, options)`` gives the call to time. A device is
        "CPU:0" or "GPU:" and a number.
    read : callable
        Gives a result to NumPy.
    backend : str
        The backend of Keras that it needs, if it needs Keras: a process has one.
    """

    name: str
    group_layout: str
    prepare: Callable[[Operands, bool, str, Options], Call]
    read: Callable[[Any], Any] = np.asarray
    backend: str = ""

    def options(self, **changed: Any) -> dict[str, Any]:
        """Give all options of a call: those of the workloads, but for what is changed."""
        plain = {"stride": 1, "dilation": 1, "padding": "same", "group_layout": self.group_layout}
        return plain | changed

    def call(self, operands: Operands, *, backward: bool, device: str, **changed: Any) -> Call:
        """Give the call to time, its operands lying where it wants them."""
        return self.prepare(operands, backward, device, self.options(**changed))


def run_oracle(operands: Operands, backward: bool, device: str, options: Options) -> Call:
    """Prepare the oracle, which runs on the host alone."""
    if device != "CPU:0":
        raise ValueError(f"the oracle runs on CPU:0, got {device}")
    x, kernel, dy = operands

    def forward() -> tuple[Any, ...]:
        return (oracle.forward(x, kernel, **options),)

    def forward_and_backward() -> tuple[Any, ...]:
        return (*forward(), *oracle.backward(dy, x, kernel, **options))

    return forward_and_backward if backward else forward


def check(rival: Rival, operands: Operands, results: tuple[Any, ...], **changed: Any) -> None:
    """Hold results against the oracle's, bit for bit."""
    x, kernel, dy = operands
    options = rival.options(**changed)
    expected = [oracle.forward(x, kernel, **options)]
    if len(results) > 1:
        expected += oracle.backward(dy, x, kernel, **options)
    for name, got, due in zip(("y", "dx", "dkernel"), results, expected, strict=False):
        wrong = np.count_nonzero(rival.read(got) != due)
        assert not wrong, f"{rival.name}: {name} differs from the oracle's in {wrong} of {due.size}"


class Runner:
    """Prepares an operator on tensors.

    Parameters
    ----------
    load : callable
        Imports the operator, and gives its adapter on a device.
    finish : callable
        ``finish(device, results)`` waits for results: a GPU returns before it has computed
        anything, and the clock must not stop before it has.
    """

    def __init__(
        self, load: Callable[[str], Any], finish: Callable[[str, Any], None] = lambda *_: None
    ) -> None:
        self.load, self.finish = load, finish

    def __call__(self, operands: Operands, backward: bool, device: str, options: Options) -> Call:
        """Prepare the call that `Rival` describes."""
        function, tensors = self.bound(operands, backward, device, options)

        def call() -> tuple[Any, ...]:
            results = function(*tensors)
            results = results if backward else (results,)
            self.finish(device, results)
            return results

        return call

    def bound(
        self, operands: Operands, backward: bool, device: str, options: Options
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Give the function of tensors that a call calls, and the tensors."""
        adapter = self.load(device)
        x, kernel, dy = map(adapter.to_tensor, operands)
        if backward:
            return partial(adapter.value_and_gradients, **options), (dy, x, kernel)
        return partial(adapter.value, **options), (x, kernel)


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


def _torch(where: str, *, compiled: bool = False) -> Callable[[str], Any]:
    def load(device: str) -> Any:
        from conformance import adapt

        function = _named(where)
        if compiled:
            import torch

            # With the sizes that it is timed on; the adapter would leave them open.
            function = torch.compile(function, dynamic=False)
        return adapt.torch(function, device=torch_device(device))

    return load


def _jax(where: str, *, jit: bool = True) -> Callable[[str], Any]:
    def load(device: str) -> Any:
        from conformance import adapt

        return adapt.jax(_named(where), jit=jit, device=device.lower())

    return load


def _named(where: str) -> Any:
    return importlib.import_module(where).involution


def _read_torch(tensor: Any) -> Any:
    from conformance import adapt

    return adapt.from_torch(tensor)


def _finish_tensorflow(device: str, results: Any) -> None:  # noqa: ARG001
    import tensorflow as tf

    tf.test.experimental.sync_devices()


def _finish_torch(device: str, results: Any) -> None:  # noqa: ARG001
    import torch

    if device != "CPU:0":
        torch.cuda.synchronize(torch_device(device))


def _finish_jax(device: str, results: Any) -> None:  # noqa: ARG001
    import jax

    jax.block_until_ready(results)


def _on_torch(name: str, where: str, *, compiled: bool = False, backend: str = "") -> Rival:
    prepare = Runner(_torch(where, compiled=compiled), _finish_torch)
    return Rival(name, "blocked", prepare, _read_torch, backend)


def _on_jax(name: str, where: str, *, jit: bool = True, backend: str = "") -> Rival:
    prepare = Runner(_jax(where, jit=jit), _finish_jax)
    return Rival(name, "blocked", prepare, np.asarray, backend)


KERAS = "refimpl.keras.operator"
_UNFOLD = "conformance.implementations.operator.torch_unfold"
_PATCHES = "conformance.implementations.operator.jax_patches"
ORACLE = Rival("oracle", "blocked", run_oracle)
# By framework. The published formulation runs as Keras trains it, as a graph, with the only layout
# that it has.
RIVALS: Mapping[str, tuple[Rival, ...]] = {
    "tensorflow": (
        *(
            Rival(
                f"operator-{mode}",
                "blocked",
                Runner(_keras_operator(mode), _finish_tensorflow),
                backend="tensorflow",
            )
            for mode in ("eager", "graph", "xla")
        ),
        Rival("published-graph", "interleaved", Runner(_published, _finish_tensorflow)),
    ),
    "torch": (
        _on_torch("operator-torch", KERAS, backend="torch"),
        _on_torch("torch-unfold", _UNFOLD),
    ),
    "jax": (
        _on_jax("operator-jax-jit", KERAS, backend="jax"),
        _on_jax("jax-patches-eager", _PATCHES, jit=False),
        _on_jax("jax-patches-jit", _PATCHES),
    ),
}
# For whom `benchmarks.compare` alone waits: PyTorch's compiler takes a minute for a shape and pass,
# and on a CPU XLA's gradient of patches by a convolution takes up to minutes for a call.
AWAITED: Mapping[str, tuple[Rival, ...]] = {
    "tensorflow": (),
    "torch": (
        _on_torch("operator-torch-compiled", KERAS, compiled=True, backend="torch"),
        _on_torch("torch-unfold-compiled", _UNFOLD, compiled=True),
    ),
    "jax": (_on_jax("jax-conv-patches-jit", "benchmarks.conv_patches"),),
}


def timed(framework: str, backend: str) -> tuple[Rival, ...]:
    """Give the rivals of a framework that can run where Keras has a backend."""
    return tuple(rival for rival in RIVALS[framework] if rival.backend in {"", backend})
