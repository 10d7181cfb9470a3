"""The official layer in PyTorch conforms: reference, Keras and PyTorch agree within the bounds."""

import pytest

import conformance

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("keras", reason="weights are renamed by refimpl.keras")


@pytest.mark.clause("LAY-16")
def test_the_official_layer_conforms() -> None:
    report = conformance.check(
        "tests.opponents.torch_layer", layer=True, profile="survey", clauses="LAY-16"
    )
    assert report.capabilities.conventions == ("official",)
    assert report.conforms, str(report)
