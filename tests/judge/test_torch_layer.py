"""The official layer in PyTorch conforms: reference, Keras and PyTorch agree within the bounds."""

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("keras", reason="weights are renamed by refimpl.keras")

from conformance.implementation import load
from conformance.layers.seam import LAYER

from tests.surveys.kill_matrix import LAYERS, judge


@pytest.mark.clause("LAY-16")
def test_the_official_layer_conforms() -> None:
    name = "tests.opponents.torch_layer"
    assert load(name, LAYER).capabilities.conventions == ("official",)
    (report,) = judge([name], "--no-diagnosis", zoo=LAYERS._replace(prefix=""))
    failures = [failure["token"] for failure in report["failures"]]
    assert (report["conforms"], failures) == (True, [])
