"""The wire between `run` and the agent in the host: frames over one virtio-serial port.

A frame is one byte of kind, four bytes of payload length (little endian), and the payload. One
stream for everything keeps the order: when EXIT arrives, all output has arrived before it.
"""

import json
import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

_HEADER = struct.Struct("<BI")
CHUNK = 64 * 1024


class Kind(IntEnum):
    """What a frame means; H: sent to the host's agent, R: sent to `run`."""

    READY = 1  # R: booted, waiting for a REQUEST
    REQUEST = 2  # H: JSON of a Request, once
    STDIN = 3  # H: a piece of the command's standard input; empty: end of file
    STDOUT = 4  # R
    STDERR = 5  # R
    FETCH = 6  # R: a piece of the tar of the next fetched path; empty: that path is done
    EXIT = 7  # R: the command's exit status, one byte; nothing follows
    FAILED = 8  # R: why the command could not be started by the host; nothing follows


class Request(NamedTuple):
    """One command to run; `fetch` names paths in the host whose tars are sent after it ends."""

    argv: list[str]
    user: str
    stdin: bool
    files: bool
    fetch: list[str]

    def encode(self) -> bytes:
        """The JSON that `decode` reads; undecodable bytes in arguments survive."""
        return json.dumps(self._asdict()).encode()

    @staticmethod
    def decode(data: bytes) -> "Request":
        """The request that `encode` wrote."""
        return Request(**json.loads(data))


def encode(kind: Kind, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return _HEADER.pack(kind, len(payload)) + payload


class Decoder:
    """Collects received bytes and hands out the frames that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Add received bytes; yields every frame that they complete."""
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._buffer)
            end = _HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield Kind(kind), payload


def write_all(fd: int, data: bytes) -> None:
    """Write every byte to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
