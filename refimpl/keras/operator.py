"""The involution operator in `keras.ops`: differentiable, for any backend and any size.

The kernel is given; generating it is the work of `refimpl.keras.layer`. The operator is no oracle
and shares no code with one: it rounds as its backend rounds. What is summed is `_sums`, what
frameworks are told of derivatives `_derivative`.
"""

from typing import Any

import keras
from keras import ops

from refimpl.keras._arguments import (
    Options,
    Padding,
    Pair,
    check_operands,
    check_options,
)
from refimpl.keras._derivative import differentiable
from refimpl.keras._shapes import check_grid, check_shapes, outputs
from refimpl.keras._sums import Axis, Sums

__all__ = ["involution"]


def involution(
    x: Any,
    kernel: Any,
    *,
    stride: int | Pair = 1,
    dilation: int | Pair = 1,
    padding: Padding = "same",
    group_layout: str = "blocked",
) -> Any:
    """Apply each pixel's kernel to the pixel's neighbourhood (FWD-1).

    Parameters
    ----------
    x : tensor or array, shape (B, H, W, C)
        Input, channels last whatever Keras's global image data format is; float16, bfloat16,
        float32 or float64. B, H, W and C may be unknown when traced, and B may be 0.
    kernel : tensor or array, shape (B, Ho, Wo, Kh, Kw, G)
        One kernel for each output pixel and group; not flipped. G divides C. Same dtype as `x`.
        Kh, Kw and G are known when traced.
    stride : int or (int, int), default 1
        Pixels from one output to the next, (vertical, horizontal) (GEO-2).
    dilation : int or (int, int), default 1
        Pixels from one tap to the next, (vertical, horizontal) (GEO-2).
    padding : "same", "valid", int or ((top, bottom), (left, right)), default "same"
        Zero padding in pixels (GEO-4 to GEO-7). ``"same"`` is TensorFlow's rule.
    group_layout : "blocked" or "interleaved", default "blocked"
        Channel c uses group ``c // (C // G)`` (GRP-2, the paper) or ``c % G`` (GRP-3, the Keras
        example).

    Returns
    -------
    y : tensor, shape (B, Ho, Wo, C)
        Of the dtype of the operands. float16 and bfloat16 are summed in float32 and rounded once;
        so are their gradients.

    Raises
    ------
    TypeError
        ERR-5, ERR-6 and ERR-9.
    ValueError
        ERR-1 to ERR-8, as far as the sizes are known. Sizes that are unknown when a graph is traced
        are held to the same rules when it runs, by an error of the backend's own.

    Notes
    -----
    Each tap is one shift of the padded input, multiplied and added: no pass ever holds the
    Kh * Kw patches, and between the passes the two operands alone are kept. The derivatives are
    the same sum with its operands exchanged, at every order, so that TensorFlow and PyTorch are
    told of them (`refimpl.keras._derivative`); JAX differentiates by itself, in either direction,
    and computes again what it would keep. A SavedModel that is to be differentiated after loading
    must be saved with its custom gradients, which is TensorFlow's default.

    References
    ----------
    Li et al., *Involution: Inverting the Inherence of Convolution for Visual Recognition*,
    CVPR 2021, arXiv 2103.06255, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from refimpl.keras import involution
    >>> y = involution(np.ones((1, 3, 3, 2)), np.ones((1, 2, 2, 3, 3, 1)), stride=2)
    >>> y.numpy()[0, :, :, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    options = check_options(stride, dilation, padding, group_layout)
    x, kernel = check_operands(x, kernel)
    check_shapes(x, kernel)
    if isinstance(x, keras.KerasTensor) or isinstance(kernel, keras.KerasTensor):
        return InvolutionOperation(stride, dilation, padding, group_layout)(x, kernel)
    size, taps = ops.shape(x), kernel.shape[3:5]
    vertical, horizontal = (_axis(a, size[1 + a], int(taps[a]), options) for a in (0, 1))
    check_grid((_known(vertical.outputs), _known(horizontal.outputs)), x, kernel)
    x, kernel = _held(x, kernel, vertical, horizontal)
    sums = Sums(vertical, horizontal, int(kernel.shape[5]), options.blocked, _fused())
    return differentiable(sums, x, kernel)


@keras.saving.register_keras_serializable(package="refimpl")
class InvolutionOperation(keras.Operation):  # type: ignore[misc]
    """`involution` as a node of a functional model, where sizes may be unknown."""

    def __init__(
        self, stride: Any, dilation: Any, padding: Any, group_layout: str, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.stride, self.dilation = stride, dilation
        self.padding, self.group_layout = padding, group_layout

    def call(self, x: Any, kernel: Any) -> Any:
        """Return y for tensors, symbolic ones only within a backend's trace."""
        return involution(
            x,
            kernel,
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding,
            group_layout=self.group_layout,
        )


def _axis(axis: int, size: Any, taps: int, options: Options) -> Axis:
    """Lay out one axis by GEO-3, and by GEO-7 for "same"."""
    stride, dilation = options.strides[axis], options.dilations[axis]
    number = outputs(size, axis, taps, options)
    if options.sides is not None:
        return Axis(size, number, *options.sides[axis], taps, stride, dilation)
    missing = (number - 1) * stride + (taps - 1) * dilation + 1 - size
    total = max(missing, 0) if isinstance(size, int) else ops.maximum(missing, 0)
    return Axis(size, number, total // 2, total - total // 2, taps, stride, dilation)


def _known(size: Any) -> int | None:
    return size if isinstance(size, int) else None


def _held(x: Any, kernel: Any, vertical: Axis, horizontal: Axis) -> tuple[Any, Any]:
    """Hold sizes that are unknown when traced to ERR-2, ERR-3, ERR-4 and ERR-8 at run time.

    Without this a kernel grid of one row would be broadcast in silence. A whole tensor is sliced
    from an offset that is zero exactly if the sizes are right, and that a slice must refuse if not.
    """
    size, grid = ops.shape(x), ops.shape(kernel)[:3]
    if all(isinstance(length, int) for length in (*size, *grid)):
        return x, kernel
    due = size[0], vertical.outputs, horizontal.outputs
    rows, columns = (
        ops.minimum(ops.minimum(length, outputs), 1) - 1
        for length, outputs in zip(size[1:3], due[1:], strict=True)
    )
    offsets = [expected - length for length, expected in zip(grid, due, strict=True)]
    return (
        ops.slice(x, [0, rows, columns, 0], size),
        ops.slice(kernel, [*offsets, 0, 0, 0], [*due, *kernel.shape[3:]]),
    )


def _fused() -> bool:
    """Tell whether XLA compiles what is traced now: always on JAX, perhaps on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        return bool(keras.backend.backend() == "jax")
    import tensorflow as tf
    from tensorflow.python.ops import control_flow_util

    graph = tf.compat.v1.get_default_graph()
    return not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(graph)
