"""The contract of a source: it writes one uncompressed tar stream."""

from collections.abc import Callable
from typing import Protocol

# Advances the progress bar by so many bytes of input.
Advance = Callable[[int], object]

# Large enough that Python's overhead a chunk does not show.
CHUNK = 1 << 20


class ByteSink(Protocol):
    """What a source writes to; write() takes all of `data` or raises."""

    def write(self, data: bytes, /) -> object: ...


class Source(Protocol):
    """A tree of files.

    The same tree gives the same bytes, so the stream's digest identifies the source. Memory
    does not grow with the size of files.
    """

    def size(self) -> int | None:
        """Bytes of input that write() will report to `advance`; None when nobody knows."""
        ...

    def write(self, sink: ByteSink, advance: Advance) -> None:
        """Writes a POSIX (pax) or GNU tar stream with its end-of-archive marker; raises
        SourceError when the files cannot be read or the input is damaged."""
        ...
