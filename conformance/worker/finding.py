"""Finds what a name stands for, and says in one sentence why it cannot be judged.

Nothing is called here but imports, classes and factories.
"""

import contextlib
import difflib
import importlib
import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_FRAMEWORKS = {"torch": "torch", "keras": "tensorflow", "tensorflow": "tensorflow", "jax": "jax"}

_HERE = str(Path(__file__).parent)
_WRAP = "A function with arguments or axes of its own is wrapped by a Form of conformance.adapt"
# Kinds of parameters that an operand can be given to.
_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


class LoadError(Exception):
    """Nothing that can be judged was found; the message says what to do."""


@dataclass(frozen=True)
class Seam:
    """What is asked of an implementation of a kind, in words: plain data, for a message.

    Attributes
    ----------
    kind, option, signature : str
        Its name, its option of the command line, and the module whose signature it has.
    operands, keywords : sequence of str
        The arguments of `backward`; those of `forward` are all but the first operand.
    adapter : str
        What to say to who has a framework's object; {framework} is its name.
    other_kind, other_option : str
        The kind that it may be mistaken for.
    other_operands : sequence of str
        What the other kind has and this has not.
    further : mapping of str to sequence of str
        Functions that an implementation may have besides, with their operands.
    """

    kind: str = "operator"
    option: str = "--implementation"
    signature: str = "refimpl.involution"
    operands: Sequence[str] = ("dy", "x", "kernel")
    keywords: Sequence[str] = ("stride", "dilation", "padding", "group_layout")
    adapter: str = ""
    other_kind: str = "layer"
    other_option: str = "--layer"
    other_operands: Sequence[str] = ("parameters", "config")
    further: Mapping[str, Sequence[str]] = field(default_factory=dict)


def found(name: str) -> Any:
    """Import what a name ``package.module:attribute`` stands for.

    Raises
    ------
    LoadError
        Saying what there is not.
    """
    module, _, attribute = name.partition(":")
    if not module or "/" in module or module.endswith(".py"):
        raise LoadError("write package.module:attribute, and not the name of a file")
    try:
        with quiet():
            one: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        wanted = error.name or module
        if not f"{module}.".startswith(f"{wanted}."):
            raise LoadError(f"{module} imports {wanted}, which is not installed") from error
        raise LoadError(
            f"cannot import {module}: there is no module {wanted}. Install it, or run in the "
            "folder that it lies in"
        ) from error
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        # Where it is in the code, not in what refused it.
        outside = (_HERE, "<frozen importlib", importlib.__file__)
        where = [one for one in frames if not one.filename.startswith(outside)]
        # Code that cannot be parsed has no frame; its error says where it is.
        place = f" ({where[-1].filename}, line {where[-1].lineno})" if where else ""
        raise LoadError(
            f"cannot import {module}: it raises {type(error).__name__}: {error}{place}"
        ) from error
    walked = module
    for part in filter(None, attribute.split(".")):
        if not hasattr(one, part):
            near = difflib.get_close_matches(part, dir(one), 1)
            instead = f"; did you mean {near[0]}?" if near else ""
            raise LoadError(f"{walked} has no attribute {part}{instead}")
        one, walked = getattr(one, part), f"{walked}.{part}"
    return one


def maker(one: Any, seam: Seam) -> Callable[[], Any]:
    """Give what makes an implementation anew: a class or a factory, or what hands out the same.

    Raises
    ------
    LoadError
        What is found is none, or wants arguments.
    """
    # A class has forward and backward too, but not bound to an instance.
    if not inspect.isclass(one) and not (callable(one) and _lacking(one)):
        return lambda: one
    _check_factory(one, seam)

    def make() -> Any:
        try:
            with quiet():
                return one()
        except BaseException as error:
            raise LoadError(f"making it raises {type(error).__name__}: {error}") from error

    return make


def _lacking(one: Any) -> list[str]:
    return [name for name in functions_of(one) if not callable(getattr(one, name, None))]


def functions_of(one: Any) -> tuple[str, ...]:
    """Name the functions that are due: backward is not, of what declares that it has none."""
    return ("forward",) if _declares(one, "backward", False) else ("forward", "backward")


def _declares(one: Any, entry: str, value: bool) -> bool:
    """Tell whether the capabilities of an object say this of an entry."""
    declared = getattr(one, "capabilities", None)
    return isinstance(declared, Mapping) and declared.get(entry) is value


