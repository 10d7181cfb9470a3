"""The form that public code has: its own order of axes, its own arguments, its own results.

A form turns a call of the seam into a call of such a function and its result back. Axes are only
transposed and joined, so that what a framework differentiates stays differentiable and no number
changes. What the function is not told, it is not asked: a form refuses it.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import mul
from typing import Any

import numpy as np

IMAGE, KERNEL = "b h w c", "b h w u v g"
_OPTIONS = ("stride", "dilation", "padding", "group_layout")
_KNOWN = (*_OPTIONS, "kernel_size", "groups", "group_channels", "channels")
Groups = tuple[tuple[str, ...], ...]
# Of each function the axes that its operands have, and its results.
SEAM: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "forward": (("x", "kernel"), ("y",)),
    "backward": (("y", "x", "kernel"), ("x", "kernel")),
    "jvp": (("x", "kernel", "x", "kernel"), ("y",)),
    "double_backward": (("x", "kernel", "y", "x", "kernel"), ("y", "x", "kernel")),
}


class Operations(ABC):
    """What a form does to tensors, in the words of a framework."""

    @abstractmethod
    def transposed(self, tensor: Any, axes: Sequence[int]) -> Any:
        """Put axes in another order."""

    @abstractmethod
    def reshaped(self, tensor: Any, shape: Sequence[Any]) -> Any:
        """Join axes, or take them apart."""

    @abstractmethod
    def stacked(self, tensors: Sequence[Any]) -> Any:
        """Stack samples."""

    def shape(self, tensor: Any) -> tuple[Any, ...]:
        """Give the sizes, as far as they are known."""
        return tuple(tensor.shape)


class OfArrays(Operations):
    """NumPy's; JAX has the same methods."""

    def __init__(self, namespace: Any = np) -> None:
        self.namespace = namespace

    def transposed(self, tensor: Any, axes: Sequence[int]) -> Any:
        """See `Operations`."""
        return tensor.transpose(tuple(axes))

    def reshaped(self, tensor: Any, shape: Sequence[Any]) -> Any:
        """See `Operations`."""
        return tensor.reshape(tuple(shape))

    def stacked(self, tensors: Sequence[Any]) -> Any:
        """See `Operations`."""
        return self.namespace.stack(tensors)


