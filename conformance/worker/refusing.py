"""Refuses, and notes, what would reach for the truth or for the judge.

A finder gives imports a sentence; an audit hook, which Python code cannot take away, sees to files
and signals. It is no wall: code that means harm belongs in a container.
"""

import importlib.abc
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What holds the truth, and what judges by it; beside it what an implementation may need.
_ORACLE = ("refimpl.involution", "refimpl.layer", "refimpl._")
_ALLOWED = tuple(
    f"conformance.{name}" for name in ("adapt", "implementations", "mutants", "worker")
)
_STARTING = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}
_NAMES_ORACLE = re.compile(r"(from|import) refimpl\b|refimpl\.(involution|layer|_)|refimpl/_")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


class Refuser(importlib.abc.MetaPathFinder):
    """Keeps what is judged from the truth.

    Parameters
    ----------
    judged : str
        The module that is judged, which may be the oracle itself.
    """

    def __init__(self, judged: str) -> None:
        self.judged, self.noted = judged, list[str]()
        self._folders: list[str] | None = None
        self._judge = os.getppid()

    @property
    def folders(self) -> list[str]:
        """Where the packages of the judge lie, as soon as they can be found."""
        if self._folders is None:
            # While it is looked for nothing is refused.
            self._folders = []
            self._folders = [f"{path}{os.sep}" for path in _packages()] or None
        return self._folders or []

    def find_spec(self, name: str, *_: Any) -> None:
        """Refuse to find a module that holds the truth; leave the others to who comes next."""
        if self._is_truth(name):
            self._refuse(ImportError, f"{name} holds the truth: what is judged may not import it")

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See what Python is about to do."""
        if event == "open":
            self._open(*arguments)
        elif event in _STARTING and _NAMES_ORACLE.search(repr(arguments)):
            self._refuse(PermissionError, "what is judged may not have another ask the oracle")
        elif event in {"os.kill", "os.killpg"} and arguments[0] in {self._judge, -self._judge, -1}:
            self._refuse(PermissionError, "what is judged may not send signals to the judge")

    def _is_truth(self, module: str) -> bool:
        if self.judged.startswith(_ORACLE):
            return False
        allowed = module.startswith(_ALLOWED) or f"{self.judged}.".startswith(f"{module}.")
        return module.startswith((*_ORACLE, "conformance.")) and not allowed

    def _open(self, path: Any, _: Any, flags: int) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        real = os.path.realpath(os.fsdecode(path))
        if real.startswith(f"/proc/{self._judge}/"):
            self._refuse(PermissionError, f"what is judged may not open {real}")
        folder = next((one for one in self.folders if real.startswith(one)), None)
        if folder is None:
            return
        inside = Path(real[len(folder) :])
        parts = [part for part in inside.parts if part != "__pycache__"]
        if not parts:
            return
        # Also of what was compiled from it: name.cpython-311.pyc.
        parts[-1] = parts[-1].partition(".")[0]
        module = ".".join([Path(folder).name, *(part for part in parts if part != "__init__")])
        if inside.suffix != ".md" and self._is_truth(module):
            self._refuse(ImportError, f"{real} holds the truth: what is judged may not open it")
        if flags & _WRITING and "__pycache__" not in inside.parts:
            self._refuse(PermissionError, f"what is judged may not write {real}")

    def _refuse(self, kind: type[Exception], words: str) -> None:
        self.noted.append(words)
        raise kind(words)


def _packages() -> Iterator[Path]:
    """Find where the packages of the judge lie, without importing them."""
    for name in ("refimpl", "conformance"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            yield Path(os.path.realpath(spec.origin)).parent
