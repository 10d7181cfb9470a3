"""How Sphinx builds these pages: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import sys
from pathlib import Path

# This checkout is what these pages are about, installed or not; extensions of its own lie here.
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import refimpl

project = "refimpl"
author = copyright = "The refimpl developers"  # noqa: A001 (Sphinx's own name)
version = release = refimpl.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "clause_pages"]
exclude_patterns = ["_build", "tables"]
nitpicky = True

# The specification links to its own headings.
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings tell types, and shapes with them
numpydoc_show_class_members = False  # Keras's own would be listed too
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"refimpl {version}"
