"""``python -P conformance/worker/__main__.py package.module:attribute``: serves it through a pipe.

Requests come on standard input, and replies go to standard output (docs/protocol.md). It is given
as a file, and not as a module, so that nothing else of the judge is imported.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

_NAME = "refimpl_worker"


def _package() -> None:
    """Import the folder that this file lies in, as a package of a name of its own."""
    here = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        _NAME, here / "__init__.py", submodule_search_locations=[str(here)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[_NAME])


if __name__ == "__main__":
    _package()
    sys.exit(importlib.import_module(f"{_NAME}.serving").main(sys.argv[1:]))
