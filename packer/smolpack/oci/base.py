"""The contract of a container image: a configuration and layers that can be read again and
again, wherever they come from."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from smolpack.sources.base import Advance


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, at least one before the end, b"" at it; raises ImageError for
        damage, naming image and layer."""
        ...


class Layer(Protocol):
    """One layer of an image."""

    @property
    def name(self) -> str:
        """For messages: `app:1.2, layer 3 of 7 (sha256:0123456789ab)`."""
        ...

    @property
    def diff_id(self) -> str:
        """`sha256:…` of the uncompressed tar, from the image's configuration."""
        ...

    @property
    def size(self) -> int:
        """Bytes as stored, what open() reports to `advance` in one complete read."""
        ...

    def open(self, advance: Advance) -> AbstractContextManager[Readable]:
        """The uncompressed tar stream from its start; may be opened again and again.

        The stored digest and the diff_id are checked at the end of the first complete read: the
        read() that would return b"" raises ImageError when they differ. So whoever stops at the
        tar's end marker has to go on to the end of the stream. Leaving the context early checks
        nothing. `advance` gets bytes as stored. Raises ImageError.
        """
        ...


@dataclass(frozen=True)
class ContainerImage:
    """An image for one platform. Everything in it can be read while open_image()'s context lasts.

    `name` is the reference as the user gave it; `digest` the manifest's digest, or for docker
    archives, which have none, the configuration's; `config` the image configuration (JSON), its
    digest checked; `layers` lowest first, their number equal to that of the diff_ids.
    """

    name: str
    digest: str
    config: bytes
    layers: tuple[Layer, ...]
