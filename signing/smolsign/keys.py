"""OpenSSH public keys: their text and wire forms, fingerprints, and what they verify."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from smolsign.errors import KeyFormatError, SignatureError, UnknownKeyTypeError
from smolsign.wire import Reader, WireError

ED25519 = "ssh-ed25519"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
KEY_TYPES = (ED25519, SK_ED25519)

_POINT_SIZE = 32
_SIGNATURE_SIZE = 64
# In front of what a hardware key signs (PROTOCOL.u2f): a byte of flags, a 32-bit counter.
_FLAGS_AND_COUNTER = 5

# RFC 4251, section 6: printable ASCII, no comma, at most 64 characters.
_TYPE_NAME = re.compile(r"(?!.*,)[!-~]{1,64}")


@dataclass(frozen=True)
class PublicKey:
    """A public key: `blob` is its wire form (RFC 4253, section 6.6).

    Two keys are equal when their blobs are; the comment does not count. Keys of types other
    than KEY_TYPES can be held, compared and shown, but verify nothing. The constructor raises
    KeyFormatError for a malformed blob or a comment of several lines.
    """

    blob: bytes
    comment: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if any(character in self.comment for character in "\0\r\n"):
            raise KeyFormatError("the comment of a public key is one line")
        reader = Reader(self.blob)
        try:
            name = reader.text()
            if not _TYPE_NAME.fullmatch(name):
                raise WireError("its type is not a name")
            if name in KEY_TYPES:
                if len(reader.string()) != _POINT_SIZE:
                    raise WireError(f"an Ed25519 key has {_POINT_SIZE} bytes")
                if name == SK_ED25519:
                    reader.text()
                reader.end()
        except WireError as error:
            raise KeyFormatError(f"not a public key: {error}") from None

    @classmethod
    def parse(cls, line: str) -> Self:
        """Reads `TYPE BASE64 [COMMENT]`, as .pub files have it; raises KeyFormatError."""
        words = line.split(maxsplit=2)
        if len(words) < 2:
            raise KeyFormatError("not a public key: expected `ssh-ed25519 AAAA… [COMMENT]`")
        name, text = words[:2]
        try:
            blob = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise KeyFormatError("not a public key: its second word is not Base64") from None
        if base64.b64encode(blob).decode() != text:
            raise KeyFormatError("not a public key: its Base64 is not canonical")
        key = cls(blob, words[2].strip() if len(words) > 2 else "")
        if key.type != name:
            raise KeyFormatError(
                f"not a public key: its text says {name!r:.80}, its bytes {key.type!r}"
            )
        return key

    @cached_property
    def type(self) -> str:
        """The name of its type, like `ssh-ed25519`."""
        return Reader(self.blob).text()

    @cached_property
    def fingerprint(self) -> str:
        """`SHA256:` and Base64 without padding, as ssh-keygen -l prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")

    @property
    def line(self) -> str:
        """The text form, without line end; the inverse of parse()."""
        text = f"{self.type} {base64.b64encode(self.blob).decode()}"
        return f"{text} {self.comment}" if self.comment else text

    def check_type(self) -> None:
        """Raises UnknownKeyTypeError unless the type is one of KEY_TYPES."""
        if self.type not in KEY_TYPES:
            raise UnknownKeyTypeError(
                f"{self.type} keys neither sign nor verify here; use one of {', '.join(KEY_TYPES)}"
            )

    def verify(self, signature: bytes, data: bytes) -> None:
        """Checks an SSH signature (RFC 8709, section 6; PROTOCOL.u2f) over `data`.

        As in `ssh-keygen -Y verify`, a hardware key need not have been touched. Raises
        UnknownKeyTypeError or SignatureError.
        """
        self.check_type()
        key = Reader(self.blob)
        key.string()
        point = key.string()
        reader = Reader(signature)
        try:
            if reader.text() != self.type:
                raise WireError("of another type than its key")
            raw = reader.string()
            if len(raw) != _SIGNATURE_SIZE:
                raise WireError(f"an Ed25519 signature has {_SIGNATURE_SIZE} bytes")
            if self.type == SK_ED25519:
                application = hashlib.sha256(key.string()).digest()
                data = application + reader.take(_FLAGS_AND_COUNTER) + hashlib.sha256(data).digest()
            reader.end()
        except WireError as error:
            raise SignatureError(f"malformed signature: {error}") from None
        try:
            Ed25519PublicKey.from_public_bytes(point).verify(raw, data)
        except (InvalidSignature, ValueError):
            raise SignatureError(
                f"bad signature: what was signed with {self.fingerprint} is something else"
            ) from None
