"""Involution, forward and backward, and the derivatives of both: the oracle.

Every answer is the exact sum, rounded once to float64, and is held against rational arithmetic. It
is no layer (that is `refimpl.layer`) and it is not tuned for training: it is what an implementation
is compared with.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from refimpl import _loops
from refimpl._blocks import in_blocks
from refimpl._device import NEEDED, kind_of, on_device
from refimpl._fast import fast_form
from refimpl._threads import run_rows
from refimpl._validation import FORMATS, Problem, check
from refimpl.geometry import Axis, Padding

__all__ = ["backward", "capabilities", "double_backward", "forward", "jvp"]

Pair = int | tuple[int, int]

# What the conformance suite needs to know to judge the oracle like anything else (NUM-5).
capabilities: dict[str, Any] = {
    "result": dict.fromkeys(FORMATS, "float64"),
    "accumulator": dict.fromkeys(FORMATS, "float64") | {"float64": "double-double"},
    "gradual_underflow": True,
}


def forward(
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    *,
    stride: Pair = 1,
    dilation: Pair = 1,
    padding: Padding = "same",
    group_layout: str = "blocked",
) -> npt.NDArray[np.float64]:
    """Apply each pixel's kernel to the pixel's neighbourhood.

    ``y[b, i, j, c] = sum over u, v of kernel[b, i, j, u, v, group(c)]
    * x[b, i * sh + u * dh - top, j * sw + v * dw - left, c]``, taps outside the image adding
    nothing (FWD-1, GEO-8, GEO-9).

    Parameters
    ----------
    x : array_like, shape (B, H, W, C)
        Input, channels last; float16, bfloat16, float32 or float64. B may be 0. A
        ``dask.array.Array`` of any chunks makes the result one too, computed when it is asked for.
        All operands may be arrays on one CUDA device (ERR-11).
    kernel : array_like, shape (B, Ho, Wo, Kh, Kw, G)
        One kernel for each output pixel and group; not flipped. G divides C. Same dtype as `x`.
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
    y : ndarray of float64, shape (B, Ho, Wo, C)
        Bit-equal at any number of threads (NUM-7), the exact sums rounded once (NUM-5), whatever
        the chunks. As a dask array it has the chunks of `kernel` in rows and columns, of `x` in
        channels, of both in the batch. Of CUDA arrays it is a numba device array.

    Raises
    ------
    TypeError
        A dtype that is not one of the four or not shared (ERR-9), a masked array or none at all
        (ERR-10), a stride, dilation or padding of the wrong type (ERR-5, ERR-6), operands on more
        than one device, or on a device and on the host (ERR-11).
    ValueError
        Shapes that do not fit (ERR-1 to ERR-4), a stride, dilation, padding or group layout out of
        range (ERR-5 to ERR-7), an output without rows or columns (ERR-8), numbers that 64-bit
        indices could not hold, chunks of unknown sizes (ERR-10).
    RuntimeError
        This thread's processor takes subnormal numbers for zero, or does not round to nearest, and
        that could not be changed for the call (NUM-5).

    See Also
    --------
    backward : The vector-Jacobian products.

    References
    ----------
    Li et al., *Involution: Inverting the Inherence of Convolution for Visual Recognition*,
    CVPR 2021, arXiv 2103.06255, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from refimpl import involution
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> kernel = np.ones((1, 3, 3, 3, 3, 1))
    >>> involution.forward(x, kernel)[0, :, :, 0]
    array([[ 8., 15., 12.],
           [21., 36., 27.],
           [20., 33., 24.]])
    """
    operands = {"x": x, "kernel": kernel}
    options = stride, dilation, padding, group_layout
    if (there := on_device(operands)) or in_blocks(operands):
        (y,) = _elsewhere(("y",), operands, there, *options)
        return cast("npt.NDArray[np.float64]", y)
    return result("y", check(operands, *options))


def backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    *,
    stride: Pair = 1,
    dilation: Pair = 1,
    padding: Padding = "same",
    group_layout: str = "blocked",
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pull a gradient of the output back to the input and to the kernel.

    Both are vector-Jacobian products of `forward` (GRD-1, GRD-2): for a scalar loss,
    ``dy = dloss/dy`` gives ``dx = dloss/dx`` and ``dkernel = dloss/dkernel``.

    Parameters
    ----------
    dy : array_like, shape (B, Ho, Wo, C)
        Gradient with respect to the output of ``forward(x, kernel, ...)``; same dtype as `x`.
    x : array_like, shape (B, H, W, C)
        Input, as for `forward`.
    kernel : array_like, shape (B, Ho, Wo, Kh, Kw, G)
        Kernel, as for `forward`. All three may be arrays on one CUDA device (ERR-11), and both
        results are then numba device arrays.
    stride, dilation, padding, group_layout
        As for `forward`.

    Returns
    -------
    dx : ndarray of float64, shape (B, H, W, C)
        Gradient with respect to `x`; zero for pixels that no tap reads (GRD-5). As a dask array
        it has the chunks of `x`.
    dkernel : ndarray of float64, shape (B, Ho, Wo, Kh, Kw, G)
        Gradient with respect to `kernel`, summed over the channels of a group; zero at padded
        taps (GRD-3). As a dask array it has the chunks of `kernel`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `forward`, and for a `dy` whose shape is not that of y (ERR-4).

    See Also
    --------
    forward : The operator.

    Examples
    --------
    >>> import numpy as np
    >>> from refimpl import involution
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> dx, dkernel = involution.backward(np.ones((1, 2, 2, 1)), x, np.ones((1, 2, 2, 1, 1, 1)))
    >>> dkernel.ravel()
    array([0., 1., 2., 3.])
    """
    operands = {"x": x, "kernel": kernel, "dy": dy}
    options = stride, dilation, padding, group_layout
    if (there := on_device(operands)) or in_blocks(operands):
        dx, dkernel = _elsewhere(("dx", "dkernel"), operands, there, *options)
        return dx, dkernel
    problem = check(operands, *options)
    # Once for both results.
    problem = problem._replace(operands={n: _loadable(a) for n, a in problem.operands.items()})
    return result("dx", problem), result("dkernel", problem)


