"""The oracle on CUDA arrays: the definition, with one thread for each element of a result.

A thread forms the exact sum in the digits of `refimpl._loops`, integers alone, and rounds it to the
bits of a float64. So nothing is left to how a GPU rounds, fuses or flushes: no number is added or
multiplied in floating point. The only file of the oracle that imports Numba's CUDA, when a user
brings a CUDA array along and never before.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import cuda
from numba.cuda.cudadrv import devicearray

from refimpl import involution
from refimpl._device import NEEDED, Memory, kind_of, memory
from refimpl._loops import LENGTH, add_dkernel, add_dx, add_y, clear, rounded
from refimpl._shown import shown
from refimpl._validation import Problem, check

# The arrays of Numba's simulator, whose device is this process; None on a GPU.
_SIMULATED = getattr(devicearray, "FakeCUDAArray", None)
# Threads of a block, each of which holds its digits (1.1 kB) and takes one element after another.
# Below 128 blocks Numba warns of an idle GPU; a simulated thread is one of Python's.
_THREADS, _FEWEST, _MOST = 64, 1 if _SIMULATED else 128, 1 << 14


# --- One thread for each element ---
#
# Elements are numbered as they lie, or with the members of a group side by side; 64 bits hold
# every number.


@cuda.jit
def _y(x, kernel, sh, sw, dh, dw, top, left, dg, dm, y):
    # x (B, H, W, C), kernel (B, Ho, Wo, Kh, Kw, G), y (B, Ho, Wo, C)
    total = cuda.local.array(LENGTH, np.int64)
    _, Ho, Wo, C = y.shape
    G = kernel.shape[5]
    M = C // G
    for n in range(np.int64(cuda.grid(1)), y.size, np.int64(cuda.gridsize(1))):
        b, i, j = n // (Ho * Wo * C), n // (Wo * C) % Ho, n // C % Wo
        g, m = n // M % G, n % M
        c = g * dg + m * dm
        clear(total)
        add_y(total, b, i, j, c, g, x, kernel, sh, sw, dh, dw, top, left)
        y[b, i, j, c] = rounded(total)


@cuda.jit
def _y_of_two(x, kernel, other_x, other_kernel, sh, sw, dh, dw, top, left, dg, dm, y):
    # As _y, the terms of two pairs in one sum (GRD-7, GRD-8).
    total = cuda.local.array(LENGTH, np.int64)
    _, Ho, Wo, C = y.shape
    G = kernel.shape[5]
    M = C // G
    for n in range(np.int64(cuda.grid(1)), y.size, np.int64(cuda.gridsize(1))):
        b, i, j = n // (Ho * Wo * C), n // (Wo * C) % Ho, n // C % Wo
        g, m = n // M % G, n % M
        c = g * dg + m * dm
        clear(total)
        add_y(total, b, i, j, c, g, x, kernel, sh, sw, dh, dw, top, left)
        add_y(total, b, i, j, c, g, other_x, other_kernel, sh, sw, dh, dw, top, left)
        y[b, i, j, c] = rounded(total)


@cuda.jit
def _dx(dy, kernel, sh, sw, dh, dw, top, left, dg, dm, dx):
    # dy (B, Ho, Wo, C), kernel (B, Ho, Wo, Kh, Kw, G), dx (B, H, W, C)
    total = cuda.local.array(LENGTH, np.int64)
    _, H, W, C = dx.shape
    G = kernel.shape[5]
    M = C // G
    for n in range(np.int64(cuda.grid(1)), dx.size, np.int64(cuda.gridsize(1))):
        b, h, w = n // (H * W * C), n // (W * C) % H, n // C % W
        g, m = n // M % G, n % M
        c = g * dg + m * dm
        clear(total)
        add_dx(total, b, h, w, c, g, dy, kernel, sh, sw, dh, dw, top, left)
        dx[b, h, w, c] = rounded(total)


@cuda.jit
def _dkernel(dy, x, sh, sw, dh, dw, top, left, dg, dm, dkernel):
    # dy (B, Ho, Wo, C), x (B, H, W, C), dkernel (B, Ho, Wo, Kh, Kw, G)
    total = cuda.local.array(LENGTH, np.int64)
    _, Ho, Wo, Kh, Kw, G = dkernel.shape
    M = x.shape[3] // G
    for n in range(np.int64(cuda.grid(1)), dkernel.size, np.int64(cuda.gridsize(1))):
        u, v, g = n // (Kw * G) % Kh, n // G % Kw, n % G
        pixel = n // (Kh * Kw * G)
        b, i, j = pixel // (Ho * Wo), pixel // Wo % Ho, pixel % Wo
        clear(total)
        add_dkernel(total, b, i, j, u, v, g, dy, x, sh, sw, dh, dw, top, left, dg, dm, M)
        dkernel[b, i, j, u, v, g] = rounded(total)


# Of each result the kernel, the operands that it reads, and the operand whose shape it has.
_MADE_OF: dict[str, tuple[Any, tuple[str, ...], str]] = {
    "y": (_y, ("x", "kernel"), "y"),
    "dx": (_dx, ("dy", "kernel"), "x"),
    "dkernel": (_dkernel, ("dy", "x"), "kernel"),
    "ty": (_y_of_two, ("tx", "kernel", "x", "tkernel"), "y"),
    "ddy": (_y_of_two, ("ddx", "kernel", "x", "ddkernel"), "y"),
    "d2x": (_dx, ("dy", "ddkernel"), "x"),
    "d2kernel": (_dkernel, ("dy", "ddx"), "kernel"),
}


def results(
    names: tuple[str, ...], operands: Mapping[str, object], there: tuple[str, ...], *options: Any
) -> tuple[Any, ...]:
    """Compute results of one call on the device of its operands.

    Parameters
    ----------
    names : tuple of str
        Of "y", "dx", "dkernel", "ty", "ddy", "d2x" and "d2kernel".
    operands : mapping of str to object
        As of the call.
    there : tuple of str
        The operands that lie on a device, one at least.
    *options
        Stride, dilation, padding and group layout, as the caller received them.

    Returns
    -------
    results : tuple of numba device arrays of float64
        C-contiguous, on that device. All work is done, so that any stream may read them.

    Raises
    ------
    TypeError, ValueError
        As a call in memory, and for operands of which some lie elsewhere, or that no CUDA of
        Numba's can reach (ERR-11).
    """
    given = _described(operands, there)
    problem = check({name: _stand_in(one) for name, one in given.items()}, *options)
    (device,) = {one.device for one in given.values()} - {None} or {None}
    with nullcontext() if device is None else cuda.gpus[device]:
        # Whoever made the operands may have used any stream.
        cuda.synchronize()
        answers = tuple(_result(name, given, problem) for name in names)
        cuda.synchronize()
    return answers


def _described(operands: Mapping[str, object], there: tuple[str, ...]) -> dict[str, Memory]:
    """Describe the operands' memory, which is of one device and of one format."""
    for name, value in operands.items():
        if name not in there:
            raise TypeError(
                f"{name} must lie on a CUDA device, as {there[0]} does (ERR-11), got {shown(value)}"
            )
    given = {name: memory(name, value) for name, value in operands.items()}
    formats = {name: one.format for name, one in given.items()}
    if len(set(formats.values())) > 1:
        got = ", ".join(f"{name} {dtype}" for name, dtype in formats.items())
        raise TypeError(f"{' and '.join(given)} must have one dtype (ERR-9), got {got}")
    devices = {name: one.device for name, one in given.items() if one.device is not None}
    if len(set(devices.values())) > 1:
        got = ", ".join(f"{name} on device {number}" for name, number in devices.items())
        raise TypeError(f"{' and '.join(given)} must lie on one device (ERR-11), got {got}")
    if not cuda.is_available():
        raise TypeError(
            f"{there[0]} must lie in the host's memory where Numba reaches no CUDA device (ERR-11; "
            f"{NEEDED}), got {kind_of(operands[there[0]])} on a CUDA device, and Numba says "
            f"{shown(cuda.cuda_error())}"
        )
    return given


