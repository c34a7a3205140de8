"""Small container images, made here: archives as `docker save` writes them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def tar_of(files: Mapping[str, bytes | None]) -> bytes:
    """A tar of executable files; directories have no content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            archive.addfile(member, io.BytesIO(content or b""))
    return stream.getvalue()


def save_image(
    path: Path, *layers: Mapping[str, bytes | None], architecture: str = "amd64", **config: Any
) -> Path:
    """Writes an archive with one image; `config` is what its configuration says."""
    stored = [tar_of(layer) for layer in layers]
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in stored]
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    described = json.dumps(document).encode()
    name = f"{hashlib.sha256(described).hexdigest()}.json"
    places = [f"{number}/layer.tar" for number in range(len(stored))]
    manifest = [{"Config": name, "RepoTags": ["app:1"], "Layers": places}]
    contents = {name: described, **dict(zip(places, stored, strict=True))}
    contents["manifest.json"] = json.dumps(manifest).encode()
    path.write_bytes(tar_of(contents))
    return path
