"""Draws the pictures of docs/pictures.md: ``python docs/pictures.py`` writes docs/pictures/.

Every number and every arrow comes from the oracle or from its geometry; nothing is drawn by hand.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from refimpl import involution
from refimpl.geometry import Axis, same_padding

INK, FAINT, MARK = "#1b1f24", "#8c959f", "#d55e00"
# Okabe and Ito's colours, in light shades that black digits can be read on.
GROUPS = ("#9ad0f0", "#f7c66b", "#9fdcc0")


def grid(axes: Any, values: Any, title: str, colours: Any = None) -> None:
    """Draw a small array with its numbers."""
    rows, columns = values.shape
    for row in range(rows):
        for column in range(columns):
            fill = "white" if colours is None else colours[row][column]
            axes.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=fill, edgecolor=FAINT, lw=0.8)
            )
            number = f"{values[row, column]:g}".replace("-", "\N{MINUS SIGN}")
            axes.text(column, row, number, ha="center", va="center", fontsize=9)
    axes.set(xlim=(-0.6, columns - 0.4), ylim=(rows - 0.4, -0.6), aspect="equal")
    axes.axis("off")
    axes.set_title(title, fontsize=9)


def outline(axes: Any, top: float, left: float, height: int, width: int) -> None:
    """Mark a part of a drawn array."""
    axes.add_patch(
        Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor=MARK, lw=2)
    )


def sign(axes: Any, text: str) -> None:
    """Put an operator between two arrays."""
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=14, transform=axes.transAxes)


def generate(x: Any, generator: Any) -> Any:
    """Generate a kernel for every pixel from the pixel alone: ``weight * max(x, 0) + bias``."""
    weight, bias = generator
    return (weight * np.maximum(x, 0)[..., None] + bias)[..., None]


def window(path: Path) -> None:
    """A window, the kernel generated for its centre, and the result at that pixel."""
    x = np.random.default_rng(3).integers(0, 4, (1, 5, 6, 1)).astype(float)
    weight = np.array([[0, 1, 0], [1, -2, 1], [0, 1, 0]])
    bias = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    kernel = generate(x, (weight, bias))
    y = involution.forward(x, kernel)
    row, column = 2, 4
    taps, pixels = kernel[0, row, column, :, :, 0], x[0, row - 1 : row + 2, column - 1 : column + 2]
    assert y[0, row, column, 0] == (taps * pixels[..., 0]).sum()

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    left, middle, right = top.subplots(1, 3, width_ratios=(6, 0.7, 6))
    grid(left, x[0, ..., 0], "x, with the window of one pixel")
    outline(left, row - 1, column - 1, 3, 3)
    sign(middle, "\N{RIGHTWARDS ARROW}")
    grid(right, y[0, ..., 0], "y, with the result at that pixel")
    outline(right, row, column, 1, 1)
    parts = bottom.subplots(1, 5, width_ratios=(3, 0.7, 3, 0.7, 3))
    value = x[0, row, column, 0]
    grid(parts[0], pixels[..., 0], "window")
    sign(parts[1], "\N{MULTIPLICATION SIGN}")
    grid(parts[2], taps, f"kernel generated from x = {value:g}")
    sign(parts[3], "=")
    grid(parts[4], taps * pixels[..., 0], f"products, sum {y[0, row, column, 0]:g}")
    save(figure, path)


def beside(path: Path) -> None:
    """The kernels of convolution and of involution, at two pixels and for two channels."""
    x = np.random.default_rng(8).integers(0, 4, (1, 4, 4, 2)).astype(float)
    # Depthwise convolution is involution with a group for each channel and one kernel everywhere.
    fixed = np.random.default_rng(6).integers(-1, 3, (3, 3, 2)).astype(float)
    convolution = np.broadcast_to(fixed, (1, 4, 4, 3, 3, 2))
    weight = np.array([[1, 0, -1], [0, 1, 0], [-1, 0, 1]])
    generated = generate(x.sum(axis=-1, keepdims=True), (weight, np.ones((3, 3))))
    assert (generated[0, 1, 1] != generated[0, 2, 2]).any()
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    titles = ("convolution (depthwise)", "involution (one group)")
    for part, kernel, title in zip(
        figure.subfigures(1, 2), (convolution, generated), titles, strict=True
    ):
        part.suptitle(title, fontsize=11)
        y = involution.forward(x, np.ascontiguousarray(kernel))
        axes = part.subplots(3, 2)
        for channel in (0, 1):
            shown = kernel[..., channel % kernel.shape[-1]]
            for place, (row, column) in enumerate(((1, 1), (2, 2))):
                colour = GROUPS[channel] if kernel.shape[-1] == 2 else GROUPS[2 * place]
                name = f"kernel of pixel ({row}, {column}),\nchannel {channel}"
                grid(axes[place, channel], shown[0, row, column], name, [[colour] * 3] * 3)
            grid(axes[2, channel], y[0, ..., channel], f"y, channel {channel}")
            for row in (1, 2):
                outline(axes[2, channel], row, row, 1, 1)
    save(figure, path)


def groups(path: Path) -> None:
    """Which group each channel uses, as the oracle answers it."""
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots(2, 2)
    for row, count in zip(axes, (2, 3), strict=True):
        for axis, layout in zip(row, ("blocked", "interleaved"), strict=True):
            # A kernel of one tap that holds its own group's number, met by ones.
            kernel = np.arange(count, dtype=float).reshape(1, 1, 1, 1, 1, count)
            used = involution.forward(np.ones((1, 1, 1, 6)), kernel, group_layout=layout)
            colours = [[GROUPS[int(group)] for group in used[0, 0, 0]]]
            grid(axis, used[0, 0], f"{layout}, C = 6, G = {count}: group of each channel", colours)
            for channel in range(6):
                axis.text(channel, 0.85, f"c = {channel}", ha="center", va="center", fontsize=8)
            axis.set_ylim(1.1, -0.6)
    save(figure, path)


def padding(path: Path) -> None:
    """Which pixels each output reads, by padding, by stride and for an odd and an even size."""
    rules = {
        'padding="same"': lambda size, stride: same_padding(size, 3, stride, 1),
        'padding="valid"': lambda _size, _stride: (0, 0),
        "padding=1, symmetric": lambda _size, _stride: (1, 1),
    }
    cases = [(size, stride) for stride in (1, 2, 3) for size in (7, 8)]
    figure = Figure(figsize=(7.6, 8.4), layout="constrained")
    most = [-(-size // stride) for size, stride in cases]
    heights = [outputs + 2.2 for outputs in most]
    axes = figure.subplots(len(cases), len(rules), height_ratios=heights)
    for row, (size, stride), height in zip(axes, cases, heights, strict=True):
        for axis, (name, rule) in zip(row, rules.items(), strict=True):
            geometry = Axis(size, 3, stride, 1, *rule(size, stride))
            draw_axis(axis, geometry)
            axis.set_ylim(height - 0.6, -0.6)
            title = f"{size} pixels, stride {stride}: {geometry.outputs} outputs"
            axis.set_title(f"{name}\n{title}" if (size, stride) == cases[0] else title, fontsize=9)
    save(figure, path)


def draw_axis(axes: Any, axis: Axis) -> None:
    """Draw the pixels of an axis and under them the taps of each output."""
    sides = ((0, 0), (axis.before, axis.after))
    # One-hot rows ask the oracle which output reads which pixel.
    hot = np.eye(axis.size).reshape(axis.size, 1, axis.size, 1)
    kernel = np.ones((axis.size, 1, axis.outputs, 1, axis.taps, 1))
    reads = involution.forward(hot, kernel, stride=(1, axis.stride), padding=sides)[:, 0, :, 0]
    for pixel in range(-axis.before, axis.size + axis.after):
        inside = 0 <= pixel < axis.size
        style = {"facecolor": "#d8dee4"} if inside else {"facecolor": "white", "hatch": "////"}
        axes.add_patch(Rectangle((pixel - 0.45, -0.45), 0.9, 0.9, edgecolor=FAINT, lw=0.6, **style))
        # A pixel that no output reads is crossed out.
        unread = inside and not reads[pixel].any()
        axes.text(
            pixel,
            0,
            ("\N{MULTIPLICATION SIGN}" if unread else f"{pixel}") if inside else "",
            ha="center",
            va="center",
            fontsize=8,
            color=MARK if unread else INK,
        )
    for output in range(axis.outputs):
        first = output * axis.stride - axis.before
        for pixel in range(first, first + axis.taps):
            met = 0 <= pixel < axis.size and reads[pixel, output] == 1
            style = {"facecolor": GROUPS[0]} if met else {"facecolor": "white", "hatch": "////"}
            axes.add_patch(
                Rectangle((pixel - 0.45, output + 0.85), 0.9, 0.7, edgecolor=FAINT, lw=0.6, **style)
            )
    axes.set_xlim(-1.6, 8.6)
    axes.axis("off")


def save(figure: Figure, path: Path) -> None:
    """Write an SVG that is the same every time."""
    figure.savefig(path, metadata={"Date": None})


PICTURES = {"window": window, "beside": beside, "groups": groups, "padding": padding}


def main(folder: Path) -> None:
    """Draw all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options: Any = {"svg.hashsalt": "refimpl", "text.color": INK, "hatch.color": "#c0c8d0"}
    with mpl.rc_context(options):
        for name, draw in PICTURES.items():
            draw(folder / f"{name}.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("pictures"))
