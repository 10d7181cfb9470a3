"""Messages of the protocol: a length, and a safetensors blob."""

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import save

PROTOCOL = "1"
DTYPES = {
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
Tensors = Mapping[str, Any]


class MessageError(Exception):
    """Bytes that are no message."""


def dump_message(metadata: Mapping[str, str], tensors: Tensors) -> bytes:
    """Give the blob of a message, which its length goes before."""
    plain = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return save(plain, metadata=dict(metadata))


def write_message(to: BinaryIO, metadata: Mapping[str, str], tensors: Tensors) -> None:
    """Write one message: its length in eight bytes, little-endian, and a safetensors blob."""
    blob = dump_message(metadata, tensors)
    to.write(struct.pack("<Q", len(blob)))
    to.write(blob)
    to.flush()


def parse_message(blob: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """Read the metadata and the tensors of a safetensors blob.

    Raises
    ------
    MessageError
        Saying what is wrong with it.
    """
    try:
        listed = safetensors.deserialize(blob)  # type: ignore[no-untyped-call]
        header = json.loads(blob[8 : 8 + struct.unpack("<Q", blob[:8])[0]])
        metadata = {
            str(name): str(text) for name, text in (header.get("__metadata__") or {}).items()
        }
        # In the order of the header, which is the same for the same names; the library lists them
        # in another one each time, and parameters would be another mapping in each call.
        found = dict(listed)
        tensors = {
            name: np.frombuffer(found[name]["data"], DTYPES[found[name]["dtype"]]).reshape(
                found[name]["shape"]
            )
            for name in header
            if name in found
        }
    except KeyError as error:
        raise MessageError(
            f"a tensor has the dtype {error}; there are {', '.join(DTYPES)}"
        ) from error
    except Exception as error:
        raise MessageError(f"no safetensors blob: {error}") from error
    return metadata, tensors
