"""One command in a booted machine, seen from outside: its streams, fetched paths, exit status."""

import os
import selectors
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kvmhost.errors import HostError
from kvmhost.frames import CHUNK, Kind, Request, encode, write_all
from kvmhost.machine import Machine


@dataclass(frozen=True)
class Fetch:
    """A path in the host, and where its copy goes when the command has ended."""

    source: str
    target: Path

    def unpack(self, tar: IO[bytes]) -> None:
        """Make the copy from the tar that the agent sent: complete, or not at all."""
        if tar.tell() == 0:
            raise HostError(f"cannot fetch {self.source}: the command left nothing there")
        tar.seek(0)
        try:
            with tempfile.TemporaryDirectory(dir=self.target.absolute().parent) as scratch:
                subprocess.run(
                    ["tar", "--extract", "--no-same-owner", "-C", scratch], stdin=tar, check=True
                )
                (entry,) = Path(scratch).iterdir()
                entry.rename(self.target)
        except (OSError, subprocess.CalledProcessError) as error:
            raise HostError(f"cannot fetch {self.source}: {error}") from error


class Session:
    """Relays between the machine's agent and this process's own streams."""

    def __init__(self, machine: Machine, stdin: int | None, fetches: list[Fetch]) -> None:
        self.machine = machine
        self.stdin = stdin
        self.fetches = fetches
        self.outgoing = bytearray()
        self.status: int | None = None
        self.tars = ExitStack()
        self.received: list[IO[bytes]] = []
        self.selector = selectors.PollSelector()  # unlike epoll, it takes regular files

    def run(self, request: Request) -> int:
        """Have the command run to its end; returns its exit status. Raises HostError."""
        port = self.machine.port
        port.setblocking(False)
        self.selector.register(port, selectors.EVENT_READ)
        self.send(encode(Kind.REQUEST, request.encode()))
        with self.tars:
            self.next_tar()
            while self.status is None:
                for key, events in self.selector.select():
                    if key.fd == self.stdin:
                        self.read_stdin()
                    elif events & selectors.EVENT_WRITE:
                        self.send()
                    else:
                        self.receive()
            # One more was begun than was fetched.
            for fetch, tar in zip(self.fetches, self.received, strict=False):
                try:
                    fetch.unpack(tar)
                except HostError as error:
                    if self.status == 0:
                        raise
                    print(f"kvmhost: {error}", file=sys.stderr)
        return self.status

    def send(self, data: bytes = b"") -> None:
        """Send as much as the agent takes; standard input is read only when nothing is left."""
        self.outgoing += data
        try:
            del self.outgoing[: self.machine.port.send(self.outgoing)]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.outgoing.clear()  # receive() tells why
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outgoing else 0)
        self.selector.modify(self.machine.port, wanted)
        if self.stdin is None:
            return
        if self.outgoing and self.stdin in self.selector.get_map():
            self.selector.unregister(self.stdin)
        elif not self.outgoing and self.stdin not in self.selector.get_map():
            self.selector.register(self.stdin, selectors.EVENT_READ)

    def read_stdin(self) -> None:
        """Pass on one piece of standard input, or its end."""
        assert self.stdin is not None
        data = os.read(self.stdin, CHUNK)
        if not data:
            self.selector.unregister(self.stdin)
            self.stdin = None
        self.send(encode(Kind.STDIN, data))

    def receive(self) -> None:
        """Act on what the agent sent."""
        try:
            data = self.machine.port.recv(CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            raise HostError(
                "the test host stopped while the command ran (kernel panic, or shut down by it);"
                f" its console said:\n{self.machine.console()}"
            )
        for kind, payload in self.machine.decoder.feed(data):
            if kind is Kind.STDOUT:
                write_all(1, payload)
            elif kind is Kind.STDERR:
                write_all(2, payload)
            elif kind is Kind.FETCH and payload:
                self.received[-1].write(payload)
            elif kind is Kind.FETCH:
                self.next_tar()
            elif kind is Kind.FAILED:
                raise HostError(payload.decode())
            elif kind is Kind.EXIT:
                self.status = payload[0]

    def next_tar(self) -> None:
        """Begin the tar of the next fetched path."""
        tar = tempfile.TemporaryFile()  # noqa: SIM115  (closed with self.tars)
        self.received.append(self.tars.enter_context(tar))
