"""Holds an implementation, calls it, and sees what it does to memory.

What its values should be is not known here.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .finding import quiet
from .forking import in_child
from .holding import held
from .memory import Kept, Operands, poison
from .messages import DTYPES, Tensors
from .surroundings import changed, restore, surroundings

# Operands of the functions of an operator, as they are passed, and the names of what they return.
ARGUMENTS = {
    "forward": ("x", "kernel"),
    "backward": ("dy", "x", "kernel"),
    "jvp": ("x", "kernel", "tx", "tkernel"),
    "double_backward": ("ddx", "ddkernel", "dy", "x", "kernel"),
}
_RETURNED = {
    "forward": ("y",),
    "backward": ("dx", "dkernel"),
    "jvp": ("ty",),
    "double_backward": ("ddy", "d2x", "d2kernel"),
}
# Those that an operator may have or not.
FURTHER = ("jvp", "double_backward")
FUNCTIONS = (*ARGUMENTS, "layer-forward", "layer-backward")
# In calls at once a thread lets others come between: after 7 steps at first, after 70 when it has
# made thousands. A fault of threads that lasts for 70 steps is met so.
_OFTEN, _SELDOM = 7, 70


class ReturnError(Exception):
    """A function did not return what its signature says."""


@dataclass(frozen=True)
class Form:
    """What stands in the place of a result that is no array of a dtype that messages have."""

    type: str
    dtype: str = ""
    shape: tuple[int, ...] = ()


@dataclass
class Reply:
    """What came of a call.

    Attributes
    ----------
    results : dict
        Copies of the results by name; a `Form` in the place of what is no array.
    raised : tuple of str
        The class of what was raised in their place, and its message.
    modified : list of str
        Operands whose memory, guards included, was written.
    shared : list of tuple of str
        Results that share memory, with what.
    overwritten : list of str
        Results of earlier calls that are not what they were.
    left : list of str
        What of the process is not as it was.
    refused : list of str
        What the code tried and may not do.
    held : dict of str to int
        What the process holds after a call of which that is asked.
    """

    results: dict[str, Any] = field(default_factory=dict)
    raised: tuple[str, ...] = ()
    modified: list[str] = field(default_factory=list)
    shared: list[tuple[str, str]] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)


@dataclass
class Call:
    """One call: which function, on what, with which options, and how the operands lie."""

    function: str
    tensors: Tensors
    options: Mapping[str, Any]
    layouts: Mapping[str, Any] = field(default_factory=dict)
    # Shapes of the due results, for memory that tells who did not write it.
    due: Sequence[Sequence[int]] = ()
    # In the memory of the operands of the call before.
    again: bool = False
    # In a forked child, of which nothing is left.
    forked: bool = False
    # Counting afterwards what the process holds.
    counted: bool = False


class Host:
    """An implementation, the memory that it is given, and what it did to it.

    Parameters
    ----------
    make : callable
        Gives the implementation, anew if it can be.
    interruptible : bool
        Whether somebody at a keyboard may interrupt a call; else the code itself raised that.
    """

    isolated = False

    def __init__(self, make: Callable[[], Any], *, interruptible: bool = True) -> None:
        self.make, self.implementation, self._interruptible = make, make(), interruptible
        self._operands, self._kept = Operands(), Kept()

    @property
    def capabilities(self) -> Any:
        """What it declares."""
        return getattr(self.implementation, "capabilities", None)

    @property
    def environment(self) -> str | None:
        """What it runs on, in its own words."""
        own = getattr(self.implementation, "environment", None)
        return None if own is None else str(own)

    @property
    def offers(self) -> frozenset[str]:
        """Which of the functions it has that it may have or not."""
        had = (name for name in FURTHER if callable(getattr(self.implementation, name, None)))
        return frozenset(had)

    def anew(self) -> None:
        """Make the implementation anew, and forget what was kept."""
        self._kept.forget()
        self.implementation = self.make()

    def hurry(self) -> None:
        """Do as `Program` does, which is less patient from then on."""

    given_up = False

    def close(self) -> None:
        """Do as `Program` does, which ends."""

    def call(self, call: Call) -> Reply:
        """Call a function of the implementation."""
        if call.forked:
            return self._forked(call)
        with quiet():
            before = surroundings()
            reply, results = self._once(call, self._operands)
            reply.left = changed(before, surroundings())
            restore(before, reply.left)
        reply.overwritten = self._kept.overwritten()
        shared = {name for name, _ in reply.shared}
        apart = {name: one for name, one in reply.results.items() if name not in shared}
        self._kept.keep(results, apart)
        if call.counted:
            results.clear()
            reply.held = held()
        return reply

    def beside(self, variables: Mapping[str, str]) -> None:  # noqa: ARG002
        """Give none, as there is no other process."""
        return

    def _forked(self, call: Call) -> Reply:
        with quiet():
            try:
                reply: Reply = in_child(lambda: self._once(call, Operands())[0])
            except Exception as error:
                return Reply(raised=(type(error).__name__, str(error)))
        return reply

    def together(self, calls: Sequence[Call], rounds: int) -> list[list[Reply]]:
        """Make several calls at once, each in a thread of its own, so many times each."""
        replies: list[list[Reply]] = [[] for _ in calls]
        gate = threading.Barrier(len(calls))

        def run(at: int) -> None:
            gate.wait()
            for number in range(rounds):
                sys.setprofile(_giving_way(at + number))
                replies[at].append(self._once(calls[at], Operands())[0])
            sys.setprofile(None)

        threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
        with quiet():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return replies

    def _once(self, call: Call, operands: Operands) -> tuple[Reply, dict[str, Any]]:
        operands.place(call.tensors, call.layouts, again=call.again)
        poison(call.due, call.tensors["x"].dtype)
        reply = Reply()
        try:
            results = called(self.implementation, call, operands.arrays)
            reply.results = {name: _copied(one) for name, one in results.items()}
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._interruptible:
                raise
            reply.raised, results = (type(error).__name__, str(error)), {}
        reply.modified, reply.shared = operands.changed(), operands.shared(results)
        return reply, results


def _giving_way(first: int) -> Callable[..., None]:
    """Let other threads come between, now and then, where a function is called or returns.

    The interpreter itself changes threads too seldom for calls of less than a millisecond. In a
    long call this is done more seldom: one of 100,000 steps would sleep for seconds.
    """
    passed, due = 0, first % _OFTEN

    def give_way(*_: Any) -> None:
        nonlocal passed, due
        passed += 1
        if passed >= due:
            due = passed + min(max(_OFTEN, passed // _SELDOM), _SELDOM)
            time.sleep(1e-5)

    return give_way


def _copied(one: Any) -> Any:
    """Copy a result into memory of the host's own; say what it is if it is no plain array."""
    if type(one) is not np.ndarray:
        return Form(type(one).__name__)
    if one.dtype not in DTYPES.values():
        return Form("ndarray", str(one.dtype), one.shape)
    return one.copy(order="C")


