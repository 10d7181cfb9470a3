"""Judges a folder of answers to a folder of vectors, by what is stored there.

No truth is computed: `verify.c`, which lies beside the vectors, comes to the same verdict.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conformance.bounds.expected import Array, Expected
from conformance.cases.operator import OperatorCase, unclaimed
from conformance.claims.capabilities import Capabilities, declared
from conformance.claims.formats import FORMATS
from conformance.claims.program import printable
from conformance.judging.examine import compare
from conformance.kinds import OPERATOR
from conformance.vectors.due import stored_for
from conformance.worker.messages import DTYPES, MessageError, parse_message

CLAIMS = "capabilities.json"
"""In the folder of answers: what is declared, as `capabilities` is."""


@dataclass(frozen=True)
class Found:
    """What came of a vector.

    Attributes
    ----------
    number : int
        Of the vector.
    outcome : str
        "right", "wrong", "not answered" or "not claimed".
    clause : str
        What is broken.
    words : str
        What is wrong, or what is not claimed.
    """

    number: int
    outcome: str
    clause: str = ""
    words: str = ""


class _WrongError(Exception):
    """An answer is wrong: the kind of its clause, and words."""


def check(vectors: Path, answers: Path) -> list[Found]:
    """Judge a folder of answers.

    Raises
    ------
    ValueError
        The vectors cannot be read, or what is declared says nothing that could be tested.
    """
    claimed: Capabilities = declared(
        read_json(answers / CLAIMS) if (answers / CLAIMS).exists() else None
    )
    kinds = {dtype: stored_for(claimed, dtype).name for dtype in claimed.dtypes}
    found = []
    for test in read_json(vectors / "index.json")["tests"]:
        number, path = test["tcId"], answers / Path(test["request"]["file"]).name
        if lacking := lacking_of(test, claimed):
            found.append(Found(number, "not claimed", words=lacking))
        elif not path.exists():
            found.append(Found(number, "not answered"))
        else:
            due = (vectors / test["due"]["file"]).read_bytes()
            if _may_refuse(test, path.read_bytes(), claimed):
                found.append(Found(number, "not claimed", words="refused, which may be"))
                continue
            found.append(_judged(number, path.read_bytes(), *parse_message(due), kinds))
    return found


def verdict(found: list[Found]) -> str:
    """Give one of "conforms", "fails", "incomplete"."""
    outcomes = {one.outcome for one in found}
    if "wrong" in outcomes:
        return "fails"
    return "conforms" if "right" in outcomes and "not answered" not in outcomes else "incomplete"


def read_json(path: Path) -> Any:
    """Read a file of JSON, or raise a ValueError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} must be a file of JSON: {error}") from error


def lacking_of(test: Mapping[str, Any], claimed: Capabilities) -> str:
    """Say what of a vector is not claimed; nothing if all of it is."""
    if "case" not in test:
        return "" if claimed.validates else "validates"
    return unclaimed(OperatorCase.parse(test["case"]), claimed)


def _may_refuse(test: Mapping[str, Any], answer: bytes, claimed: Capabilities) -> bool:
    """Tell whether a vector was refused, in words, and may be."""
    if not claimed.may_refuse or "case" not in test:
        return False
    try:
        said, _ = parse_message(answer)
    except MessageError:
        return False
    worded = said.get("reply") == "error" and bool(said.get("message", "").strip())
    return worded and OPERATOR.may_refuse(OperatorCase.parse(test["case"]), claimed)


def _judged(
    number: int,
    answer: bytes,
    meta: Mapping[str, str],
    due: Mapping[str, Array],
    kinds: Mapping[str, str],
) -> Found:
    try:
        _demand(answer, meta, due, kinds)
    except _WrongError as wrong:
        kind, words = wrong.args
        return Found(number, "wrong", meta.get(f"clause.{kind}", kind), printable(words))
    return Found(number, "right")


def _demand(
    answer: bytes, meta: Mapping[str, str], due: Mapping[str, Array], kinds: Mapping[str, str]
) -> None:
    """Raise what is wrong with an answer."""
    try:
        said, results = parse_message(answer)
    except MessageError as error:
        raise _WrongError("answer", str(error)) from error
    refused = said.get("reply") == "error"
    if meta["expects"] == "error":
        if not refused:
            raise _WrongError("answer", "what must be refused was answered")
        return
    if refused:
        raise _WrongError("answer", f"refused: {said.get('kind', '')}: {said.get('message', '')}")
    for name in meta["results"].split():
        if name not in results:
            raise _WrongError("shape", f"{name} is missing")
        got, value = results[name], due[name]
        if got.shape != value.shape:
            raise _WrongError("shape", f"{name} must be of shape {value.shape}, got {got.shape}")
        if got.dtype != DTYPES[meta["dtype"]]:
            raise _WrongError("dtype", f"{name} must be {meta['dtype']}, got {got.dtype}")
        bound = _bound(due, name, kinds[meta["operands"]])
        _compare(name, got, Expected(value, bound), meta)


def _bound(due: Mapping[str, Array], name: str, kind: str) -> Array:
    """Give the stored bound of a result: of its arithmetic, of all, or equality."""
    usual = due.get(f"{name}.bound", np.zeros(due[name].shape))
    return due.get(f"{name}.bound.{kind}", usual)


def _compare(name: str, got: Array, expected: Expected, meta: Mapping[str, str]) -> None:
    _, mismatch = compare(got, expected, FORMATS[meta["operands"]])
    if mismatch is None:
        return
    finite = np.isfinite(mismatch.got) and np.isfinite(mismatch.expected)
    which = 0 if finite else 1 if np.isinf(mismatch.expected) else 2
    clause = meta[f"clause.{name}"].split()[which]
    raise _WrongError(clause, f"{name}{list(mismatch.index)}: {mismatch.words}")
