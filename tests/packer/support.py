"""What the packer's tests share: a tiny kernel, the command line, readers of images."""

import io
import os
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import smolsign
from smolpack import rootfs
from smolpack.artifact import Artifact, StoredSignature
from smolpack.sources.base import Source
from smolsign import PublicKey
from smolsign.wire import string

PVH_ENTRY = 0x100_0010


def make_vmlinux(
    segments: tuple[tuple[int, bytes, int], ...] = ((0x100_0000, b"\x90" * 5000, 9000),),
    note: bytes | None = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", PVH_ENTRY),
    machine: int = 62,
) -> bytes:
    """An ELF file with (physical address, content, size in memory) segments and one note."""
    headers = []
    body = b""
    count = len(segments) + (note is not None)
    at = 64 + 56 * count
    for address, content, memory_size in segments:
        offset = at + len(body)
        headers.append(
            struct.pack("<IIQQQQQQ", 1, 7, offset, 0, address, len(content), memory_size, 4096)
        )
        body += content
    if note is not None:
        offset = at + len(body)
        headers.append(struct.pack("<IIQQQQQQ", 4, 4, offset, 0, 0, len(note), len(note), 4))
        body += note
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 2, machine, 1, PVH_ENTRY, 64, 0, 0, 64, 56, count, 0, 0, 0
    )
    return header + b"".join(headers) + body


BANNER = b"Linux version 6.12.1-test (someone) #1"


@dataclass(frozen=True)
class Cli:
    """The `smolpack` command, with the stand-in assets."""

    argv: tuple[str, ...]

    def __call__(
        self,
        *arguments: str | Path,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        preexec: Callable[[], None] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self.argv, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            check=False,
            env=None if env is None else {**os.environ, **env},
            preexec_fn=preexec,
            cwd=cwd,
        )


def failure(done: subprocess.CompletedProcess[bytes], status: int = 1) -> str:
    """The one line that a failed command prints; checks that it is one and nothing else."""
    text = done.stderr.decode()
    assert done.returncode == status, text
    assert done.stdout == b""
    assert text.startswith("smolpack: error: ") and text.count("\n") == 1, text
    return text


def image_members(image: Path) -> dict[str, tarfile.TarInfo]:
    """What a squashfs image holds, by path without leading `./` (the root is ``)."""
    done = subprocess.run(
        ["sqfs2tar", "--root-becomes", ".", image], check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return {member.name.removeprefix(".").strip("/"): member for member in archive}


def image_file(image: Path, path: str) -> bytes:
    """A regular file's content."""
    return subprocess.run(
        ["rdsquashfs", "--cat", path, image], check=True, capture_output=True
    ).stdout


def image_attributes(image: Path, path: str) -> dict[str, str]:
    """What rdsquashfs tells about one file."""
    done = subprocess.run(
        ["rdsquashfs", "--stat", path, image], check=True, capture_output=True, text=True
    )
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


def pack_image(source: Source, image: Path, jobs: int | None = None) -> Path:
    """Packs a source into a file of its own."""
    with image.open("w+b") as file:
        rootfs.pack(source, file, lambda size: None, jobs)
    return image


@dataclass(frozen=True)
class FixedSigner:
    """Signs with an Ed25519 key that follows from one number: for tests, and known to all."""

    number: int

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(bytes([self.number]) * 32)

    @property
    def public_key(self) -> PublicKey:
        point = self._key.public_key().public_bytes_raw()
        return PublicKey(string("ssh-ed25519") + string(point))

    def sign(self, data: bytes) -> bytes:
        return string("ssh-ed25519") + string(self._key.sign(data))


def sign_all(
    contents: Artifact, signers: Iterable[FixedSigner], time: int = 1_700_000_000
) -> tuple[StoredSignature, ...]:
    """Signatures by each of them, all of the same time."""
    return tuple(
        StoredSignature(time, smolsign.sign(signer, contents.payload(time), "smolpack"))
        for signer in signers
    )