def jvp(
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    tx: npt.ArrayLike,
    tkernel: npt.ArrayLike,
    *,
    stride: Pair = 1,
    dilation: Pair = 1,
    padding: Padding = "same",
    group_layout: str = "blocked",
) -> npt.NDArray[np.float64]:
    """Push a change of the input and of the kernel forward to the output.

    The Jacobian-vector product of `forward` (GRD-7). The operator is bilinear, so that it is
    ``forward(tx, kernel) + forward(x, tkernel)``. Both are one sum here, rounded once (NUM-5).

    Parameters
    ----------
    x : array_like, shape (B, H, W, C)
        Input, as for `forward`. A dask array is computed; arrays on a CUDA device give one there.
    kernel : array_like, shape (B, Ho, Wo, Kh, Kw, G)
        Kernel, as for `forward`.
    tx, tkernel : array_like
        Tangents of `x` and of `kernel`, of their shapes and dtype.
    stride, dilation, padding, group_layout
        As for `forward`.

    Returns
    -------
    ty : ndarray of float64, shape (B, Ho, Wo, C)
        Tangent of y: exact sums of twice as many terms as those of y, rounded once.

    Raises
    ------
    TypeError, ValueError
        As `forward`, and for tangents whose shapes are not those of their operands (GRD-7).

    See Also
    --------
    double_backward : The derivative of the backward pass.

    Notes
    -----
    It holds the pixels under every tap of one sample, twice.

    Examples
    --------
    >>> import numpy as np
    >>> from refimpl import involution
    >>> x, kernel = np.full((1, 1, 1, 1), 3.0), np.full((1, 1, 1, 1, 1, 1), 5.0)
    >>> involution.jvp(x, kernel, np.ones_like(x), 10 * np.ones_like(kernel)).item()
    35.0
    """
    operands = {"x": x, "kernel": kernel, "tx": tx, "tkernel": tkernel}
    options = stride, dilation, padding, group_layout
    if there := on_device(operands):
        (ty,) = _elsewhere(("ty",), operands, there, *options)
        return cast("npt.NDArray[np.float64]", ty)
    problem = check(operands, *options)
    return _of_two(problem, ("tx", "kernel"), ("x", "tkernel"))


