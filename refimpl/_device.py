"""Where an operand lies: in the host's memory, or on a CUDA device, and then at which address.

Two descriptions are read: DLPack, and the CUDA array interface. It knows no CUDA itself, imports
none and computes nothing; what is found there `refimpl._cuda` works on.
"""

import ctypes
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from refimpl._shown import shown
from refimpl._validation import FORMATS

# DLPack's numbers: memory of a CUDA device, and memory that CUDA moves to and fro.
_CUDA, _CUDA_MANAGED = 2, 13
# And of its kinds of numbers those that have a name.
_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
# What a user is told who has an array on a device, and no CUDA of Numba's.
NEEDED = 'it takes a driver by NVIDIA and `pip install "refimpl[cuda]"`'


class Memory(NamedTuple):
    """An array on a device.

    Attributes
    ----------
    address : int
        Of its first element.
    shape : tuple of int
        Its lengths.
    strides : tuple of int or None
        Bytes from one element to the next, on each axis; None where it is C-contiguous.
    format : str
        The name of its dtype.
    device : int or None
        The device's number, or None where the array does not say.
    owner : object
        What must live as long as the memory is read.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    format: str
    device: int | None
    owner: object


def on_device(operands: Mapping[str, object]) -> tuple[str, ...]:
    """Name the operands that lie on a CUDA device; does not import CUDA."""
    return tuple(
        name
        for name, value in operands.items()
        if type(value) is not np.ndarray and _lies_there(value)
    )


def _lies_there(value: Any) -> bool:
    """Whether it lies on a CUDA device, by what its class has and by what it answers itself."""
    kind = type(value)
    try:
        if hasattr(kind, "__dlpack_device__"):
            return int(value.__dlpack_device__()[0]) in (_CUDA, _CUDA_MANAGED)
        # Numba's own arrays; those of its simulator have nothing else. For all others the class
        # has the property, which raises AttributeError for what lies elsewhere.
        return hasattr(kind, "__cuda_ndarray__") or (
            hasattr(kind, "__cuda_array_interface__") and hasattr(value, "__cuda_array_interface__")
        )
    except Exception:
        return False


def memory(name: str, value: Any) -> Memory:
    """Describe the memory of an operand that lies on a device.

    Raises
    ------
    TypeError
        Where it does not describe its memory (ERR-11), or is of another dtype (ERR-9).
    """
    by_dlpack = hasattr(type(value), "__dlpack_device__")
    way = "DLPack" if by_dlpack else "the CUDA array interface"
    try:
        array = _by_dlpack(value) if by_dlpack else _by_interface(value)
    except Exception as error:
        raise TypeError(
            f"{name} must lend its memory by {way} (ERR-11), got {kind_of(value)}, which raised "
            f"{shown(error)}"
        ) from error
    if array.format not in FORMATS:
        rule = "float16, bfloat16 (by DLPack alone), float32, float64, all little-endian"
        raise TypeError(
            f"{name} must be of dtype {rule} (ERR-9, ERR-11), got {array.format} by {way} of "
            f"{kind_of(value)}"
        )
    return array


def kind_of(value: object) -> str:
    """Name a value's class: to show an array would read it from the device."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


# --- The CUDA array interface ---


def _by_interface(value: Any) -> Memory:
    # The arrays of Numba's simulator have NumPy's interface, which is of the same form.
    on_gpu = hasattr(type(value), "__cuda_array_interface__")
    given = value.__cuda_array_interface__ if on_gpu else value.__array_interface__
    if given.get("mask") is not None:
        raise TypeError("a masked array, which is no plain one")
    typestr, strides = given["typestr"], given.get("strides")
    # Numba's arrays say where they lie.
    context = getattr(getattr(value, "gpu_data", None), "context", None)
    return Memory(
        address=given["data"][0],
        shape=tuple(given["shape"]),
        strides=None if strides is None else tuple(strides),
        format=typestr if typestr[0] == ">" else np.dtype(typestr).name,
        device=None if context is None else context.device.id,
        owner=value,
    )


# --- DLPack ---
#
# The structures of dlpack.h, before its version 1, which is what is given without being asked.


class _Device(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("number", ctypes.c_int32))


class _Type(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("rank", ctypes.c_int32),
        ("type", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    )


def tensor(capsule: object) -> _Tensor:
    """Read what a DLPack capsule holds, which is valid as long as the capsule lives.

    The capsule is not consumed: nobody but its own destructor gives the memory back.
    """
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return _Tensor.from_address(pointer(capsule, b"dltensor"))


def _by_dlpack(value: Any) -> Memory:
    capsule = value.__dlpack__()
    held = tensor(capsule)
    rank, code, bits, lanes = held.rank, held.type.code, held.type.bits, held.type.lanes
    return Memory(
        address=(held.data or 0) + held.offset,
        shape=tuple(held.shape[:rank]),
        strides=tuple(n * bits // 8 for n in held.strides[:rank]) if held.strides else None,
        format=_KINDS.get(code, f"kind {code} of ")
        + f"{bits}"
        + (f"x{lanes}" if lanes > 1 else ""),
        device=held.device.number,
        owner=capsule,
    )
