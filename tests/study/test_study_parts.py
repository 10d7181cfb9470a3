"""The parts of the study, each by itself and without training anything."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("keras", "matplotlib", "jinja2", "sklearn"):
    pytest.importorskip(needed, reason="the study's extra is not installed")

from refimpl.keras import involutional_classifier  # noqa: E402
from refimpl.keras.study import (  # noqa: E402
    StudyError,
    checkpoint,
    results,
    training,
    verdict,
)
from refimpl.keras.study import data as datasets  # noqa: E402
from refimpl.keras.study.__main__ import _parser  # noqa: E402


def test_a_spoilt_checkpoint_is_told(tmp_path: Path) -> None:
    path = tmp_path / "involution.npz"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(StudyError, match=r"involution\.npz cannot be read .* --fresh"):
        checkpoint.record_of(path)


def test_shuffling_draws_from_the_next_256_and_depends_on_seed_and_epoch_alone() -> None:
    order = training.shuffled(1000, 3, 5)
    assert sorted(order) == list(range(1000))
    # The image in place n was among the first n + 256.
    assert all(order - np.arange(1000) < 256)
    np.testing.assert_array_equal(order, training.shuffled(1000, 3, 5))
    others = [training.shuffled(1000, 3, 6), training.shuffled(1000, 4, 5)]
    assert all((order != other).any() for other in others)
    assert sorted(training.shuffled(5, 0, 0)) == list(range(5))


@pytest.mark.parametrize("name", ["photographs", "digits"])
def test_shipped_data_are_real_images_and_labelled(name: str) -> None:
    data = datasets.load(name)
    assert "not CIFAR-10" in data.label
    for images, labels in (
        (data.images, data.labels),
        (data.validation_images, data.validation_labels),
    ):
        assert images.dtype == labels.dtype == np.uint8
        assert images.shape == (len(labels), *data.shape)
        assert set(labels) == set(range(len(data.class_names)))
    kept = {image.tobytes() for image in data.images}
    assert not any(image.tobytes() in kept for image in data.validation_images)


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({}, True),
        ({"epochs": 19}, False),
        ({"batch_size": 128}, False),
        ({"limit": 10}, False),
        ({"data": "photographs"}, False),
    ],
)
def test_only_the_published_study_is_set_beside_the_published_figures(
    changes: dict[str, Any], published: bool
) -> None:
    data = dataclasses.replace(datasets.digits(), name=changes.pop("data", "cifar10"))
    limit = changes.pop("limit", None)
    found = results.collect(data, training.Recipe(**changes), limit, {}, {}, None)
    assert found["published"] == (results.PUBLISHED if published else None)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        '{"judge": "someone", "rows": []}',
        '{"judge": "someone", "rows": [{"layer": "inv_1", "check": "output", "detail": ""}]}',
        '{"judge": "a", "rows": [{"layer": "a", "check": "b", "passed": 1, "detail": ""}]}',
    ],
)
def test_an_answer_that_is_no_verdict_is_refused(answer: str, tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text(answer, encoding="utf-8")
    with pytest.raises(StudyError, match="is no verdict"):
        verdict.read(tmp_path / "verdict.json")


JUDGE = """
import json, pathlib, sys
import numpy as np
folder = pathlib.Path(sys.argv[1])
rows = [
    {"layer": path.stem, "check": "output", "passed": bool(np.load(path)["output"].ndim == 4),
     "detail": str(np.load(path)["images"].shape)}
    for path in sorted(folder.glob("*.npz"))
]
(folder / "verdict.json").write_text(json.dumps({"judge": "a stand-in", "rows": rows}))
"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Put a module in the judge's place."""

    def put(source: str) -> None:
        (tmp_path / "stand_in_judge.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(verdict, "JUDGE", "stand_in_judge")

    return put


def ask(folder: Path) -> Any:
    data = datasets.digits()
    model = involutional_classifier(data.shape, 10)
    return verdict.judge(model, data.images[:2], folder)


def test_the_judge_is_asked_about_every_layer(
    stand_in: Callable[[str], None], tmp_path: Path
) -> None:
    stand_in(JUDGE)
    answer = ask(tmp_path / "verdict")
    assert answer["judge"] == "a stand-in"
    assert [(row["layer"], row["passed"], row["detail"]) for row in answer["rows"]] == [
        ("inv_1", True, "(2, 8, 8, 1)"),
        ("inv_2", True, "(2, 4, 4, 1)"),
        ("inv_3", True, "(2, 2, 2, 1)"),
    ]


def test_a_judge_that_breaks_off_is_no_verdict(
    stand_in: Callable[[str], None], tmp_path: Path
) -> None:
    folder = tmp_path / "verdict"
    folder.mkdir()
    # An answer of an earlier run must not be taken for this one's.
    (folder / "verdict.json").write_text('{"judge": "old", "rows": []}', encoding="utf-8")
    stand_in("raise SystemExit('no oracle here')")
    with pytest.raises(StudyError, match=r"status 1 and no verdict:\nno oracle here"):
        ask(folder)


def test_without_the_suite_nothing_is_judged_but_all_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(verdict, "JUDGE", "no_such_package.trained")
    assert ask(tmp_path) is None
    assert {path.name for path in tmp_path.iterdir()} == {"inv_1.npz", "inv_2.npz", "inv_3.npz"}


def test_the_command_line_offers_the_data_that_exist() -> None:
    choices = next(
        action.choices for action in _parser()._actions if action.option_strings == ["--data"]
    )
    assert list(choices or ()) == list(datasets.SETS)
