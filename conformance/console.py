"""The program ``refimpl``: what ``python -m conformance`` does, as a command of its own."""

import importlib.util
import sys

_NEEDED = ("pytest", "hypothesis", "safetensors", "rich", "jinja2", "ml_dtypes")


def main() -> None:
    """Do what the command line says, and end with its exit status."""
    lacking = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        sys.exit(
            f"refimpl judges with packages that are not installed ({', '.join(lacking)}): "
            'install "refimpl[conformance]"'
        )
    # As pytest does: what is judged may stand in the current folder.
    sys.path.insert(0, "")
    from conformance.__main__ import main as command

    sys.exit(command(sys.argv[1:]))
