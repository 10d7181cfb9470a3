"""Finds what is to be judged: under a name of the command line, or as an object.

What cannot be judged gets a sentence that says what to do. Nothing here knows how to compute
anything, or which kinds of implementations there are: a kind is given.
"""

import difflib
import importlib
import inspect
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy.typing as npt

from conformance.claims.capabilities import DeclarationError, declared

Array = npt.NDArray[Any]

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
_FRAMEWORKS = {"torch": "torch", "keras": "tensorflow", "tensorflow": "tensorflow", "jax": "jax"}


class LoadError(Exception):
    """Nothing that can be judged was found; the message says what to do."""


@dataclass(frozen=True)
class Judged:
    """An implementation under judgement.

    Attributes
    ----------
    name : str
        On the command line, or what stands for it.
    implementation : object
        With `forward` and `backward`.
    capabilities : Capabilities
        What it claims.
    kind : Kind
        What it is.
    make : callable
        Gives the implementation anew where it is made by a class or a factory; else the same.
    """

    name: str
    implementation: Any
    capabilities: Any
    kind: Any
    make: Callable[[], Any]

    @property
    def can_be_named(self) -> bool:
        """Whether the command line would find it under its name."""
        return " object" not in self.name and "<" not in self.name

    @property
    def environment(self) -> str:
        """What it runs on: its own words, or the version of its package, if there is one."""
        own = getattr(self.implementation, "environment", None)
        if own is not None:
            return str(own)
        package = self.name.partition(":")[0].partition(".")[0]
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            return ""


