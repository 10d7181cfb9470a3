"""The report: what the judge counts for it, its document and schema, JUnit, and the page."""

import html.parser
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest

import conformance
from conformance.bounds.expected import Expected
from conformance.cases.operator import OperatorCase
from conformance.claims.loading import load
from conformance.implementations.operator.numpy_unfold import Unfold
from conformance.judging.headroom import BINS, ENDS, Headroom, added, headroom
from conformance.judging.record import Record
from conformance.judging.shrink import failures_of
from conformance.kinds import OPERATOR
from conformance.mutants.operator import MUTANTS
from conformance.reporting import drawing
from conformance.reporting.folder import write
from conformance.reporting.matrix import main as matrix
from conformance.reporting.page import page
from conformance.reporting.report import Report, document

EVIL = "<script>alert(1)</script>\x1b[31m"


class Evil(Unfold):
    """What it says is no part of the page."""

    def forward(self, x: Any, kernel: Any, **options: Any) -> Any:
        if not len(x):
            raise ValueError(EVIL)
        return super().forward(x, kernel, **options)


def test_shares_of_a_bound_are_counted() -> None:
    error = np.array([0.0, 2.0**-12, 2.0**-9, 0.25, 0.5, 0.75, 1.0, 3.0, 9.0])
    allowed = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, np.inf])
    found = headroom(error, Expected(np.zeros(9), allowed))
    assert found.worst == 1.0
    assert len(found.bins) == len(ENDS) == BINS
    by_end = {end: count for end, count in zip(ENDS, found.bins, strict=True) if count}
    # A half and more is the last bin; what has no bound, or any, is not counted.
    assert by_end == {0.0: 1, 2.0**-9: 1, 2.0**-8: 1, 0.5: 1, 1.0: 3}
    assert headroom(error, Expected(error, np.zeros(9))) == Headroom()
    assert added(found.bins, ()) == added((), found.bins) == found.bins
    assert sum(added(found.bins, found.bins)) == 14


@pytest.fixture(scope="module")
def right() -> Report:
    return conformance.check(
        Unfold, clauses=["GRP-2", "SPC-5"], dtypes="float32", profile="ci", seed=1
    )


@pytest.fixture(scope="module")
def wrong() -> Report:
    report = conformance.check(
        MUTANTS["OddPixelBefore"],
        clauses=["GEO-8"],
        dtypes="float32",
        profile="ci",
        diagnosis=False,
    )
    evil = conformance.check(Evil, clauses="SPC-6", dtypes="float32", profile="ci", diagnosis=False)
    return replace(report, shown=[*report.shown, *evil.shown], name=EVIL)


def test_headroom_is_counted_clause_by_clause(right: Report) -> None:
    entries = right.clauses
    assert entries["GRP-2"].bins == ()
    assert 0 < entries["NUM-2"].worst <= 1
    # Each bound by its own result: y, dx and dkernel are of three sizes.
    sums = {sum(entries[name].bins) for name in ("NUM-2", "NUM-3", "NUM-4")}
    assert len(sums) == 3
    assert entries["SPC-5"].bins == added(
        added(entries["NUM-2"].bins, entries["NUM-3"].bins), entries["NUM-4"].bins
    )


def test_records_travel_whole(right: Report, wrong: Report) -> None:
    for record in (*right.records, *wrong.records):
        travelled = json.loads(json.dumps(record.dump()))
        assert Record.load(travelled) == record


def test_a_failure_has_its_pictures() -> None:
    judged = load(MUTANTS["SumsInHalf"], OPERATOR)
    case = OperatorCase.parse(
        "dtype=float32,recipe=split,batch=2,height=60,width=7,members=2,kernel_shape=3x3"
    )
    (failure,) = failures_of(judged, case, "own")
    exhibit: Any = failure.exhibit
    (image,) = exhibit["maps"]
    assert (image["shape"], image["block"]) == ([60, 7], [3, 1])
    assert np.shape(image["error"]) == np.shape(image["wrong"]) == (20, 7)
    words = re.search(r"y: (\d+) of 1680 elements are wrong", failure.message)
    assert words
    assert np.sum(image["wrong"]) == int(words[1])
    assert exhibit["window"] is None


