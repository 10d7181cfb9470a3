"""Refuses, and notes, what would reach for the truth or for the judge.

A finder gives imports a sentence; an audit hook, which Python code cannot take away, sees to files
and signals. It is no wall: code that means harm belongs in a container.
"""

import importlib.abc
import importlib.util
import os
import re
from collections.abc import Callable, Iterator
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


Audit = Callable[[str, tuple[Any, ...]], None]


def refuser(judged: str) -> tuple[importlib.abc.MetaPathFinder, Audit, list[str]]:
    """Make what keeps a judged module from the truth.

    Parameters
    ----------
    judged : str
        The module that is judged, which may be the oracle itself.

    Returns
    -------
    finder : MetaPathFinder
        Refuses imports.
    audit : callable
        Refuses what an audit event says.
    noted : list of str
        What was refused.
    """
    # Names of a function and not attributes of an object, which anybody could set.
    noted: list[str] = []
    judge, judges_itself, folders = os.getppid(), judged.startswith(_ORACLE), list[str]()

    def refuse(kind: type[Exception], words: str) -> None:
        noted.append(words)
        raise kind(words)

    def is_truth(module: str) -> bool:
        allowed = module.startswith(_ALLOWED) or f"{judged}.".startswith(f"{module}.")
        truth = (*_ORACLE, "conformance.")
        return module.startswith(truth) and not allowed and not judges_itself

    class Finder(importlib.abc.MetaPathFinder):
        """Refuses to find what holds the truth; leaves the others to who comes next."""

        __slots__ = ()

        def find_spec(self, name: str, *_: Any) -> None:
            if not folders:
                # As soon as they can be found; while they are looked for nothing is refused.
                folders.append("")
                folders[:] = [f"{path}{os.sep}" for path in _packages()]
            if is_truth(name):
                refuse(ImportError, f"{name} holds the truth: what is judged may not import it")

    def opened(path: Any, _: Any, flags: int) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        real = os.path.realpath(os.fsdecode(path))
        if real.startswith(f"/proc/{judge}/"):
            refuse(PermissionError, f"what is judged may not open {real}")
        folder = next((one for one in folders if one and real.startswith(one)), None)
        module = None if folder is None else _module(Path(folder), Path(real[len(folder) :]))
        if module is None:
            return
        if is_truth(module) and not real.endswith(".md"):
            refuse(ImportError, f"{real} holds the truth: what is judged may not open it")
        if flags & _WRITING and "__pycache__" not in real:
            refuse(PermissionError, f"what is judged may not write {real}")

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            opened(*arguments)
        elif event in _STARTING and _NAMES_ORACLE.search(repr(arguments)):
            refuse(PermissionError, "what is judged may not have another ask the oracle")
        elif event in {"os.kill", "os.killpg"} and arguments[0] in {judge, -judge, -1}:
            refuse(PermissionError, "what is judged may not send signals to the judge")

    return Finder(), audit, noted


def _module(folder: Path, inside: Path) -> str | None:
    """Name the module that a file of a package is, or was compiled from; None for a folder."""
    parts = [part for part in inside.parts if part != "__pycache__"]
    if not parts:
        return None
    # name.cpython-311.pyc
    parts[-1] = parts[-1].partition(".")[0]
    return ".".join([folder.name, *(part for part in parts if part != "__init__")])


def _packages() -> Iterator[Path]:
    """Find where the packages of the judge lie, without importing them."""
    for name in ("refimpl", "conformance"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            yield Path(os.path.realpath(spec.origin)).parent
