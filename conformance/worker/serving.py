"""Answers the requests of the protocol for one name, until goodbye or the end of the input."""

import faulthandler
import functools
import json
import os
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, make_dataclass
from typing import Any, BinaryIO

import numpy as np

from .finding import Seam, check_seam, found, maker
from .host import FUNCTIONS, FURTHER, Call, Host, Reply
from .messages import PROTOCOL, MessageError, Tensors, parse_message, write_message
from .privileges import give_up
from .refusing import refuser

_OPTIONS = ("config", "training", "stride", "dilation", "padding", "group_layout")
# What a request for a call may say beside its options.
_UNDERSTOOD = ("layouts", "forked", "held")
Message = tuple[dict[str, str], dict[str, Any]]


class Server:
    """Answers requests for one name, which is looked for at the first.

    Parameters
    ----------
    name : str
        ``package.module:attribute``.
    noted : list of str
        Where it is noted what was refused.
    """

    def __init__(self, name: str, noted: list[str]) -> None:
        self.name, self._noted = name, noted
        self._host: Host | None = None
        self._answers = {"hello": self._hello, "anew": self._anew, "together": self._together}

    def answer(self, metadata: Mapping[str, str], tensors: Tensors) -> Message:
        """Give the reply to a request."""
        request = metadata.get("request", "")
        if request in FUNCTIONS:
            reply = self.host().call(call_of(metadata, tensors))
            reply.refused, self._noted[:] = list(self._noted), []
            said, results = _dumped(reply)
            return {"reply": "error" if reply.raised else "results"} | said, results
        if request in self._answers:
            return self._answers[request](metadata, tensors)
        return {"reply": "error", "kind": "UnknownRequest", "message": request}, {}

    def host(self, seam: Seam | None = None) -> Host:
        """Find and make what is judged."""
        if self._host is None:
            seam = seam or Seam()
            host = Host(maker(found(self.name), seam), interruptible=False)
            check_seam(host.implementation, seam, self.name)
            self._host = host
        return self._host

    def _hello(self, metadata: Mapping[str, str], _: Tensors) -> Message:
        # Where who asks finds modules, so that a name means the same here as there.
        paths = json.loads(metadata.get("paths", "[]"))
        sys.path += [path for path in paths if path not in sys.path]
        seam = json.loads(metadata.get("seam", "{}"))
        # What a later judge says of its seam is not understood here.
        known = {one.name for one in fields(Seam)}
        host = self.host(Seam(**{name: value for name, value in seam.items() if name in known}))
        said = {"reply": "hello", "protocol": PROTOCOL, "name": self.name}
        functions = [name for name in FUNCTIONS if name not in FURTHER or name in host.offers]
        said["requests"] = json.dumps([*functions, *self._answers, *_UNDERSTOOD])
        said["capabilities"] = json.dumps(host.capabilities, default=_plain)
        if host.environment is not None:
            said["environment"] = host.environment
        return said, {}

    def _anew(self, *_: Any) -> Message:
        self.host().anew()
        return {"reply": "anew"}, {}

    def _together(self, metadata: Mapping[str, str], tensors: Tensors) -> Message:
        calls = []
        for number, one in enumerate(json.loads(metadata["calls"])):
            begin = f"{number}."
            own = {n[len(begin) :]: t for n, t in tensors.items() if n.startswith(begin)}
            calls.append(call_of(one, own))
        return _bundled(self.host().together(calls, int(metadata["rounds"])))


def _plain(value: Any) -> Any:
    """Make of a declaration what JSON has; what it has not is said as it is."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Iterable) else repr(value)


def call_of(metadata: Mapping[str, Any], tensors: Tensors) -> Call:
    """Read the call of a request."""
    options = {name: _tuples(json.loads(metadata[name])) for name in _OPTIONS if name in metadata}
    if "config" in options:
        options["config"] = _configured(metadata["config"])
    layouts = json.loads(metadata.get("layouts", "{}"))
    due = json.loads(metadata.get("due", "[]"))
    again, forked, counted = (metadata.get(n) == "true" for n in ("again", "forked", "held"))
    return Call(
        metadata["request"], tensors, options, layouts, due, again, forked=forked, counted=counted
    )


@functools.lru_cache
def _configured(text: str) -> Any:
    """Give a configuration as `refimpl.layer.Config` has it: frozen, and a key if need be."""
    config = {name: _tuples(value) for name, value in json.loads(text).items()}
    if "refimpl.layer" in sys.modules:
        # It is what is judged, and takes none but its own.
        return sys.modules["refimpl.layer"].Config(**config)
    properties = {
        "taps": property(lambda own: own.kernel_size),
        "strides": property(lambda own: own.stride),
    }
    made = make_dataclass("Config", list(config), frozen=True, namespace=properties)
    return made(**config)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _dumped(reply: Reply) -> Message:
    """Give a reply as metadata and tensors."""
    arrays = {n: one for n, one in reply.results.items() if isinstance(one, np.ndarray)}
    forms = {n: vars(one) for n, one in reply.results.items() if n not in arrays}
    said = {
        name: json.dumps(value)
        for name, value in (
            ("forms", forms), ("modified", reply.modified), ("shared", reply.shared),
            ("overwritten", reply.overwritten), ("left", reply.left), ("refused", reply.refused),
            ("held", reply.held),
        )
        if value
    }  # fmt: skip
    if reply.raised:
        said |= {"kind": reply.raised[0], "message": reply.raised[1]}
    return said, arrays


def _bundled(listed: Sequence[Sequence[Reply]]) -> Message:
    """Give the replies of calls at once as one: those of call 0 in round 1 begin with ``0.1.``."""
    tensors: dict[str, Any] = {}
    said: list[list[dict[str, str]]] = []
    for number, replies in enumerate(listed):
        dumped = [_dumped(reply) for reply in replies]
        said.append([words for words, _ in dumped])
        for turn, (_, arrays) in enumerate(dumped):
            tensors |= {f"{number}.{turn}.{name}": array for name, array in arrays.items()}
    return {"reply": "results", "replies": json.dumps(said)}, tensors


def serve(requests: BinaryIO, replies: BinaryIO, server: Server) -> int:
    """Answer requests until goodbye or the end of the input; give the exit status."""
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
            reply = server.answer(metadata, tensors)
        except MessageError as error:
            reply = _error("Malformed", error)
        except BaseException as error:
            reply = _error(type(error).__name__, error)
        said, results = reply
        write_message(replies, {**said, "process": str(os.getpid())}, results)


def _error(kind: str, error: BaseException) -> Message:
    return {"reply": "error", "kind": kind, "message": str(error)}, {}


def main(arguments: list[str]) -> int:
    """Serve what is named, on the standard streams.

    Returns
    -------
    int
        0 after goodbye, 2 for arguments or an input that cannot be understood.
    """
    if len(arguments) != 1:
        print("usage: __main__.py package.module:attribute", file=sys.stderr)
        return 2
    faulthandler.enable()
    # What is judged reads and prints somewhere else than where requests and replies go.
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # As pytest and the shell have it: what is judged may stand in the current folder.
    sys.path.insert(0, "")
    give_up()
    finder, audit, noted = refuser(arguments[0].partition(":")[0])
    sys.meta_path.insert(0, finder)
    sys.addaudithook(audit)
    return serve(requests, replies, Server(arguments[0], noted))
