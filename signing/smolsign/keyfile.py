"""OpenSSH key files. The only module that reads, makes or holds private keys."""

import base64
import binascii
import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smolsign.errors import KeyFileError, KeyFormatError, PassphraseError, UnknownKeyTypeError
from smolsign.keys import ED25519, SK_ED25519, PublicKey
from smolsign.wire import Reader, WireError, string

# Asked at most once for the passphrase of the file it is given.
Passphrase = Callable[[Path], str]

MAX_SIZE = 64 << 10

_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_END = b"-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
# ssh-keygen's own: about 0.2 s for whoever knows the passphrase and for every guess.
_KDF_ROUNDS = 24
_MAKE_ONE = "make one with `ssh-keygen -t ed25519`"


@dataclass(frozen=True)
class PrivateKey:
    """An Ed25519 private key in memory; a Signer. Its repr shows the public half alone, and it
    cannot be pickled."""

    public_key: PublicKey
    _key: Ed25519PrivateKey = field(repr=False, compare=False)

    def sign(self, data: bytes) -> bytes:
        """The SSH signature (RFC 8709, section 6) over `data`."""
        return string(ED25519) + string(self._key.sign(data))


@dataclass(frozen=True)
class _Header:
    """What a private key file tells without its passphrase (PROTOCOL.key)."""

    public_key: PublicKey
    encrypted: bool


def read(path: Path) -> bytes:
    """The content of a key file, public or private.

    Raises KeyFileError for one that cannot be read or is no key file by its size, and, as ssh
    does, for a private key of this user that others may read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
            status = os.fstat(file.fileno())
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_SIZE:
        raise KeyFileError(f"{path}: is not a key file: it has more than {MAX_SIZE} bytes")
    shared = status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    if is_private(content) and shared and status.st_uid == os.getuid():
        raise KeyFileError(
            f"{path}: this private key can be accessed by other users "
            f"(mode {stat.S_IMODE(status.st_mode):04o}); run `chmod 600 {path}`"
        )
    return content


def is_private(content: bytes) -> bool:
    """Whether a key file's content is that of a private key, in whatever format."""
    return b"PRIVATE KEY-----" in content.partition(b"\n")[0]


def load_public_key(path: Path) -> PublicKey:
    """Reads a .pub file: one key, and perhaps comment lines. Raises KeyFileError."""
    return parse_public_key(path, read(path))


def parse_public_key(path: Path, content: bytes) -> PublicKey:
    """The key in the content of a .pub file; `path` is for the KeyFileError."""
    if is_private(content):
        raise KeyFileError(f"{path}: is a private key; give the public one, {path}.pub")
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) != 1:
        raise KeyFileError(f"{path}: is not a key file: {len(lines)} lines where one key should be")
    try:
        return PublicKey.parse(lines[0])
    except KeyFormatError as error:
        raise KeyFileError(f"{path}: {error}; {_MAKE_ONE}") from None


def load_private_key(path: Path, passphrase: Passphrase | None = None) -> PrivateKey:
    """Reads an OpenSSH Ed25519 private key file.

    `passphrase` is called, once, when the file is encrypted. Raises PassphraseError when it is
    None or returns a wrong one, UnknownKeyTypeError for a key of another type, and KeyFileError
    for everything else.
    """
    return parse_private_key(path, read(path), passphrase)


def parse_private_key(path: Path, content: bytes, passphrase: Passphrase | None) -> PrivateKey:
    """The key in the content of a private key file; see load_private_key()."""
    header = _parse_header(path, content)
    secret = _ask(path, passphrase) if header.encrypted else None
    # The causes are left out: only what is said here may be shown.
    try:
        key = serialization.load_ssh_private_key(content, secret)
    except UnsupportedAlgorithm:
        raise KeyFileError(
            f"{path}: its cipher is not supported; run `ssh-keygen -p -Z aes256-ctr -f {path}`, "
            f"or `ssh-add {path}` and give {path}.pub"
        ) from None
    except (ValueError, TypeError, InvalidTag):
        if header.encrypted:
            raise PassphraseError(f"{path}: wrong passphrase, or a damaged file") from None
        raise KeyFileError(f"{path}: is a damaged private key; restore it") from None
    assert isinstance(key, Ed25519PrivateKey)  # the header has said so
    private = PrivateKey(_public_half(key), key)
    if private.public_key != header.public_key:
        raise KeyFileError(f"{path}: is damaged: its private and public halves differ; restore it")
    return private


