"""What the adapters of all frameworks share: the seam on arrays, around two calls on tensors.

A framework's adapter says how arrays become tensors and back, and how a function and its
vector-Jacobian products are called, in which mode. Nothing is computed here.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np

from conformance.adapt._arrays import Array
from conformance.adapt._form import Form, Operations

# A suite draws geometries without end, and each keeps what was traced or compiled for it: more than
# the default profile needs are not kept.
_MOST_PROGRAMS = 256
# Forward mode has one state for all threads of a process. Of PyTorch (2.13) it is the level: where
# two enter it at once, "Nested forward mode AD is not supported" is raised, or the process ends. Of
# TensorFlow (2.21) it is what is traced for each operation: "OrderedDict mutated during iteration".
ONE_FORWARD_MODE = threading.Lock()


class Adapter(ABC):
    """The seam for a function of tensors.

    Parameters
    ----------
    function : callable
        ``function(x, kernel, *, stride, dilation, padding, group_layout)``, tensors to a tensor.
    environment : str
        Versions, device and mode.
    compiles : bool
        What `capabilities` says of it, unless it is declared.
    device : str
        Where it runs. `capabilities` says so; where it declares several it must be one of them.
    capabilities : mapping, optional
        What the function supports; everything by default.
    form : Form, optional
        How the function wants to be called; as the seam is by default.
    """

    operations: ClassVar[Operations]
    """What a form does to the framework's tensors."""
    tensor: ClassVar[str]
    """The framework's name of its tensors."""

    def __init__(
        self,
        function: Callable[..., Any],
        environment: str,
        compiles: bool,
        device: str,
        capabilities: Mapping[str, Any] | None,
        form: Form | None = None,
    ) -> None:
        if form is not None:
            capabilities = form.claims(capabilities)
            function = form.around(function, self.operations)
        self.function, self.environment = function, environment
        self.capabilities = {"compiles": compiles, **(capabilities or {})}
        claimed = self.capabilities.get("devices") or [device]
        if device not in ([claimed] if isinstance(claimed, str) else claimed):
            raise ValueError(f"device must be one of those declared, {claimed!r}, got {device!r}")
        # What is said of it is said of the device on which it is judged.
        self.capabilities["devices"] = [device]
        self._programs: dict[str, Any] = {}
        self._one_at_a_time = threading.RLock()

    def forward(
        self,
        x: Array,
        kernel: Array,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> Array:
        """Return y."""
        options = _options(stride, dilation, padding, group_layout)
        return self.to_array(self.value(self.to_tensor(x), self.to_tensor(kernel), **options))

    def backward(
        self,
        dy: Array,
        x: Array,
        kernel: Array,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> tuple[Array, Array]:
        """Return dx and dkernel.

        Raises
        ------
        ValueError
            If dy has not the dtype of x and the shape that x and kernel ask for, or y not the shape
            of dy: some frameworks would broadcast or cast in silence.
        RuntimeError
            If y is not zero and no gradient flows from it to an operand.
        """
        _demand("dy", dy, _shape_of_y(x, kernel), x.dtype)
        options = _options(stride, dilation, padding, group_layout)
        tensors = (self.to_tensor(array) for array in (dy, x, kernel))
        y, dx, dkernel = self.value_and_gradients(*tensors, **options)
        if tuple(y.shape) != dy.shape:
            raise ValueError(f"dy is of shape {dy.shape}, but y of shape {tuple(y.shape)}")
        return self._gradient("x", dx, x, y), self._gradient("kernel", dkernel, kernel, y)

    def jvp(
        self,
        x: Array,
        kernel: Array,
        tx: Array,
        tkernel: Array,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> Array:
        """Return ty, by the framework's forward mode.

        Raises
        ------
        ValueError
            If a tangent has not the shape and dtype of its operand: some frameworks would broadcast
            or cast in silence.
        RuntimeError
            If y is not zero and has no tangent.
        """
        for name, tangent, operand in (("tx", tx, x), ("tkernel", tkernel, kernel)):
            _demand(name, tangent, operand.shape, operand.dtype)
        options = _options(stride, dilation, padding, group_layout)
        tensors = (self.to_tensor(array) for array in (x, kernel, tx, tkernel))
        y, ty = self._run(self._value_and_tangent, options, *tensors)
        if ty is not None:
            return self.to_array(ty)
        due = self.to_array(y)
        if np.any(due):
            raise RuntimeError(
                "y is not zero, and has no tangent: the function left automatic differentiation "
                "somewhere (detached a tensor, or went through NumPy)"
            )
        return np.zeros_like(due)

    def double_backward(
        self,
        ddx: Array,
        ddkernel: Array,
        dy: Array,
        x: Array,
        kernel: Array,
        *,
        stride: Any = 1,
        dilation: Any = 1,
        padding: Any = "same",
        group_layout: Any = "blocked",
    ) -> tuple[Array, Array, Array]:
        """Return ddy, d2x and d2kernel: gradients of the framework's gradients.

        Raises
        ------
        ValueError
            If ddx or ddkernel has not the shape and dtype of its operand, or dy not what it must
            have in `backward`.
        RuntimeError
            If dx or dkernel is not zero and no gradient flows from it to an operand.
        """
        _demand("dy", dy, _shape_of_y(x, kernel), x.dtype)
        for name, given, operand in (("ddx", ddx, x), ("ddkernel", ddkernel, kernel)):
            _demand(name, given, operand.shape, operand.dtype)
        options = _options(stride, dilation, padding, group_layout)
        tensors = (self.to_tensor(array) for array in (ddx, ddkernel, dy, x, kernel))
        dx, dkernel, *second = self._run(self._second_gradients, options, *tensors)
        # Each flows from one gradient, or from both, of which it is a linear function.
        through = {"dy": (dx, dkernel), "x": (dkernel,), "kernel": (dx,)}
        ddy, d2x, d2kernel = (
            self._second(name, gradient, operand, through[name])
            for name, gradient, operand in zip(through, second, (dy, x, kernel), strict=True)
        )
        return ddy, d2x, d2kernel

    def _second(self, name: str, gradient: Any, operand: Array, through: tuple[Any, ...]) -> Array:
        """Give a gradient of gradients as an array; None is right where they are zero."""
        if gradient is not None:
            return self.to_array(gradient)
        if any(one is not None and np.any(self.to_array(one)) for one in through):
            raise RuntimeError(
                f"dx and dkernel are not zero, and nothing flows from them to {name}: the gradient "
                "that the function has cannot be differentiated"
            )
        return np.zeros(operand.shape, operand.dtype.newbyteorder("="))

    def _gradient(self, name: str, gradient: Any, operand: Array, y: Any) -> Array:
        """Give a gradient as an array.

        None says that y does not depend on the operand, so that the derivative is zero. That is
        right where y is zero, as it is if every tap is padded or the batch is empty. Where y is
        not, it does depend on both operands, of each of which it is a linear function.
        """
        if gradient is not None:
            return self.to_array(gradient)
        if np.any(self.to_array(y)):
            raise RuntimeError(
                f"y is not zero, and no gradient flows from it to {name}: the function left "
                "automatic differentiation somewhere (detached a tensor, or went through NumPy)"
            )
        return np.zeros(operand.shape, operand.dtype.newbyteorder("="))

    @abstractmethod
    def to_tensor(self, array: Array) -> Any:
        """Give an array to the framework, on the adapter's device."""

    @abstractmethod
    def to_array(self, tensor: Any) -> Array:
        """Give a result to NumPy."""

    @abstractmethod
    def is_tensor(self, result: Any) -> bool:
        """Tell whether a result is one of the framework's tensors."""

    def value(self, x: Any, kernel: Any, **options: Any) -> Any:
        """Call the function on tensors.

        Parameters
        ----------
        x, kernel : tensor
            Operands, as `to_tensor` gives them.
        **options
            `stride`, `dilation`, `padding` and `group_layout`, as the function takes them.

        Returns
        -------
        tensor
            y, perhaps still being computed.
        """
        return self._run(self._value, options, x, kernel)

    def value_and_gradients(
        self, dy: Any, x: Any, kernel: Any, **options: Any
    ) -> tuple[Any, Any, Any]:
        """Call the function on tensors, and its vector-Jacobian products.

        Parameters
        ----------
        dy, x, kernel : tensor
            Operands, as `to_tensor` gives them.
        **options
            `stride`, `dilation`, `padding` and `group_layout`, as the function takes them.

        Returns
        -------
        tuple of tensor
            y, dx and dkernel, perhaps still being computed. A gradient is None where the framework
            says that y does not depend on the operand.
        """
        y, dx, dkernel = self._run(self._value_and_gradients, options, dy, x, kernel)
        return y, dx, dkernel

    def _value(self, options: Mapping[str, Any], x: Any, kernel: Any) -> Any:
        y = self._bound(options)(x, kernel)
        if not self.is_tensor(y):
            raise TypeError(
                f"the function must return a {self.tensor}, got {type(y).__name__}: {y!r:.80}"
            )
        return y

    def _bound(self, options: Mapping[str, Any]) -> Callable[[Any, Any], Any]:
        """Give the function of x and kernel alone."""
        return partial(self.function, **options)

    @abstractmethod
    def _value_and_gradients(
        self, options: Mapping[str, Any], dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, Any, Any]:
        """Differentiate `_value`."""

    @abstractmethod
    def _value_and_tangent(
        self, options: Mapping[str, Any], x: Any, kernel: Any, tx: Any, tkernel: Any
    ) -> tuple[Any, Any]:
        """Give `_value` and its tangent; None where there is none."""

    @abstractmethod
    def _second_gradients(
        self, options: Mapping[str, Any], ddx: Any, ddkernel: Any, dy: Any, x: Any, kernel: Any
    ) -> tuple[Any, ...]:
        """Give dx, dkernel, and what flows back from them to dy, x and kernel; None is nothing."""

    @abstractmethod
    def _run(self, body: Callable[..., Any], options: Mapping[str, Any], *tensors: Any) -> Any:
        """Call ``body(options, *tensors)`` on the adapter's device, in its mode."""

    def _program(self, key: Any, make: Callable[[], Any]) -> Any:
        """Give what was traced or compiled for a key, or make it."""
        # As text, since 1 and True are the same key but not the same stride.
        key = repr(key)
        # Calls from several threads trace one after the other, as with one `tf.function` or `jit`.
        with self._one_at_a_time:
            if key not in self._programs:
                if len(self._programs) >= _MOST_PROGRAMS:
                    del self._programs[next(iter(self._programs))]
                self._programs[key] = make()
            return self._programs[key]


def _shape_of_y(x: Array, kernel: Array) -> tuple[int, ...]:
    return (*x.shape[:1], *kernel.shape[1:3], *x.shape[3:])


def _demand(name: str, array: Array, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse an array that is not what it goes with."""
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} must be {dtype} of shape {shape}, got {array.dtype} {array.shape}"
        )


def _options(stride: Any, dilation: Any, padding: Any, group_layout: Any) -> dict[str, Any]:
    names = {"stride": stride, "dilation": dilation, "padding": padding}
    return {**names, "group_layout": group_layout}
