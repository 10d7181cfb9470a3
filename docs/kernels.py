"""Keeps the kernels of a trained network for the gallery: ``python docs/kernels.py FOLDER``.

FOLDER is what ``python -m refimpl.keras.study --data photographs --epochs 80 --out FOLDER`` wrote.
Kept are, in docs/gallery/kernels.npz, images that the network was not trained on, and the kernel
that each involution layer generates for each of their pixels, in half precision.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from refimpl.keras.study import data as datasets
from refimpl.keras.study.results import involutions
from refimpl.keras.study.training import scaled

KEPT = Path(__file__).parent / "gallery" / "kernels.npz"
# One of each class: those with both dark and bright pixels, which get other kernels.
IMAGES = (332, 50)


def main(folder: Path) -> None:
    """Ask the trained network for its kernels, and keep them."""
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    images = datasets.load("photographs").validation_images[list(IMAGES)]
    model = keras.saving.load_model(folder / "involution.keras")
    outputs = [layer.output[1] for layer in involutions(model)]
    kernels = keras.Model(model.input, outputs)(scaled(images), training=False)
    np.savez_compressed(
        KEPT,
        images=images,
        accuracy=study["networks"]["involution"]["history"]["val_accuracy"][-1],
        **{f"layer_{n}": np.asarray(k, np.float16) for n, k in enumerate(kernels, 1)},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
