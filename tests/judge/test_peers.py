"""Peers that are not judged elsewhere: their answers on integers are the oracle's, bit for bit.

Whole verdicts take the suite; these tests insure that the adapters still work.
"""

import importlib
from typing import Any

import numpy as np
import pytest

from refimpl import involution

OPTIONS: list[dict[str, Any]] = [
    {},
    {"stride": (2, 3), "dilation": (1, 2), "group_layout": "interleaved"},
    {"stride": 2, "padding": ((1, 1), (0, 2))},
]
GRIDS = [(7, 8), (4, 3), (4, 5)]


def agrees(peer: Any, *, backward: bool) -> bool:
    """Compare with the oracle, on integers, exactly."""
    rng = np.random.default_rng(0)
    for options, grid in zip(OPTIONS, GRIDS, strict=True):
        shapes = (2, *grid, 6), (2, 7, 8, 6), (2, *grid, 3, 2, 2)
        dy, x, kernel = (rng.integers(-9, 9, shape).astype(np.float32) for shape in shapes)
        got, due = [peer.forward(x, kernel, **options)], [involution.forward(x, kernel, **options)]
        if backward:
            got += peer.backward(dy, x, kernel, **options)
            due += involution.backward(dy, x, kernel, **options)
        if not all(np.array_equal(one, other) for one, other in zip(got, due, strict=True)):
            return False
    return True


def test_the_onnx_graph() -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    peer = importlib.import_module("conformance.implementations.operator.onnx_graph")
    assert agrees(peer, backward=False)


def test_jax_by_samples() -> None:
    pytest.importorskip("jax", reason="jax is not installed")
    peer = importlib.import_module("conformance.implementations.operator.jax_patches").vmap
    assert agrees(peer, backward=True)
