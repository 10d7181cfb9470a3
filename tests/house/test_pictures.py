"""The pictures of the docs can be drawn anew, and the page shows all of them."""

import importlib.util
import re
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the study's extra is not installed")

DOCS = Path(__file__).parents[2] / "docs"


def test_every_picture_is_drawn_shown_and_kept(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("docs_pictures", DOCS / "pictures.py")
    assert specification is not None
    assert specification.loader is not None
    pictures = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(pictures)
    pictures.main(tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    shown = set(re.findall(r"\(pictures/(.+?)\)", (DOCS / "pictures.md").read_text("utf-8")))
    assert drawn == shown == {path.name for path in (DOCS / "pictures").iterdir()}
