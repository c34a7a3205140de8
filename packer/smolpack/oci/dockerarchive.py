"""What `docker save` and `podman save` write: `manifest.json`, configurations and layers."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from smolpack.errors import ImageError
from smolpack.oci.base import ContainerImage
from smolpack.oci.descriptor import MAX_LAYERS, parse_config, parse_json
from smolpack.oci.files import Files
from smolpack.oci.layout import layer_name, matches, pair_layers, read_document, there_is
from smolpack.oci.options import Options
from smolpack.oci.reference import LocalReference
from smolpack.oci.selection import check_platform
from smolpack.oci.stream import Extent, StoredLayer

MANIFEST = "manifest.json"

# Docker since 1.10 names configurations by their digest; since 25 layers, too.
_CONFIG = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?", re.ASCII)
_LAYER = re.compile(r"blobs/sha256/([0-9a-f]{64})", re.ASCII)
_REMEDY = "save the image again"


@dataclass(frozen=True)
class _Saved:
    """An entry of manifest.json: file names."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]


def open_docker_archive(
    name: str, files: Files, reference: LocalReference, options: Options
) -> ContainerImage:
    """The image that `reference` chooses. Raises ImageError."""
    saved = _choose(name, _parse(name, read_document(name, files, MANIFEST)), reference)
    data = read_document(name, files, saved.config)
    digest = hashlib.sha256(data).hexdigest()
    named = _CONFIG.fullmatch(saved.config)
    if named and named[1] != digest:
        raise ImageError(f"{name}, configuration: damaged: not what its name says; {_REMEDY}")
    config = parse_config(f"{name}, configuration", data)
    check_platform(name, config.platform, options.platform)

    def layer(number: int, path: str, diff_id: str) -> StoredLayer:
        title = layer_name(name, number, len(saved.layers), diff_id)
        extent = _find(title, files, path)
        stored = _LAYER.fullmatch(path)
        return StoredLayer(
            name=title,
            diff_id=diff_id,
            size=extent.size,
            digest=f"sha256:{stored[1]}" if stored else None,
            locate=lambda: extent,
            limits=options.limits,
            remedy=_REMEDY,
        )

    pairs = pair_layers(name, MANIFEST, saved.layers, config)
    layers = tuple(layer(number, *pair) for number, pair in enumerate(pairs, 1))
    return ContainerImage(name, f"sha256:{digest}", data, layers)


def _find(title: str, files: Files, path: str) -> Extent:
    extent = files.find(path)
    if extent is None:
        raise ImageError(f"{title}: {path} is missing in {files.name}; {_REMEDY}")
    return extent


def _choose(name: str, images: list[_Saved], reference: LocalReference) -> _Saved:
    there = there_is(tag for image in images for tag in image.names)
    if reference.digest is not None:
        found = [
            image for image in images if reference.digest.removeprefix("sha256:") in image.config
        ]
        remedy = "archives of docker have no manifest digests: give the configuration's, or a tag"
    elif reference.tag is not None:
        found = [i for i in images if any(matches(reference.tag, tag) for tag in i.names)]
        remedy = there
    else:
        found = images
        remedy = f"choose one with :TAG; {there}"
    if len(found) != 1:
        wanted = reference.digest or reference.tag or ""
        problem = "several images" if found else f"no image {wanted}".rstrip()
        raise ImageError(f"{name}: {problem}; {remedy}")
    return found[0]


def _parse(name: str, data: bytes) -> list[_Saved]:
    items = parse_json(name, data)
    if not isinstance(items, list):
        raise ImageError(f"{name}: damaged: its {MANIFEST} is no list")
    return [_parse_entry(name, item) for item in items]


def _parse_entry(name: str, fields: Any) -> _Saved:
    if not isinstance(fields, dict):
        raise ImageError(f"{name}: damaged: its {MANIFEST} lists no objects")
    config, names, layers = (fields.get(key) for key in ("Config", "RepoTags", "Layers"))
    names, layers = names or [], layers or []
    if (
        not isinstance(config, str)
        or not isinstance(names, list)
        or not isinstance(layers, list)
        or not all(isinstance(text, str) for text in (*names, *layers))
        or len(layers) > MAX_LAYERS
    ):
        raise ImageError(f"{name}: damaged: its {MANIFEST} names no configuration and layers")
    return _Saved(config, tuple(names), tuple(layers))