def double_backward(
    ddx: npt.ArrayLike,
    ddkernel: npt.ArrayLike,
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    kernel: npt.ArrayLike,
    *,
    stride: Pair = 1,
    dilation: Pair = 1,
    padding: Padding = "same",
    group_layout: str = "blocked",
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Pull gradients of the two gradients back to what they were computed from.

    The vector-Jacobian products of `backward` (GRD-8): for a scalar loss of dx and dkernel,
    ``ddx = dloss/ddx`` and ``ddkernel = dloss/ddkernel`` give the loss's gradients with respect to
    `dy`, `x` and `kernel`.

    Parameters
    ----------
    ddx : array_like, shape (B, H, W, C)
        Gradient with respect to the dx of ``backward(dy, x, kernel, ...)``; same dtype as `x`.
    ddkernel : array_like, shape (B, Ho, Wo, Kh, Kw, G)
        Gradient with respect to its dkernel.
    dy, x, kernel
        As for `backward`. A dask array is computed; arrays on a CUDA device give such arrays.
    stride, dilation, padding, group_layout
        As for `forward`.

    Returns
    -------
    ddy : ndarray of float64, shape (B, Ho, Wo, C)
        ``forward(ddx, kernel) + forward(x, ddkernel)`` as one sum, rounded once (NUM-5).
    d2x : ndarray of float64, shape (B, H, W, C)
        What flows back to `x`, through dkernel: the dx of ``backward(dy, ddx, ddkernel)``.
    d2kernel : ndarray of float64, shape (B, Ho, Wo, Kh, Kw, G)
        What flows back to `kernel`, through dx: the dkernel of ``backward(dy, ddx, ddkernel)``.

    Raises
    ------
    TypeError, ValueError
        As `backward`, and for a `ddx` or `ddkernel` whose shape is not that of `x` or `kernel`
        (GRD-8).

    See Also
    --------
    jvp : The derivative of the forward pass, in forward mode.

    Examples
    --------
    >>> import numpy as np
    >>> from refimpl import involution
    >>> one, entry = np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1, 1, 1))
    >>> ddy, d2x, d2kernel = involution.double_backward(7 * one, 2 * entry, one, 3 * one, 5 * entry)
    >>> ddy.item(), d2x.item(), d2kernel.item()
    (41.0, 2.0, 7.0)
    """
    operands = {"x": x, "kernel": kernel, "dy": dy, "ddx": ddx, "ddkernel": ddkernel}
    options = stride, dilation, padding, group_layout
    if there := on_device(operands):
        ddy, d2x, d2kernel = _elsewhere(("ddy", "d2x", "d2kernel"), operands, there, *options)
        return ddy, d2x, d2kernel
    problem = check(operands, *options)
    ddy = _of_two(problem, ("ddx", "kernel"), ("x", "ddkernel"))
    given = problem.operands
    back = problem._replace(
        operands={"x": given["ddx"], "kernel": given["ddkernel"], "dy": given["dy"]}
    )
    return ddy, result("dx", back), result("dkernel", back)


def _of_two(problem: Problem, *pairs: tuple[str, str]) -> npt.NDArray[np.float64]:
    """Sum two images, each under its kernel, as one sum: the operator at twice as many taps.

    Each output becomes a sample of its own, one row of the pixels under its taps, those of both
    images: an image under a kernel of its own size, of which nothing is left to be laid out.
    """
    given = problem.operands
    batch, height, width, rows, columns, groups = given["kernel"].shape
    channels, taps = given["x"].shape[3], len(pairs) * rows * columns
    (h, above), (w, beside) = (_read(axis) for axis in (problem.vertical, problem.horizontal))
    inside = above[:, None, :, None, None] & beside[None, :, None, :, None]
    total = np.empty((batch, height, width, channels))
    for b in range(batch):
        # Zero at padded taps, on both sides, so that no NaN comes of what adds nothing (GEO-9).
        zero = given["x"].dtype.type(0)
        parts = [
            (
                np.where(inside, given[x][b][h[:, None, :, None], w[None, :, None, :]], zero),
                np.where(inside, given[kernel][b], zero),
            )
            for x, kernel in pairs
        ]
        window, entries = (np.stack(some, 2) for some in zip(*parts, strict=True))
        total[b] = forward(
            window.reshape(height * width, 1, taps, channels),
            entries.reshape(height * width, 1, 1, 1, taps, groups),
            padding="valid",
            group_layout="blocked" if problem.blocked else "interleaved",
        ).reshape(height, width, channels)
    return total


def _read(axis: Axis) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Give the pixel under each tap of each output of an axis (GEO-8), and whether there is one."""
    position = np.add.outer(
        np.arange(axis.outputs) * axis.stride, np.arange(axis.taps) * axis.dilation
    )
    position -= axis.before
    return np.clip(position, 0, axis.size - 1), (position >= 0) & (position < axis.size)


