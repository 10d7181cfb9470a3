"""Finds what is to be judged: under a name of the command line, or as an object.

A name is served by a process of its own; an object is asked where it is. Nothing here knows how to
compute anything, or which kinds of implementations there are: a kind is given.
"""

import inspect
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

from conformance.claims.capabilities import DeclarationError, declared
from conformance.claims.program import TIMEOUT, DiedError, Program, command_of
from conformance.worker.finding import LoadError, check_seam, found, maker
from conformance.worker.host import Host

__all__ = ["Judged", "LoadError", "Where", "load", "summon"]

# Where modules stood before; their names on the command line go on working.
_RENAMED = {
    f"conformance.{before}": f"conformance.{now}"
    for before, now in (
        ("implementations.keras_operator", "implementations.operator.keras_operator"),
        ("implementations.keras_layer", "implementations.operator.keras_in_layer"),
        ("implementations.published", "implementations.operator.published"),
        ("implementations.numpy_unfold", "implementations.operator.numpy_unfold"),
        ("implementations.keras_involution", "implementations.layer.keras_layer"),
        ("implementations.numpy_layer", "implementations.layer.numpy_layer"),
        ("layers.mutants", "mutants.layer"),
    )
}
# Before a command: a program that speaks the protocol.
PIPED = "exec:"


@dataclass(frozen=True)
class Where:
    """Where what has a name is judged.

    Attributes
    ----------
    in_process : bool
        In the process of the judge, for a debugger; it can then crash the judge, and reach it.
    timeout : float or None
        Seconds for one answer; None: as `Program` has it.
    memory : float or None
        GiB of address space that it may have.
    """

    in_process: bool = False
    timeout: float | None = None
    memory: float | None = None


# So many characters of what an implementation says of its machine are shown.
_WORDS = 200


@dataclass(frozen=True)
class Judged:
    """An implementation under judgement.

    Attributes
    ----------
    name : str
        On the command line, or what stands for it.
    host : Host or Program
        Who is asked: it holds the implementation, in this process or in another.
    capabilities : Capabilities
        What it claims.
    kind : Kind
        What it is.
    """

    name: str
    host: Host | Program
    capabilities: Any
    kind: Any

    @property
    def can_be_named(self) -> bool:
        """Whether the command line would find it under its name."""
        return " object" not in self.name and "<" not in self.name

    @property
    def environment(self) -> str:
        """What it runs on: its own words, cut short, or the version of its package, if any."""
        own = self.host.environment
        if own is not None:
            return own if len(own) <= _WORDS else f"{own[:_WORDS]} ..."
        package = self.name.partition(":")[0].partition(".")[0]
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            return ""


def load(
    target: Any,
    kind: Any,
    capabilities: Any = None,
    *,
    where: Where = Where(),
) -> Judged:
    """Find an implementation.

    Parameters
    ----------
    target : object
        An implementation; a class or a function without arguments that makes one; or a name
        ``package.module:attribute`` of one of these, or of a module; or ``exec:COMMAND``, a program
        that speaks the protocol of docs/protocol.md.
    kind : Kind
        What it is to be.
    capabilities : mapping, optional
        In the place of what it declares itself.
    where : Where
        Where what has a name is judged. An object is judged where it is.

    Raises
    ------
    LoadError
        Saying what is missing and what to do.
    """
    return summon(target, kind, capabilities, where=where)()


def summon(
    target: Any,
    kind: Any,
    capabilities: Any = None,
    *,
    where: Where = Where(),
) -> Callable[[], Judged]:
    """Begin to find an implementation: what it gives finishes it, as `load` does at once.

    A process of its own is started at once, so that several of them start at a time.
    """
    name = target if isinstance(target, str) else _name_of(target)
    said = f"{kind.option}={name}" if isinstance(target, str) else name
    try:
        program = _program(name, kind, where) if isinstance(target, str) else None
    except (DiedError, LoadError, ValueError) as error:
        raise LoadError(f"{said}: {error}") from error

    def finish() -> Judged:
        try:
            if program is not None:
                program.hello()
            host = program or _hosted(target, name, kind)
            declaration = kind.implied(capabilities or host.capabilities, host.offers)
            claimed = declared(declaration, kind.capabilities)
            kind.check_claims(claimed)
        except (LoadError, DiedError, DeclarationError) as error:
            raise LoadError(f"{said}: {_line(error)}") from error
        return Judged(name, host, claimed, kind)

    return finish


def _program(name: str, kind: Any, where: Where) -> Program | None:
    """Start the program that a name stands for; None if it is to be judged in this process."""
    piped = name.startswith(PIPED)
    if where.in_process and not piped:
        return None
    command = shlex.split(name.removeprefix(PIPED)) if piped else command_of(_today(name))
    timeout = TIMEOUT if where.timeout is None else where.timeout
    program = Program(command, kind.seam, timeout=timeout, memory=where.memory)
    program.start()
    return program


def _hosted(target: Any, name: str, kind: Any) -> Host:
    """Find an implementation in this process."""
    one = found(_today(name)) if isinstance(target, str) else target
    host = Host(maker(one, kind.seam))
    check_seam(host.implementation, kind.seam, name)
    return host


def _today(name: str) -> str:
    """Give the name of what was moved."""
    module, colon, attribute = name.partition(":")
    return _RENAMED.get(module, module) + colon + attribute


def _line(error: Exception) -> str:
    """Give what an error says in one line."""
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())


def _name_of(target: Any) -> str:
    """Give an object the name under which the command line would find it, if it has one."""
    if isinstance(target, ModuleType):
        return target.__name__
    if inspect.isclass(target) or inspect.isroutine(target):
        return f"{target.__module__}:{target.__qualname__}"
    return f"{type(target).__module__}.{type(target).__qualname__} object"