def test_a_certificate_shows_the_window(wrong: Report) -> None:
    exhibits: list[Any] = [one.exhibit for one in wrong.shown if one.tier == "certificate"]
    assert exhibits
    for exhibit in exhibits:
        marks = [mark for row in exhibit["window"]["cells"] for mark, _, _ in row]
        assert set(marks) & set("x+-")
        assert np.sum(exhibit["products"]) > 0


def test_the_document_is_what_its_schema_says(right: Report, wrong: Report, tmp_path: Path) -> None:
    write(document([right, wrong], "refimpl judge"), tmp_path / "out")
    # Once more, over what is there.
    write(document([right, wrong]), tmp_path / "out")
    said = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    schema = json.loads((tmp_path / "out" / said["schema"]).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(said)
    assert said["implementations"][0]["power"] is None
    # It notices what it does not know, and what is missing.
    for change in ({"power": 3}, {"verdict": "maybe"}, {"more": 1}):
        broken = said | {"implementations": [said["implementations"][0] | change]}
        assert list(validator.iter_errors(broken)), change
    del said["seed" if "seed" in said else "specification"]
    assert list(validator.iter_errors(said))


def test_json_alone(right: Report, tmp_path: Path) -> None:
    write(document([right]), tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["implementations"][0]["conforms"]
    with pytest.raises(ValueError, match="in a folder that exists is wanted"):
        right.write(tmp_path / "none" / "out")


def test_no_number_is_lost_to_json(right: Report, tmp_path: Path) -> None:
    power = SimpleNamespace(as_dict=lambda: {"caught": float("nan"), "\ud800": np.float32(1)})
    odd = replace(right, power=power)
    write(document([odd]), tmp_path / "r.json")
    said = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert said["implementations"][0]["power"] == {"caught": None, "\\ud800": "1.0"}


def test_junit_has_a_case_a_check(right: Report, wrong: Report, tmp_path: Path) -> None:
    waived = conformance.check(
        Unfold,
        clauses="SPC-6",
        dtypes="float32",
        profile="ci",
        waivers=[{"clause": "SPC-6", "reason": "known"}],
    )
    write(document([right, wrong, waived]), tmp_path / "out")
    suites = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    for suite, report in zip(suites, (right, wrong, waived), strict=True):
        cases = suite.findall("testcase")
        assert len(cases) == len(report.records) + len(report.waivers) == int(suite.attrib["tests"])
        failing = [case for case in cases if case.find("failure") is not None]
        assert len(failing) == int(suite.attrib["failures"])
        assert bool(failing) is not report.conforms
    assert "take it out" in str(ElementTree.tostring(suites[2]))


class Reader(html.parser.HTMLParser):
    """Follows a page: what is open, and what it is about."""

    VOID = frozenset({"meta", "link", "br", "path", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        given = {name: value or "" for name, value in attributes}
        self.tags.append((tag, given))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.wrong
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def shown(right: Report, wrong: Report) -> str:
    waived = conformance.check(
        Evil,
        clauses="SPC-6",
        dtypes="float32",
        profile="ci",
        waivers=[{"clause": "SPC-6", "reason": EVIL}],
    )
    return page(json.loads(json.dumps(document([right, wrong, waived]), default=str)))


def test_the_page_stands_alone(shown: str) -> None:
    reader = read(shown)
    for tag, given in reader.tags:
        assert tag not in {"script", "iframe", "object", "embed", "img", "form"}
        for name in ("src", "href", "action", "data"):
            assert given.get(name, "#").startswith(("#", "data:,")), (tag, given)
    assert not re.search(r"@import|https?://", shown)
    assert set(re.findall(r"url\(([^)]*)\)", shown)) <= {"#hatch"}


def test_what_is_judged_is_text_on_the_page(shown: str) -> None:
    assert "<script" not in shown
    assert "\x1b" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m" in shown


def test_a_reader_of_screens_gets_through_it(shown: str) -> None:
    reader = read(shown)
    known = {given["id"] for _, given in reader.tags if "id" in given}
    assert len(known) == sum("id" in given for _, given in reader.tags)
    for tag, given in reader.tags:
        for name in given.get("aria-labelledby", "").split():
            assert name in known, (tag, given)
        if tag == "svg":
            assert given.get("aria-hidden") == "true" or (
                given["role"] == "img" and given["aria-labelledby"]
            )
        if tag == "a":
            assert given["href"][1:] in known
        if "tabindex" in given and tag != "main":
            assert given.get("aria-label"), (tag, given)
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in reader.tags}
    # Each picture says in words what it shows.
    titles = re.findall(r"<title id=[^>]*>([^<]*)</title>", shown)
    assert len(titles) > 5
    assert all(len(title.split()) > 3 for title in titles)


def test_the_page_tells_what_was_found(shown: str) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", shown))
    for words in (
        "CONFORMS in the checks that were selected", "FAILS", "CONFORMS with 1 waiver",
        "Pixels that the output at row 0", "Wrong products at each tap", "use more than half",
        "Not measured: how many known faults", "seed, 1", "GRP-2", "Known deviations",
    ):  # fmt: skip
        assert words in text, words


def contrast(one: str, other: str) -> float:
    """As the guidelines of accessibility define it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted(luminance(colour) + 0.05 for colour in (one, other))
    return high / low


def test_words_and_numbers_can_be_read(shown: str) -> None:
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in re.findall(
        r":root \{(.*?)\}", shown, re.DOTALL,
    ))  # fmt: skip
    assert light.keys() == dark.keys()
    backs = {
        "ink": ("paper", "panel", "due", "other", "heat", "good-back", "bad-back", "warn-back"),
        **dict.fromkeys(("soft", "link"), ("paper", "panel")),
        **{name: ("panel", f"{name}-back") for name in ("good", "bad", "warn")},
    }
    for colours in (light, dark):
        for ink, several in backs.items():
            for back in several:
                assert contrast(colours[ink], colours[back]) >= 4.5, (ink, back, colours[back])


def test_maps_show_what_is_not_finite() -> None:
    axes = ["row", "column"]
    one = {"axes": axes, "block": [1, 2], "error": [[None, 0.0], [0.5, 2.0]],
           "wrong": [[1, 0], [1, 3]]}  # fmt: skip
    drawn = drawing.heat(one)
    assert "\N{INFINITY}" in drawn
    assert "Wrong elements by row and column: 5 in 3 of 4 cells; the largest error, not" in drawn
    assert "A cell is 1 by 2" in drawn


def test_folders_merge_into_a_matrix(
    right: Report, wrong: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right.write(tmp_path / "right")
    wrong.write(tmp_path / "wrong")
    out = tmp_path / "matrix.html"
    assert matrix([str(tmp_path / "right"), str(tmp_path / "wrong"), f"--html={out}"]) == 0
    assert "| verdict | conforms | fails |" in capsys.readouterr().out
    text = out.read_text(encoding="utf-8")
    tags = [tag for tag, _ in read(text).tags]
    assert tags.count("table") == 1
    assert "<script" not in text
    assert len(re.findall(r'<td class="bad">', text)) >= 2


def test_a_wrong_group_is_told_by_the_group() -> None:
    judged = load(MUTANTS["AlwaysBlocked"], OPERATOR)
    case = OperatorCase.parse(
        "dtype=float32,recipe=impulse-x,height=2,width=2,groups=2,members=2,group_layout=interleaved"
    )
    exhibit: Any = failures_of(judged, case, "own")[0].exhibit
    assert exhibit["window"]["output"][2] == 1
    due, read = (drawing.window(exhibit["window"], side) for side in ("due", "read"))
    # Channel 1 of four is due to use group 1 of two, and uses group 0.
    assert ">0,0<" in due
    assert ">g 0<" in read
