"""The seam: what can be judged, and how it is found.

An implementation is any object with `forward` and `backward` of exactly the oracle's signature; a
module will do. Nothing here knows how to compute anything.
"""

import importlib
import inspect
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

import numpy.typing as npt

from conformance.capabilities import Capabilities, DeclarationError, declared

Array = npt.NDArray[Any]


class Implementation(Protocol):
    """What is judged: the operator and its two vector-Jacobian products.

    Operands are arrays of the dtype under test, results are arrays of that dtype (FWD-4). An
    implementation may carry a `capabilities` mapping (see `conformance.capabilities`) and a string
    `environment` that says what it runs on.
    """

    def forward(
        self,
        x: Array,
        kernel: Array,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: str = "blocked",
    ) -> Array:
        """Return y (FWD-1)."""

    def backward(
        self,
        dy: Array,
        x: Array,
        kernel: Array,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: str = "blocked",
    ) -> tuple[Array, Array]:
        """Return dx (GRD-1) and dkernel (GRD-2)."""


@dataclass(frozen=True)
class Seam:
    """A kind of thing that can be judged.

    Attributes
    ----------
    option : str
        The command line's.
    signature : str
        The module whose `forward` and `backward` have the signature that is asked for.
    marks : str
        An argument of that signature that the other seam has not.
    capabilities : type
        What is declared.
    """

    option: str
    signature: str
    marks: str
    capabilities: type[Capabilities]


OPERATOR = Seam("--implementation", "refimpl.involution", "kernel", Capabilities)


@dataclass(frozen=True)
class Judged:
    """An implementation under judgement: its name on the command line, itself, what it claims."""

    name: str
    implementation: Any
    capabilities: Any

    @property
    def environment(self) -> str:
        """What it runs on: its own words, or the version of the package that it comes from."""
        own = getattr(self.implementation, "environment", None)
        if own is not None:
            return str(own)
        package = self.name.partition(":")[0].partition(".")[0]
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            return "version unknown"


class LoadError(Exception):
    """Nothing that can be judged was found under the given name."""


def load(name: str, seam: Seam = OPERATOR) -> Judged:
    """Find an implementation.

    Parameters
    ----------
    name : str
        ``package.module:attribute``, the attribute being a module, an object or a factory without
        arguments; without ``:attribute`` the module itself.
    seam : Seam, default OPERATOR
        What it is to be.

    Raises
    ------
    LoadError
        Saying what is missing.
    """
    option = f"{seam.option}={name}"
    module_name, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise LoadError(f"{option}: cannot import {module_name}: {error}") from error
    for part in filter(None, attribute.split(".")):
        if not hasattr(found, part):
            raise LoadError(f"{option}: {module_name} has no attribute {attribute}")
        found = getattr(found, part)
    if not _fits(found) and callable(found):
        found = found()
    if not _fits(found) or not _of(found, seam):
        raise LoadError(
            f"{option}: needs the functions forward and backward "
            f"with the signature of {seam.signature}, got {found!r}"
        )
    try:
        capabilities = declared(getattr(found, "capabilities", None), seam.capabilities)
    except DeclarationError as error:
        raise LoadError(f"{option}: {error}") from error
    return Judged(name, found, capabilities)


def _fits(candidate: Any) -> bool:
    # A class has forward and backward too, but not bound to an instance: it is a factory.
    return not inspect.isclass(candidate) and all(
        callable(getattr(candidate, name, None)) for name in ("forward", "backward")
    )


def _of(found: Any, seam: Seam) -> bool:
    """Tell an operator from a layer, where the arguments can be told."""
    try:
        arguments = inspect.signature(found.forward).parameters
    except (TypeError, ValueError):
        return True
    return seam.marks in arguments or not {"kernel", "parameters"} & set(arguments)
