"""Which of an index's images is for a platform."""

from collections.abc import Callable, Iterable

from smolpack.errors import ImageError
from smolpack.oci.descriptor import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    Index,
    Manifest,
    parse_manifest,
)
from smolpack.oci.platform import Platform

_MAX_DEPTH = 5

# Gives a manifest's or an index's bytes, digest-checked.
Fetch = Callable[[Descriptor], bytes]


def select_manifest(
    name: str, found: Index | Manifest, digest: str, fetch: Fetch, platform: Platform
) -> tuple[str, Manifest]:
    """Follows indexes, nested ones too, from `found` (whose digest is `digest`) to the manifest for
    `platform`: its digest and itself. Raises ImageError that says what is there instead."""
    for _ in range(_MAX_DEPTH):
        if isinstance(found, Manifest):
            return digest, found
        chosen = _choose(name, found.manifests, platform)
        digest = chosen.digest
        found = parse_manifest(name, fetch(chosen))
    raise ImageError(f"{name}: damaged: indexes nested more than {_MAX_DEPTH} deep")


def check_platform(name: str, image: Platform | None, wanted: Platform) -> None:
    """Raises ImageError when an image's configuration says that it is for something else."""
    if image is not None and not wanted.runs(image):
        raise _refusal(name, (image,), wanted)


def _choose(name: str, manifests: Iterable[Descriptor], wanted: Platform) -> Descriptor:
    types = (*INDEX_TYPES, *MANIFEST_TYPES)
    images = [item for item in manifests if not item.is_attestation and item.media_type in types]
    told = [item for item in images if item.platform is not None]
    fitting = [item for item in told if item.platform is not None and wanted.runs(item.platform)]
    if fitting:
        # The most capable one; of equal ones the first, as the specification has it.
        return max(fitting, key=lambda item: (item.platform and item.platform.level) or 0)
    if len(images) > len(told):
        # What says nothing is for whatever its own configuration says.
        return next(item for item in images if item.platform is None)
    if not images:
        raise ImageError(f"{name}: an index without images")
    raise _refusal(name, (item.platform for item in told if item.platform is not None), wanted)


def _refusal(name: str, there: Iterable[Platform], wanted: Platform) -> ImageError:
    names = ", ".join(dict.fromkeys(str(platform) for platform in there))
    return ImageError(f"{name}: not for {wanted} but for {names}; choose with --platform")
