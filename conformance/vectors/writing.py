"""Writes a set of vectors into a folder: the same bytes for the same version.

A request is the very message of docs/protocol.md. Beside it lies what is due: the exact sums,
rounded once to float64, and for each arithmetic how far a result may be from them. A tensor
``y.bound.NAME`` is the bound of one arithmetic, ``y.bound`` that of all that have none of their
own; where there is neither, equality is demanded.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from conformance import specification
from conformance.bounds.expected import Array
from conformance.claims.formats import FORMATS
from conformance.kinds import OPERATOR
from conformance.mutants import words
from conformance.mutants.operator import MUTANTS
from conformance.vectors import described
from conformance.vectors.choice import Vector, choice
from conformance.vectors.due import STORED, Due, operands, results_of
from conformance.vectors.request import blob, called, refused_calls, request
from conformance.worker.messages import DTYPES, PROTOCOL
from refimpl import __version__

SCHEMA = "index.schema.json"
VERSION = 1
_WORDS = [
    "Test vectors for involution: requests of the protocol, and what is due.",
    "Answer each file of requests/ by one of the same name: a safetensors file with the results.",
    "verify.c compares them without Python; python -m conformance vectors --check does the same.",
]
_HERE = Path(__file__).parent


def write(folder: Path) -> int:
    """Write the set; give the number of its bytes."""
    for name in ("requests", "due"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    tests = [written(vector, folder) for vector in choice()]
    (folder / "index.json").write_text(_json(_index(tests)), encoding="utf-8")
    for name in (SCHEMA, "verify.c"):
        shutil.copyfile(_HERE / name, folder / name)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _index(tests: list[dict[str, Any]]) -> dict[str, Any]:
    caught = {name for test in tests for name in test["catches"]}
    return {
        "algorithm": "involution",
        "schema": SCHEMA,
        "version": VERSION,
        "generatorVersion": f"refimpl {__version__}",
        "specification": specification.version(),
        "protocol": PROTOCOL,
        "header": _WORDS,
        "numberOfTests": len(tests),
        "arithmetics": {
            dtype: {
                one.name: {
                    "accumulator": one.accumulator,
                    "multiplier": one.multiplier,
                    "gradual_underflow": one.kept,
                }
                for one in listed
            }
            for dtype, listed in STORED.items()
        },
        "notes": {
            name: {"bugType": bug, "description": text}
            for name, (bug, text) in described.NOTES.items()
        },
        "clauses": dict(specification.clauses()),
        "faults": {name: words(MUTANTS[name]) for name in sorted(caught)},
        "tests": tests,
    }


def written(vector: Vector, folder: Path) -> dict[str, Any]:
    """Write the files of a vector; give its entry in the index."""
    asked, due = _refused(vector) if vector.case is None else _answered(vector)
    files = {"request": ("requests", asked), "due": ("due", due)}
    entry: dict[str, Any] = {
        "tcId": vector.number,
        "function": vector.function,
        "comment": described.comment(vector),
        "clauses": described.clauses(vector),
        "flags": described.flags(vector),
        "result": "error" if vector.case is None else "results",
        "catches": list(vector.catches),
    }
    if vector.case is not None:
        entry["case"] = vector.case.token
    for name, (where, content) in files.items():
        (folder / where / vector.file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        entry[name] = {"file": f"{where}/{vector.file}", "sha256": digest}
    return entry


def _refused(vector: Vector) -> tuple[bytes, bytes]:
    function, given, options = refused_calls()[vector.refused].call
    return request(function, given, options, {}), blob(_said(vector) | {"expects": "error"}, {})


def _answered(vector: Vector) -> tuple[bytes, bytes]:
    assert vector.case is not None
    case, function = vector.case, vector.function
    due = Due(case, operands(case))
    given, options = called(function, case, due.operands, vector.form)
    shapes = {name: due.values[name].shape for name in results_of(function)}
    tensors: dict[str, Array] = {}
    said = _said(vector) | {"expects": "results", "results": " ".join(shapes)}
    dtype = next(name for name, one in DTYPES.items() if one == FORMATS[case.dtype].dtype)
    said |= {"dtype": dtype, "operands": case.dtype}
    for result in shapes:
        tensors[result] = due.values[result]
        tensors |= _bounds(due, result)
        said[f"clause.{result}"] = " ".join(described.blamed(case, result))
    return request(function, given, options, shapes), blob(said, tensors)


def _said(vector: Vector) -> dict[str, str]:
    form = described.blamed_for_form(vector)
    said = {"vector": str(vector.number), "request": OPERATOR.request(vector.function)}
    return said | {f"clause.{name}": clause for name, clause in form.items()}


def _bounds(due: Due, result: str) -> dict[str, Array]:
    """Give the bounds that are to be stored: those of all arithmetics, one where they are alike."""
    each = dict(due.bounds(result))
    first = next(iter(each.values()))
    if all(np.array_equal(one, first) for one in each.values()):
        return {f"{result}.bound": first} if first.any() else {}
    return {f"{result}.bound.{name}": one for name, one in each.items() if one.any()}


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
