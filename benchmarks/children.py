"""A measurement in a process of its own: ``run("module:function", arguments, environment)``.

One process has one Keras backend, one peak of memory and one first call, so that what depends on
these is measured in a new one. It gives plain data, through a file: frameworks write to the screen.
Nothing is measured here, and only Python itself is imported.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Failed(Exception):  # noqa: N818 (it is no fault of the program)
    """A process ended without a result; the message is the last line that it wrote."""


def run(
    function: str,
    arguments: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Any:
    """Call a function in a new process.

    Parameters
    ----------
    function : str
        ``"package.module:function"``.
    arguments : mapping
        Keyword arguments, plain data.
    environment : mapping, optional
        Variables besides those of this process.
    timeout : float, optional
        Seconds after which the process is ended.

    Returns
    -------
    object
        What the function returned, through JSON.

    Raises
    ------
    Failed
        The process raised, or was ended.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "result.json")
        command = [sys.executable, "-m", "benchmarks.children", function, str(kept)]
        try:
            done = subprocess.run(
                [*command, json.dumps(arguments)],
                env={**os.environ, **(environment or {})},
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"process was ended after {timeout:g} s") from None
        if done.returncode or not kept.exists():
            said = done.stderr.strip().splitlines() or [""]
            raise Failed(f"process ended with {done.returncode}: {said[-1]}")
        return json.loads(kept.read_text())


def main() -> None:
    """Call what the command line names, and keep what it returns."""
    function, kept, arguments = sys.argv[1:]
    module, _, name = function.partition(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    Path(kept).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
