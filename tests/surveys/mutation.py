"""``python -m tests.surveys.mutation FILE...``: which changes of our own source no test notices.

Cosmic Ray changes one place at a time, in a copy of the checkout. A change that no test notices is
printed: it wants a test, or an explanation in docs/mutation.md.
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

ROOT = Path(__file__).parents[2]
PYTHON = "NUMBA_DISABLE_JIT=1"  # Nothing is compiled: the loops' definition is what is changed.
BOUNDS = [("", "tests/judge/test_bounds_formula.py tests/judge/test_bounds.py")]
# The tests that are to notice a change of each file, and how they are run; the quickest first.
TESTS = {
    "refimpl/geometry.py": [(PYTHON, "tests/oracle/test_geometry.py tests/oracle/test_exact.py")],
    "refimpl/_loops.py": [
        (
            PYTHON,
            "tests/oracle/test_loops.py tests/oracle/test_exact.py tests/oracle/test_twins.py",
        ),
        # What only the compiler uses. Compiling takes long, so it is done for survivors alone.
        ("", "tests/oracle/test_twins.py -k compiled"),
    ],
    "refimpl/_validation.py": [
        (PYTHON, "tests/oracle/test_arguments.py tests/oracle/test_layer_arguments.py")
    ],
    "conformance/judging/examine.py": [("", "tests/judge/test_examine.py")],
    "conformance/claims/arithmetic.py": BOUNDS,
    "conformance/bounds/operator.py": BOUNDS,
}
# One replacement of each arithmetic operator; of each comparison all the others.
ARITHMETIC = "Add_Sub|Sub_Add|Mul_Add|Div_Mul|FloorDiv_Mul|Mod_Add|Pow_Mul"
BITWISE = "BitOr_BitAnd|BitAnd_BitOr"
EXCLUDED = [
    f"core/ReplaceBinaryOperator_(?!({ARITHMETIC}|{BITWISE})$)",
    # Identity is compared where it is meant, and nowhere else.
    "core/ReplaceComparisonOperator_(?!Is)[A-Za-z]+_Is",
    "core/ReplaceComparisonOperator_Is(Not)?_(?!Is)",
    # Decorators are those of Numba and of dataclasses; variables are not exchanged.
    "core/(RemoveDecorator|VariableReplacer|VariableInserter)",
]
# No cache, and no plugin but Hypothesis': to load the others takes half the time of a quick test.
OPTIONS = "-x -q -p no:cacheprovider -p hypothesispytest --hypothesis-profile=mutation"
SECONDS = 300.0


def command(source: str) -> str:
    """Give the shell's words for the tests of one file, which fail where one of them fails."""
    pytest = f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest {OPTIONS}"
    steps = [f"{setting} {pytest} {tests}" for setting, tests in TESTS[source]]
    return f"sh -c '{' && '.join(steps)}'"


def config(source: str) -> str:
    """Cosmic Ray's configuration for one file."""
    return (
        "[cosmic-ray]\n"
        f"module-path = {json.dumps(source)}\n"
        f"timeout = {SECONDS}\n"
        "excluded-modules = []\n"
        f"test-command = {json.dumps(command(source))}\n"
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

        def run(module: str, *arguments: str) -> str:
            words = [sys.executable, "-m", f"cosmic_ray.{module}", *arguments]
            return subprocess.run(
                words, cwd=copy, env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        # Tests that fail anyway would seem to notice everything.
        run("cli", "baseline", "config.toml")
        run("cli", "init", "config.toml", "session.sqlite")
        run("tools.filters.operators_filter", "session.sqlite", "config.toml")
        run("cli", "exec", "config.toml", "session.sqlite")
        dumped = run("cli", "dump", "session.sqlite")
    results = [json.loads(line)[1] for line in dumped.splitlines()]
    return [
        (outcome(result), str(result["diff"]))
        for result in results
        if result is not None and result["worker_outcome"] != "skipped"
    ]


def outcome(result: dict[str, str]) -> str:
    """Tell apart what Cosmic Ray calls killed: a test failed, time ran out, or another end."""
    if result["output"] == "timeout":
        return "timeout"
    failed = any(word in result["output"] for word in ("FAILED", "ERROR", "Error"))
    return "survived" if result["test_outcome"] == "survived" else "killed" if failed else "unclear"


def main() -> None:
    """Survey the files that are named and print what survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.surveys.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", default=list(TESTS), choices=list(TESTS))
    for source in parser.parse_args().files:
        outcomes = survey(source)
        for told, difference in outcomes:
            if told != "killed":
                print(told, difference, sep="\n")
        print(source, dict(Counter(told for told, _ in outcomes)), flush=True)


if __name__ == "__main__":
    main()
