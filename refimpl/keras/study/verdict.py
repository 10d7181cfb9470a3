"""Asks the judge about the trained layers, through files: the study itself holds no judge.

The conformance suite runs in a process of its own, ``python -m conformance.trained FOLDER``, where
it is installed. It finds there one ``<layer>.npz`` for each involution layer and answers in
``verdict.json``. No code is shared either way, and no figure of the judge's is made up here.

``<layer>.npz`` holds ``images`` (B, H, W, C), what the layer is given when real images are put into
the network; ``output`` and ``kernel``, what it answers in inference; ``weight_00`` and following,
``get_weights()`` in order; and ``config``, the JSON text of ``get_config()``.

``verdict.json`` holds ``{"judge": str, "rows": [{"layer": str, "check": str, "passed": bool,
"detail": str}]}``.
"""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, TypedDict

import keras
import numpy as np

from refimpl.keras.layer import Involution
from refimpl.keras.study import StudyError
from refimpl.keras.study.data import Array
from refimpl.keras.study.training import scaled

JUDGE = "conformance.trained"


class Row(TypedDict):
    """What the judge says about one layer in one respect."""

    layer: str
    check: str
    passed: bool
    detail: str


class Verdict(TypedDict):
    """What the judge says, and who it was."""

    judge: str
    rows: list[Row]


def involutions(model: Any) -> list[Any]:
    """Return the involution layers of a network, from the images on."""
    return [layer for layer in model.layers if isinstance(layer, Involution)]


def judge(model: Any, images: Array, folder: Path) -> Verdict | None:
    """Have every involution layer judged with its trained weights, on what real images give it.

    Parameters
    ----------
    model : keras.Model
        A trained network.
    images : ndarray of uint8, shape (B, H, W, C)
        Images of the data set.
    folder : Path
        Where question and answer are written.

    Returns
    -------
    dict or None
        The verdict; None where the conformance suite is not installed.

    Raises
    ------
    StudyError
        A judge that ends without an answer, or with one that cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.npz"), folder / "verdict.json"):
        old.unlink(missing_ok=True)
    for layer in involutions(model):
        given = keras.Model(model.input, layer.input)(scaled(images), training=False)
        write_layer(layer, np.asarray(given), folder / f"{layer.name}.npz")
    if not _installed():
        return None
    run = subprocess.run(
        [sys.executable, "-m", JUDGE, str(folder)], capture_output=True, text=True, check=False
    )
    answer = folder / "verdict.json"
    # A judge may end with a status of its own when a layer fails: the answer counts.
    if not answer.exists():
        raise StudyError(
            f"{JUDGE} ended with status {run.returncode} and no verdict:\n{run.stderr[-2000:]}"
        )
    return read(answer)


def write_layer(layer: Any, images: Any, path: Path) -> None:
    """Write a layer, what it is given and what it answers, as the module says."""
    output, kernel = layer(images, training=False)
    weights = {f"weight_{number:02}": value for number, value in enumerate(layer.get_weights())}
    with path.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            images=images,
            output=np.asarray(output),
            kernel=np.asarray(kernel),
            config=np.array(json.dumps(layer.get_config())),
            **weights,
        )


def read(path: Path) -> Verdict:
    """Read a verdict, which another program has written.

    Raises
    ------
    StudyError
        For anything but the form that the module describes.
    """
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
        rows = [
            Row(
                layer=str(row["layer"]),
                check=str(row["check"]),
                passed=row["passed"],
                detail=str(row["detail"]),
            )
            for row in answer["rows"]
        ]
        verdict = Verdict(judge=str(answer["judge"]), rows=rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{path} is no verdict: {error!r}") from error
    # No rows would be a judge that looked at nothing.
    if not rows or not all(isinstance(row["passed"], bool) for row in rows):
        raise StudyError(f"{path} is no verdict: no rows, or some that neither pass nor fail")
    return verdict


def _installed() -> bool:
    try:
        return importlib.util.find_spec(JUDGE) is not None
    except ImportError:
        return False
