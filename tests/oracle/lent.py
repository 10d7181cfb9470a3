"""Arrays on a CUDA device, lent as other libraries lend theirs: by DLPack, and by the interface.

The device is Numba's: a GPU, or the simulator's process. What is written here of DLPack is written
from its header, not from the oracle's reading of it.
"""

import ctypes
from typing import Any

import numpy as np
from numba import cuda


def given(array: np.ndarray) -> Any:
    """The array on Numba's device; of a bfloat16, by DLPack, since Numba has none."""
    if array.dtype.name == "bfloat16":
        return ByDlpack(array)
    return cuda.to_device(np.ascontiguousarray(array))


def back(result: Any) -> np.ndarray:
    """What came, on the host."""
    return result.copy_to_host()


def _interface(array: Any) -> dict[str, Any]:
    """The description of Numba's own array, which has another name in the simulator."""
    name = "__cuda_array_interface__"
    return getattr(array, name if hasattr(type(array), name) else "__array_interface__")


class ByInterface:
    """An array that has the CUDA array interface and nothing else, of any view of a host array."""

    def __init__(self, array: np.ndarray, **changed: Any) -> None:
        whole, offset = _span(array)
        self._held = cuda.to_device(whole)
        address = _interface(self._held)["data"][0] + offset
        self._described = {
            "shape": array.shape,
            "strides": array.strides,
            "typestr": array.dtype.str,
            "data": (address, True),
            "version": 3,
            **changed,
        }

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._described


def _span(array: np.ndarray) -> tuple[np.ndarray, int]:
    """All bytes between the first and the last one of a view, and where its first element is."""
    low, high = np.lib.array_utils.byte_bounds(array)
    reach = (ctypes.c_ubyte * (high - low)).from_address(low)
    return np.frombuffer(reach, np.uint8).copy(), array.__array_interface__["data"][0] - low


class _Held(ctypes.Structure):
    """DLManagedTensor of dlpack.h, version 0.8, flat."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class ByDlpack:
    """An array that lends its memory by DLPack alone, of any view of a host array."""

    def __init__(self, array: np.ndarray, device: int = 0, **changed: Any) -> None:
        whole, offset = _span(array)
        self._array = cuda.to_device(whole)
        self._device = device
        self._lengths = (ctypes.c_int64 * array.ndim)(*array.shape)
        steps = [stride // array.itemsize for stride in array.strides]
        self._steps = (ctypes.c_int64 * array.ndim)(*steps)
        codes = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6, "V": 4}
        fields = {
            "data": _interface(self._array)["data"][0],
            "device_type": 2,
            "device_id": device,
            "ndim": array.ndim,
            "code": codes[array.dtype.kind],
            "bits": 8 * array.itemsize,
            "lanes": 1,
            "shape": self._lengths,
            "strides": self._steps,
            "byte_offset": offset,
        }
        self._tensor = _Held(**fields | changed)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._tensor.device_type, self._device

    def __dlpack__(self, *, stream: int | None = None) -> object:
        assert stream is None
        make = ctypes.pythonapi.PyCapsule_New
        make.restype = ctypes.py_object
        make.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return make(ctypes.addressof(self._tensor), b"dltensor", None)
