"""The steps of a study, in order. Each can be taken again: what is done is not done twice."""

import json
import time
from pathlib import Path
from typing import Any

from refimpl.keras.models import convolutional_classifier, involutional_classifier
from refimpl.keras.study import data as datasets
from refimpl.keras.study import page, pictures, results, training, verdict
from refimpl.keras.study.training import Recipe

SHOWN = 10
JUDGED = 16
_CHECKPOINTS = {"convolution": convolutional_classifier, "involution": involutional_classifier}


def run(name: str, recipe: Recipe, limit: int | None, fresh: bool, out: Path) -> bool:
    """Train both classifiers and write everything about them to one folder.

    Parameters
    ----------
    name : str
        The data, by its name in `data.SETS`.
    recipe : Recipe
        How to train.
    limit : int or None
        Use the first so many images of each part only.
    fresh : bool
        Forget the checkpoints that the folder has.
    out : Path
        The folder.

    Returns
    -------
    bool
        False where the judge rejects a layer.

    Raises
    ------
    StudyError
        What the reader can mend, as data that are missing or a folder of another study.
    """
    data = datasets.load(name).first(limit)
    training.make_deterministic()
    out.mkdir(parents=True, exist_ok=True)
    trained = _train(data, recipe, fresh, out)
    started = time.perf_counter()
    model = trained["involution"][0]
    shown = data.validation_images[:SHOWN]
    sums = results.kernel_sums(model, shown)
    judged = verdict.judge(model, data.validation_images[:JUDGED], out / "verdict")
    found = results.collect(data, recipe, limit, trained, sums, judged)

    folder = out / "pictures"
    pictures.data_picture(data, folder)
    pictures.curves({key: history for key, (_, history) in trained.items()}, data.label, folder)
    pictures.kernel_maps(data, shown, sums, folder)
    for key, (network, _) in trained.items():
        network.save(out / f"{key}.keras")
    found["durations"]["pictures_and_verdict"] = time.perf_counter() - started
    (out / "study.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    page.write(found, folder, out / "index.html")
    return judged is None or all(row["passed"] for row in judged["rows"])


def _train(
    data: datasets.Data, recipe: Recipe, fresh: bool, out: Path
) -> dict[str, tuple[Any, dict[str, list[float]]]]:
    """Train both networks, and keep their checkpoints: a run of more epochs goes on from them."""
    paths = {key: out / "checkpoints" / f"{key}.npz" for key in _CHECKPOINTS}
    if fresh:
        for path in paths.values():
            path.unlink(missing_ok=True)
    versions = results.versions()
    return {
        key: training.train(build, data, recipe, paths[key], versions)
        for key, build in _CHECKPOINTS.items()
    }
