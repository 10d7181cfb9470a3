"""Adapters to two packages of the index: on layers of the same interface, and on the packages."""

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

import conformance

pytest.importorskip("torch", reason="torch is not installed")
FOLDER = "conformance.implementations.operator"
# Adapter, module that it imports, its class, and whether the package is right as it is published.
PACKAGES = [
    ("holocron_involution2d", "holocron.nn", "Involution2d", True),
    ("involution_pytorch_inv2d", "involution_pytorch", "Inv2d", False),
]


def judged(implementation: Any) -> Any:
    how: dict[str, Any] = {"profile": "quick", "seed": 0, "diagnosis": False}
    return conformance.check(implementation, clauses=["GEO-8", "GRP-2"], **how)


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize(("adapter", "package", "layer", "right"), PACKAGES)
def test_the_adapter(
    adapter: str, package: str, layer: str, right: bool, wrong: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    del right
    stand_in = ModuleType(package)
    one = getattr(importlib.import_module("tests.opponents.published_layers"), layer)
    setattr(stand_in, layer, type(layer, (one,), {"wrong": wrong}))
    monkeypatch.setitem(sys.modules, package, stand_in)
    root = package.partition(".")[0]
    monkeypatch.setitem(sys.modules, root, stand_in if root == package else ModuleType(root))
    # Never the module of another test.
    monkeypatch.delitem(sys.modules, f"{FOLDER}.{adapter}", raising=False)
    report = judged(importlib.import_module(f"{FOLDER}.{adapter}"))
    del sys.modules[f"{FOLDER}.{adapter}"]
    assert report.conforms != wrong, str(report)


@pytest.mark.parametrize(("adapter", "package", "layer", "right"), PACKAGES)
def test_the_package(adapter: str, package: str, layer: str, right: bool) -> None:
    root = package.partition(".")[0]
    if importlib.util.find_spec(root) is None:
        pytest.skip(f"{root} is not installed: {layer} of {package} is judged where it is")
    report = judged(f"{FOLDER}.{adapter}")
    assert report.conforms == right, str(report)
    assert report.environment.startswith(("pylocron 0", "involution-pytorch 0"))
