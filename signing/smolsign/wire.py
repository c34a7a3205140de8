"""The encoding of SSH data (RFC 4251, section 5): lengths checked, nothing left over."""

import struct

_UINT32 = struct.Struct(">I")


class WireError(ValueError):
    """The bytes are not what was expected; callers say of what. Never shows the bytes."""


class Reader:
    """Reads values one after the other; every method raises WireError for what is not there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size > len(self._data) - self._at:
            raise WireError("cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def byte(self) -> int:
        """An integer from 0 to 255."""
        return self.take(1)[0]

    def uint32(self) -> int:
        """A big-endian integer."""
        value: int = _UINT32.unpack(self.take(_UINT32.size))[0]
        return value

    def string(self) -> bytes:
        """Bytes behind their length."""
        return self.take(self.uint32())

    def text(self) -> str:
        """A string that is UTF-8 without NUL."""
        try:
            value = self.string().decode()
        except UnicodeDecodeError:
            raise WireError("a text is not UTF-8") from None
        if "\0" in value:
            raise WireError("a text holds NUL")
        return value

    def end(self) -> None:
        """Makes sure that everything was read."""
        if self._at != len(self._data):
            raise WireError("followed by more bytes than belong to it")


def uint32(value: int) -> bytes:
    """An integer from 0 to 2^32-1."""
    return _UINT32.pack(value)


def string(value: bytes | str) -> bytes:
    """Bytes, or text as UTF-8, behind their length."""
    data = value.encode() if isinstance(value, str) else value
    return uint32(len(data)) + data
