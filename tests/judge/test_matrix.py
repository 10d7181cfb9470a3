"""Several reports as one table."""

import json
from pathlib import Path

import pytest

import conformance
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.mutants.operator.conventions import KernelFlipped
from conformance.reporting.matrix import main, matrix
from conformance.reporting.report import document


def test_reports_merge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = []
    for one in (Unfold, KernelFlipped):
        report = conformance.check(one, clauses="GEO-8", profile="ci", diagnosis=False)
        paths.append(tmp_path / f"{one.__name__}.json")
        paths[-1].write_text(json.dumps(document([report]), default=str), encoding="utf-8")
    assert main([str(path) for path in paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("|")[2:4] == [
        " `conformance.implementations.operator.numpy_unfold:Unfold` ",
        " `conformance.mutants.operator.conventions:KernelFlipped` ",
    ]
    assert "| verdict | conforms | fails |" in lines
    assert "| GEO-8 | yes | **no** |" in lines


def test_what_is_judged_cannot_break_the_table() -> None:
    one = {"name": "a|b`\n<script>\x1b[0m", "verdict": "fails", "clauses": {}}
    first = matrix([{"specification": "1.4", "implementations": [one]}]).splitlines()[0]
    assert first == "| specification 1.4 | `a\\|b' <script>\\x1b[0m` |"


def test_many_columns_have_numbers() -> None:
    listed = [{"name": f"m:{n}", "verdict": "conforms", "clauses": {}} for n in "abcd"]
    lines = matrix([{"specification": "1.5", "implementations": listed}]).splitlines()
    assert lines[:4] == ["1. `m:a`", "2. `m:b`", "3. `m:c`", "4. `m:d`"]
    assert lines[5] == "| specification 1.5 | [1] | [2] | [3] | [4] |"


def test_what_is_no_report_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.json"
    path.write_text("[1]", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        main([str(path)])
    assert "must be a report that --report wrote" in capsys.readouterr().err
    documents = [{"specification": v, "implementations": []} for v in ("1.3", "1.4")]
    with pytest.raises(ValueError, match=r"one version of the specification, got 1\.3, 1\.4"):
        matrix(documents)
