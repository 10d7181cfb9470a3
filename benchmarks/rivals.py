"""Who is timed: the oracle, and TensorFlow's ways of computing the same.

Each rival turns operands into a call without arguments that returns its results complete. Nothing
is timed here, and frameworks are imported only when a rival is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

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
        ``prepare(operands, backward, device, group_layout)`` gives the call to time.
    """

    name: str
    group_layout: str
    prepare: Callable[[Operands, bool, str, str], Call]

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


def tensorflow_runner(
    load: Callable[[], Callable[..., Any]], mode: str
) -> Callable[[Operands, bool, str, str], Call]:
    """Prepare an operator on tensors, run eagerly, as a graph or through XLA.

    Parameters
    ----------
    load : callable
        Imports the operator, ``operator(x, kernel, group_layout=)``.
    mode : "eager", "graph" or "xla"
        Graphs are traced for the operands' shapes.
    """

    def prepare(operands: Operands, backward: bool, device: str, group_layout: str) -> Call:
        import tensorflow as tf

        operator = load()

        def forward(x: Any, kernel: Any, _: Any) -> tuple[Any, ...]:
            return (operator(x, kernel, group_layout=group_layout),)

        def forward_and_backward(x: Any, kernel: Any, dy: Any) -> tuple[Any, ...]:
            with tf.GradientTape() as tape:
                tape.watch((x, kernel))
                y = operator(x, kernel, group_layout=group_layout)
            return (y, *tape.gradient(y, (x, kernel), output_gradients=dy))

        body = forward_and_backward if backward else forward
        run = body if mode == "eager" else tf.function(body, jit_compile=mode == "xla")
        with tf.device(device):
            tensors = [tf.identity(operand) for operand in operands]

        def call() -> tuple[Any, ...]:
            with tf.device(device):
                results = run(*tensors)
            # A GPU returns before it has computed anything; the clock must not stop before it has.
            tf.test.experimental.sync_devices()
            return results

        return call

    return prepare


def _layer_operator() -> Callable[..., Any]:
    from refimpl.keras.operator import involution

    return involution


def _published_operator() -> Callable[..., Any]:
    from conformance.implementations.published import apply

    return partial(apply, stride=1, dilation=1, padding="same")


ORACLE = Rival("oracle", "blocked", run_oracle)
# The published formulation runs as Keras trains it, as a graph, with the only layout that it has.
TENSORFLOW = (
    *(
        Rival(f"operator-{mode}", "blocked", tensorflow_runner(_layer_operator, mode))
        for mode in ("eager", "graph", "xla")
    ),
    Rival("published-graph", "interleaved", tensorflow_runner(_published_operator, "graph")),
)