def load(target: Any, kind: Any, capabilities: Any = None) -> Judged:
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

    Raises
    ------
    LoadError
        Saying what is missing and what to do.
    """
    name = target if isinstance(target, str) else _name_of(target)
    said = f"{kind.option}={name}" if isinstance(target, str) else name
    if name.startswith(PIPED):
        target = _program(name.removeprefix(PIPED), said)
    found = _imported(target, said) if isinstance(target, str) else target
    make: Callable[[], Any] = lambda: found  # noqa: E731
    if _is_factory(found):
        _check_factory(found, kind, said)
        make = lambda: _made(found, said)  # noqa: E731
    implementation = make()
    _check_seam(implementation, kind, said)
    try:
        declaration = getattr(implementation, "capabilities", None)
        claimed = declared(capabilities or declaration, kind.capabilities)
    except DeclarationError as error:
        raise LoadError(f"{said}: {error}") from error
    return Judged(name, implementation, claimed, kind, make)


def _program(command: str, said: str) -> Any:
    from conformance.claims.program import DiedError, Program, RefusedError

    try:
        return Program(command)
    except (DiedError, RefusedError, ValueError) as error:
        raise LoadError(f"{said}: {error}") from error


def _name_of(target: Any) -> str:
    """Give an object the name under which the command line would find it, if it has one."""
    if isinstance(target, ModuleType):
        return target.__name__
    if inspect.isclass(target) or inspect.isroutine(target):
        return f"{target.__module__}:{target.__qualname__}"
    return f"{type(target).__module__}.{type(target).__qualname__} object"


def _imported(name: str, said: str) -> Any:
    module_name, _, attribute = name.partition(":")
    module_name = _RENAMED.get(module_name, module_name)
    if not module_name or "/" in module_name or module_name.endswith(".py"):
        raise LoadError(f"{said}: write package.module:attribute, and not the name of a file")
    try:
        with warnings.catch_warnings():
            # Whoever made warnings errors did not mean those of what is judged.
            warnings.simplefilter("ignore")
            found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        wanted = error.name or module_name
        if not f"{module_name}.".startswith(f"{wanted}."):
            raise LoadError(
                f"{said}: {module_name} imports {wanted}, which is not installed"
            ) from error
        raise LoadError(
            f"{said}: cannot import {module_name}: there is no module {wanted}. Install it, or run "
            "in the folder that it lies in"
        ) from error
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise LoadError(
            f"{said}: cannot import {module_name}: it raises {type(error).__name__}: {error} "
            f"({where.filename}, line {where.lineno})"
        ) from error
    walked = module_name
    for part in filter(None, attribute.split(".")):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, dir(found), 1)
            instead = f"; did you mean {near[0]}?" if near else ""
            raise LoadError(f"{said}: {walked} has no attribute {part}{instead}")
        found, walked = getattr(found, part), f"{walked}.{part}"
    return found


def _is_factory(found: Any) -> bool:
    """Tell what makes an implementation from what is one, or is none."""
    # A class has forward and backward too, but not bound to an instance.
    return inspect.isclass(found) or (callable(found) and bool(_lacking(found)))


def _lacking(found: Any) -> list[str]:
    return [name for name in ("forward", "backward") if not callable(getattr(found, name, None))]


def _check_factory(found: Any, kind: Any, said: str) -> None:
    """Refuse what is no factory, or one that wants arguments."""
    if not inspect.isclass(found) and (framework := _framework(found)):
        raise LoadError(f"{said}: {_no_backward(found, framework, kind)}")
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return
    wanted = [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
    ]
    if not wanted:
        return
    arguments = ", ".join(wanted)
    if inspect.isclass(found):
        raise LoadError(
            f"{said}: the class {found.__name__} is made with arguments ({arguments}). Write a "
            f"function without arguments that returns {found.__name__}(...), and name that"
        )
    if _framework(found) or wanted[0] in {"x", "input", "inputs", "images"}:
        raise LoadError(
            f"{said}: a function of ({arguments}) has no backward. An implementation has the "
            f"functions forward and backward of {kind.signature}; conformance.adapt makes one of a "
            "function of tensors"
        )
    raise LoadError(
        f"{said}: the function wants arguments ({arguments}). A factory takes none; an "
        f"implementation has the functions forward and backward of {kind.signature}"
    )


def _made(factory: Callable[[], Any], said: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return factory()
    except (Exception, SystemExit) as error:
        raise LoadError(f"{said}: making it raises {type(error).__name__}: {error}") from error


def _check_seam(found: Any, kind: Any, said: str) -> None:
    name = said.partition("=")[2] or said
    lacking = _lacking(found)
    if lacking and (framework := _framework(found)):
        raise LoadError(f"{said}: {_no_backward(found, framework, kind)}")
    if lacking:
        held = vars(found) if inspect.ismodule(found) else {}
        near = [one for one, value in held.items() if one[0] != "_" and not _lacking(value)]
        instead = f"; name one of {', '.join(near[:6])}" if near else ""
        raise LoadError(
            f"{said}: needs the functions forward and backward with the signature of "
            f"{kind.signature}, got {_short(found)} without {' and '.join(lacking)}{instead}"
        )
    for function, operands in (("forward", kind.operands[1:]), ("backward", kind.operands)):
        try:
            signature = inspect.signature(getattr(found, function))
        except (TypeError, ValueError):
            continue
        try:
            signature.bind(*operands, **dict.fromkeys(kind.keywords))
        except TypeError as error:
            if (set(kind.other.operands) - set(kind.operands)) & set(signature.parameters):
                raise LoadError(
                    f"{said}: {function}({_names(signature)}) is that of the {kind.other.name}, "
                    f"not of the {kind.name}; give it as {kind.other.option}={name}"
                ) from error
            due = f"({', '.join(operands)}, *, {', '.join(kind.keywords)})"
            raise LoadError(
                f"{said}: {function} must take the arguments {due} of {kind.signature}, got "
                f"({_names(signature)}): {error}"
            ) from error


def _names(signature: inspect.Signature) -> str:
    """Give the parameters of a function without their types."""
    bare = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))[1:-1]


def _framework(found: Any) -> str:
    """Name the framework that an object's class, or a function, comes from."""
    kinds = found if inspect.isclass(found) else type(found)
    roots = [one.__module__.partition(".")[0] for one in kinds.__mro__]
    return next((_FRAMEWORKS[root] for root in roots if root in _FRAMEWORKS), "")


def _no_backward(found: Any, framework: str, kind: Any) -> str:
    hint = f"; {kind.adapter.format(framework=framework)}" if kind.adapter else ""
    return (
        f"{type(found).__name__} is a {framework} object without backward. Write forward and "
        f"backward with the signature of {kind.signature} around it{hint}"
    )


def _short(found: Any) -> str:
    words = repr(found)
    return words if len(words) <= 80 else words[:77] + "..."