def called(implementation: Any, call: Call, arrays: Tensors) -> dict[str, Any]:
    """Call it as its signature says, and name what it returns."""
    layer, _, name = call.function.rpartition("-")
    function, options = getattr(implementation, name), dict(call.options)
    if not layer:
        returned = function(*(arrays[one] for one in ARGUMENTS[name]), **options)
        names = _RETURNED[name]
        if len(names) == 1:
            return {names[0]: returned}
        due = f"({', '.join(names)})"
        return dict(zip(names, _parts(returned, (object,) * len(names), due, name), strict=True))
    operands = [arrays[one] for one in (("dy", "x") if name == "backward" else ("x",))]
    parameters = {one: array for one, array in arrays.items() if one not in {"x", "dy"}}
    returned = function(*operands, parameters, options.pop("config"), **options)
    if name == "forward":
        due = "(y, kernel, moving statistics)"
        y, kernel, moving = _parts(returned, (object, object, Mapping), due, name)
        return {"y": y, **({} if kernel is None else {"kernel": kernel}), **moving}
    due = "(dx, gradients of the parameters)"
    dx, gradients = _parts(returned, (object, Mapping), due, name)
    return {"dx": dx, **{f"d{one}": array for one, array in gradients.items()}}


def _parts(returned: Any, parts: tuple[Any, ...], due: str, name: str) -> Any:
    """Give what was returned, if it is a tuple of such parts."""
    listed = isinstance(returned, tuple | list)
    if not listed or len(returned) != len(parts) or not all(map(isinstance, returned, parts)):
        got = f" of {len(returned)}" if listed else ""
        raise ReturnError(f"{name} must return {due}, got {type(returned).__name__}{got}")
    return returned
