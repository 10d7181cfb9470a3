"""A profile of the Keras operator as a TensorFlow graph: which operations take its time.

TensorFlow notes of each node when it began and ended and what it wrote. Beside that stands what so
many nodes would take that compute nothing to speak of. Meant for a process of its own (`children`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.interleaved import in_turn
from benchmarks.operators import PASSES
from benchmarks.rivals import RIVALS, Runner
from benchmarks.workloads import WORKLOADS

EMPTY = 2000
# How many kinds of operations are named, those that take the most time.
NAMED = 5


def measure(workload: str, rounds: int) -> dict[str, Any]:
    """Profile both passes.

    Returns
    -------
    dict
        By pass: the "times" of the graph, those of an "empty" graph of `EMPTY` nodes, and of one
        traced run the number of "nodes", the "seconds" of all, and the "operations": of each kind
        the number, the seconds and the bytes written.
    """
    import tensorflow as tf

    problem = next(one for one in WORKLOADS if str(one) == workload)
    named = {rival.name: rival for rival in RIVALS["tensorflow"]}
    operands, empty, number = problem.operands(), nothing(EMPTY), tf.constant(1.0)
    result: dict[str, Any] = {}
    for passes, backward in PASSES.items():
        call = named["operator-graph"].call(operands, backward=backward, device="CPU:0")
        times = in_turn({"times": call, "empty": lambda: empty(number).numpy()}, rounds)
        eager = named["operator-eager"]
        assert isinstance(eager.prepare, Runner)
        body, tensors = eager.prepare.bound(operands, backward, "CPU:0", eager.options())
        result[passes] = {**times, **summed(traced(body, tensors))}
    return result


def nothing(count: int) -> Any:
    """Give a graph of as many nodes, one after the other; angles, which nothing simplifies."""
    import tensorflow as tf

    @tf.function  # type: ignore[untyped-decorator]
    def chain(number: Any) -> Any:
        angle = number
        for _ in range(count):
            angle = tf.atan2(angle, number)
        return angle

    return chain


def traced(body: Callable[..., Any], tensors: Sequence[Any]) -> list[tuple[str, float, int]]:
    """Run a function's graph under TensorFlow's trace, after two runs without one.

    Returns
    -------
    list of tuple
        For each node that ran its operation, its seconds and the bytes that it wrote.
    """
    import tensorflow as tf

    specs = [tf.TensorSpec(one.shape, one.dtype) for one in tensors]
    concrete = tf.function(body).get_concrete_function(*specs)
    v1, names = tf.compat.v1, [output.name for output in concrete.outputs]
    given = zip(concrete.inputs, tensors, strict=True)
    feed = {placeholder.name: tensor.numpy() for placeholder, tensor in given}
    trace, metadata = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE), v1.RunMetadata()
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(concrete.graph.as_graph_def(), name="")
        with v1.Session(graph=graph) as session:
            for _ in range(2):
                session.run(names, feed)
            session.run(names, feed, options=trace, run_metadata=metadata)
    nodes = (node for one in metadata.step_stats.dev_stats for node in one.node_stats)
    return [_read(node) for node in nodes]


def _read(node: Any) -> tuple[str, float, int]:
    # A label reads "name = Operation(inputs)".
    operation = node.timeline_label.rpartition(" = ")[2].partition("(")[0]
    wrote = 0
    for output in node.output:
        sizes = [axis.size for axis in output.tensor_description.shape.dim]
        wrote += 4 * int(np.prod(sizes, dtype=np.int64))
    return operation, 1e-6 * (node.op_end_rel_micros - node.op_start_rel_micros), wrote


def summed(nodes: Sequence[tuple[str, float, int]]) -> dict[str, Any]:
    """Add up by operation, and name those that took the most time."""
    operations: dict[str, list[float]] = {}
    for operation, seconds, wrote in nodes:
        one = operations.setdefault(operation, [0, 0.0, 0])
        for place, value in enumerate((1, seconds, wrote)):
            one[place] += value
    longest = sorted(operations, key=lambda name: -operations[name][1])[:NAMED]
    return {
        "nodes": len(nodes),
        "seconds": sum(seconds for _, seconds, _ in nodes),
        "operations": {name: operations[name] for name in longest},
    }
