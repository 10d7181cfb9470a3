"""The judge of trained layers: right ones pass, one that answered something else does not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the layers are Keras's")
keras = pytest.importorskip("keras", reason="the layers are Keras's")

from conformance.trained import main  # noqa: E402
from refimpl.keras import Involution  # noqa: E402
from refimpl.keras.study.verdict import read, write_layer  # noqa: E402


def stored(folder: Path, **options: Any) -> Path:
    rng = np.random.default_rng(1)
    images = rng.uniform(0, 1, (4, 7, 6, 4)).astype(np.float32)
    layer = Involution(4, 2, 3, reduction_ratio=2, **options)
    layer.build((None, None, None, 4))
    layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    write_layer(layer, images, folder / "inv.npz")
    return folder / "inv.npz"


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2, "group_layout": "blocked", "kernel_order": "group_major"}],
    ids=["example", "others"],
)
def test_right_layers_pass(tmp_path: Path, options: dict[str, Any]) -> None:
    stored(tmp_path, **options)
    assert main([str(tmp_path)]) == 0
    verdict = read(tmp_path / "verdict.json")
    assert [row["passed"] for row in verdict["rows"]] == [True] * 3


def test_another_answer_fails(tmp_path: Path) -> None:
    path = stored(tmp_path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["output"][0, 1, 2, 3] += np.float32(1e-4)
    np.savez(path, **arrays)
    assert main([str(tmp_path)]) == 1
    rows = json.loads((tmp_path / "verdict.json").read_text())["rows"]
    assert [row["passed"] for row in rows] == [False, True, True]
    assert "y: 1 of 672 elements are wrong; batch: 0 of 4; row: 1 of 7" in rows[0]["detail"]
    assert "wrong           y[0, 1, 2, 3]: got" in rows[0]["detail"]


def test_an_empty_folder_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "usage" in capsys.readouterr().out
