"""OpenSSH signatures of messages (PROTOCOL.sshsig), binary and armored.

Reading is strict: of all bytes that could mean the same signature only one form is accepted.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Self

from smolsign.errors import KeyFormatError, SignatureError
from smolsign.keys import PublicKey
from smolsign.signer import Signer
from smolsign.wire import Reader, WireError, string, uint32

MAX_SIZE = 64 << 10

_MAGIC = b"SSHSIG"
_VERSION = 1
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_LINE = 70  # as ssh-keygen breaks them
_MADE_WITH = "sha512"
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


@dataclass(frozen=True)
class Signature:
    """What a signature says of itself; nothing of it is true before verify() has returned."""

    public_key: PublicKey
    namespace: str
    hash_algorithm: str
    signature: bytes

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """Reads the binary form; raises SignatureError."""
        if len(blob) > MAX_SIZE:
            raise SignatureError(f"malformed signature: it has more than {MAX_SIZE} bytes")
        reader = Reader(blob)
        try:
            if reader.take(len(_MAGIC)) != _MAGIC:
                raise WireError("it does not start with SSHSIG")
            if (version := reader.uint32()) != _VERSION:
                raise WireError(f"its version is {version}, not {_VERSION}")
            public_key = PublicKey(reader.string())
            namespace = reader.text()
            if not namespace:
                raise WireError("its namespace is empty")
            if reader.string():
                raise WireError("its reserved field is not empty")
            hash_algorithm = reader.text()
            if hash_algorithm not in _HASHES:
                raise WireError(f"its hash is neither of {', '.join(_HASHES)}")
            signature = reader.string()
            reader.end()
        except (WireError, KeyFormatError) as error:
            raise SignatureError(f"malformed signature: {error}") from None
        return cls(public_key, namespace, hash_algorithm, signature)

    def to_bytes(self) -> bytes:
        """The binary form; the inverse of from_bytes()."""
        return (
            _MAGIC
            + uint32(_VERSION)
            + string(self.public_key.blob)
            + string(self.namespace)
            + string(b"")
            + string(self.hash_algorithm)
            + string(self.signature)
        )

    def verify(self, message: bytes, namespace: str) -> PublicKey:
        """The key that signed `message` for `namespace`; whether that key is trusted is another
        question. Raises UnknownKeyTypeError for a key that cannot be verified here, else
        SignatureError."""
        self.public_key.check_type()
        if self.namespace != namespace:
            raise SignatureError(
                f"the signature is for namespace {self.namespace!r}, not {namespace!r}"
            )
        signed = _signed_data(message, self.namespace, self.hash_algorithm)
        self.public_key.verify(self.signature, signed)
        return self.public_key


def sign(signer: Signer, message: bytes, namespace: str) -> bytes:
    """A signature over `message` in its binary form, hashed with SHA-512.

    With an ssh-ed25519 key the same arguments give the same bytes. Raises what the signer
    raises, and ValueError for a namespace that is empty or has a NUL.
    """
    if not namespace or "\0" in namespace:
        raise ValueError("a namespace is not empty and has no NUL")
    signature = signer.sign(_signed_data(message, namespace, _MADE_WITH))
    return Signature(signer.public_key, namespace, _MADE_WITH, signature).to_bytes()


def verify(blob: bytes, message: bytes, namespace: str) -> PublicKey:
    """Signature.from_bytes(blob).verify(message, namespace)."""
    return Signature.from_bytes(blob).verify(message, namespace)


def armor(blob: bytes) -> str:
    """The text form, byte for byte as ssh-keygen writes it."""
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def dearmor(text: bytes | str) -> bytes:
    """The inverse of armor(); lines may have any length and end in CRLF. Raises SignatureError."""
    try:
        decoded = text if isinstance(text, str) else text.decode("ascii")
        lines = decoded.replace("\r\n", "\n").removesuffix("\n").split("\n")
        if len(decoded) > 2 * MAX_SIZE or lines[:1] != [_BEGIN] or lines[-1:] != [_END]:
            raise ValueError
        content = "".join(lines[1:-1])
        blob = base64.b64decode(content, validate=True)
        if base64.b64encode(blob).decode() != content:
            raise ValueError
    except (ValueError, binascii.Error):
        raise SignatureError(f"malformed signature: expected Base64 behind {_BEGIN}") from None
    return blob


def _signed_data(message: bytes, namespace: str, hash_algorithm: str) -> bytes:
    digest = _HASHES[hash_algorithm](message).digest()
    return _MAGIC + string(namespace) + string(b"") + string(hash_algorithm) + string(digest)
