"""The page of clauses has every clause, with what decides it; a clause that is lost is noticed."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from conformance.specification import clauses
from tests.house.test_house import ORACLE_ONLY

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def pages() -> Any:
    pytest.importorskip("docutils", reason="the extra docs is not installed")
    specification = importlib.util.spec_from_file_location("clause_pages", DOCS / "clause_pages.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_clause_has_its_part(pages: Any) -> None:
    parts = pages.page().split("\n### ")[1:]
    assert [part.partition("\n")[0] for part in parts] == list(clauses())
    undecided = {part.partition("\n")[0] for part in parts if "| check | in |" not in part}
    assert undecided == ORACLE_ONLY
    (part,) = (one for one in parts if one.startswith("GEO-7\n"))
    assert "`same_padding`" in part
    assert "`OddPixelBefore`" in part


def test_a_range_of_clauses_names_those_between(pages: Any) -> None:
    assert pages._named("GRD-7 to GRD-10, and FWD-1") == {
        "GRD-7", "GRD-8", "GRD-9", "GRD-10", "FWD-1",
    }  # fmt: skip


def test_every_clause_of_the_specification_gets_an_address(pages: Any) -> None:
    source = [(DOCS / "spec.md").read_text(encoding="utf-8")]
    pages.read(None, "spec", source)
    for number in clauses():
        assert f"(clause-{number.lower()})=\n**{number}.**" in source[0]
        assert f"[checks](clauses.md#{number.lower()})" in source[0]
