"""``python -m tests.mutation FILE...``: change our own source, one place at a time, and test it.

Cosmic Ray does the work, in a copy of the checkout. A change that no test notices is printed: it
wants a test, or an explanation in docs/mutation.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
BOUNDS = "tests/test_bounds.py tests/test_suite.py tests/test_campaign.py"
# The tests that are to notice a change of each file, the quickest first.
TESTS = {
    "refimpl/_geometry.py": "tests/test_geometry.py tests/test_oracle_exact.py",
    "refimpl/_loops.py": "tests/test_oracle_exact.py tests/test_oracle_twins.py",
    "refimpl/_validation.py": "tests/test_oracle_arguments.py tests/test_oracle_exact.py",
    "conformance/bounds.py": BOUNDS,
    "conformance/verdict.py": f"tests/test_verdict.py {BOUNDS}",
}
# One replacement of each arithmetic operator, the neighbours of each comparison.
ARITHMETIC = "Add_Sub|Sub_Add|Mul_Add|Div_Mul|FloorDiv_Mul|Mod_Add|Pow_Mul|BitOr_BitAnd"
COMPARISONS = "Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Eq_NotEq|NotEq_Eq|IsNot_Is|Is_IsNot"
EXCLUDED = [
    f"core/ReplaceBinaryOperator_(?!({ARITHMETIC})$)",
    f"core/ReplaceComparisonOperator_(?!({COMPARISONS})$)",
    # Decorators are those of Numba and of dataclasses; variables are not exchanged.
    "core/(RemoveDecorator|VariableReplacer|VariableInserter)",
]
SECONDS = 120.0


def config(source: str) -> str:
    """Cosmic Ray's configuration for one file."""
    options = "-x -q -p no:cacheprovider --no-header"
    deselected = "--deselect=tests/test_suite.py::test_the_oracle_conforms"
    command = f"{sys.executable} -m pytest {options} {deselected} {TESTS[source]}"
    return (
        "[cosmic-ray]\n"
        f"module-path = {json.dumps(source)}\n"
        f"timeout = {SECONDS}\n"
        "excluded-modules = []\n"
        f"test-command = {json.dumps(command)}\n"
        '[cosmic-ray.distributor]\nname = "local"\n'
        f"[cosmic-ray.filters.operators-filter]\nexclude-operators = {json.dumps(EXCLUDED)}\n"
    )


def survey(source: str) -> list[tuple[str, str]]:
    """Outcome and difference of every change of one file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".*cache", "_build"))
        (copy / "config.toml").write_text(config(source))
        environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        if source.startswith("refimpl/"):
            # Python instead of compiled loops: their definition is what is changed.
            environment["NUMBA_DISABLE_JIT"] = "1"
        for command in (
            ["cosmic-ray", "init", "config.toml", "session.sqlite"],
            ["cr-filter-operators", "session.sqlite", "config.toml"],
            ["cosmic-ray", "exec", "config.toml", "session.sqlite"],
        ):
            subprocess.run(command, cwd=copy, env=environment, check=True)
        dumped = subprocess.run(
            ["cosmic-ray", "dump", "session.sqlite"],
            cwd=copy, env=environment, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    results = [json.loads(line)[1] for line in dumped.splitlines()]
    return [
        (str(result["test_outcome"]), str(result["diff"]))
        for result in results
        if result is not None and result["worker_outcome"] != "skipped"
    ]


def main() -> None:
    """Survey the files that are named and print what survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", default=list(TESTS), choices=list(TESTS))
    for source in parser.parse_args().files:
        outcomes = survey(source)
        for outcome, difference in outcomes:
            if "survived" in outcome:
                print(difference)
        print(source, dict(Counter(outcome for outcome, _ in outcomes)), flush=True)


if __name__ == "__main__":
    main()
