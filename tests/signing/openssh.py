"""The real OpenSSH programs, and the pieces of keys and signatures that they do not make."""

import contextlib
import hashlib
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smolsign import PublicKey, armor
from smolsign.wire import string, uint32


def run(
    *argv: str | bytes | Path,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    ok: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program without its user's configuration and terminal."""
    done = subprocess.run(
        argv, input=stdin, env={"PATH": "/usr/bin:/bin", **(env or {})}, capture_output=True
    )
    assert not ok or done.returncode == 0, done.stdout + done.stderr
    return done


def make_key(path: Path, *options: str, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A key pair made by ssh-keygen; returns the private half's path."""
    run("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "a b@c", "-f", path, *options)
    return path


def sign(key: Path, message: bytes, namespace: str, *options: str) -> bytes:
    """An armored signature by ssh-keygen."""
    return run(
        "ssh-keygen", "-Y", "sign", "-f", key, "-n", namespace, *options, stdin=message
    ).stdout


def is_signature(blob: bytes, message: bytes, namespace: str, directory: Path) -> bool:
    """Whether ssh-keygen finds the signature good, whoever made it."""
    (directory / "sig").write_text(armor(blob))
    argv = ("ssh-keygen", "-Y", "check-novalidate", "-n", namespace, "-s", directory / "sig")
    return run(*argv, stdin=message, ok=False).returncode == 0


@dataclass(frozen=True)
class Judge:
    """What ssh-keygen makes of a signature and an allowed_signers file."""

    signature: Path
    allowed_signers: Path
    message: bytes
    zone: str = "UTC"

    def verify(self, principal: str, namespace: str, *options: str) -> bool:
        """ssh-keygen -Y verify."""
        argv = ("ssh-keygen", "-Y", "verify", "-I", principal, "-n", namespace, *options)
        files = ("-f", self.allowed_signers, "-s", self.signature)
        env = {"TZ": self.zone}
        return run(*argv, *files, stdin=self.message, env=env, ok=False).returncode == 0

    def principals(self, *options: str) -> list[str] | None:
        """ssh-keygen -Y find-principals; None when it finds a line wrong."""
        files = ("-f", self.allowed_signers, "-s", self.signature)
        env = {"TZ": self.zone}
        done = run("ssh-keygen", "-Y", "find-principals", *files, *options, env=env, ok=False)
        if re.search(rb":\d+: (invalid|missing|bad) ", done.stderr):
            return None
        return done.stdout.decode("utf-8", "surrogateescape").splitlines()


@contextlib.contextmanager
def agent(socket_path: Path) -> Iterator[dict[str, str]]:
    """A real ssh-agent on a socket of its own; gives the environment that leads to it."""
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", socket_path],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()  # said once it listens
        yield {"SSH_AUTH_SOCK": str(socket_path)}
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@dataclass(frozen=True)
class HardwareKey:
    """A security key, played by software as PROTOCOL.u2f says; a Signer."""

    key: Ed25519PrivateKey
    application: str = "ssh:"
    flags: int = 1
    counter: int = 7

    @property
    def public_key(self) -> PublicKey:
        """What the device tells when it makes a key."""
        point = self.key.public_key().public_bytes_raw()
        return PublicKey(
            string("sk-ssh-ed25519@openssh.com") + string(point) + string(self.application)
        )

    def sign(self, data: bytes) -> bytes:
        """Touched or not, as `flags` says."""
        state = bytes([self.flags]) + uint32(self.counter)
        application = hashlib.sha256(self.application.encode()).digest()
        raw = self.key.sign(application + state + hashlib.sha256(data).digest())
        return string("sk-ssh-ed25519@openssh.com") + string(raw) + state


@contextlib.contextmanager
def played_agent(
    socket_path: Path, answer: Callable[[bytes], bytes | Iterator[bytes] | None]
) -> Iterator[None]:
    """Something on a socket that answers each request as told, framing included, at once or
    piece by piece; with None it keeps silent until the client hangs up."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
                    reply = answer(connection.recv(size, socket.MSG_WAITALL))
                    if reply is None:
                        connection.recv(1)
                    else:
                        for piece in [reply] if isinstance(reply, bytes) else reply:
                            connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
