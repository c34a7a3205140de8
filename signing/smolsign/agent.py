"""A client of ssh-agent (RFC 9987), which is not trusted: answers are bounded and checked."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from smolsign.errors import AgentError, KeyFormatError, SignatureError
from smolsign.keys import PublicKey
from smolsign.wire import Reader, WireError, string, uint32

# Longest message either way, in bytes; OpenSSH's limit too.
MAX_MESSAGE = 256 << 10

_FAILURE = 5
_REQUEST_IDENTITIES = 11
_IDENTITIES_ANSWER = 12
_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14


@dataclass(frozen=True)
class Agent:
    """An ssh-agent behind its socket; each request is a connection of its own.

    `timeout` bounds a whole exchange, in seconds; `sign_timeout` that of a signature, for which
    a person may have to touch a hardware key or confirm.
    """

    socket: Path
    timeout: float = 10
    sign_timeout: float = 120

    @classmethod
    def from_environment(cls) -> Self:
        """The agent at SSH_AUTH_SOCK; raises AgentError when that is not set."""
        path = os.environ.get("SSH_AUTH_SOCK")
        if not path:
            raise AgentError(
                "no ssh-agent: SSH_AUTH_SOCK is not set; run `eval $(ssh-agent)` and `ssh-add`"
            )
        return cls(Path(path))

    def identities(self) -> tuple[PublicKey, ...]:
        """The keys that it holds; raises AgentError."""
        answer = self._exchange(bytes([_REQUEST_IDENTITIES]), self.timeout)
        reader = Reader(answer)
        try:
            if reader.byte() != _IDENTITIES_ANSWER:
                raise AgentError(f"{self.socket}: ssh-agent does not tell its keys; is it locked?")
            keys = []
            for _ in range(reader.uint32()):
                blob = reader.string()
                comment = reader.string().decode("utf-8", "replace")
                keys.append(PublicKey(blob, "".join(c for c in comment if c.isprintable())))
            reader.end()
        except (WireError, KeyFormatError) as error:
            raise AgentError(f"{self.socket}: nonsense from ssh-agent: {error}") from None
        return tuple(keys)

    def sign(self, key: PublicKey, data: bytes) -> bytes:
        """The signature of `data` by one of its keys, verified. A hardware key may have to be
        touched meanwhile. Raises AgentError, or UnknownKeyTypeError."""
        key.check_type()
        flags = uint32(0)
        request = bytes([_SIGN_REQUEST]) + string(key.blob) + string(data) + flags
        reader = Reader(self._exchange(request, self.sign_timeout))
        try:
            kind = reader.byte()
            if kind == _FAILURE:
                raise AgentError(
                    f"ssh-agent refused to sign with {key.fingerprint}: "
                    f"the key is not there, or was not confirmed or touched; see `ssh-add -l`"
                )
            if kind != _SIGN_RESPONSE:
                raise WireError(f"message {kind} instead of a signature")
            signature = reader.string()
            reader.end()
            key.verify(signature, data)
        except (WireError, SignatureError) as error:
            raise AgentError(f"{self.socket}: nonsense from ssh-agent: {error}") from None
        return signature

    def _exchange(self, request: bytes, timeout: float) -> bytes:
        if len(request) > MAX_MESSAGE:
            raise AgentError(f"ssh-agent signs at most {MAX_MESSAGE} bytes")
        deadline = time.monotonic() + timeout
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout)
                connection.connect(str(self.socket))
                connection.sendall(string(request))
                size = Reader(_receive(connection, 4, deadline)).uint32()
                if not 0 < size <= MAX_MESSAGE:
                    raise AgentError(f"{self.socket}: nonsense from ssh-agent: {size} bytes")
                return _receive(connection, size, deadline)
        except TimeoutError:
            raise AgentError(f"{self.socket}: no answer from ssh-agent in {timeout:g} s") from None
        except OSError as error:
            raise AgentError(
                f"{self.socket}: no ssh-agent: {error.strerror or error}; see SSH_AUTH_SOCK"
            ) from None


@dataclass(frozen=True)
class AgentSigner:
    """A key whose private half an agent keeps; a Signer."""

    agent: Agent
    public_key: PublicKey

    def sign(self, data: bytes) -> bytes:
        """As Agent.sign()."""
        return self.agent.sign(self.public_key, data)


def _receive(connection: socket.socket, size: int, deadline: float) -> bytes:
    """Exactly `size` bytes. The deadline counts for all of them, so that drops do not add up."""
    data = bytearray()
    while len(data) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("it hung up")
        data += piece
    return bytes(data)