def _stand_in(array: Memory) -> npt.NDArray[Any]:
    """Give an array of that shape, which takes no memory; its dtype stands for the one of all."""
    return np.broadcast_to(np.zeros((), np.float32), array.shape)


def _result(name: str, given: Mapping[str, Memory], problem: Problem) -> Any:
    kernel, sources, like = _MADE_OF[name]
    x, entries = given["x"].shape, given["kernel"].shape
    shape = {"y": (*entries[:3], x[3]), "x": x, "kernel": entries}[like]
    answer = cuda.device_array(shape, np.float64)
    # Nothing is asked of what is empty, which may have no address.
    if answer.size:
        blocks = min(max(-(-answer.size // _THREADS), _FEWEST), _MOST)
        operands = [_array(given[source]) for source in sources]
        kernel[blocks, _THREADS](*operands, *involution.steps_of(problem), answer)
    return answer


def _array(memory: Memory) -> Any:
    """Give an array of Numba's in the same memory; of a bfloat16 its bits."""
    dtype = np.dtype("uint16" if memory.format == "bfloat16" else memory.format)
    description = {
        "shape": memory.shape,
        "strides": memory.strides,
        "typestr": dtype.str,
        "data": (memory.address, False),
        "version": 3,
    }
    if _SIMULATED:
        return _SIMULATED(np.asarray(SimpleNamespace(__array_interface__=description)))
    return cuda.from_cuda_array_interface(description, owner=memory.owner)
