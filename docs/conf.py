"""How Sphinx builds these pages: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import sys
from pathlib import Path
from typing import Any

# This checkout is what these pages are about, installed or not; its own extension lies here.
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import refimpl  # noqa: E402

project = "refimpl"
author = copyright = "The refimpl developers"  # noqa: A001 (Sphinx's own name)
version = release = refimpl.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "clause_pages",
]
exclude_patterns = ["_build", "tables", "gallery", "**/sg_execution_times.rst"]
nitpicky = True

# What docstrings put between single backticks is code.
default_role = "literal"

# The specification links to its own headings.
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings tell types, and shapes with them
numpydoc_show_class_members = False  # Keras's own would be listed too
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "download_all_examples": False,
    "write_computation_times": False,
    "min_reported_time": 3600,  # seconds differ from build to build
    "show_signature": False,
    "remove_config_comments": True,
}

html_theme = "furo"
html_title = f"refimpl {version}"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["site.css"]


def _reached(_app: Any, _page: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Let a keyboard reach what scrolls, and say of which level the captions are."""
    for part, plain, said in (
        ("body", "<pre>", '<pre tabindex="0">'),
        ("body", '<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
        ("furo_navigation_tree", 'role="heading"', 'role="heading" aria-level="2"'),
    ):
        if part in context:
            context[part] = context[part].replace(plain, said)


def setup(app: Any) -> None:
    """Change pages when they are written, after the theme has."""
    app.connect("html-page-context", _reached, priority=900)
