"""Packed roots of container images, kept in the cache: the same layers are unpacked once."""

import hashlib
import json
from typing import BinaryIO

from smolpack import __version__, outfile, rootfs
from smolpack.epoch import source_date
from smolpack.errors import OutputError
from smolpack.oci.base import ContainerImage
from smolpack.oci.store import Store
from smolpack.rootfs import Rootfs

# Behind the image in a cache's file: what rootfs.pack() said, as JSON, and the size of that.
_SIZE_BYTES = 8


class KeptRoot:
    """The place in the cache of what packing an image's layers gives."""

    def __init__(self, store: Store, image: ContainerImage) -> None:
        self._store = store
        parts = [
            *(__version__, rootfs.tool_version(), rootfs.COMPRESSION_LEVEL, rootfs.BLOCK_SIZE),
            *(source_date(), [layer.diff_id for layer in image.layers]),
        ]
        self.key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def store(self) -> Store:
        """The cache that it is in."""
        return self._store

    def take(self, image: BinaryIO) -> Rootfs | None:
        """Fills the empty file `image` as rootfs.pack() did; None when it is not kept. Raises
        OSError when there is no room."""
        with self._store.root(self.key) as kept:
            if kept is None:
                return None
            end = kept.seek(0, 2) - _SIZE_BYTES
            kept.seek(end)
            about_size = int.from_bytes(kept.read(_SIZE_BYTES), "little")
            kept.seek(end - about_size)
            digest, size, messages = json.loads(kept.read(about_size))
            outfile.copy(kept, image, end - about_size)
        return Rootfs(digest, size, tuple(messages))

    def keep(self, image: BinaryIO, packed: Rootfs) -> None:
        """Puts a copy of the file `image` there. A cache that cannot be written is no failure of
        packing: raises OutputError for whoever wants to tell it."""
        size = image.seek(0, 2)
        about = json.dumps([packed.source_digest, packed.source_size, packed.messages]).encode()
        try:
            image.write(about + len(about).to_bytes(_SIZE_BYTES, "little"))
            image.flush()
            self._store.put_root(self.key, image)
        except OSError as error:
            raise OutputError(f"the packed root was not kept: {error.strerror}") from error
        finally:
            image.truncate(size)
            image.seek(0)
