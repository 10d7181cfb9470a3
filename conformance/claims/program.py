"""An implementation in a process of its own, reached through a pipe (docs/protocol.md).

In any language: ``--implementation="exec:./my_worker --device 0"`` starts the program, writes
requests to its standard input and reads replies from its standard output. A program that dies,
hangs or answers nonsense is a failure of the case that it was asked; the next case has a new one.
"""

import contextlib
import json
import os
import select
import shlex
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy.typing as npt

from conformance.worker import PROTOCOL, MessageError, parse_message, write_message

Array = npt.NDArray[Any]

# Seconds for one answer; a first one may import a framework.
TIMEOUT = 60.0
# After so many deaths it is not started anew.
_DEATHS = 12
_LAST_LINES = 6


class DiedError(RuntimeError):
    """The program gave no answer: it ended, took too long, or said what is no message."""


class RefusedError(RuntimeError):
    """The program answered that it raises."""


class Program:
    """A program that speaks the protocol, with the functions of the seam.

    Parameters
    ----------
    command : str
        As one would write it in a shell, without the shell's own doings.
    timeout : float, default TIMEOUT
        Seconds for one answer.

    Raises
    ------
    DiedError, RefusedError
        It does not say hello.
    """

    def __init__(self, command: str, timeout: float = TIMEOUT) -> None:
        self.command, self.timeout, self.deaths = shlex.split(command), timeout, 0
        self._process: subprocess.Popen[bytes] | None = None
        hello, _ = self.ask({"request": "hello"}, {})
        if hello.get("protocol") != PROTOCOL:
            raise DiedError(f"it speaks protocol {hello.get('protocol')}, not {PROTOCOL}")
        self.environment = hello.get("environment") or hello.get("name", "")
        # Memory that the judge does not share it cannot see: views arrive as their copies.
        self.capabilities = json.loads(hello.get("capabilities") or "{}") | {"memory": False}

    def forward(self, x: Array, *others: Any, **options: Any) -> Any:
        """Ask for y of an operator, or for what a layer answers."""
        results = self._call("forward", (x, *others), options)
        if isinstance(others[0], Mapping):
            moving = {n: a for n, a in results.items() if n not in {"y", "kernel"}}
            return results.get("y"), results.get("kernel"), moving
        return results.get("y")

    def backward(self, dy: Array, x: Array, *others: Any, **options: Any) -> Any:
        """Ask for the gradients."""
        results = self._call("backward", (dy, x, *others), options)
        if isinstance(others[0], Mapping):
            return results.get("dx"), {n[1:]: a for n, a in results.items() if n != "dx"}
        return results.get("dx"), results.get("dkernel")

    def _call(self, function: str, given: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        names = ("dy", "x")[-(2 if function == "backward" else 1) :]
        tensors = dict(zip(names, given, strict=False))
        rest = given[len(names) :]
        metadata = {name: json.dumps(value, default=str) for name, value in options.items()}
        if isinstance(rest[0], Mapping):
            tensors |= rest[0]
            config = {field.name: getattr(rest[1], field.name) for field in fields(rest[1])}
            metadata |= {"config": json.dumps(config), "request": f"layer-{function}"}
        else:
            tensors["kernel"] = rest[0]
            metadata["request"] = function
        return self.ask(metadata, tensors)[1]

    def ask(
        self, metadata: Mapping[str, str], tensors: Mapping[str, Array]
    ) -> tuple[dict[str, str], dict[str, Array]]:
        """Put one request and wait for its reply."""
        stop = time.monotonic() + self.timeout
        process = self._started()
        assert process.stdin is not None
        try:
            write_message(process.stdin, {"protocol": PROTOCOL, **metadata}, tensors)  # type: ignore[arg-type]
            size = struct.unpack("<Q", self._read(8, stop))[0]
            said, results = parse_message(self._read(size, stop))
        except OSError as error:
            raise self._died("") from error
        except MessageError as error:
            raise self._died(f"answered what is no message: {error}") from error
        if said.get("reply") == "error":
            raise RefusedError(f"{said.get('kind')}: {said.get('message')}")
        return said, results

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        if self._process is not None:
            # It ended of itself, after its last answer.
            self._close(self._process)
        if self.deaths >= _DEATHS:
            raise DiedError(f"it died {self.deaths} times and is not started again")
        if not self.command:
            raise DiedError("it names no program")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the program)
        try:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise DiedError(f"cannot start {shlex.join(self.command)}: {error}") from error
        return self._process

    def _read(self, size: int, stop: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe, parts, left = self._process.stdout.fileno(), [], size
        while left:
            ready, _, _ = select.select([pipe], [], [], max(0.0, stop - time.monotonic()))
            if not ready:
                raise self._died(f"gave no answer within {self.timeout:g} seconds")
            part = os.read(pipe, min(left, 1 << 20))
            if not part:
                raise self._died("")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _died(self, what: str) -> DiedError:
        """End the program, and say how it ended and what it said last."""
        process, self._process = self._process, None
        assert process is not None
        self.deaths += 1
        if not what:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            status = process.poll()
            if status is None:
                what = "closed its output"
            elif status < 0:
                what = f"was killed by {signal.Signals(-status).name}"
            else:
                what = f"ended with status {status}"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4000))
        lines = self._errors.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        self._close(process)
        return DiedError("; ".join([f"the program {what}", *filter(None, lines)]))

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        for stream in (process.stdin, process.stdout, self._errors):
            # What is still to be written to a dead program is not.
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def __del__(self) -> None:
        process = getattr(self, "_process", None)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._close(process)
