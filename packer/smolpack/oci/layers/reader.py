"""Exact reads from a layer's stream."""

from collections.abc import Callable, Iterator

from smolpack.errors import ImageError
from smolpack.oci.base import Readable
from smolpack.sources.base import CHUNK


class Reader:
    """Reads exactly what is asked for; `took` is told of every byte that comes in."""

    def __init__(self, stream: Readable, layer: str, took: Callable[[int], object]) -> None:
        self._stream = stream
        self._layer = layer
        self._took = took
        self._buffer = b""
        self._at = 0
        self._before = 0

    @property
    def offset(self) -> int:
        """Bytes handed out so far."""
        return self._before + self._at

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._buffer) and not self._fill(CHUNK)

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, for small sizes; raises ImageError at a premature end."""
        end = self._at + size
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            return data
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Exactly `size` bytes in pieces; raises ImageError at a premature end."""
        while size:
            # Large content is read as it is; what follows small content comes in with it.
            if self._at == len(self._buffer) and not self._fill(CHUNK):
                raise ImageError(
                    f"{self._layer}: truncated: its tar archive ends at byte {self.offset}, "
                    "inside a member"
                )
            data = self._buffer
            if self._at or len(data) > size:
                data = data[self._at : self._at + size]
            self._at += len(data)
            size -= len(data)
            yield data

    def skip(self, size: int) -> None:
        """Passes over `size` bytes; raises ImageError at a premature end."""
        end = self._at + size
        if end <= len(self._buffer):
            self._at = end
            return
        for _ in self.pieces(size):
            pass

    def pass_over(self, size: int) -> None:
        """Passes over `size` bytes, or as many as there are."""
        while size and not self.at_end():
            passed = min(size, len(self._buffer) - self._at)
            self._at += passed
            size -= passed

    def drain(self) -> None:
        """Reads to the end, so that whoever made the stream can check its digest."""
        while self._fill(CHUNK):
            pass

    def _fill(self, size: int) -> int:
        self._before += len(self._buffer)
        self._buffer = self._stream.read(size)
        self._at = 0
        self._took(len(self._buffer))
        return len(self._buffer)
