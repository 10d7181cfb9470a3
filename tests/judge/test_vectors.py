"""The vectors: what is in the folder, what it catches, and two programs with one verdict."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from conformance.claims.capabilities import declared
from conformance.mutants.operator import MUTANTS
from conformance.specification import clauses
from conformance.vectors.checking import CLAIMS, check, verdict
from conformance.vectors.choice import choice
from conformance.vectors.command import main, record
from conformance.vectors.due import Due, operands, stored_for
from conformance.vectors.known import SHOWN, catches, catches_refusal
from conformance.vectors.request import blob
from conformance.vectors.writing import write, written
from conformance.worker.messages import dump_message, parse_message
from tests.opponents.right_operators import RIGHT

# Of each sort one: geometry, padding, groups, gradients, blocks, arithmetic, special values,
# defaults, refusal, form.
TEN = (
    "KernelFlipped", "OddPixelBefore", "AlwaysBlocked", "DkernelMean", "ColumnIndexInHalf",
    "SumsInHalf", "NanToZero", "IntegerStrideIsVertical", "AcceptsEverything", "AnswersInDouble",
)  # fmt: skip
LARGEST, LEAST = 20e6, 0.95


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("vectors")
    write(made)
    return made


@pytest.fixture(scope="module")
def index(folder: Path) -> Any:
    return json.loads((folder / "index.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def verifier(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    program: Path = tmp_path_factory.mktemp("program") / "verify"
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed: the verifier is part of what is promised"
    strict = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1"]
    subprocess.run([compiler, *strict, folder / "verify.c", "-o", program, "-lm"], check=True)
    return program


def test_the_index_is_what_its_schema_says(folder: Path, index: Any) -> None:
    schema = json.loads((folder / index["schema"]).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(index, schema)
    tests = index["tests"]
    assert [test["tcId"] for test in tests] == list(range(1, index["numberOfTests"] + 1))
    for test in tests:
        assert set(test["flags"]) <= set(index["notes"])
        assert set(test["clauses"]) <= set(clauses())
        assert set(test["catches"]) <= set(index["faults"])
        for name in ("request", "due"):
            content = (folder / test[name]["file"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == test[name]["sha256"]


def test_they_are_small_and_catch_what_files_can_show(folder: Path, index: Any) -> None:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size <= LARGEST
    caught = {name for test in index["tests"] for name in test["catches"]}
    assert caught <= set(SHOWN)
    assert len(caught) >= LEAST * len(SHOWN), sorted(set(SHOWN) - caught)
    decided = {clause for test in index["tests"] for clause in test["clauses"]}
    # Files hold no answers to `jvp` and `double_backward`.
    unseen = {
        "GRD-7",
        "GRD-8",
        "GRD-9",
        "GRD-10",
        "GRD-11",
        "FWD-2",
        "FWD-3",
        "FWD-5",
        "FWD-6",
        "FWD-7",
        "FWD-8",
        "NUM-5",
        "NUM-7",
        "ERR-10",
        "ERR-11",
    }
    of_operators = {number for number in clauses() if number[:3] != "LAY"}
    # What follows from other clauses, or is about two calls, is decided by no single file.
    assert of_operators - decided <= unseen | {"GRP-4", "GRD-3", "GRD-4", "GRD-5", "SPC-4"}


def test_the_same_bytes_each_time(folder: Path, tmp_path: Path) -> None:
    """safetensors orders metadata by chance; the files do not."""
    said, tensors = {str(n): "" for n in range(12)}, {"y": np.zeros(3)}
    assert len({dump_message(said, tensors) for _ in range(20)}) > 1
    assert len({blob(said, tensors) for _ in range(20)}) == 1
    for vector in choice()[:3]:
        for name in ("requests", "due"):
            (tmp_path / name).mkdir(exist_ok=True)
        written(vector, tmp_path)
        for name in ("requests", "due"):
            own, other = (one / name / vector.file for one in (folder, tmp_path))
            assert own.read_bytes() == other.read_bytes()


def test_the_table_of_catches_is_true() -> None:
    """A sample of vectors and faults, asked again: who is said to be caught is, and nobody else."""
    for vector in choice()[::23]:
        some = list(SHOWN)[vector.number % 17 :: 17]
        if vector.case is None:
            found = {name for name in some if catches_refusal(SHOWN[name](), vector.refused)}
        else:
            due = Due(vector.case, operands(vector.case))
            asked = vector.case, vector.function, vector.form, due
            found = {name for name in some if catches(SHOWN[name](), *asked)}
        assert found == set(vector.catches) & set(some), vector


def verdicts(folder: Path, answers: Path, verifier: Path, *more: str) -> tuple[str, dict[int, str]]:
    """Give the verdict of Python, after that of C was found to be the same, clause for clause."""
    found = check(folder, answers)
    words = {one.number: one.clause for one in found if one.outcome == "wrong"}
    command = [str(verifier), str(folder), str(answers), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    *lines, last = done.stdout.splitlines()
    assert {int(line[:4]): line.split()[2].rstrip(":") for line in lines} == words
    assert last.partition(":")[0].lower() == verdict(found)
    assert done.returncode == {"conforms": 0, "fails": 1, "incomplete": 3}[verdict(found)]
    return verdict(found), words


def arithmetics(answers: Path) -> list[str]:
    """Name the arithmetics that are declared, as the program in C is told."""
    claimed = declared(json.loads((answers / CLAIMS).read_text(encoding="utf-8")))
    return [*(f"{one}={stored_for(claimed, one).name}" for one in claimed.dtypes), "--partial"]


@pytest.mark.parametrize("name", ["Unfold", "HalfInHalf", "Flushing", "MatrixUnit"])
def test_right_answers_conform(folder: Path, verifier: Path, tmp_path: Path, name: str) -> None:
    """In the usual arithmetic, and in others whose bounds are stored."""
    record(folder, tmp_path, RIGHT[name]())
    # Who does not validate leaves what must be refused unanswered, and the verifier is told so.
    answered = {int(path.stem) for path in tmp_path.glob("*.safetensors")}
    assert answered == {one.number for one in choice() if one.case is not None}
    assert verdicts(folder, tmp_path, verifier, *arithmetics(tmp_path)) == ("conforms", {})


@pytest.mark.parametrize("name", TEN)
def test_mutants_fail_the_same(folder: Path, verifier: Path, tmp_path: Path, name: str) -> None:
    record(folder, tmp_path, MUTANTS[name])
    said, wrong = verdicts(folder, tmp_path, verifier, *arithmetics(tmp_path))
    assert said == "fails"
    assert set(wrong) == {one.number for one in choice() if name in one.catches}


def test_what_may_be_refused_is_counted_apart(folder: Path, tmp_path: Path) -> None:
    record(folder, tmp_path, RIGHT["Unfold"]())
    claims = json.loads((tmp_path / CLAIMS).read_text(encoding="utf-8"))
    some = next(one for one in choice() if one.case is not None and one.case.batch > 1)
    assert some.case is not None
    said = {"reply": "error", "kind": "NotImplementedError", "message": "one sample at a time"}
    (tmp_path / some.file).write_bytes(blob(said, {}))
    assert verdict(check(folder, tmp_path)) == "fails"
    (tmp_path / CLAIMS).write_text(json.dumps(claims | {"may_refuse": "B > 1"}), encoding="utf-8")
    found = check(folder, tmp_path)
    assert verdict(found) == "conforms"
    assert next(one for one in found if one.number == some.number).outcome == "not claimed"
    (tmp_path / some.file).write_bytes(blob({**said, "message": ""}, {}))
    assert verdict(check(folder, tmp_path)) == "fails"


def test_the_oracle_validates(folder: Path, verifier: Path, tmp_path: Path) -> None:
    """What must be refused is, and every form of an answer that is none is named."""
    refused = [vector for vector in choice() if vector.case is None]
    answered = next(
        one for one in choice() if one.function == "backward" and "DkernelMean" in one.catches
    )
    assert answered.case is not None
    assert answered.case.dtype == "float32"
    assert refused
    for vector in refused:
        (tmp_path / vector.file).write_bytes(blob({"reply": "error", "kind": "ValueError"}, {}))
    assert verdicts(folder, tmp_path, verifier)[0] == "incomplete"
    _, due = parse_message((folder / "due" / answered.file).read_bytes())
    good = {name: due[name].astype(np.float32) for name in ("dx", "dkernel")}
    said = {"reply": "results"}
    for content, clause in (
        (blob({"reply": "error", "kind": "Error"}, {}), "GRD-1"),
        (b"nonsense", "GRD-1"),
        (b"", "GRD-1"),
        (blob(said, {"dx": good["dx"]}), "GEO-1"),
        (blob(said, good | {"dx": good["dx"][0]}), "GEO-1"),
        (blob(said, good | {"dx": good["dx"].astype(np.float64)}), "GRD-6"),
        (blob(said, good | {"dkernel": good["dkernel"] + 1}), "GRD-2"),
    ):
        (tmp_path / answered.file).write_bytes(content)
        assert verdicts(folder, tmp_path, verifier) == ("fails", {answered.number: clause})
    (tmp_path / answered.file).write_bytes(blob(said, good))
    assert verdicts(folder, tmp_path, verifier)[0] == "incomplete"


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), "--check", str(tmp_path)]) == 3
    assert "INCOMPLETE: 0 of" in capsys.readouterr().out
    for bad in (["--answer", str(tmp_path)], ["--check", str(tmp_path / "none")]):
        with pytest.raises(SystemExit, match="2"):
            main([str(folder), *bad])
    (tmp_path / CLAIMS).write_text('{"strydes": "any"}', encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        main([str(folder), "--check", str(tmp_path)])
    assert "did you mean strides?" in capsys.readouterr().err


def test_an_arithmetic_that_is_not_stored(folder: Path, tmp_path: Path) -> None:
    """It is no fault: there is no verdict."""
    (tmp_path / CLAIMS).write_text('{"result": {"float16": "float32"}}', encoding="utf-8")
    with pytest.raises(ValueError, match="bounds the vectors have not"):
        check(folder, tmp_path)