def _check_factory(one: Any, seam: Seam) -> None:
    """Refuse what is no factory, or one that wants arguments."""
    if not inspect.isclass(one) and (framework := _framework(one)):
        raise LoadError(_no_backward(one, framework, seam))
    try:
        parameters = inspect.signature(one).parameters.values()
    except (TypeError, ValueError):
        return
    wanted = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    ]
    if not wanted:
        return
    arguments = ", ".join(wanted)
    if inspect.isclass(one):
        raise LoadError(
            f"the class {one.__name__} is made with arguments ({arguments}). Write a function "
            f"without arguments that returns {one.__name__}(...), and name that"
        )
    if _framework(one) or wanted[0] in {"x", "input", "inputs", "images"}:
        raise LoadError(
            f"a function of ({arguments}) has no backward. An implementation has the functions "
            f"forward and backward of {seam.signature}; conformance.adapt makes one of a function "
            "of tensors"
        )
    raise LoadError(
        f"the function wants arguments ({arguments}). A factory takes none; an implementation "
        f"has the functions forward and backward of {seam.signature}"
    )


def check_seam(one: Any, seam: Seam, name: str) -> None:
    """Refuse what has not the functions of the seam.

    Raises
    ------
    LoadError
        Saying what is missing.
    """
    lacking = _lacking(one)
    if lacking and (framework := _framework(one)):
        raise LoadError(_no_backward(one, framework, seam))
    if lacking:
        held = vars(one) if inspect.ismodule(one) else {}
        near = [n for n, value in held.items() if n[0] != "_" and not _lacking(value)]
        instead = f"; name one of {', '.join(near[:6])}" if near else ""
        due = " and ".join(f"{name}{_due(seam, name)}" for name in lacking)
        raise LoadError(
            f"needs the functions forward and backward of {seam.signature}, got {_short(one)} "
            f"without {due}{instead}"
        )
    for function in functions_of(one):
        _check_signature(one, function, seam, name)
    for function in seam.further:
        if callable(getattr(one, function, None)):
            _check_signature(one, function, seam, name)
        elif _declares(one, function, True):
            raise LoadError(
                f'"{function}" is declared in its capabilities, and there is no such function; it '
                f"has the signature of {seam.signature}.{function}"
            )


def _operands(seam: Seam, function: str) -> Sequence[str]:
    """Name the positional arguments of a function of the seam."""
    usual = {"forward": seam.operands[1:], "backward": seam.operands}
    return (usual | dict(seam.further))[function]


def _due(seam: Seam, function: str) -> str:
    return f"({', '.join(_operands(seam, function))}, *, {', '.join(seam.keywords)})"


def _check_signature(one: Any, function: str, seam: Seam, name: str) -> None:
    operands = _operands(seam, function)
    try:
        signature = inspect.signature(getattr(one, function))
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*operands, **dict.fromkeys(seam.keywords))
    except TypeError as error:
        bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        has = str(signature.replace(parameters=bare, return_annotation=signature.empty))[1:-1]
        if set(seam.other_operands) & set(signature.parameters):
            raise LoadError(
                f"{function}({has}) is that of the {seam.other_kind}, not of the {seam.kind}; "
                f"give it as {seam.other_option}={name}"
            ) from error
        raise LoadError(
            f"{function} must take the arguments {_due(seam, function)} of {seam.signature}, "
            f"got ({has}): {error}. {_WRAP * bool(seam.adapter)}".rstrip()
        ) from error
    # Operands are given by position. Other names may stand for them, but not each other's.
    given = [p.name for p in signature.parameters.values() if p.kind in _POSITIONAL]
    if any(n in operands and n != o for n, o in zip(given, operands, strict=False)):
        raise LoadError(
            f"{function} must take its operands in the order ({', '.join(operands)}), as "
            f"{seam.signature} does, got ({', '.join(given[: len(operands)])})"
        )


def _framework(one: Any) -> str:
    """Name the framework that an object's class, or a function, comes from."""
    kinds = one if inspect.isclass(one) else type(one)
    roots = [base.__module__.partition(".")[0] for base in kinds.__mro__]
    return next((_FRAMEWORKS[root] for root in roots if root in _FRAMEWORKS), "")


def _no_backward(one: Any, framework: str, seam: Seam) -> str:
    hint = f"; {seam.adapter.format(framework=framework)}" if seam.adapter else ""
    return (
        f"{type(one).__name__} is a {framework} object without backward. Write forward and "
        f"backward with the signature of {seam.signature} around it{hint}"
    )


def _short(one: Any) -> str:
    words = repr(one)
    return words if len(words) <= 80 else words[:77] + "..."


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings; what is judged may leave NumPy's error state set for nobody else."""
    with warnings.catch_warnings(), np.errstate():
        # That NumPy warns of NaN or overflow breaks no clause, nor do warnings of an import.
        warnings.simplefilter("ignore")
        yield
