"""An implementation in a process of its own, reached through a pipe (docs/protocol.md).

It may be in any language: ``--implementation="exec:./my_worker --device 0"`` starts that program;
any other name is served by `conformance.worker`. A program that dies, hangs or answers nonsense is
a failure of the case that it was asked; the next case has a new one.
"""

import contextlib
import fcntl
import json
import math
import os
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import conformance.worker
from conformance.worker.finding import LoadError, Seam
from conformance.worker.host import FURTHER, Call, Form, Reply
from conformance.worker.messages import PROTOCOL, MessageError, dump_message, parse_message

Array = npt.NDArray[Any]

# Seconds for one answer; a first one may import a framework.
TIMEOUT = 60.0
# Once the verdict stands: seconds for one answer, and how often it is started again.
_HURRIED, _LIVES = 10.0, 3
_LAST_LINES, _LAST_LETTERS, _LAST_BYTES = 6, 300, 1 << 16
# Bytes that an answer may have at least, and times those of the results that are due.
_ROOM, _TIMES = 1 << 27, 16
_SERVING = Path(conformance.worker.__file__).with_name("__main__.py")


class DiedError(RuntimeError):
    """The program gave no answer: it ended, took too long, or said what is no message."""


class RefusedError(RuntimeError):
    """The program answered that it cannot do what was asked.

    Parameters
    ----------
    said : mapping
        The metadata of its reply.
    """

    def __init__(self, said: Mapping[str, str]) -> None:
        super().__init__(f"{said.get('kind')}: {said.get('message')}")
        self.said = said


class CannotCarryError(Exception):
    """Messages to this program cannot have what was to be asked."""


def command_of(name: str) -> list[str]:
    """Give the command that serves ``package.module:attribute``."""
    return [sys.executable, "-P", str(_SERVING), name]


