"""What the judge has imported and compiled before anything is judged."""

import os
import subprocess
import sys
from pathlib import Path

# As in a new process: nothing else has noted the checks, or called the oracle.
SETTLED = """
from conformance.judging.intact import settle
from conformance.kinds import OPERATOR
from refimpl import _fast, _loops

settle(OPERATOR)
for module, names in (
    (_loops, ("forward_rows", "dx_rows", "dkernel_rows")),
    (_fast, ("forward_rows", "dx_rows", "dkernel_rows", "forward_rows_by_member",
             "dx_rows_by_member")),
):
    print(*(len(getattr(module, name).overloads) for name in names))
"""


def test_every_loop_is_compiled_for_either_format() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SETTLED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["2"] * 8


def test_whoever_waits_for_the_compiler_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "conformance", "--implementation=refimpl.involution"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = process.stderr.readline()
        process.kill()
    assert said == "compiling the oracle, once: this takes a minute or two\n"


def test_without_the_compiler_nobody_waits_for_it() -> None:
    words = "from conformance.judging.intact import compiled; print(compiled())"
    done = subprocess.run(
        [sys.executable, "-c", words],
        capture_output=True, text=True, check=True, env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
    assert done.stdout.split() == ["True"]
