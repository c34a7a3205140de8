"""Machines of `smolpack run --image`, packed into the cache: the same one is packed once."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smolpack import assets, create
from smolpack.errors import OutputError
from smolpack.format import Arch
from smolpack.origin import Opened
from smolpack.spec import CreateSpec, RunDefaults


@contextmanager
def packed(found: Opened, run: RunDefaults, smolfile: str | None) -> Iterator[Path]:
    """The machine that the image `found` makes, to be run within the block: without signatures
    and bill of materials. Raises what create() does."""
    assert found.root is not None
    store = found.root.store
    key = _key(found, run, smolfile)
    with store.machine(key) as path:
        if path is not None:
            yield path
            return
    with store.new_machine(key) as path:
        spec = CreateSpec(
            out=path,
            run=run,
            sbom=False,
            image=found.image,
            image_digest=found.image_digest,
            smolfile=smolfile,
        )
        create.create(spec, found.source, root=found.root)
    with store.machine(key) as path:
        if path is None:
            raise OutputError(
                f"the cache {store.path} is too small for this machine; "
                "raise SMOLPACK_CACHE_SIZE, or use `create`"
            )
        yield path


def _key(found: Opened, run: RunDefaults, smolfile: str | None) -> str:
    """A digest of all that the machine is made from."""
    assert found.root is not None
    parts = assets.find(Arch.X86_64)
    made_from = [
        *(found.root.key, found.image, found.image_digest, smolfile, dataclasses.asdict(run)),
        *(hashlib.sha256(part).hexdigest() for part in (parts.launcher, parts.kernel)),
        hashlib.sha256(parts.initramfs).hexdigest(),
    ]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