class Program:
    """A program that speaks the protocol, asked as a `conformance.worker.host.Host` is.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    seam : Seam
        What is asked of an implementation of its kind.
    timeout : float, default TIMEOUT
        Seconds for one answer.
    memory : float, optional
        GiB of address space that it may have.
    variables : mapping of str to str, optional
        Of its environment, in the place of those of the judge.

    Attributes
    ----------
    deaths : int
        How often it gave no answer.
    """

    isolated = True

    def __init__(
        self,
        command: Sequence[str],
        seam: Seam,
        *,
        timeout: float = TIMEOUT,
        memory: float | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.command, self.seam, self.timeout, self.memory = list(command), seam, timeout, memory
        self.variables = dict(variables or {})
        self.deaths, self._lives = 0, float("inf")
        self._running: _Running | None = None
        self._requests: frozenset[str] = frozenset()
        self.capabilities: Any = None
        self.environment: str | None = None

    def start(self) -> None:
        """Start it, and wait for nothing: it may be dear to start."""
        self._started()

    def hello(self) -> None:
        """Ask what it is.

        Raises
        ------
        DiedError
            It does not answer, or speaks another version of the protocol.
        conformance.worker.finding.LoadError
            In its own words why it cannot be judged.
        """
        try:
            said = self._greeted()
        except RefusedError as error:
            raise LoadError(str(error).removeprefix("LoadError: ")) from error
        if said.get("protocol") != PROTOCOL:
            raise DiedError(f"it speaks protocol {said.get('protocol')}, not {PROTOCOL}")
        self._requests = frozenset(_parsed(said.get("requests"), []))
        self.environment = said.get("environment", said.get("name") if self._foreign else None)
        self.capabilities = _parsed(said.get("capabilities"), None)
        if isinstance(self.capabilities, Mapping | None):
            self.capabilities = {**(self.capabilities or {}), **self._unable}

    def _greeted(self) -> dict[str, str]:
        """Say hello, as to every process anew."""
        hello = {"request": "hello", "seam": json.dumps(asdict(self.seam))}
        if not self._foreign:
            hello["paths"] = json.dumps(sys.path)
        running = self._started()
        running.greeted = True
        return self._ask(hello, {})[0]

    @property
    def _foreign(self) -> bool:
        return self.command[:3] != command_of("")[:3]

    @property
    def _unable(self) -> dict[str, bool]:
        """What a program without these requests cannot be asked."""
        needed = {"memory": "layouts", "thread_safe": "together", "fork_safe": "forked"}
        needed |= {name: name for name in FURTHER}
        return {name: False for name, one in needed.items() if one not in self._requests}

    @property
    def offers(self) -> frozenset[str]:
        """Which of the functions it has that it may have or not."""
        return self._requests & frozenset(FURTHER)

    def call(self, call: Call) -> Reply:
        """Ask for the results of one call."""
        metadata, tensors = self._message(call)
        try:
            said, results = self._ask(metadata, tensors, _bytes(call))
        except RefusedError as error:
            said, results = {"kind": "Error", **error.said}, {}
        with self._understood():
            return _reply(said, results)

    def together(self, calls: Sequence[Call], rounds: int) -> list[list[Reply]]:
        """Ask for several calls at once, each in a thread of its own, so many times each."""
        listed: Any = []
        operands: dict[str, Array] = {}
        for number, call in enumerate(calls):
            metadata, tensors = self._message(call)
            listed.append(metadata)
            operands |= {f"{number}.{name}": one for name, one in tensors.items()}
        request = {"request": "together", "rounds": str(rounds), "calls": json.dumps(listed)}
        said, results = self._ask(request, operands, rounds * sum(map(_bytes, calls)))
        with self._understood():
            listed = json.loads(said["replies"])
            return [
                [
                    _reply(turns[turn], _begun(f"{number}.{turn}.", results))
                    for turn in range(rounds)
                ]
                for number, turns in zip(range(len(calls)), listed, strict=True)
            ]

    def anew(self) -> None:
        """Have the implementation made anew."""
        if "anew" in self._requests:
            self._ask({"request": "anew"}, {})
        else:
            self.close()

    def hurry(self) -> None:
        """Be less patient: the verdict stands, and what is asked from here on only explains it."""
        self.timeout, self._lives = min(self.timeout, _HURRIED), _LIVES

    @property
    def given_up(self) -> bool:
        """Whether it has died too often to be asked again."""
        return self._lives <= 0

    def beside(self, variables: Mapping[str, str]) -> "Program":
        """Give the same program for a process beside this one, with variables of its own."""
        other = Program(
            self.command,
            self.seam,
            timeout=self.timeout,
            memory=self.memory,
            variables=self.variables | dict(variables),
        )
        other._requests = self._requests
        return other

    def close(self) -> None:
        """Let it end; it is started again when it is asked again."""
        running, self._running = self._running, None
        if running is not None:
            with contextlib.suppress(OSError, DiedError):
                running.write(dump_message({"request": "goodbye"}, {}), time.monotonic() + 1)
            running.end(1.0)

    def _message(self, call: Call) -> tuple[dict[str, str], dict[str, Array]]:
        """Give a call as metadata and tensors."""
        metadata, tensors = message_of(call)
        said = {"again": call.again, "forked": call.forked, "held": call.counted}
        metadata |= {name: "true" for name, wanted in said.items() if wanted}
        if "layouts" not in self._requests:
            for name, array in tensors.items():
                if array.dtype.kind in "Oc":
                    raise CannotCarryError(f"{name} of dtype {array.dtype} in a message")
            return metadata, tensors
        if call.layouts:
            metadata["layouts"] = json.dumps(call.layouts)
        for name, how in call.layouts.items():
            if "dtype" in how:
                tensors[name] = np.asarray(tensors[name].real, np.float64)
        return metadata, tensors

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Take whatever cannot be made of a reply for its fault."""
        try:
            yield
        except Exception as error:
            words = f"answered what cannot be understood: {type(error).__name__}: {error}"
            raise self._dead(words) from error

    def _dead(self, words: str) -> DiedError:
        running, self._running = self._running, None
        self.deaths, self._lives = self.deaths + 1, self._lives - 1
        return running.died(words) if running is not None else DiedError(words)

    def _ask(
        self, metadata: Mapping[str, str], tensors: Mapping[str, Array], due: int = 0
    ) -> tuple[dict[str, str], dict[str, Array]]:
        """Put one request and wait for its reply, of so many bytes or somewhat more."""
        if not self._started().greeted:
            self._greeted()
        stop = time.monotonic() + self.timeout
        running = self._started()
        try:
            running.write(dump_message({"protocol": PROTOCOL, **metadata}, tensors), stop)
            said, results = parse_message(running.read(stop, _ROOM + _TIMES * due))
            if said.get("process", str(running.process.pid)) != str(running.process.pid):
                raise DiedError("was answered for by another process")
        except (DiedError, MessageError, OSError, EOFError) as error:
            words = {MessageError: f"answered what is no message: {error}", DiedError: f"{error}"}
            raise self._dead(words.get(type(error), "")) from error
        if said.get("reply") == "error":
            raise RefusedError(said)
        return said, results

    def _started(self) -> "_Running":
        if self._running is None:
            if self.given_up:
                raise DiedError(f"it died {self.deaths} times and is not started again")
            self._running = _Running(self.command, self.timeout, self.memory, self.variables)
        return self._running


def message_of(call: Call) -> tuple[dict[str, str], dict[str, Array]]:
    """Give a call as metadata and tensors, as every program understands it."""
    options = dict(call.options)
    if "config" in options and not isinstance(options["config"], Mapping):
        config = options["config"]
        options["config"] = {field.name: getattr(config, field.name) for field in fields(config)}
    metadata = {name: json.dumps(value, default=str) for name, value in options.items()}
    metadata |= {"request": call.function, "due": json.dumps(call.due)}
    return metadata, dict(call.tensors)


# Bytes that a pipe is to hold: a message of usual size passes in one piece, and nobody waits. A
# verdict on NumPy's unfold took 34 seconds in the place of 40.
_PIPE = 1 << 20


def _widen(end: int) -> None:
    """Let a pipe hold more, where the system can and allows it."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE)


class _Running:
    """A process, its two pipes, and the end of what it prints."""

    def __init__(
        self,
        command: Sequence[str],
        timeout: float,
        memory: float | None,
        variables: Mapping[str, str],
    ) -> None:
        if not command:
            raise DiedError("it names no program")
        if shutil.which(command[0]) is None:
            raise DiedError(f"cannot start {shlex.join(command)}: there is no program {command[0]}")
        limits = "ulimit -c 0" + (f"; ulimit -v {int(memory * 2**20)}" if memory else "")
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f'{limits}; exec "$@"', "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={n: text for n, text in os.environ.items() if not n.startswith("PYTEST_")}
            | dict(variables),
            # No terminal of ours is theirs, and all that it starts ends with it.
            start_new_session=True,
        )
        self.greeted = False
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._timeout = timeout
        self._in, self._out = self.process.stdin.fileno(), self.process.stdout.fileno()
        for end in (self._in, self._out):
            _widen(end)
        os.set_blocking(self._in, False)
        self._printed = bytearray()
        self._listener = threading.Thread(
            target=_listen, args=(self.process.stderr, self._printed), daemon=True
        )
        self._listener.start()
        self._end = weakref.finalize(self, _kill, self.process)

    def write(self, blob: bytes, stop: float) -> None:
        """Write a message, unless it has ended, or answered before it is asked."""
        if self.process.poll() is not None:
            raise EOFError
        if select.select([self._out], [], [], 0)[0] and os.read(self._out, 1):
            raise DiedError("said something that it was not asked for")
        parts = [memoryview(struct.pack("<Q", len(blob))), memoryview(blob)]
        while parts:
            self._wait([], [self._in], stop)
            with contextlib.suppress(BlockingIOError):
                done = os.writev(self._in, parts)
                while parts and done >= len(parts[0]):
                    done -= len(parts.pop(0))
                parts = [parts[0][done:], *parts[1:]] if parts else []

    def read(self, stop: float, most: int) -> bytes:
        """Read a message of at most so many bytes."""
        size = struct.unpack("<Q", self._read(8, stop))[0]
        if size > most:
            raise DiedError(f"announces an answer of {size} bytes")
        return self._read(size, stop)

    def _read(self, size: int, stop: float) -> bytes:
        parts = []
        while size:
            self._wait([self._out], [], stop)
            part = os.read(self._out, min(size, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _wait(self, reading: list[int], writing: list[int], stop: float) -> None:
        if not any(select.select(reading, writing, [], max(0.0, stop - time.monotonic()))):
            raise DiedError(f"gave no answer within {self._timeout:g} seconds")

    def died(self, what: str) -> DiedError:
        """End it, and say how it ended and what it said last."""
        if not what:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            status = self.process.poll()
            if status is None:
                what = "closed its output"
            elif status < 0:
                what = f"was killed by {signal.Signals(-status).name}"
            else:
                what = f"ended with status {status}"
        self.end(0.0)
        lines = _last_lines(bytes(self._printed).decode(errors="replace"))
        return DiedError("\n".join([f"the program {what}", *lines]))

    def end(self, seconds: float) -> None:
        """Wait so long for its end, and make one of it and of all that it started."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self._end()
        # Somebody else may hold the other end: a process that left the session.
        self._listener.join(1.0)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        # What is still to be written to a dead program is not.
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()


def _listen(stream: Any, printed: bytearray) -> None:
    """Take what a program prints, and keep the end of it."""
    with contextlib.suppress(OSError), stream:
        while part := stream.read1(1 << 16):
            printed += part
            del printed[:-_LAST_BYTES]


def _last_lines(printed: str) -> list[str]:
    """Give the last lines; of a crash that Python reports the first, which say where it was."""
    lines = [line[-_LAST_LETTERS:] for line in printed.splitlines() if line.strip()]
    fatal = [at for at, line in enumerate(lines) if line.startswith("Fatal Python error")]
    return lines[fatal[-1] :][:_LAST_LINES] if fatal else lines[-_LAST_LINES:]


def _parsed(text: str | None, default: Any) -> Any:
    """Read JSON that a program wrote."""
    try:
        return json.loads(text) if text else default
    except ValueError as error:
        raise DiedError(f"says what is no JSON: {text!r:.80}") from error


def _bytes(call: Call) -> int:
    """Bytes of the results that are due, if they are of the widest dtype."""
    return 8 * sum(math.prod(shape) for shape in call.due)


def _begun(begin: str, results: Mapping[str, Array]) -> dict[str, Array]:
    """Give the results whose names begin so, by what follows."""
    return {name[len(begin) :]: a for name, a in results.items() if name.startswith(begin)}


def _reply(said: Mapping[str, str], results: Mapping[str, Array]) -> Reply:
    """Read what came of a call; what is said in it is data, to be shown and not obeyed."""
    reply = Reply(results=dict(results))
    for name, form in _parsed(said.get("forms"), {}).items():
        shape = tuple(int(size) for size in form["shape"])
        reply.results[name] = Form(printable(form["type"]), printable(form["dtype"]), shape)
    if "kind" in said:
        reply.raised = printable(said["kind"]), printable(said.get("message", ""))
    for name in ("modified", "overwritten", "left", "refused"):
        setattr(reply, name, [printable(str(one)) for one in _parsed(said.get(name), [])])
    reply.held = {
        printable(str(name)): int(count) for name, count in _parsed(said.get("held"), {}).items()
    }
    reply.shared = [
        (printable(str(one)), printable(str(other)))
        for one, other in _parsed(said.get("shared"), [])
    ]
    return reply


def printable(words: str) -> str:
    """Show control characters, terminal escapes among them, instead of handing them on."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in words
    )
