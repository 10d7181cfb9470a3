"""A few training steps with and without the reference, as docs/layer.md has a hundred of."""

import pytest

pytest.importorskip("tensorflow", reason="Keras trains on TensorFlow here")
pytest.importorskip("sklearn", reason="the digits come from scikit-learn")
pytest.importorskip("scipy", reason="the largest eigenvalue is found by SciPy")

from tests.surveys.training import train


@pytest.mark.clause("LAY-14", "LAY-16")
def test_both_networks_take_the_same_steps() -> None:
    steps = train(3)
    assert steps[-1].loss != steps[0].loss
    for step in steps:
        assert 0 <= step.distance <= step.bound
        # Each involution's output and gradients, within their bounds.
        assert 0 < step.worst <= 1
