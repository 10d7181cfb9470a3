"""The page of the study: one HTML file that needs no other, from the results and the pictures.

It shows what ``study.json`` holds and nothing else, so it can be written anew from a folder.
"""

import base64
from pathlib import Path
from typing import Any

import jinja2

from refimpl.keras.study.pictures import THEMES


def write(results: dict[str, Any], pictures: Path, path: Path) -> None:
    """Write the page.

    Parameters
    ----------
    results : dict
        What ``study.json`` holds.
    pictures : Path
        The folder of the pictures, in both themes.
    path : Path
        The page.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("refimpl.keras.study", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["whole"] = lambda number: f"{number:,}"
    environment.filters["figure"] = lambda number: f"{number:.4f}"
    environment.filters["duration"] = duration
    environment.filters["shape"] = lambda sizes: " \N{MULTIPLICATION SIGN} ".join(map(str, sizes))
    inlined = {
        name: {theme: _inlined(pictures / f"{name}-{theme}.png") for theme in THEMES}
        for name in ("data", "loss", "accuracy", "kernels")
    }
    text = environment.get_template("page.html").render(**results, pictures=inlined)
    path.write_text(text, encoding="utf-8")


def duration(seconds: float) -> str:
    """Say a duration in minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _inlined(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
