"""Image indexes, manifests and configurations (OCI image specification and Docker's image manifest
version 2, schema 2), taken apart: whatever is used was checked to be of the right form."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from smolpack.errors import ImageError
from smolpack.oci.platform import Platform

# Manifests may not be larger in any registry; configurations never are.
MAX_DOCUMENT = 4 << 20
# Far more than engines can mount.
MAX_LAYERS = 500
_MAX_MANIFESTS = 10_000
_MAX_SIZE = 1 << 50

_OCI, _DOCKER = "application/vnd.oci.image.", "application/vnd.docker."
INDEX_TYPES = (f"{_OCI}index.v1+json", f"{_DOCKER}distribution.manifest.list.v2+json")
MANIFEST_TYPES = (f"{_OCI}manifest.v1+json", f"{_DOCKER}distribution.manifest.v2+json")
_CONFIG_TYPES = (f"{_OCI}config.v1+json", f"{_DOCKER}container.image.v1+json")
_LAYER_TYPES = (f"{_OCI}layer.", f"{_DOCKER}image.rootfs.")
_ATTESTATION = "vnd.docker.reference.type"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Descriptor:
    """A reference to content by digest and size, with what an index says about it."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def is_attestation(self) -> bool:
        """Whether it is about another entry of the index, not an image: BuildKit's provenance."""
        unknown = self.platform is not None and self.platform.os == "unknown"
        return unknown or _ATTESTATION in self.annotations


@dataclass(frozen=True)
class Index:
    """An image index or manifest list."""

    manifests: tuple[Descriptor, ...]


@dataclass(frozen=True)
class Manifest:
    """The manifest of an image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True)
class Config:
    """Of an image configuration what it takes to unpack: the diff_ids, lowest layer first, and the
    platform, None when it is not told."""

    diff_ids: tuple[str, ...]
    platform: Platform | None


def parse_manifest(name: str, data: bytes) -> Index | Manifest:
    """An index or a manifest, by what is in it. Raises ImageError that starts with `name`."""
    fields = parse_object(name, data)
    if fields.get("schemaVersion") == 1 or "fsLayers" in fields:
        raise ImageError(
            f"{name}: a manifest of version 2, schema 1, which is no longer in use; "
            "push the image again with a newer tool"
        )
    media_type = fields.get("mediaType", "")
    if "manifests" in fields and media_type not in MANIFEST_TYPES:
        return Index(_descriptors(name, fields["manifests"], _MAX_MANIFESTS))
    if "layers" not in fields or media_type in INDEX_TYPES:
        raise ImageError(f"{name}: neither an image manifest nor an image index")
    config = _descriptor(name, fields.get("config"))
    if config.media_type not in _CONFIG_TYPES:
        raise ImageError(
            f"{name}: not a container image but an artifact of type "
            f"{fields.get('artifactType') or config.media_type}"
        )
    layers = _descriptors(name, fields["layers"], MAX_LAYERS)
    for layer in layers:
        if not layer.media_type.startswith(_LAYER_TYPES) or layer.media_type.endswith("encrypted"):
            raise ImageError(
                f"{name}: layer {layer.digest[:19]} is of type {layer.media_type}, "
                "which is not a file system layer that can be read"
            )
    return Manifest(config, layers)


def parse_config(name: str, data: bytes) -> Config:
    """An image configuration. Raises ImageError that starts with `name`."""
    fields = parse_object(name, data)
    rootfs = fields.get("rootfs")
    diff_ids = (rootfs.get("diff_ids") or []) if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) > MAX_LAYERS:
        raise ImageError(f"{name}: not an image configuration: it has no list of diff_ids")
    return Config(
        diff_ids=tuple(check_digest(name, diff_id) for diff_id in diff_ids),
        platform=_platform(name, fields),
    )


def parse_object(name: str, data: bytes) -> dict[str, Any]:
    """A JSON object. Raises ImageError that starts with `name`."""
    fields = parse_json(name, data)
    if not isinstance(fields, dict):
        raise ImageError(f"{name}: damaged: not a JSON object")
    return fields


def parse_json(name: str, data: bytes) -> Any:
    """Whatever JSON says. Raises ImageError that starts with `name`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{name}: damaged: not JSON") from error


def check_digest(name: str, digest: object) -> str:
    """A digest that can be compared. Raises ImageError that starts with `name`."""
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ImageError(f"{name}: damaged, or newer than this program: {digest!r} is no SHA-256")
    return digest


def _descriptors(name: str, items: Any, most: int) -> tuple[Descriptor, ...]:
    items = [] if items is None else items  # as Go writes an empty list
    if not isinstance(items, list) or len(items) > most:
        raise ImageError(f"{name}: damaged: not a list of at most {most} descriptors")
    return tuple(_descriptor(name, item) for item in items)


def _descriptor(name: str, fields: Any) -> Descriptor:
    if not isinstance(fields, dict):
        raise ImageError(f"{name}: damaged: not a descriptor")
    size = fields.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        raise ImageError(f"{name}: damaged: a descriptor without a size")
    media_type = fields.get("mediaType")
    annotations = fields.get("annotations") or {}
    platform = fields.get("platform")
    if not isinstance(media_type, str) or not isinstance(annotations, dict):
        raise ImageError(f"{name}: damaged: a descriptor without a type")
    return Descriptor(
        media_type=media_type,
        digest=check_digest(name, fields.get("digest")),
        size=size,
        platform=_platform(name, platform) if isinstance(platform, dict) else None,
        annotations={key: value for key, value in annotations.items() if isinstance(value, str)},
    )


def _platform(name: str, fields: dict[str, Any]) -> Platform | None:
    """Of an index's entry or a configuration, which write it alike."""
    texts = [fields.get(key, "") or "" for key in ("os", "architecture", "variant")]
    if not all(isinstance(text, str) for text in texts):
        raise ImageError(f"{name}: damaged: its platform is not text")
    return Platform(*texts) if texts[1] else None
