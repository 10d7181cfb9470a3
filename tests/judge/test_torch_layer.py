"""The official layer in PyTorch conforms: reference and PyTorch agree within the bounds."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import conformance

pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.mark.clause("LAY-16")
def test_the_official_layer_conforms() -> None:
    pytest.importorskip("keras", reason="weights are renamed by refimpl.keras")
    report = conformance.check(
        "tests.opponents.torch_layer", layer=True, profile="survey", clauses="LAY-16"
    )
    assert report.capabilities.conventions == ("official",)
    assert report.conforms, str(report)


@pytest.mark.clause("LAY-8")
def test_the_adapter_of_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.opponents import official_torch

    page = Path(__file__).parents[2] / "docs" / "layer.md"
    (source,) = re.findall(r"^```py\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.setitem(sys.modules, "my_layers", official_torch)
    adapter = ModuleType("my_adapter")
    exec(compile(source, str(page), "exec"), vars(adapter))
    report = conformance.check(
        adapter,
        layer=True,
        profile="survey",
        clauses="LAY-8",
        dtypes=["float32"],
        seed=0,
        diagnosis=False,
    )
    assert report.conforms, str(report)
    assert report.judged > 10
