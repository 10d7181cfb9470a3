"""The images of the study: CIFAR-10, and two small sets of real images that scikit-learn ships.

The small ones are stand-ins for trials, tests and documentation. They are labelled as such wherever
they appear, and what they give is never set beside figures of CIFAR-10. No image is made up here.
"""

import hashlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from refimpl.keras.study import StudyError

Array = npt.NDArray[np.uint8]

TILE, STEP = 32, 16
_ARCHIVE = "cifar-10-batches-py-target_archive"
_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"


@dataclass(frozen=True)
class Data:
    """A set of labelled images, divided into training and validation.

    Attributes
    ----------
    name : str
        As on the command line.
    label : str
        What these images are, for every page and picture.
    source : str
        Where they come from, and under which licence.
    class_names : tuple of str
        Name of each class.
    images, validation_images : ndarray of uint8, shape (N, H, W, C)
        Pixels from 0 to 255.
    labels, validation_labels : ndarray of uint8, shape (N,)
        Class of each image.
    """

    name: str
    label: str
    source: str
    class_names: tuple[str, ...]
    images: Array
    labels: Array
    validation_images: Array
    validation_labels: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of an image."""
        return self.images.shape[1:]

    def digest(self) -> str:
        """Return a hash of all pixels and labels, by which a study knows its data again."""
        whole = hashlib.sha256()
        for array in (self.images, self.labels, self.validation_images, self.validation_labels):
            whole.update(str(array.shape).encode())
            whole.update(np.ascontiguousarray(array).data)
        return whole.hexdigest()

    def first(self, count: int | None) -> "Data":
        """Keep the first `count` images of both parts; all of them for None."""
        if count is None:
            return self
        return replace(
            self,
            images=self.images[:count],
            labels=self.labels[:count],
            validation_images=self.validation_images[:count],
            validation_labels=self.validation_labels[:count],
        )


def load(name: str) -> Data:
    """Load a set by its name in `SETS`.

    Raises
    ------
    StudyError
        CIFAR-10 that is neither in Keras's cache nor to be fetched; scikit-learn or Pillow missing.
    """
    return SETS[name]()


def cifar10() -> Data:
    """CIFAR-10 by Keras's own loader: from its cache, or else from the network."""
    patience = socket.getdefaulttimeout()
    # Keras waits for ever for a network that answers nothing.
    socket.setdefaulttimeout(30)
    try:
        (images, labels), (others, their_labels) = keras.datasets.cifar10.load_data()
    except Exception as error:  # Keras raises plain Exception when it cannot fetch.
        raise StudyError(_no_cifar10(error)) from error
    finally:
        socket.setdefaulttimeout(patience)
    # Keras answers as its global image data format says.
    if images.shape[1:] == (3, 32, 32):
        images, others = images.transpose(0, 2, 3, 1), others.transpose(0, 2, 3, 1)
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    return Data(
        name="cifar10",
        label="CIFAR-10",
        source="CIFAR-10, A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, "
        "2009; through keras.datasets.cifar10",
        class_names=tuple(names.split()),
        images=images,
        labels=labels.reshape(-1),
        validation_images=others,
        validation_labels=their_labels.reshape(-1),
    )


def photographs() -> Data:
    """Two photographs that scikit-learn ships, cut into tiles of 32x32 pixels.

    Tiles overlap by half. Those of the rightmost quarter are for validation, and no training tile
    reaches into it.
    """
    pictures = _sklearn("load_sample_images").images
    parts: dict[bool, list[tuple[Array, int]]] = {False: [], True: []}
    for label, picture in enumerate(pictures):
        height, width, _ = picture.shape
        border = width * 3 // 4
        for top in range(0, height - TILE + 1, STEP):
            for left in [
                *range(0, border - TILE + 1, STEP),
                *range(border, width - TILE + 1, STEP),
            ]:
                tile = picture[top : top + TILE, left : left + TILE]
                parts[left >= border].append((tile, label))
    images, labels = _mixed(parts[False])
    others, their_labels = _mixed(parts[True])
    return Data(
        name="photographs",
        label="a small stand-in, not CIFAR-10: 32x32 tiles of the two photographs that "
        "scikit-learn ships",
        source="china.jpg by danielbuechele and flower.jpg by vultilion on Flickr, CC BY 2.0; "
        "sklearn.datasets.load_sample_images",
        class_names=("temple", "flower"),
        images=images,
        labels=labels,
        validation_images=others,
        validation_labels=their_labels,
    )


def digits() -> Data:
    """The handwritten digits that scikit-learn ships, 8x8 pixels; the last fifth validates.

    The last ones were written by other people than the first ones.
    """
    bunch = _sklearn("load_digits")
    # Grey values from 0 to 16 by origin.
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.uint8)
    border = len(images) * 4 // 5
    return Data(
        name="digits",
        label="a small stand-in, not CIFAR-10: the 8x8 handwritten digits that scikit-learn ships",
        source="Optical recognition of handwritten digits, E. Alpaydin and C. Kaynak, UCI, 1998; "
        "sklearn.datasets.load_digits",
        class_names=tuple("0123456789"),
        images=images[:border],
        labels=labels[:border],
        validation_images=images[border:],
        validation_labels=labels[border:],
    )


SETS: dict[str, Callable[[], Data]] = {
    "cifar10": cifar10,
    "photographs": photographs,
    "digits": digits,
}


def _mixed(tiles: list[tuple[Array, int]]) -> tuple[Array, Array]:
    """Put tiles into one fixed order without pattern: a shuffle buffer only mixes neighbours."""
    order = np.random.default_rng(0).permutation(len(tiles))
    images = np.stack([tiles[index][0] for index in order])
    return images, np.array([tiles[index][1] for index in order], np.uint8)


def _sklearn(loader: str) -> Any:
    try:
        import sklearn.datasets

        return getattr(sklearn.datasets, loader)()
    except ImportError as error:
        raise StudyError(
            f"The images that scikit-learn ships need scikit-learn and Pillow ({error}):\n"
            '  pip install "refimpl[study]"'
        ) from error


def _no_cifar10(error: Exception) -> str:
    """Say what is missing and what a newcomer can do about it."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    target = home / "datasets" / _ARCHIVE
    return (
        f"CIFAR-10 is not here. Keras's cache has no usable copy and it could not be fetched:\n"
        f"  {error}\n"
        "What to do, any one of these:\n"
        "  * connect to the network and run this again; Keras fetches 170 MB once and keeps them;\n"
        f"  * fetch {_ORIGIN}\n"
        f"    on another machine and save it here as {target}\n"
        "    (Keras compares its checksum, so it must be the genuine archive);\n"
        "  * study real images that need no network: --data photographs, or --data digits."
    )
