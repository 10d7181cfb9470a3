"""The pictures of the study, each drawn for a light page and for a dark one.

Matplotlib without a display. The pictures show what they are given; nothing is computed here.
"""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from refimpl.keras.study.data import Data

History = dict[str, list[float]]

THEMES = ("light", "dark")
_INK = {"light": "#1b1f24", "dark": "#e6e6e6"}
_PAPER = {"light": "#ffffff", "dark": "#16191d"}
# Okabe and Ito's colours, which readers without full colour vision tell apart too.
_COLOURS = {"light": ("#0072b2", "#d55e00"), "dark": ("#56b4e9", "#e69f00")}


def data_picture(data: Data, folder: Path) -> None:
    """Draw 25 training images with their class names, as ``data-<theme>.png``."""

    def draw(figure: Figure, _theme: str) -> None:
        grid = {"left": 0.02, "right": 0.98, "top": 0.99, "bottom": 0.11, "hspace": 0.25}
        for place, axes in enumerate(figure.subplots(5, 5, gridspec_kw=grid).flat):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if place < len(data.images):
                axes.imshow(_colours(data.images[place]))
                axes.set_xlabel(data.class_names[data.labels[place]], fontsize=9, labelpad=2)

    _write(folder, "data", (4.4, 5.3), data.label, draw)


def curves(histories: dict[str, History], label: str, folder: Path) -> None:
    """Draw loss and accuracy of both networks, as ``loss-<theme>.png``, ``accuracy-<theme>.png``.

    Training is dashed and validation solid; one colour for each network.
    """
    for measure in ("loss", "accuracy"):

        def draw(figure: Figure, theme: str, measure: str = measure) -> None:
            axes = figure.subplots()
            for (name, history), colour in zip(histories.items(), _COLOURS[theme], strict=True):
                _lines(axes, name, colour, history, measure)
            axes.set(xlabel="epoch", ylabel=measure)
            if measure == "accuracy":
                axes.set_ylim(0, 1.02)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            figure.set_layout_engine("constrained")
            figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)

        _write(folder, measure, (4.8, 3.9), label, draw)


def kernel_maps(data: Data, images: Any, sums: dict[str, Any], folder: Path) -> None:
    """Draw images beside the sums of their kernels, as ``kernels-<theme>.png``.

    Parameters
    ----------
    data : Data
        Where the images are from.
    images : ndarray of uint8, shape (N, H, W, C)
        The inputs.
    sums : dict of ndarray, shape (N, Ho, Wo)
        For each layer the sum over the entries of each pixel's kernel. A layer's maps share one
        scale, from its least sum to its greatest.
    folder : Path
        Where the pictures are written.
    """
    height = 1.15 * len(images) + 1.3

    def draw(figure: Figure, _theme: str) -> None:
        # Laid out by hand: of so many axes matplotlib's own layout takes seconds.
        grid = figure.subplots(
            len(images),
            1 + len(sums),
            squeeze=False,
            gridspec_kw={"left": 0.02, "right": 0.98, "wspace": 0.08, "hspace": 0.04}
            | {"top": 1 - 0.3 / height, "bottom": 0.95 / height},
        )
        for axes in grid.flat:
            axes.axis("off")
        grid[0, 0].set_title("input", fontsize=10)
        for axes, image in zip(grid[:, 0], images, strict=True):
            axes.imshow(_colours(image))
        for column, (name, maps) in enumerate(sums.items(), start=1):
            grid[0, column].set_title(name, fontsize=10)
            _heat(figure, grid[:, column], maps)

    _write(folder, "kernels", (4.8, height), data.label, draw)


def _heat(figure: Figure, column: Any, maps: Any) -> None:
    """Draw one layer's maps one under the other, over their common scale."""
    shown = [
        axes.imshow(values, vmin=maps.min(), vmax=maps.max(), cmap="viridis")
        for axes, values in zip(column, maps, strict=True)
    ]
    place, inch = column[-1].get_position(), 1 / figure.get_figheight()
    bar = figure.colorbar(
        shown[0],
        cax=figure.add_axes((place.x0, 0.72 * inch, place.width, 0.09 * inch)),
        orientation="horizontal",
    )
    bar.locator = MaxNLocator(3)
    bar.update_ticks()
    bar.ax.tick_params(labelsize=8)


def _lines(axes: Any, name: str, colour: str, history: History, measure: str) -> None:
    for prefix, style, part in (("", "--", "training"), ("val_", "-", "validation")):
        values = history[prefix + measure]
        # A single epoch makes no line.
        mark = "o" if len(values) == 1 else None
        epochs = range(1, len(values) + 1)
        axes.plot(epochs, values, style, color=colour, marker=mark, label=f"{name}, {part}")


def _colours(image: Any) -> Any:
    """Return an image of one channel or of three as matplotlib wants it."""
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image


def _write(
    folder: Path,
    name: str,
    size: tuple[float, float],
    label: str,
    draw: Callable[[Figure, str], None],
) -> None:
    """Draw a figure in both themes and write ``<name>-<theme>.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        ink, paper = _INK[theme], _PAPER[theme]
        inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
        papered = ("figure.facecolor", "axes.facecolor")
        colours: Any = dict.fromkeys(inked, ink) | dict.fromkeys(papered, paper)
        with mpl.rc_context(colours):
            figure = Figure(figsize=size, dpi=160)
            draw(figure, theme)
            # A picture may be carried off without its page: it says itself what it shows.
            caption = textwrap.fill(label, int(size[0] * 16))
            figure.supxlabel(caption, fontsize=7.5)
            figure.savefig(folder / f"{name}-{theme}.png")
