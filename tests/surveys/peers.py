"""``python -m tests.surveys.peers``: judges each peer as it declares itself; the matrix.

Each is judged by the command line, in turn, with one seed; the facts that the matrix needs are kept
in docs/tables/matrix.json, and its table beside it is made from them by `refimpl matrix`. Names
given as arguments are judged anew, and the others' facts stay; ``--table`` judges nothing.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.reporting.matrix import matrix, read

TABLES = Path(__file__).parents[2] / "docs" / "tables"
# Seconds for each, and for one call, so that a slow machine comes to the end too.
SEED, BUDGET, TIMEOUT = 16, 3600, 300
OPERATOR, LAYER = "conformance.implementations.operator", "conformance.implementations.layer"
WORKER = "exec:build/worker"
# Each with the profile that it is judged in: quick where another takes longer than its budget.
PEERS = {
    f"{OPERATOR}.numpy_shifted:Shifted": "default",
    f"{OPERATOR}.numpy_unfold:Unfold": "default",
    WORKER: "default",
    f"{OPERATOR}.torch_unfold:eager": "default",
    f"{OPERATOR}.holocron_involution2d": "default",
    f"{OPERATOR}.involution_pytorch_inv2d": "quick",
    f"{OPERATOR}.onnx_graph": "default",
    f"{OPERATOR}.jax_patches:jit": "quick",
    f"{OPERATOR}.jax_patches:vmap": "quick",
    f"{OPERATOR}.keras_operator:eager": "quick",
    f"{OPERATOR}.keras_operator:graph": "quick",
    f"{OPERATOR}.keras_operator:xla": "quick",
    f"{OPERATOR}.keras_on_torch": "quick",
    f"{OPERATOR}.keras_on_jax": "quick",
    f"{OPERATOR}.published:eager": "quick",
    f"{OPERATOR}.published:graph": "quick",
    f"{OPERATOR}.published:xla": "quick",
    f"{OPERATOR}.torch_unfold:compiled": "quick",
    f"{LAYER}.numpy_layer:NumpyLayer": "default",
    # A layer rounds nearly everywhere: of exact sums alone there is little to ask.
    f"{LAYER}.keras_layer:eager": "default",
    f"{LAYER}.keras_layer:graph": "default",
    "tests.opponents.torch_layer": "default",
}
# What the matrix and its page need of a report.
KEPT = (
    "name", "kind", "environment", "scope", "arithmetic", "verdict", "conforms", "seed", "profile",
    "seconds", "hints",
)  # fmt: skip


def command(name: str) -> list[str]:
    """Give the command that judges one."""
    layer = name.startswith((LAYER, "tests.opponents.torch_layer"))
    option = "--layer" if layer else "--implementation"
    profile = f"--hypothesis-profile={PEERS[name]}"
    given = (f"--seed={SEED}", f"--budget={BUDGET}", f"--timeout={TIMEOUT}")
    return ["python", "-m", "conformance", f"{option}={name}", profile, *given]


def judged(name: str) -> Mapping[str, Any]:
    """Judge one, and give the facts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        subprocess.run([sys.executable, *command(name)[1:], f"--report={path}"], check=False)
        document = read(path)
    (one,) = document["implementations"]
    kept = {entry: one[entry] for entry in KEPT}
    outcomes = [check["outcome"] for check in one["checks"]]
    kept["checks"] = {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}
    kept["clauses"] = {n: {"verdict": entry["verdict"]} for n, entry in one["clauses"].items()}
    kept |= {"command": " ".join(command(name)), "date": f"{datetime.date.today()}"}
    return {"specification": document["specification"], "implementations": [kept]}


def main() -> None:
    """Judge, keep, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", nargs="*", choices=[[], *PEERS])
    parser.add_argument("--table", action="store_true", help="judge nothing; write the table")
    given = parser.parse_args()
    kept = TABLES / "matrix.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    for name in () if given.table else (given.name or PEERS):
        known[name] = judged(name)
        kept.write_text(json.dumps(known, indent=1) + "\n")
    listed = [known[name] for name in PEERS if name in known]
    (TABLES / "matrix.md").write_text("\n".join([*legend(listed), "", matrix(listed), ""]))


def legend(listed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say of each column what it claims, how it was judged, and when."""
    yield "| column | runs on | claims | profile | verdict | checks that pass | date |"
    yield "|---|---|---|---|---|---|---|"
    for number, document in enumerate(listed, 1):
        (one,) = document["implementations"]
        ran = one["checks"]
        passed, claimed = ran.get("passed", 0), sum(ran.values()) - ran.get("not claimed", 0)
        cells = (
            f"[{number}]", one["environment"] or "NumPy", one["scope"], one["profile"],
            one["verdict"], f"{passed} of {claimed}", one["date"],
        )  # fmt: skip
        yield f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    main()
