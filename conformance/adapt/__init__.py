"""Adapters around a framework's function of tensors, and the conversions of arrays that they need.

`torch`, `tensorflow` and `jax` make what the suite can judge of a function
``f(x, kernel, *, stride, dilation, padding, group_layout) -> y``: derivatives, forward mode and
second ones among them, come from automatic differentiation. A function with axes and arguments of
its own has a `Form`; `torch_layer` takes the operator out of a layer. `to_torch`, `from_torch` and
their like are for adapters that are written by hand.
A framework is imported when it is asked for. No involution is computed here, nothing is compared,
and no code is shared with the oracle or with the judge.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from conformance.adapt._arrays import Array
from conformance.adapt._form import Form, FormedArrays

if TYPE_CHECKING:
    from conformance.adapt._jax import JaxAdapter
    from conformance.adapt._tensorflow import TensorFlowAdapter
    from conformance.adapt._torch import TorchAdapter

__all__ = [
    "Form",
    "arrays",
    "from_jax",
    "from_tensorflow",
    "from_torch",
    "jax",
    "tensorflow",
    "to_jax",
    "to_tensorflow",
    "to_torch",
    "torch",
    "torch_layer",
]


def torch(
    function: Callable[..., Any],
    *,
    device: str = "cpu",
    compile: bool = False,  # noqa: A002 (as PyTorch calls it)
    order: Literal["C", "K"] = "C",
    capabilities: Mapping[str, Any] | None = None,
    form: Form | None = None,
) -> "TorchAdapter":
    """Adapt a function of PyTorch tensors.

    Parameters
    ----------
    function : callable
        ``function(x, kernel, *, stride, dilation, padding, group_layout)`` returns y. It is called
        with all four options: the defaults of GEO-11 are the adapter's.
    device : str, default "cpu"
        Where operands are put, in PyTorch's words.
    compile : bool, default False
        Through `torch.compile`, with sizes left open. Each combination of options, kernel extent
        and dtype costs a compilation, twice: with and without gradients.
    order : "C" or "K", default "C"
        How operands lie that cannot be passed as they are; see `to_torch`.
    capabilities : mapping, optional
        What the function supports; everything by default.
    form : Form, optional
        How the function wants to be called, where that is not the seam's way: `Form`.

    Returns
    -------
    TorchAdapter
        `forward`, `backward`, `jvp` and `double_backward` on arrays, `value` and
        `value_and_gradients` on tensors, `capabilities` and `environment`.
    """
    from conformance.adapt._torch import TorchAdapter

    return TorchAdapter(function, device, compile, order, capabilities, form)


def tensorflow(
    function: Callable[..., Any],
    mode: Literal["eager", "graph", "xla"] = "eager",
    *,
    device: str | None = None,
    open_sizes: bool = True,
    capabilities: Mapping[str, Any] | None = None,
    form: Form | None = None,
) -> "TensorFlowAdapter":
    """Adapt a function of TensorFlow tensors.

    Parameters
    ----------
    function : callable
        ``function(x, kernel, *, stride, dilation, padding, group_layout)`` returns y. It is called
        with all four options: the defaults of GEO-11 are the adapter's.
    mode : "eager", "graph" or "xla", default "eager"
        In the latter two the function is traced in a `tf.function`, once for each dtype, kernel
        extent, number of channels and groups and set of options.
    device : str, optional
        Where operands are put and the function runs, in TensorFlow's words; TensorFlow's choice by
        default.
    open_sizes : bool, default True
        Batch, height and width are unknown when traced. False traces anew for each of them.
    capabilities : mapping, optional
        What the function supports; everything by default.
    form : Form, optional
        How the function wants to be called, where that is not the seam's way: `Form`.

    Returns
    -------
    TensorFlowAdapter
        `forward`, `backward`, `jvp` and `double_backward` on arrays, `value` and
        `value_and_gradients` on tensors, `capabilities` and `environment`.
    """
    from conformance.adapt._tensorflow import TensorFlowAdapter

    return TensorFlowAdapter(function, mode, device, open_sizes, capabilities, form)


def jax(
    function: Callable[..., Any],
    *,
    jit: bool = False,
    device: str | None = None,
    capabilities: Mapping[str, Any] | None = None,
    form: Form | None = None,
) -> "JaxAdapter":
    """Adapt a function of JAX arrays.

    Parameters
    ----------
    function : callable
        ``function(x, kernel, *, stride, dilation, padding, group_layout)`` returns y. It is called
        with all four options: the defaults of GEO-11 are the adapter's.
    jit : bool, default False
        Through `jax.jit`, for each shape and set of options. Without it JAX still compiles each
        operation for each shape, so that `"compiles"` is declared either way.
    device : str, optional
        Where operands are put: a platform, "cpu", or one of its devices, "gpu:1". JAX's choice by
        default.
    capabilities : mapping, optional
        What the function supports; everything by default.
    form : Form, optional
        How the function wants to be called, where that is not the seam's way: `Form`.

    Returns
    -------
    JaxAdapter
        `forward`, `backward`, `jvp` and `double_backward` on arrays, `value` and
        `value_and_gradients` on JAX's arrays, `capabilities` and `environment`.

    Notes
    -----
    A call on float64 runs with 64-bit numbers enabled, any other as the process is configured: JAX
    never computes in float32 what was given in float64.
    """
    from conformance.adapt._jax import JaxAdapter

    return JaxAdapter(function, jit, device, capabilities, form)


def torch_layer(
    make: Callable[..., Any],
    generator: str,
    *,
    form: Form,
    device: str = "cpu",
    capabilities: Mapping[str, Any] | None = None,
) -> "TorchAdapter":
    """Adapt the operator within a layer of PyTorch's: its generated kernel is replaced by a given.

    Parameters
    ----------
    make : callable
        Gives the layer for what the form passes, ``make(channels=..., kernel_size=...)`` for
        example; or a layer that is made already, where the form passes nothing.
    generator : str
        The submodule whose output the layer takes for the kernel, by its dotted name. It is not
        called: the kernel is given in its place. What stands before it is called on the image, and
        nothing comes of that.
    form : Form
        The axes of image and kernel, and what `make` is told.
    device : str, default "cpu"
        Where operands and layer are put, in PyTorch's words.
    capabilities : mapping, optional
        What the layer supports, its padding and its layout of groups among it.

    Returns
    -------
    TorchAdapter
        As `torch` gives.

    Raises
    ------
    ValueError
        When it is called: the layer has no such submodule, or did not ask it for a kernel.
    """
    from conformance.adapt._torch_layer import adapted

    return adapted(make, generator, form, device, capabilities)


def arrays(
    implementation: Any, *, form: Form, capabilities: Mapping[str, Any] | None = None
) -> FormedArrays:
    """Adapt `forward` and `backward` on arrays that have axes or arguments of their own.

    Parameters
    ----------
    implementation : object
        With ``forward(x, kernel, ...)`` and ``backward(dy, x, kernel, ...)``, in the form's axes
        and with the arguments that it passes. dx and dkernel lie as x and kernel do. It may have
        ``jvp`` and ``double_backward`` too, whose operands and results lie as what they are
        tangents or gradients of.
    form : Form
        The axes, and what is passed.
    capabilities : mapping, optional
        What it supports, beside what it declares itself.

    Returns
    -------
    FormedArrays
        `forward` and `backward` with the seam's signature, `capabilities`, and `jvp` and
        `double_backward` if the implementation has them.

    Examples
    --------
    An operator that has the channels first, and so its kernel:

    >>> import types
    >>> import numpy as np
    >>> from conformance import adapt
    >>> tap = types.SimpleNamespace(
    ...     forward=lambda x, kernel: x * kernel[:, :1], backward=lambda dy, x, kernel: (dy, x)
    ... )
    >>> form = adapt.Form(x="b c h w", kernel="b (g u v) h w", passes={})
    >>> claims = {"paddings": "half", "group_layouts": "blocked"}
    >>> mine = adapt.arrays(tap, form=form, capabilities=claims)
    >>> mine.forward(np.ones((2, 4, 5, 3)), np.ones((2, 4, 5, 1, 1, 1))).shape
    (2, 4, 5, 3)
    """
    return FormedArrays(implementation, form, capabilities)


def to_torch(
    array: Array,
    *,
    requires_grad: bool = False,
    device: str = "cpu",
    order: Literal["C", "K"] = "C",
) -> Any:
    """Give an array to PyTorch, whatever view it is of whatever memory.

    Parameters
    ----------
    array : numpy.ndarray
        Of a dtype that PyTorch has, or `ml_dtypes.bfloat16`; either byte order.
    requires_grad : bool, default False
        The tensor is a leaf whose gradient is asked for.
    device : str, default "cpu"
        Where the tensor is put.
    order : "C" or "K", default "C"
        How the copy lies that is made of all but plain memory: contiguous, or with its axes in the
        order in which the view has them, so that a transposed array gives a transposed tensor.

    Returns
    -------
    torch.Tensor
        Of the same shape and dtype. On the CPU, a C-contiguous, writeable array in the machine's
        byte order is passed in its own memory, so that what a function writes there is seen
        (FWD-5). All else (negative strides, read-only or broadcast memory, ...) is copied.

    Raises
    ------
    TypeError
        For a dtype that PyTorch has not.

    Notes
    -----
    With ``order="C"`` memory order is not what is tested through this helper (FWD-6): the function
    sees a contiguous copy.
    """
    from conformance.adapt import _torch

    return _torch.to_torch(array, requires_grad=requires_grad, device=device, order=order)


def from_torch(tensor: Any, *, copy: bool = True) -> Array:
    """Give a tensor of PyTorch's to NumPy, detached, from whatever device.

    Parameters
    ----------
    tensor : torch.Tensor
        bfloat16 becomes `ml_dtypes.bfloat16`.
    copy : bool, default True
        False leaves a tensor on the CPU in its own memory, so that the judge sees with whom it is
        shared (FWD-5).

    Returns
    -------
    numpy.ndarray
        Of the same shape and dtype, by default C-contiguous and in memory of its own.

    Raises
    ------
    TypeError
        For anything but a tensor of PyTorch's.
    """
    from conformance.adapt import _torch

    return _torch.from_torch(tensor, copy=copy)


def to_tensorflow(array: Array, *, device: str | None = None) -> Any:
    """Give a copy of an array to TensorFlow, whatever view it is of whatever memory.

    Parameters
    ----------
    array : numpy.ndarray
        Of a dtype that TensorFlow has, `ml_dtypes.bfloat16` among them; either byte order.
    device : str, optional
        Where the tensor is put; TensorFlow's choice by default.

    Returns
    -------
    tf.Tensor
        Of the same shape and dtype. Memory order is not what is tested through this helper
        (FWD-6): tensors of TensorFlow's have none.
    """
    from conformance.adapt import _tensorflow

    return _tensorflow.to_tensorflow(array, device=device)


def from_tensorflow(tensor: Any) -> Array:
    """Give a tensor of TensorFlow's to NumPy.

    Parameters
    ----------
    tensor : tf.Tensor, tf.Variable or tf.IndexedSlices
        Sparse gradients, such as those of `tf.gather`, are made dense.

    Returns
    -------
    numpy.ndarray
        Of the same shape and dtype, in memory of its own.

    Raises
    ------
    TypeError
        For anything else.
    """
    from conformance.adapt import _tensorflow

    return _tensorflow.from_tensorflow(tensor)


def to_jax(array: Array, *, device: str | None = None) -> Any:
    """Give a copy of an array to JAX, whatever view it is of whatever memory.

    Parameters
    ----------
    array : numpy.ndarray
        Of a dtype that JAX has, `ml_dtypes.bfloat16` among them; either byte order.
    device : str, optional
        A platform, "cpu", or one of its devices, "gpu:1"; JAX's choice by default.

    Returns
    -------
    jax.Array
        Of the same shape and dtype. Memory order is not what is tested through this helper
        (FWD-6): arrays of JAX's have none.

    Raises
    ------
    TypeError
        For 64-bit numbers where JAX is not configured to keep them, and would make 32-bit numbers
        of them in silence; and for a dtype that JAX has not.
    """
    from conformance.adapt import _jax

    return _jax.to_jax(array, device=device)


def from_jax(array: Any) -> Array:
    """Give an array of JAX's to NumPy.

    Parameters
    ----------
    array : jax.Array
        On whatever device.

    Returns
    -------
    numpy.ndarray
        Of the same shape and dtype, in memory of its own.

    Raises
    ------
    TypeError
        For anything but an array of JAX's.
    """
    from conformance.adapt import _jax

    return _jax.from_jax(array)
