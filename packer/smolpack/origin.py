"""Where the files of a machine come from: a directory, a tar archive or a container image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from smolpack.errors import SpecError
from smolpack.settings import Settings

if TYPE_CHECKING:
    from smolpack.oci import Options
    from smolpack.rootcache import KeptRoot
    from smolpack.smolfile.document import Smolfile
    from smolpack.sources.base import Source

# What machines run; a processor of the host may lack what the last variant has.
_MOST = "linux/amd64/v4"


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """How an image is opened; None for the default. `max_size` (bytes) and `max_files` are of all
    layers together, `max_ratio` is how many times its size any of them may unpack to."""

    platform: str | None = None
    insecure: bool = False
    max_size: int | None = None
    max_ratio: int | None = None
    max_files: int | None = None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """At most one of `image` (a reference), `rootfs` and `tar`; "-" is standard input."""

    image: str | None = None
    rootfs: Path | None = None
    tar: Path | None = None
    options: ImageOptions = field(default_factory=ImageOptions)

    def __post_init__(self) -> None:
        if len(self._given()) > 1:
            raise _ambiguous()

    def or_else(self, said: Smolfile) -> Origin:
        """This one; where it names nothing, what the Smolfile names."""
        platform = self.options.platform or said.platform
        options = dataclasses.replace(self.options, platform=platform)
        if self._given():
            return dataclasses.replace(self, options=options)
        return Origin(
            image=said.image,
            rootfs=said.rootfs,
            tar=said.tar,
            options=options,
        )

    def _given(self) -> list[str | Path]:
        return [place for place in (self.image, self.rootfs, self.tar) if place is not None]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Files to pack, readable within opened()'s context. For an image: what it says about how it
    runs, its name (without directories) and digest, and where the cache has its packed root."""

    source: Source
    settings: Settings = field(default_factory=Settings)
    image: str | None = None
    image_digest: str | None = None
    root: KeptRoot | None = None


@contextmanager
def opened(origin: Origin, target: Path) -> Iterator[Opened]:
    """What `origin` names, to be packed into `target`; raises SpecError, SourceError and what
    oci.open_image() does."""
    if origin.image is not None:
        with _opened_image(origin.image, origin) as found:
            yield found
    elif origin.rootfs is not None:
        from smolpack.sources.directory import DirectorySource

        yield Opened(source=DirectorySource(origin.rootfs, target=target))
    elif origin.tar is not None:
        from smolpack.sources.tar import TarSource

        yield Opened(source=TarSource(origin.tar))
    else:
        raise _ambiguous()


def _ambiguous() -> SpecError:
    return SpecError(
        "give the files to pack: one of --image REFERENCE, --rootfs DIRECTORY and --tar ARCHIVE"
    )


@contextmanager
def _opened_image(reference: str, origin: Origin) -> Iterator[Opened]:
    from smolpack.oci import imageconfig, open_image
    from smolpack.oci.layers import LayersSource, Limits
    from smolpack.rootcache import KeptRoot
    from smolpack.smolfile.places import short_reference

    options = oci_options(origin.options)
    given = origin.options
    limits = Limits(**_without_none(size=given.max_size, entries=given.max_files))
    with open_image(reference, options) as image:
        yield Opened(
            source=LayersSource(image.layers, limits),
            settings=imageconfig.settings(image),
            image=short_reference(reference),
            image_digest=image.digest,
            root=KeptRoot(options.store, image),
        )


def oci_options(given: ImageOptions) -> Options:
    """The same for oci.open_image(); raises SpecError."""
    from smolpack.oci import Limits, Options
    from smolpack.oci.platform import host_platform, parse_platform

    platform = parse_platform(given.platform) if given.platform else host_platform()
    if not parse_platform(_MOST).runs(platform):
        raise SpecError(f"--platform {platform}: machines are x86_64; give linux/amd64")
    return Options(
        platform=platform,
        insecure=given.insecure,
        limits=Limits(**_without_none(max_layer_size=given.max_size, max_ratio=given.max_ratio)),
    )


def _without_none(**given: int | None) -> dict[str, int]:
    return {name: value for name, value in given.items() if value is not None}