def generate(path: Path, comment: str = "", passphrase: str | None = None) -> PublicKey:
    """Makes a key: the private half in `path` (mode 0600), the public one in `path`.pub.

    With a passphrase the private half is encrypted. The directory is made (0700) if missing.
    Raises KeyFileError, and leaves nothing behind, when either file exists or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        builder = serialization.PrivateFormat.OpenSSH.encryption_builder()
        encryption = builder.kdf_rounds(_KDF_ROUNDS).build(_as_bytes(path, passphrase))
    try:
        public = PublicKey(_public_half(key).blob, comment)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, encryption
        )
    except (KeyFormatError, ValueError) as error:
        raise KeyFileError(f"{path}: cannot be made: {error}") from None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(f"{path.parent}: cannot be made: {error.strerror}") from None
    with contextlib.ExitStack() as undo:
        for target, content, mode in (
            (path, private, 0o600),
            (Path(f"{path}.pub"), public.line.encode() + b"\n", 0o644),
        ):
            try:
                _create(target, content, mode, undo)
            except FileExistsError:
                raise KeyFileError(
                    f"{target}: exists and is never overwritten; give another name"
                ) from None
            except OSError as error:
                raise KeyFileError(f"{target}: cannot be written: {error.strerror}") from None
        undo.pop_all()
    return public


def _public_half(key: Ed25519PrivateKey) -> PublicKey:
    return PublicKey(string(ED25519) + string(key.public_key().public_bytes_raw()))


def _parse_header(path: Path, content: bytes) -> _Header:
    label = content.partition(b"\n")[0].strip()
    if not is_private(content):
        raise KeyFileError(f"{path}: is not an OpenSSH private key; {_MAKE_ONE}")
    if label != _BEGIN:
        raise KeyFileError(
            f"{path}: is a private key in another format than OpenSSH's; {_MAKE_ONE}"
        )
    try:
        body, end, _ = content.partition(_BEGIN)[2].partition(_END)
        if not end:
            raise WireError("cut short")
        reader = Reader(base64.b64decode(body))
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise WireError("of another version")
        cipher = reader.string()
        reader.string()  # key derivation
        reader.string()  # its options
        if reader.uint32() != 1:
            raise WireError("of several keys")
        public_key = PublicKey(reader.string())
    except (WireError, KeyFormatError, binascii.Error) as error:
        raise KeyFileError(f"{path}: is a damaged private key: {error}; restore it") from None
    if public_key.type == SK_ED25519:
        raise KeyFileError(
            f"{path}: stands for a key in hardware; run `ssh-add {path}` and give {path}.pub"
        )
    if public_key.type != ED25519:
        raise UnknownKeyTypeError(
            f"{path}: is a key of type {public_key.type}, not {ED25519}; {_MAKE_ONE}"
        )
    return _Header(public_key, cipher != b"none")


def _ask(path: Path, passphrase: Passphrase | None) -> bytes:
    given = passphrase(path) if passphrase is not None else ""
    if not given:
        raise PassphraseError(
            f"{path}: is encrypted and no passphrase was given; "
            f"give it, or run `ssh-add {path}` and give {path}.pub"
        )
    return _as_bytes(path, given)


def _as_bytes(path: Path, passphrase: str) -> bytes:
    """What the terminal gave, even where that was no UTF-8."""
    try:
        return passphrase.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it holds the passphrase
        raise PassphraseError(f"{path}: the passphrase is not text; give another") from None


def _create(path: Path, content: bytes, mode: int, undo: contextlib.ExitStack) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        undo.callback(path.unlink)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