@dataclass(frozen=True)
class Form:
    """How a function wants to be called, and what it gives.

    Parameters
    ----------
    x, kernel, y : str
        The axes of operands and result: b, h, w and c of images, b, h, w, u, v and g of the kernel
        (h and w those of the outputs, u and v the row and column of a tap). Axes in parentheses are
        one, the last of them running fastest: ``"b (g u v) h w"`` is group-major, ``"b (u v g) h
        w"`` tap-major. Without b the function is called on one sample after the other. y is as x,
        unless it is said.
    passes : mapping of str to str
        The function's arguments, each with what it is given: "stride", "dilation", "padding",
        "group_layout", "kernel_size", "groups", "group_channels" (C / G) or "channels".
    scalars : bool
        Pairs of equal numbers are given as one; others are refused.
    output : int or None
        Which of several results is y.

    Raises
    ------
    ValueError
        For axes that are missing, unknown or named twice, and for what cannot be passed.
    """

    x: str = IMAGE
    kernel: str = KERNEL
    y: str = ""
    passes: Mapping[str, str] = field(default_factory=lambda: {name: name for name in _OPTIONS})
    scalars: bool = False
    output: int | None = None

    def __post_init__(self) -> None:
        for name, due in (("x", IMAGE), ("kernel", KERNEL), ("y", IMAGE)):
            _parsed(name, getattr(self, name) or self.x, due)
        batched = {"b" in one for one in (self.x, self.kernel, self.y or self.x)}
        if len(batched) > 1:
            raise ValueError("x, kernel and y must all have the axis b, or none of them")
        if unknown := sorted(set(self.passes.values()) - set(_KNOWN)):
            raise ValueError(f"passes may give {', '.join(_KNOWN)}, got {', '.join(unknown)}")

    def claims(self, capabilities: Mapping[str, Any] | None) -> dict[str, Any]:
        """Give what can be claimed of a function of this form: what is declared, and what follows.

        Raises
        ------
        ValueError
            Where it cannot be told which padding, or which layout of groups, the function has.
        """
        declared, given = dict(capabilities or {}), set(self.passes.values())
        follows: dict[str, Any] = {}
        for name in ("stride", "dilation"):
            if name not in given:
                follows[f"{name}s"] = [(1, 1)]
            elif self.scalars:
                follows[f"{name}s"] = "square"
        if self.scalars and "kernel_size" in given:
            follows["kernel_shapes"] = "square"
        if self.scalars and "padding" in given:
            follows["paddings"] = ["int"]
        if "b" not in self.x:
            follows["empty_batch"] = False
        missing = {
            name: f'"{entry}": "{example}"'
            for entry, name, example in (
                ("paddings", "padding", "half"),
                ("group_layouts", "group_layout", "blocked"),
            )
            if name not in given and entry not in declared
        }
        if missing:
            raise ValueError(
                f"the function is given no {' and no '.join(missing)}: declare which it has, for "
                f"example capabilities={{{', '.join(missing.values())}}}"
            )
        return follows | declared

    def around(self, function: Callable[..., Any], do: Operations) -> Callable[..., Any]:
        """Give the function of the seam's operands and options, on tensors."""

        def one(*some: Any, **arguments: Any) -> Any:
            result = function(*some, **arguments)
            return result if self.output is None else result[self.output]

        return self.seam(one, *SEAM["forward"], do)

    def seam(
        self,
        function: Callable[..., Any],
        operands: Sequence[str],
        results: Sequence[str],
        do: Operations,
    ) -> Callable[..., Any]:
        """Give a function the seam's operands, results and options.

        Parameters
        ----------
        function : callable
            On operands in the form's axes, with the arguments that it passes.
        operands, results : sequence of str
            Of each, whose axes it has: those of "x", "kernel" or "y".
        do : Operations
            How tensors are rearranged.
        """

        def called(*given: Any, **options: Any) -> Any:
            x, kernel = (do.shape(given[operands.index(name)]) for name in ("x", "kernel"))
            due = {"x": x, "kernel": kernel, "y": (*kernel[:3], x[3])}
            arguments = self.arguments(x, kernel, options)
            put = [self.put(name, one, do) for name, one in zip(operands, given, strict=True)]
            found = self._of_samples(partial(function, **arguments), put, len(results), do)
            each = zip(results, found, strict=True)
            got = tuple(self.get(name, one, due[name], do) for name, one in each)
            return got if len(results) > 1 else got[0]

        return called

    def _of_samples(
        self, function: Callable[..., Any], operands: Sequence[Any], results: int, do: Operations
    ) -> Sequence[Any]:
        """Call the function on the batch, or on one sample after the other; list its results."""
        if "b" in self.x:
            found: Any = function(*operands)
            return found if results > 1 else (found,)
        each = [function(*sample) for sample in zip(*operands, strict=True)]
        return [do.stacked(some) for some in (zip(*each, strict=True) if results > 1 else [each])]

    def put(self, name: str, tensor: Any, do: Operations) -> Any:
        """Give an operand, or dy, the axes that the function wants; samples stay apart."""
        groups, seam = self._axes(name)
        sizes = dict(zip(seam, do.shape(tensor), strict=True))
        flat = [axis for group in groups for axis in group]
        if flat != seam:
            tensor = do.transposed(tensor, [seam.index(axis) for axis in flat])
        if all(len(group) == 1 for group in groups):
            return tensor
        return do.reshaped(tensor, [reduce(mul, map(sizes.get, group)) for group in groups])

    def get(self, name: str, tensor: Any, due: Sequence[Any], do: Operations) -> Any:
        """Give a result the seam's axes, whose sizes are due where axes are taken apart."""
        groups, seam = self._axes(name)
        if hasattr(tensor, "shape") and len(tensor.shape) != len(groups):
            words = " ".join(group[0] if len(group) == 1 else str(group) for group in groups)
            raise ValueError(f"{name} must have the axes {words}, got shape {tuple(tensor.shape)}")
        sizes = dict(zip(seam, due, strict=True))
        flat = [axis for group in groups for axis in group]
        if any(len(group) > 1 for group in groups):
            tensor = do.reshaped(tensor, [sizes[axis] for axis in flat])
        return tensor if flat == seam else do.transposed(tensor, [flat.index(a) for a in seam])

    def _axes(self, name: str) -> tuple[Groups, list[str]]:
        """Give the axes of an array, b first where the function does not see it; and the seam's."""
        due = KERNEL if name == "kernel" else IMAGE
        groups = _parsed(name, getattr(self, name) or self.x, due)
        return groups if "b" in self.x else (("b",), *groups), due.split()

    def arguments(
        self, x: Sequence[Any], kernel: Sequence[Any], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Give the function's arguments for operands of these shapes and the seam's options.

        Raises
        ------
        ValueError
            For what the function is not told and would not do, and for what is no one number.
        """
        known = {
            **options, "kernel_size": tuple(kernel[3:5]), "groups": kernel[5], "channels": x[3],
            "group_channels": x[3] // kernel[5],
        }  # fmt: skip
        for name in ("stride", "dilation"):
            if name not in self.passes.values() and known[name] not in (1, (1, 1)):
                raise ValueError(f"the function takes no {name}, got {known[name]}")
        return {own: self._value(name, known[name]) for own, name in self.passes.items()}

    def _value(self, name: str, value: Any) -> Any:
        if not self.scalars or not isinstance(value, tuple):
            return value
        numbers = set(np.ravel(value).tolist())
        if len(numbers) > 1:
            raise ValueError(f"the function takes one number for {name}, got {value}")
        return numbers.pop()


def _parsed(name: str, words: str, due: str) -> Groups:
    """Read axes.

    Raises
    ------
    ValueError
        With what is wrong with them.
    """
    parts = re.findall(r"\(([^()]*)\)|(\S+)", words)
    groups = tuple(tuple(inside.split()) if inside else (alone,) for inside, alone in parts)
    found = [axis for group in groups for axis in group]
    if sorted(found) not in (sorted(due.split()), sorted(set(due.split()) - {"b"})):
        raise ValueError(
            f"{name} must have each of the axes {due} once (b may be left out), got {words!r}"
        )
    return groups


class FormedArrays:
    """An implementation on arrays in a form of its own; see `conformance.adapt.arrays`."""

    def __init__(self, inner: Any, form: Form, capabilities: Mapping[str, Any] | None) -> None:
        own = getattr(inner, "capabilities", None) or {}
        self.capabilities = form.claims({**own, **(capabilities or {})})
        self._forward = form.around(inner.forward, OfArrays())
        if self.capabilities.get("backward") is not False:
            self._backward = form.seam(inner.backward, *SEAM["backward"], OfArrays())
        for name in ("jvp", "double_backward"):
            if hasattr(inner, name):
                called = form.seam(getattr(inner, name), *SEAM[name], OfArrays())
                setattr(self, name, _with_defaults(called))
        environment = getattr(inner, "environment", None)
        if environment is not None:
            self.environment = environment

    def forward(
        self,
        x: Any,
        kernel: Any,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> Any:
        """Return y."""
        return self._forward(
            x, kernel, stride=stride, dilation=dilation, padding=padding, group_layout=group_layout
        )

    def backward(
        self,
        dy: Any,
        x: Any,
        kernel: Any,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> Any:
        """Return dx and dkernel."""
        return self._backward(
            dy,
            x,
            kernel,
            stride=stride,
            dilation=dilation,
            padding=padding,
            group_layout=group_layout,
        )


def _with_defaults(called: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that an implementation may have the seam's defaults (GEO-11)."""

    def seam(
        *operands: Any,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> Any:
        options = (stride, dilation, padding, group_layout)
        return called(*operands, **dict(zip(_OPTIONS, options, strict=True)))

    return seam
