"""Whether the judge is still what it was: what is judged could have written into its files."""

import functools
import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba.core.config

import conformance
import refimpl
from conformance.claims.loading import load
from conformance.judging.checks import Check
from conformance.judging.judge import Judge
from conformance.judging.session import PROFILES, Session
from refimpl import _fast

_DATA = ("*.jinja", "*.css", "*.json")
# What what is judged may have compiled by importing it.
_NOT_OURS = {"implementations", "mutants", "adapt", "worker"}


class Seal:
    """What the files of the judge held when this was made: sources, and what was compiled."""

    def __init__(self) -> None:
        self._held = _digests()

    def broken(self) -> list[str]:
        """Name the files that are not what they were; compiled ones may be added."""
        now = _digests()
        added = [path for path in now.keys() - self._held.keys() if path.suffix == ".py"]
        changed = [path for path, digest in self._held.items() if now.get(path) != digest]
        return sorted(map(str, added + changed))


def digest() -> str:
    """Give one word for all sources of the judge: the same wherever they are the same."""
    held = _digests().items()
    sources = sorted(one.hex() for path, one in held if path.suffix == ".py")
    return hashlib.sha256("".join(sources).encode()).hexdigest()


def _digests() -> dict[Path, bytes]:
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in _files()}


def _files() -> Iterator[Path]:
    for folder in (Path(str(one.__file__)).parent for one in (refimpl, conformance)):
        # And what the report is made from, once what is judged has run.
        for ours in ("*.py", *_DATA):
            yield from folder.rglob(ours)
        for compiled in ("*.pyc", "*.nbc"):
            yield from (
                path
                for path in folder.rglob(compiled)
                # pytest compiles tests of its own way, when it comes to them.
                if not _NOT_OURS & set(path.parts) and "-pytest-" not in path.name
            )


def compiled() -> bool:
    """Tell whether nothing of the oracle is to be compiled: an earlier run has kept its loops."""
    if numba.core.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return True
    source, kept = Path(_fast.__file__), Path(str(_fast.forward_rows.stats.cache_path))
    last = source.stat().st_mtime
    return any(one.stat().st_mtime >= last for one in kept.glob("_fast.forward_rows-*.nbi"))


def _every_loop(judge: Judge) -> None:
    for case in judge.kind.settled:
        judge.check(case)


@functools.cache
def settle(kind: Any) -> None:
    """Import and compile all that the judge will need, before anything is judged.

    What is judged could otherwise put a file where the judge would look for it. A small trial of a
    right implementation, here in this process, needs everything.
    """
    import conformance.suite  # noqa: F401  (it notes the checks)

    # The report imports what explains a failure.
    from conformance.reporting.report import Report

    session = Session(load(kind.known().right, kind), PROFILES["survey"], seed=0)
    # One check that draws, and every loop of the oracle.
    checks = [one for one in session.checks if one.name == kind.settling]
    checks.append(Check("every loop", checks[0].clauses, _every_loop, {}, drawn=False))
    with warnings.catch_warnings():
        # Hypothesis warns of strategies that are evaluated while pytest starts.
        warnings.simplefilter("ignore")
        str(Report.of(session, [session.run(one) for one in checks]))
