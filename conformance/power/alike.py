"""Tells without asking a fault that it answers a call as what it is planted in does.

A planted fault overrides a few steps of what is right. Where each of these steps gives for what it
is given in a call the very bits that the right step gives, the whole answer is the right one: all
else is the same code. To ask the steps alone costs a part of the call. What leaves something behind
from call to call is not asked here.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any, NamedTuple

import numpy as np

from conformance.worker.host import Call, called

# What a class may say of itself without doing anything else.
_SAID = {"capabilities", "needs"}


class _Step(NamedTuple):
    """One call of a step, and what came of it."""

    name: str
    positional: tuple[Any, ...]
    named: Mapping[str, Any]
    result: Any

    @property
    def closed(self) -> bool:
        """Whether it can have done nothing but give its result: all it was given is locked."""
        return all(map(_closed, (*self.positional, *self.named.values())))


class Steps:
    """The steps that what is right takes in a call.

    Parameters
    ----------
    right : type
        The class of what is right, made without arguments.
    calls : list of Call
        What is called. Its operands can be written no more.

    Raises
    ------
    ValueError
        A step of what is right writes to what it was given, or what came of another.

    Attributes
    ----------
    results : dict of str to ndarray
        What came of the calls.
    """

    def __init__(self, right: type, calls: list[Call]) -> None:
        self._right, self._steps = right, list[_Step]()
        self.results: dict[str, Any] = {}
        one = self._noting(right)()
        for call in calls:
            self.results |= called(one, call, call.tensors)

    def are_those_of(self, fault: Any) -> bool:
        """Tell whether a fault is known to answer as what is right does; False: it must be asked.

        Parameters
        ----------
        fault : object
            An instance of a class that overrides steps.
        """
        kind: Any = type(fault)
        other = _overridden(self._right, kind)
        # What an instance has for itself stands before what its class has.
        if other is None or vars(fault).keys() & set(dir(self._right)):
            return False
        own = [step for step in self._steps if step.name in other]
        try:
            return all(step.closed for step in own) and all(
                _same(getattr(fault, step.name)(*step.positional, **step.named), step.result)
                for step in own
            )
        except Exception:  # It says more if it is asked.
            return False

    def _noting(self, right: type) -> type:
        """Make a class of what is right that notes the steps it takes."""
        taken = {name: self._noted(name, getattr(right, name)) for name in _steps(right)}
        return type(right.__name__, (right,), taken)

    def _noted(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def noted(one: Any, *positional: Any, **named: Any) -> Any:
            for part in (*positional, *named.values()):
                _lock(part)
            result = step(one, *positional, **named)
            _lock(result)
            self._steps.append(_Step(name, positional, named, result))
            return result

        return noted


@functools.cache
def _steps(right: type) -> frozenset[str]:
    return frozenset(n for n in dir(right) if n[:2] != "__" and callable(getattr(right, n)))


@functools.cache
def _overridden(right: type, kind: type) -> frozenset[str] | None:
    """Name the steps that a class overrides; None where it may differ in something else."""
    if not issubclass(kind, right):
        return None
    names = (name for name in dir(right) if name[:2] != "__" and name not in _SAID)
    other = frozenset(n for n in names if getattr(kind, n) is not getattr(right, n))
    return other if other <= _steps(right) else None


def _lock(part: Any) -> None:
    """Make what a step is given, or gives, impossible to write."""
    if isinstance(part, np.ndarray):
        part.flags.writeable = False
    elif isinstance(part, tuple | list):
        for one in part:
            _lock(one)


def _closed(part: Any) -> bool:
    """Tell whether nothing can be written to what a step is given."""
    if isinstance(part, tuple):
        return all(map(_closed, part))
    plain = isinstance(part, int | float | str | np.generic | np.ndarray | np.dtype | None)
    frozen = is_dataclass(part) and getattr(type(part), "__dataclass_params__").frozen  # noqa: B009
    return plain or bool(frozen)


def _same(one: Any, other: Any) -> bool:
    """Tell whether two results are the same to the last bit, and lie in the same order."""
    if isinstance(other, np.ndarray):
        form = ("dtype", "shape", "strides")
        return isinstance(one, np.ndarray) and (
            all(getattr(one, name) == getattr(other, name) for name in form)
            and one.tobytes() == other.tobytes()
        )
    if isinstance(other, tuple | list):
        return type(one) is type(other) and len(one) == len(other) and all(map(_same, one, other))
    # Numbers and words; of anything else it is not known.
    plain = isinstance(other, int | float | str | bool | np.generic | None)
    return plain and type(one) is type(other) and repr(one) == repr(other)


class Remembering:
    """What is right, which answers the call before again without computing it again.

    Parameters
    ----------
    right : object
        Its answer depends on its operands and options, and on nothing else.
    """

    def __init__(self, right: Any) -> None:
        self._right, self._known = right, dict[str, tuple[Any, Any]]()

    def forward(self, *operands: Any, **options: Any) -> Any:
        """Give what `right.forward` gives."""
        return self._answer("forward", operands, options)

    def backward(self, *operands: Any, **options: Any) -> Any:
        """Give what `right.backward` gives."""
        return self._answer("backward", operands, options)

    def _answer(self, name: str, operands: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        asked = ([*operands], repr(options))
        if (
            name not in self._known
            or not _same(asked[0], self._known[name][0][0])
            or (asked[1] != self._known[name][0][1])
        ):
            kept = ([one.copy() for one in operands], asked[1])
            self._known[name] = kept, getattr(self._right, name)(*operands, **options)
            _lock(self._known[name][1])
        return self._known[name][1]
