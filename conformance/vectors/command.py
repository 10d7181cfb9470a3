"""``python -m conformance vectors``: write the vectors, judge answers, or record some."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.claims.loading import LoadError, load
from conformance.claims.program import DiedError
from conformance.kinds import OPERATOR
from conformance.specification import clauses
from conformance.vectors.checking import CLAIMS, Found, check, lacking_of, read_json, verdict
from conformance.vectors.request import blob
from conformance.vectors.writing import write
from conformance.worker.host import Call, Form
from conformance.worker.messages import parse_message
from conformance.worker.serving import call_of

_STATUS = {"conforms": 0, "fails": 1, "incomplete": 3}
_SHOWN = 20


def main(arguments: Sequence[str]) -> int:
    """Do what is asked.

    Returns
    -------
    int
        0 if written, or if all answers are right; 1 if one is wrong; 3 if one is missing; 2 for a
        command that cannot be understood.
    """
    parser = argparse.ArgumentParser(
        prog="python -m conformance vectors",
        description="Write test vectors into a folder, or judge a folder of answers to them.",
        allow_abbrev=False,
    )
    options = parser.add_argument
    options("folder", metavar="DIR", type=Path, help="of the vectors")
    options("--check", metavar="ANSWERS", type=Path, help="judge this folder of answers")
    options("--answer", metavar="ANSWERS", type=Path, help="record answers into this folder")
    options(OPERATOR.option, metavar="PACKAGE.MODULE:ATTRIBUTE", help="whose answers to record")
    given = parser.parse_args(list(arguments))
    if (given.answer is None) != (given.implementation is None):
        parser.error(f"--answer and {OPERATOR.option} go together")
    if given.answer is None and given.check is None:
        return _write(given.folder)
    try:
        if given.answer is not None:
            record(given.folder, given.answer, given.implementation)
        return 0 if given.check is None else _check(given.folder, given.check)
    except (LoadError, ValueError, OSError) as error:
        parser.error(str(error))


def _write(folder: Path) -> int:
    size = write(folder)
    number = len(list((folder / "requests").iterdir()))
    print(f"{number} vectors in {folder}, {size / 1e6:.1f} MB; answer {folder / 'requests'}, then")
    print(f"  python -m conformance vectors {folder} --check ANSWERS")
    return 0


def _check(folder: Path, answers: Path) -> int:
    if not answers.is_dir():
        raise ValueError(f"--check={answers} must be a folder of answers")
    found = check(folder, answers)
    wrong = [one for one in found if one.outcome == "wrong"]
    for one in wrong[:_SHOWN]:
        print(f"{one.number:04} FAILS {one.clause}: {one.words}")
    if wrong[_SHOWN:]:
        print(f"... and {len(wrong) - _SHOWN} more")
    for clause in dict.fromkeys(one.clause for one in wrong):
        print(f"  {clause}: {clauses()[clause]}")
    print(f"{verdict(found).upper()}: {_counted(found)}")
    return _STATUS[verdict(found)]


def _counted(found: Sequence[Found]) -> str:
    number = {one: sum(f.outcome == one for f in found) for one in _OUTCOMES}
    said = f"{number['right']} of {len(found)} vectors right, {number['wrong']} wrong"
    said += f", {number['not answered']} not answered"
    unclaimed = number["not claimed"]
    return said + (f", {unclaimed} not claimed" if unclaimed else "")


_OUTCOMES = ("right", "wrong", "not answered", "not claimed")


def record(folder: Path, answers: Path, target: Any) -> None:
    """Record the answers of an operator to the vectors of a folder, and what it declares.

    What it does not claim is not asked, and has no answer.

    Parameters
    ----------
    folder, answers : Path
        Of the vectors, and where the answers are written.
    target : object
        As `conformance.claims.loading.load` takes it.

    Raises
    ------
    conformance.claims.loading.LoadError
        It cannot be asked.
    """
    judged = load(target, OPERATOR)
    answers.mkdir(parents=True, exist_ok=True)
    declared = dict(judged.host.capabilities or {})
    (answers / CLAIMS).write_text(json.dumps(declared, default=list) + "\n", encoding="utf-8")
    for test in read_json(folder / "index.json")["tests"]:
        if lacking_of(test, judged.capabilities):
            # So that the verifier in C, which knows no declarations, is told by --partial.
            continue
        path = folder / test["request"]["file"]
        metadata, tensors = parse_message(path.read_bytes())
        (answers / path.name).write_bytes(_asked(judged.host, call_of(metadata, tensors)))
    close = getattr(judged.host, "close", None)
    if close is not None:
        close()


def _asked(host: Any, call: Call) -> bytes:
    try:
        reply = host.call(call)
    except DiedError as error:
        return blob({"reply": "error", "kind": "Died", "message": str(error)}, {})
    if reply.raised:
        kind, message = (*reply.raised, "")[:2]
        return blob({"reply": "error", "kind": kind, "message": message}, {})
    results = {name: one for name, one in reply.results.items() if not isinstance(one, Form)}
    return blob({"reply": "results"}, results)
