"""Whether the judge is still what it was: what is judged could have written into its files."""

import hashlib
from pathlib import Path

import conformance
import refimpl


class Seal:
    """What the source files of the judge held when this was made."""

    def __init__(self) -> None:
        self._held = _digests()

    def broken(self) -> list[str]:
        """Name the files that are not what they were."""
        now = _digests()
        paths = sorted(self._held.keys() | now.keys())
        return [str(path) for path in paths if self._held.get(path) != now.get(path)]


def _digests() -> dict[Path, bytes]:
    folders = [Path(str(one.__file__)).parent for one in (refimpl, conformance)]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in paths}
