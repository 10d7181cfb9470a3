"""The plan of the house: imports point one way, clauses and tests meet, the surface is pinned."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.specification import clauses, version

ROOT = Path(__file__).parents[2]
TOP = ("refimpl", "conformance", "benchmarks", "tests")
FRAMEWORKS = {"tensorflow", "keras", "torch", "jax", "pytest", "hypothesis", "dask"}
# Clauses that bind the oracle alone.
ORACLE_ONLY = {"NUM-5", "NUM-7", "ERR-10", "ERR-11"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, absolutely."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level and path.parent.name == "worker":
                # It goes by another name in the process that is judged.
                continue
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize(
    ("folder", "barred"),
    [
        ("refimpl", {"conformance", "benchmarks", "tests"}),
        ("conformance", {"benchmarks", "tests"}),
        ("benchmarks", {"tests"}),
    ],
)
def test_arrows_point_one_way(folder: str, barred: set[str]) -> None:
    wrong = [path for path in modules(folder) if roots(path) & barred]
    assert wrong == []


def test_the_oracle_needs_numpy_and_numba_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "numba", "refimpl"}
    oracle = [path for path in modules("refimpl") if "keras" not in path.relative_to(ROOT).parts]
    needed = {path.name: roots(path) - allowed for path in oracle if roots(path) - allowed}
    # Imported for those alone who bring a dask array.
    assert needed == {"_dask.py": {"dask"}}


def test_the_worker_knows_nothing_of_the_judge() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "ml_dtypes", "safetensors"}
    files = modules("conformance/worker")
    assert {path.name: roots(path) - allowed for path in files if roots(path) - allowed} == {}


def test_what_is_judged_shares_no_code_with_the_oracle() -> None:
    judged = [
        *modules("refimpl/keras"),
        *modules("conformance/adapt"),
        *modules("conformance/implementations"),
        *modules("conformance/mutants"),
    ]
    # Of refimpl the Keras layer alone: it is judged itself.
    shared = re.compile(r"refimpl(?!\.keras\b)(\.|$)")
    wrong = [(path, name) for path in judged for name in imports(path) if shared.match(name)]
    assert wrong == []


def test_adapters_share_no_code_with_the_judge() -> None:
    wrong = [
        (path, name)
        for path in modules("conformance/adapt")
        for name in imports(path)
        if name.startswith("refimpl") or re.match(r"conformance(?!\.adapt|$)", name)
    ]
    assert wrong == []


def test_exact_and_twin_share_no_code_with_the_oracle() -> None:
    for name in ("exact", "exact_layer", "twin", "wrong_operators", "right_operators"):
        assert "refimpl" not in roots(ROOT / "tests" / "opponents" / f"{name}.py")


def cited(path: Path) -> set[str]:
    """Clause numbers in the marks of a test file, and in the table of faults."""
    return set(re.findall(r'"([A-Z]{3}-\d+)"', path.read_text()))


def test_every_clause_has_a_test_and_every_citation_a_clause() -> None:
    suite = [*modules("conformance/suite"), ROOT / "conformance" / "cases" / "bad_calls.py"]
    own = modules("tests/oracle")
    in_suite = set().union(*map(cited, suite))
    in_tests = set().union(*map(cited, own))
    assert in_suite == set(clauses()) - ORACLE_ONLY
    assert in_tests >= ORACLE_ONLY
    assert in_tests <= set(clauses())


def test_every_clause_that_is_cited_exists() -> None:
    """Also in messages, docstrings and comments."""
    pattern = re.compile(r"\b(?:GEO|GRP|FWD|GRD|NUM|ERR|SPC|LAY)-\d+\b")
    for folder in TOP:
        for path in modules(folder):
            assert set(pattern.findall(path.read_text())) <= set(clauses()), path


def test_clauses_are_numbered_in_order() -> None:
    numbers = [(name[:3], int(name[4:])) for name in clauses()]
    for chapter in dict(numbers):
        own = [number for name, number in numbers if name == chapter]
        assert own == list(range(1, len(own) + 1))
    assert re.fullmatch(r"\d+\.\d+", version())


def test_the_public_surface() -> None:
    import refimpl
    from conformance import adapt
    from refimpl import involution, layer

    assert refimpl.__all__ == ["__version__"]
    assert involution.__all__ == ["backward", "capabilities", "double_backward", "forward", "jvp"]
    assert involution.__name__ == "refimpl.involution"
    assert layer.__all__ == [
        "STATISTICS", "Config", "Forward", "backward", "capabilities", "forward",
        "keras_example", "official",
    ]  # fmt: skip
    frameworks = ("jax", "tensorflow", "torch")
    assert adapt.__all__ == [
        "Form", "arrays", *(f"from_{name}" for name in frameworks), "jax", "tensorflow",
        *(f"to_{name}" for name in frameworks), "torch", "torch_layer",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["refimpl.involution", "conformance.adapt"])
def test_importing_it_imports_no_framework(name: str) -> None:
    script = f"import sys, {name}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & FRAMEWORKS