def _elsewhere(
    names: tuple[str, ...], operands: Mapping[str, object], there: tuple[str, ...], *options: Any
) -> tuple[Any, ...]:
    """Compute results on a CUDA device, if operands lie there, or plan them as dask arrays."""
    if not there:
        from refimpl import _dask

        return _dask.results(names, operands, *options)
    try:
        from refimpl import _cuda
    except ImportError as error:
        raise TypeError(
            f"{there[0]} must lie in the host's memory where Numba has no CUDA (ERR-11; {NEEDED}), "
            f"got {kind_of(operands[there[0]])} on a CUDA device"
        ) from error
    return _cuda.results(names, operands, there, *options)


# The loop that computes a result, and the operands whose values it reads.
_MADE_OF = {
    "y": ("forward_rows", ("x", "kernel")),
    "dx": ("dx_rows", ("dy", "kernel")),
    "dkernel": ("dkernel_rows", ("dy", "x")),
}


def result(name: str, problem: Problem) -> npt.NDArray[np.float64]:
    """Compute y, dx or dkernel: by a fast form, and by the definition what that leaves NaN.

    Parameters
    ----------
    name : "y", "dx" or "dkernel"
        The result.
    problem : Problem
        Of an operand that the result is not made of, the shape alone is read.
    """
    loop, sources = _MADE_OF[name]
    x, kernel = (problem.operands[operand].shape for operand in ("x", "kernel"))
    answer = np.empty({"y": (*kernel[:3], x[3]), "dx": x, "dkernel": kernel}[name])
    define, fast, steps = getattr(_loops, loop), fast_form(loop, problem), steps_of(problem)
    doubtful = np.zeros(answer.shape[0] * answer.shape[1], bool)

    def rows(first: int, last: int) -> None:
        if fast is None:
            answer.reshape(len(doubtful), *answer.shape[2:])[first:last] = np.nan
            define(first, last, *operands, *steps, answer)
            return
        fast(first, last, *operands, *steps, answer, doubtful)
        for row in np.flatnonzero(doubtful[first:last]) + first:
            define(row, row + 1, *operands, *steps, answer)

    # NumPy would warn of a signalling NaN that becomes a float32, and of what the loops, were they
    # not compiled, make of infinities.
    with np.errstate(all="ignore"):
        operands = [_loadable(problem.operands[source]) for source in sources]
        run_rows(rows, len(doubtful), math.prod(kernel[:5]) * x[3])
    return answer


def _loadable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give an operand in one of the two forms that the loops are compiled for.

    That is a C-contiguous, read-only array of float32 or float64. float16 and bfloat16, which
    numba does not know, become float32, which is exact. One kind of memory means one compilation.
    """
    dtype = np.float64 if array.dtype.name == "float64" else np.float32
    loadable = np.ascontiguousarray(array, dtype=dtype).view()
    loadable.flags.writeable = False
    return loadable


def steps_of(problem: Problem) -> tuple[int, int, int, int, int, int, int, int]:
    """Give the loops' geometry: strides, dilations, padding before, channel steps.

    The last two are what to add to a channel for the next group and for the next member of a group
    (GRP-1 to GRP-3).
    """
    vertical, horizontal = problem.vertical, problem.horizontal
    groups = problem.operands["kernel"].shape[5]
    members = problem.operands["x"].shape[3] // groups
    return (
        vertical.stride,
        horizontal.stride,
        vertical.dilation,
        horizontal.dilation,
        vertical.before,
        horizontal.before,
        *((members, 1) if problem.blocked else (1, groups)),
    )
