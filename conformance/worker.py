"""``python -P worker.py package.module:attribute``: an implementation judged through a pipe.

It reads requests from its standard input and writes replies to its standard output, as
docs/protocol.md specifies. It imports NumPy, safetensors and what it is given, and nothing of the
judge: no oracle, no bound and no expected value is in this process. What is judged prints to
standard error.
"""

import faulthandler
import importlib
import importlib.abc
import json
import os
import struct
import sys
from collections.abc import Mapping
from types import SimpleNamespace
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
# What holds the truth, and what judges by it.
REFUSED = ("refimpl.involution", "refimpl.layer", "refimpl._", "conformance.")
ALLOWED = ("conformance.adapt", "conformance.implementations", "conformance.mutants")


class MessageError(Exception):
    """Bytes that are no message."""


def write_message(to: BinaryIO, metadata: Mapping[str, str], tensors: Mapping[str, Any]) -> None:
    """Write one message: its length in eight bytes, little-endian, and a safetensors blob."""
    plain = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    blob = save(plain, metadata=dict(metadata))
    to.write(struct.pack("<Q", len(blob)) + blob)
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
        tensors = {
            name: np.frombuffer(bytearray(one["data"]), DTYPES[one["dtype"]]).reshape(one["shape"])
            for name, one in listed
        }
    except KeyError as error:
        raise MessageError(
            f"a tensor has the dtype {error}; there are {', '.join(DTYPES)}"
        ) from error
    except Exception as error:
        raise MessageError(f"no safetensors blob: {error}") from error
    return metadata, tensors


class _Refuser(importlib.abc.MetaPathFinder):
    """Refuses to import the oracle and the judge, unless they are what is judged."""

    def __init__(self, judged: str) -> None:
        self.judged = judged

    def find_spec(self, name: str, *_: Any) -> None:
        allowed = name.startswith(ALLOWED) or f"{self.judged}.".startswith(f"{name}.")
        if name.startswith(REFUSED) and not allowed and not self.judged.startswith("refimpl."):
            raise ImportError(f"{name} holds the truth: what is judged may not import it")


def found(name: str) -> Any:
    """Import what is to be judged; make it, where it is a class or a factory."""
    module, _, attribute = name.partition(":")
    one: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        one = getattr(one, part)
    complete = all(callable(getattr(one, function, None)) for function in ("forward", "backward"))
    return one() if isinstance(one, type) or not complete else one


def answer(
    implementation: Any, name: str, metadata: Mapping[str, str], tensors: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Give the reply to a request."""
    request = metadata.get("request", "")
    if request == "hello":
        capabilities = getattr(implementation, "capabilities", None) or {}
        said = {"environment": str(getattr(implementation, "environment", ""))}
        said |= {"name": name, "capabilities": json.dumps(dict(capabilities))}
        return {"reply": "hello", "protocol": PROTOCOL} | said, {}
    function = request.removeprefix("layer-")
    if function not in {"forward", "backward"}:
        return {"reply": "error", "kind": "UnknownRequest", "message": request}, {}
    if request == function:
        results = _operator(implementation, function, metadata, tensors)
    else:
        results = _layer(implementation, function, metadata, tensors)
    arrays = {name: np.asarray(array) for name, array in results.items()}
    for result, array in arrays.items():
        if array.dtype not in DTYPES.values():
            raise TypeError(f"{result} has dtype {array.dtype}, which the protocol has not")
    return {"reply": "results"}, arrays


def _operator(
    implementation: Any, function: str, metadata: Mapping[str, str], tensors: Mapping[str, Any]
) -> dict[str, Any]:
    options = {
        name: _tuples(json.loads(text)) for name, text in metadata.items() if name in OPTIONS
    }
    x, kernel = tensors["x"], tensors["kernel"]
    if function == "forward":
        return {"y": implementation.forward(x, kernel, **options)}
    dx, dkernel = implementation.backward(tensors["dy"], x, kernel, **options)
    return {"dx": dx, "dkernel": dkernel}


OPTIONS = ("stride", "dilation", "padding", "group_layout")


def _layer(
    implementation: Any, function: str, metadata: Mapping[str, str], tensors: Mapping[str, Any]
) -> dict[str, Any]:
    config = SimpleNamespace(**{n: _tuples(v) for n, v in json.loads(metadata["config"]).items()})
    # As `refimpl.layer.Config` has them.
    config.taps, config.strides = config.kernel_size, config.stride
    training = json.loads(metadata["training"])
    parameters = {name: one for name, one in tensors.items() if name not in {"x", "dy"}}
    x = tensors["x"]
    if function == "forward":
        y, kernel, moving = implementation.forward(x, parameters, config, training=training)
        return {"y": y, **({} if kernel is None else {"kernel": kernel}), **moving}
    dx, gradients = implementation.backward(tensors["dy"], x, parameters, config, training=training)
    return {"dx": dx, **{f"d{name}": one for name, one in gradients.items()}}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def serve(requests: BinaryIO, replies: BinaryIO, name: str) -> int:
    """Answer requests until goodbye or the end of the input; give the exit status."""
    implementation: Any = None
    while True:
        head = requests.read(8)
        if not head:
            return 0
        size = struct.unpack("<Q", head)[0] if len(head) == 8 else -1
        blob = requests.read(size) if size >= 0 else b""
        if len(blob) != size:
            print("the input ends within a message", file=sys.stderr)
            return 2
        try:
            metadata, tensors = parse_message(blob)
            if metadata.get("request") == "goodbye":
                write_message(replies, {"reply": "goodbye"}, {})
                return 0
            implementation = implementation or found(name)
            reply = answer(implementation, name, metadata, tensors)
        except MessageError as error:
            reply = {"reply": "error", "kind": "Malformed", "message": str(error)}, {}
        except (Exception, SystemExit) as error:
            said = {"kind": type(error).__name__, "message": str(error)}
            reply = {"reply": "error"} | said, {}
        write_message(replies, *reply)


def main(arguments: list[str]) -> int:
    """Serve what is named, on the standard streams."""
    if len(arguments) != 1:
        print("usage: python -P worker.py package.module:attribute", file=sys.stderr)
        return 2
    faulthandler.enable()
    # What is judged prints somewhere else than where the replies go.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.path.insert(0, "")
    sys.meta_path.insert(0, _Refuser(arguments[0].partition(":")[0]))
    return serve(sys.stdin.buffer, replies, arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
