"""Small container images for tests: an OCI layout as a dictionary of files, written as a directory,
a tar archive or what docker saves; and what a test changes in one."""

import gzip
import hashlib
import io
import json
import random
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from smolpack.errors import ImageError
from smolpack.oci import Options, open_image
from smolpack.oci.base import ContainerImage

OCI = "application/vnd.oci.image."
REF_NAME = "org.opencontainers.image.ref.name"
AMD64 = {"os": "linux", "architecture": "amd64"}


needs_skopeo = pytest.mark.skipif(
    shutil.which("skopeo") is None, reason="skopeo is missing: apt install skopeo"
)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A tar archive of regular files, and symlinks."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return out.getvalue()


def compressed(data: bytes, how: str) -> bytes:
    """As a layer's media type says: tar, tar+gzip or tar+zstd."""
    match how:
        case "tar+gzip":
            return gzip.compress(data, mtime=0)
        case "tar+zstd":
            return zstandard.ZstdCompressor().compress(data)
    return data


class Layout:
    """An image layout under construction."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.entries: list[dict[str, Any]] = []

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Adds a blob; its descriptor."""
        digest = digest_of(data)
        self.files[f"blobs/{digest.replace(':', '/')}"] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def document(self, fields: dict[str, Any], media_type: str) -> dict[str, Any]:
        """Adds a JSON document; its descriptor."""
        return self.blob(json.dumps(fields).encode(), media_type)

    def image(
        self,
        tars: Sequence[bytes],
        how: str = "tar+gzip",
        platform: Mapping[str, str] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Adds an image of these layers; its manifest's descriptor."""
        config = {
            **(AMD64 if platform is None else platform),
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
            **more,
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}manifest.v1+json",
            "config": self.document(config, f"{OCI}config.v1+json"),
            "layers": [self.blob(compressed(tar, how), f"{OCI}layer.v1.{how}") for tar in tars],
        }
        return self.document(manifest, f"{OCI}manifest.v1+json")

    def index(self, *entries: dict[str, Any]) -> dict[str, Any]:
        """Adds an image index; its descriptor."""
        fields = {"schemaVersion": 2, "mediaType": f"{OCI}index.v1+json", "manifests": entries}
        return self.document(fields, f"{OCI}index.v1+json")

    def tag(self, entry: dict[str, Any], name: str | None = "latest") -> "Layout":
        """Puts an entry into index.json."""
        named = {} if name is None else {"annotations": {REF_NAME: name}}
        self.entries.append({**entry, **named})
        self.files["index.json"] = json.dumps(
            {"schemaVersion": 2, "manifests": self.entries}
        ).encode()
        return self

    def data(self, descriptor: Mapping[str, Any]) -> bytes:
        """A blob's bytes."""
        return self.files[blob_path(descriptor)]

    def manifest(self, descriptor: Mapping[str, Any]) -> dict[str, Any]:
        """A blob's JSON."""
        fields: dict[str, Any] = json.loads(self.data(descriptor))
        return fields

    def write(self, directory: Path) -> Path:
        """As a directory."""
        for name, data in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return directory

    def tar(self) -> bytes:
        """As a tar archive."""
        return tar_of(self.files)


def blob_path(descriptor: Mapping[str, Any]) -> str:
    digest: str = descriptor["digest"]
    return f"blobs/{digest.replace(':', '/')}"


LOWER = tar_of({"etc/motd": b"hello\n"})
UPPER = tar_of({"usr/bin/app": random.Random(1).randbytes(200_000)})
TARS = [LOWER, UPPER]


def simple(tars: Sequence[bytes], **more: Any) -> Layout:
    """A layout of one image, tagged latest."""
    layout = Layout()
    return layout.tag(layout.image(tars, **more))


def docker_archive(
    images: Mapping[str, Sequence[bytes]], links: Mapping[str, str] | None = None
) -> bytes:
    """What `docker save` before 25 writes for images by name, without what nobody reads."""
    files: dict[str, bytes] = {}
    entries = []
    for name, tars in images.items():
        diff_ids = [digest_of(tar) for tar in tars]
        config = json.dumps({**AMD64, "rootfs": {"diff_ids": diff_ids}, "made for": name}).encode()
        config_name = f"{digest_of(config).removeprefix('sha256:')}.json"
        paths = [f"{hashlib.sha256(tar).hexdigest()[::-1]}/layer.tar" for tar in tars]
        files[config_name] = config
        files.update(zip(paths, tars, strict=True))
        entries.append({"Config": config_name, "RepoTags": [name], "Layers": paths})
    files["manifest.json"] = json.dumps(entries).encode()
    return tar_of(files, links)


def read_layers(image: ContainerImage) -> list[bytes]:
    """All layers, uncompressed."""
    found = []
    for layer in image.layers:
        with layer.open(lambda size: None) as stream:
            pieces = []
            while piece := stream.read(70_000):
                pieces.append(piece)
            found.append(b"".join(pieces))
    return found


def layers_of(reference: str, options: Options) -> list[bytes]:
    """The layers of an image."""
    with open_image(reference, options) as image:
        return read_layers(image)


def refusal(reference: str | Path, options: Options) -> str:
    """The one line that opening and reading an image ends with."""
    with pytest.raises(ImageError) as caught:
        layers_of(str(reference), options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
