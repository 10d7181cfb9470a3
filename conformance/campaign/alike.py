"""What must be the same wherever blocks run: Python, packages, sources, and what is judged.

Says in what two places differ. Loads nothing: what is judged is brought by whoever loaded it.
"""

import functools
import hashlib
import importlib.util
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from conformance.claims.loading import PIPED, Judged
from conformance.judging import intact

# What decides the bits of a block, besides the code of the judge and what is judged.
_PACKAGES = ("refimpl", "numpy", "numba", "hypothesis", "ml_dtypes", "dask", "distributed")


class UnlikeError(RuntimeError):
    """A worker's environment is not the client's."""


def environment(judged: Iterable[Judged] = ()) -> dict[str, str]:
    """Give what must be the same: of this process, and of what it has loaded to be judged."""
    found = dict(_own())
    for one in judged:
        found[f"{one.name} runs on"] = one.environment
        found[f"sources of {one.name}"] = _sources(one.name)
    return found


def differences(own: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Say in what two environments differ."""
    return [
        f"{name}: {own.get(name, 'none')} here, {other.get(name, 'none')} there"
        for name in sorted({*own, *other})
        if own.get(name) != other.get(name)
    ]


def demand(worker: str, own: Mapping[str, str], other: Mapping[str, str]) -> None:
    """Demand that a worker has the client's environment.

    Raises
    ------
    UnlikeError
        Naming the worker and what differs.
    """
    if unlike := differences(own, other):
        raise UnlikeError(f"the worker {worker} is not like the client: {'; '.join(unlike)}")


@functools.cache
def _own() -> dict[str, str]:
    found = {"python": sys.version.split()[0], "machine": platform.machine()}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    found["judge"] = intact.digest()[:16]
    return found


@functools.cache
def _sources(name: str) -> str:
    """Give one word for the files that a name stands for: of a package, all of its Python.

    What that imports besides is known by what it says that it runs on, if it says so.
    """
    files: list[Path] = []
    if name.startswith(PIPED):
        files = [Path(word) for word in shlex.split(name.removeprefix(PIPED))]
    else:
        # Of a package that stands at the top; to find one within, Python would import it here.
        with suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(name.partition(":")[0].partition(".")[0])
            if spec is not None:
                folders = map(Path, spec.submodule_search_locations or ())
                found = sorted(path for folder in folders for path in folder.rglob("*.py"))
                files = found or [Path(str(spec.origin))]
    digests = (hashlib.sha256(one.read_bytes()).digest() for one in files if one.is_file())
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16]
