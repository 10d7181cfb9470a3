"""The parts of the study, each by itself and without training anything."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for needed in ("keras", "matplotlib", "jinja2", "sklearn"):
    pytest.importorskip(needed, reason="the study's extra is not installed")

from refimpl.keras.study import (  # noqa: E402
    StudyError,
    checkpoint,
    results,
    training,
    verdict,
)
from refimpl.keras.study import data as datasets  # noqa: E402


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
