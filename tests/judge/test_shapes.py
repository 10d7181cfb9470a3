"""Shapes of one's own network: what a file may say, what is asked at them, what a model has."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conformance
import conformance.suite
from conformance.cases import shapes
from conformance.cases.integers import groups_of
from conformance.cases.operator import OperatorCase
from conformance.cases.samples import LEAST
from conformance.cases.shapes import COLUMNS, Shape, ShapeError, read
from conformance.claims.capabilities import Capabilities
from conformance.claims.loading import Judged, load
from conformance.implementations.operator.numpy_shifted import Shifted
from conformance.implementations.operator.numpy_unfold import Array, Call
from conformance.judging.session import PROFILES, Session
from conformance.kinds import LAYER, OPERATOR
from conformance.reporting.report import Report
from conformance.selection import shapes as shapes_asked
from refimpl import involution

GOOD = dict(zip(COLUMNS, (1, 9, 8, 6, 3, 3, 2, 1, "same", "blocked"), strict=True))
LINE = (
    '{"B": 1, "H": 9, "W": 8, "C": 6, "G": 3, "K": 3, "stride": 2, "dilation": 1, '
    '"padding": "same", "layout": "blocked"}'
)
HEAD = ",".join(COLUMNS)


def written(folder: Path, text: str) -> Path:
    path = folder / "shapes"
    path.write_text(text)
    return path


def test_json_and_csv_say_the_same(tmp_path: Path) -> None:
    one = read(written(tmp_path, f"{LINE}\n\n"))
    csv = f"\n{HEAD}\n1, 9, 8, 6, 3, 3x3, 2, 1, same, blocked\n"
    assert read(written(tmp_path, csv)) == one == (Shape.read(GOOD),)
    (shape,) = one
    assert read(written(tmp_path, shape.line)) == one
    assert shape.case("float32", "split").grid == (5, 4)
    others = Shape.read(GOOD | {"K": [3, 5], "padding": [[0, 1], [2, 3]], "name": "mine"})
    assert read(written(tmp_path, f"{shape.line}\n{others.line}\n{shape.line}")) == (shape, others)
    row = f"name,{HEAD}\nmine,1,9,8,6,3,3x5,2x2,1,0x1/2x3,blocked"
    assert read(written(tmp_path, row)) == (others,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"H": 0}, "column H must be an integer above 0, got 0"),
        ({"B": True}, "column B must be an integer above 0, got True"),
        ({"G": 4}, r"column G must divide C \(GRP-1\), got G = 4 and C = 6"),
        ({"K": [3, 0]}, r"column K must be an integer above 0 or two of them.*got \[3, 0\]"),
        ({"stride": "two"}, "column stride must be .* got 'two'"),
        ({"padding": "smae"}, "column padding must be one of same, valid, half, .* got 'smae'"),
        ({"padding": [[1, 1], [1]]}, "column padding must be"),
        ({"padding": -1}, "column padding must be"),
        ({"layout": "other"}, "column layout must be one of blocked, interleaved, got 'other'"),
        ({"padding": "valid", "K": 9}, r"the output must have rows and columns \(ERR-8\)"),
        ({"name": "a\nb"}, "column name must be printable text"),
        ({"strides": 1}, "columns must be name, B, .* got 'strides'"),
        ({"layout": ""}, "column layout is missing: a shape has B, H,"),
    ],
)
def test_what_is_no_shape(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        Shape.read(GOOD | change)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must have a shape on some line, got none"),
        (f"{LINE}\n\n[1]", "line 3: it must be an object of JSON, got '\\[1\\]'"),
        (f"{LINE}\n{{", "line 2: it must be an object of JSON on one line"),
        (f"{HEAD}\n1,2", "line 2: it must have 10 cells, got 2"),
        (f"{HEAD},B\n1,9,8,6,3,3,2,1,same,blocked,1", "line 2: columns must differ"),
        (f"{HEAD}\n1,9,8,6,3,3,2,1,same,blocked\n1,9,8,6,3,3,2,1,,blocked", "line 3: column pad"),
        ('{"B": 1}', "line 1: column H is missing"),
    ],
)
def test_the_line_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        read(written(tmp_path, text))


def test_one_name_for_two_shapes() -> None:
    two = [Shape.read(GOOD | {"name": "a", "H": n}) for n in (9, 10)]
    with pytest.raises(ShapeError, match="names must differ where shapes do, got 'a'"):
        shapes.distinct(two)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 30, 17, 4, 3), (3, 9, 40, 1, 40)])
def test_samples_sum_exactly_and_are_many(dtype: str, sizes: tuple[int, ...]) -> None:
    batch, height, width, groups, members = sizes
    for recipe in ("sample-x", "sample-dy"):
        case = OPERATOR.plain(
            Capabilities(), recipe=recipe, dtype=dtype, batch=batch, height=height, width=width,
            groups=groups, members=members, stride=(2, 1),
        )  # fmt: skip
        bits = OPERATOR.bits(case, Capabilities())
        values = OPERATOR.values(case, bits)
        one_hot = values["x" if recipe == "sample-x" else "dy"].astype(np.float64)
        assert set(np.unique(one_hot)) <= {0.0, 1.0}
        places = batch * groups * members
        assert one_hot.sum() >= min(LEAST, places, one_hot.size)
        assert (one_hot.sum((1, 2)) >= 1).all()
        # Corners are among them.
        assert one_hot.sum((0, 3))[[0, 0, -1, -1], [0, -1, 0, -1]].all() or one_hot.sum() < 8
        for name in OPERATOR.recipe_of(case).decides:
            assert largest(case, values, name) <= 2**bits
        assert values["kernel"].min() >= 1


def largest(case: OperatorCase, values: dict[str, Array], name: str) -> float:
    x, kernel, dy = (np.abs(values[n]) for n in ("x", "kernel", "dy"))
    options = case.geometry.options
    if name == "y":
        return float(involution.forward(x, kernel, **options).max())
    results = involution.backward(dy, x, kernel, **options)
    return float(results[name == "dkernel"].max())


def test_tags_differ() -> None:
    case = OPERATOR.plain(Capabilities(), recipe="sample-x", height=20, width=20)
    kernel = OPERATOR.values(case, 24)["kernel"]
    for sample in kernel:
        assert len(np.unique(sample)) == sample.size
    assert groups_of(case).tolist() == [0, 0, 1, 1]


class OneProductElsewhere(Shifted):
    """At 40 outputs a row, one tap of the last output of a row reads the pixel before."""

    def y(self, call: Call, x: Array, kernel: Array) -> Array:
        y = super().y(call, x, kernel)
        if call.grid[1] == 40:
            wrong = x[:, :, -3] - x[:, :, -2]
            weights = np.repeat(kernel[:, :, -1, 1, 0], call.channels // call.groups, -1)
            y[:, :, -1] += (wrong * weights).astype(y.dtype)
        return y


SHAPES = (
    Shape.read(GOOD | {"W": 40, "H": 7, "stride": 1, "name": "wide"}),
    Shape.read(GOOD | {"name": "small"}),
)


def reported(judged: Judged, named: tuple[Shape, ...]) -> Report:
    """Judge on shapes alone."""
    session = Session(judged, replace(PROFILES["quick"], shapes=named), seed=3)
    asked = [one for one in session.checks if one.name.startswith("shape[")]
    return Report.of(session, [session.run(one) for one in asked], diagnosed=False)


def test_each_shape_is_a_check_with_its_row() -> None:
    report = reported(load(OneProductElsewhere, OPERATOR), SHAPES)
    outcomes = {one.check: one.outcome for one in report.records if one.check.startswith("shape[")}
    assert outcomes == {"shape[wide]": "failed", "shape[small]": "passed"}
    assert [one.check for one in report.failures] == ["shape[wide]"]
    assert "wide: wrong in" in str(report)
    assert "small: right: 6 results in" in str(report)
    # The failing case is a word like any other.
    assert OperatorCase.parse(report.failures[0].token).recipe == "sample-x"


def shape_checks(shape: Shape, **options: Any) -> Any:
    listed = conformance.checks(Shifted, shapes=[shape], **options)
    return [one for one in listed if one.name.startswith("shape[")]


def test_real_numbers_in_each_format_unless_it_is_quick() -> None:
    (check,) = shape_checks(SHAPES[1], seed=1)
    check()
    cases = list(shapes.cases(SHAPES[1], Capabilities(), 1, reals=True))
    assert [one.recipe for one in cases] == ["sample-x", "sample-dy", "split", *["normal"] * 4]
    assert check.clauses[-1] == "NUM-4"
    assert not [one for one in PROFILES["default"].checks(LAYER.chapters) if "shape[" in one.name]


def test_what_is_too_large_or_not_claimed_is_said() -> None:
    large = Shape.read(GOOD | {"B": 512, "H": 112, "W": 112, "name": "large"})
    claims = {**Shifted.capabilities, "strides": [(1, 1)]}
    report = reported(load(Shifted, OPERATOR, claims), (large, SHAPES[1]))
    assert report.verdict == "incomplete"
    said = " ".join(str(report).split())
    assert "large: not run: the judge would need" in said
    assert "small: not claimed: strides (2, 2)" in said


def test_samples_taken_apart_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = OPERATOR.plain(Capabilities(), recipe="normal", batch=5)
    values = OPERATOR.values(case, 24)
    whole = OPERATOR.expected(case, values, Capabilities())
    monkeypatch.setattr("conformance.bounds.operator._PART", values["kernel"].size // 2)
    for name, one in OPERATOR.expected(case, values, Capabilities()).items():
        np.testing.assert_array_equal(one.value, whole[name].value)
        np.testing.assert_array_equal(one.bound, whole[name].bound)


def test_what_is_no_list_of_shapes() -> None:
    with pytest.raises(ValueError, match="shapes must be a file or what shapes_of gives, got"):
        conformance.check(Shifted, shapes=[GOOD])


class _Options(dict[str, Any]):
    def getoption(self, name: str) -> Any:
        return self.get(name)


def test_on_the_command_line(tmp_path: Path) -> None:
    path = written(tmp_path, f"{LINE}\n{{}}\n")
    asked = _Options({"--shapes": path, "--implementation": ["mine:a"], "--layer": []})
    with pytest.raises(pytest.UsageError, match=r"--shapes: .*line 2: column B is missing"):
        shapes_asked(asked)
    path.write_text(LINE)
    assert shapes_asked(asked) == (Shape.read(GOOD),)
    with pytest.raises(pytest.UsageError, match="those of operators"):
        shapes_asked(_Options({"--shapes": path, "--implementation": [], "--layer": ["mine:b"]}))
    assert shapes_asked(_Options()) == ()
