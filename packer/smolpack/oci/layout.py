"""OCI image layouts: `index.json` and blobs by digest, in a directory or a tar archive."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from smolpack.errors import ImageError, SpecError
from smolpack.oci.base import ContainerImage
from smolpack.oci.descriptor import (
    MAX_DOCUMENT,
    Config,
    Descriptor,
    Index,
    parse_config,
    parse_manifest,
)
from smolpack.oci.files import Files
from smolpack.oci.options import Options
from smolpack.oci.reference import LocalReference, RegistryReference, parse_registry_reference
from smolpack.oci.selection import check_platform, select_manifest
from smolpack.oci.stream import Extent, StoredLayer

INDEX = "index.json"

_NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
_REMEDY = "save the image again"

_Layer = TypeVar("_Layer")


def open_layout(
    name: str, files: Files, reference: LocalReference, options: Options
) -> ContainerImage:
    """The image that `reference` and the platform choose. Raises ImageError."""
    index = parse_manifest(name, read_document(name, files, INDEX))
    if not isinstance(index, Index):
        raise ImageError(f"{name}: damaged: its {INDEX} is no index")

    def fetch(descriptor: Descriptor) -> bytes:
        what = f"{name}, manifest {descriptor.digest[:19]}"
        return read_blob(what, files, descriptor)

    chosen = Index(_chosen(name, index.manifests, reference))
    digest, manifest = select_manifest(name, chosen, "", fetch, options.platform)
    data = read_blob(f"{name}, configuration", files, manifest.config)
    config = parse_config(f"{name}, configuration", data)
    check_platform(name, config.platform, options.platform)

    def layer(number: int, descriptor: Descriptor, diff_id: str) -> StoredLayer:
        title = layer_name(name, number, len(manifest.layers), descriptor.digest)
        extent = find_blob(title, files, descriptor)
        return StoredLayer(
            name=title,
            diff_id=diff_id,
            size=descriptor.size,
            digest=descriptor.digest,
            locate=lambda: extent,
            limits=options.limits,
            remedy=_REMEDY,
        )

    pairs = pair_layers(name, "manifest", manifest.layers, config)
    layers = tuple(layer(number, *pair) for number, pair in enumerate(pairs, 1))
    return ContainerImage(name, digest, data, layers)


def pair_layers(
    name: str, manifest: str, layers: Sequence[_Layer], config: Config
) -> list[tuple[_Layer, str]]:
    """Each of the layers that the image's `manifest` (what messages call it) lists with its
    diff_id. Raises ImageError when their numbers differ."""
    if len(layers) != len(config.diff_ids):
        raise ImageError(
            f"{name}: damaged: {len(layers)} layers in its {manifest}, "
            f"{len(config.diff_ids)} in its configuration"
        )
    return list(zip(layers, config.diff_ids, strict=True))


def layer_name(image: str, number: int, count: int, digest: str) -> str:
    """See Layer.name."""
    return f"{image}, layer {number} of {count} ({digest[:19]})"


def find_blob(name: str, files: Files, descriptor: Descriptor) -> Extent:
    """Where a blob is. Raises ImageError that starts with `name` when it is missing or not of the
    size that the descriptor says."""
    extent = files.find(f"blobs/{descriptor.digest.replace(':', '/')}")
    if extent is None:
        raise ImageError(f"{name}: {descriptor.digest} is missing in {files.name}; {_REMEDY}")
    if extent.size != descriptor.size:
        problem = "truncated" if extent.size < descriptor.size else "damaged"
        raise ImageError(
            f"{name}: {problem}: {extent.size} bytes instead of {descriptor.size}; {_REMEDY}"
        )
    return extent


def read_blob(name: str, files: Files, descriptor: Descriptor) -> bytes:
    """A manifest or a configuration, compared with its digest. Raises ImageError."""
    data = _read(name, find_blob(name, files, descriptor))
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != descriptor.digest:
        raise ImageError(f"{name}: damaged: not what its digest says; {_REMEDY}")
    return data


def read_document(name: str, files: Files, path: str) -> bytes:
    """A file that has to be there and small. Raises ImageError."""
    extent = files.find(path)
    if extent is None:
        raise ImageError(f"{name}: {path} is missing; {_REMEDY}")
    return _read(f"{name}, {path}", extent)


def _read(name: str, extent: Extent) -> bytes:
    if extent.size > MAX_DOCUMENT:
        raise ImageError(f"{name}: {extent.size} bytes are too many for what it is")
    return extent.read_at(0, extent.size)


def _chosen(
    name: str, manifests: Iterable[Descriptor], reference: LocalReference
) -> tuple[Descriptor, ...]:
    """The entries for all platforms of the one image that `reference` names."""
    images = [item for item in manifests if not item.is_attestation]
    if reference.digest is not None:
        found = [item for item in images if item.digest == reference.digest]
        if not found:
            there = ", ".join(item.digest for item in images)
            raise ImageError(f"{name}: no image {reference.digest}; there is {there or 'none'}")
        return tuple(found)
    if reference.tag is not None:
        found = [item for item in images if any(matches(reference.tag, n) for n in _names(item))]
        if not found:
            raise ImageError(f"{name}: no image {reference.tag}; {_there(images)}")
        return tuple(found)
    contents: dict[str, set[str]] = {}
    for item in images:
        for title in _names(item)[-1:] or [""]:
            contents.setdefault(title, set()).add(item.digest)
    if len({frozenset(digests) for digests in contents.values()}) > 1:
        raise ImageError(f"{name}: several images; choose one with :TAG; {_there(images)}")
    return tuple(images)


def _names(item: Descriptor) -> list[str]:
    return [item.annotations[key] for key in _NAMES if key in item.annotations]


def _there(images: Iterable[Descriptor]) -> str:
    return there_is(name for item in images for name in _names(item)[-1:])


def there_is(names: Iterable[str]) -> str:
    """Says what an archive holds."""
    return f"there is {', '.join(dict.fromkeys(names)) or 'none with a name'}"


def matches(wanted: str, name: str) -> bool:
    """Whether a user's `app:1.2`, `registry.example/app:1.2` or `1.2` means what an archive calls
    `name`."""
    if wanted == name:
        return True
    parsed = _parsed(name)
    if parsed is None:
        return False
    return parsed == _parsed(wanted) or (":" in name and wanted == parsed.tag)


def _parsed(name: str) -> RegistryReference | None:
    try:
        return parse_registry_reference(name)
    except SpecError:
        return None
