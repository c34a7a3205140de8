"""The verb: a source of files, a kernel, an init and a launcher become one executable file."""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from smolpack import __version__, artifact, assets, config, kernel, outfile, programs, rootfs
from smolpack.artifact import Artifact, StoredSignature
from smolpack.epoch import source_date
from smolpack.errors import OutputError
from smolpack.format import Arch, SectionType
from smolpack.image import Image
from smolpack.progress import bar
from smolpack.sources.base import Source
from smolpack.spec import DEFAULT_PATH, CreateSpec, RunDefaults

if TYPE_CHECKING:
    from smolpack.rootcache import KeptRoot

_log = logging.getLogger(__name__)


# Gives the signatures of what was just written.
Sign = Callable[[Artifact], Sequence[StoredSignature]]


def create(
    spec: CreateSpec, source: Source, sign: Sign | None = None, root: KeptRoot | None = None
) -> Artifact:
    """Packs `source` into the executable `spec.out`, which is replaced if it exists; on any
    failure nothing is left behind. The same input and tools give the same bytes. What `root` keeps
    is taken instead of packing `source`, which it was made from, and kept there otherwise. Raises
    a SmolpackError of the stage that failed, and what `sign` raises."""
    outfile.check_target(spec.out)
    parts = _parts(spec.kernel)
    rootfs.find_tool()
    try:
        with outfile.unnamed(spec.out.parent) as image:
            packed = _pack(source, image, root)
            settings = config.Config(
                run=_complete(spec.run, image),
                kernel_version=parts.kernel_version,
                kernel_config=parts.kernel_config,
                source=packed.source_digest,
                source_size=packed.source_size,
                image=spec.image,
                image_digest=spec.image_digest,
                smolfile=spec.smolfile,
                date=source_date(),
                tool=tools(),
            )
            document = _bill_of_materials(image, parts, settings) if spec.sbom else None
            image.seek(0)
            sections: list[tuple[SectionType, BinaryIO]] = [
                (SectionType.LAUNCHER, io.BytesIO(parts.launcher)),
                (SectionType.KERNEL, io.BytesIO(parts.kernel)),
                (SectionType.INITRAMFS, io.BytesIO(parts.initramfs)),
                (SectionType.ROOTFS, image),
                (SectionType.CONFIG, io.BytesIO(config.encode(settings))),
                *([(SectionType.SBOM, io.BytesIO(document))] if document else []),
            ]
            with outfile.replacing(spec.out, 0o755) as out:
                written = artifact.write(out, parts.arch, sections)
                if sign is not None:
                    written = artifact.write_signatures(out, written, sign(written))
                return written
    except OSError as error:
        raise OutputError(f"{spec.out}: cannot write: {error.strerror}") from error


def tools() -> str:
    """The programs that make files here: with the same ones the same input gives the same bytes."""
    return f"smolpack {__version__}, {rootfs.tool_version()}"


def _parts(vmlinux: Path | None) -> assets.Assets:
    parts = assets.find(Arch.X86_64)
    if vmlinux is None:
        return parts
    image = kernel.load(vmlinux)
    return dataclasses.replace(
        parts,
        kernel=kernel.encode(image),
        kernel_version=image.version,
        kernel_config=None,
    )


def _pack(source: Source, image: BinaryIO, root: KeptRoot | None) -> rootfs.Rootfs:
    packed = None
    try:
        packed = root.take(image) if root is not None else None
    except OutputError as error:
        _log.warning("%s", error)
        root = None
    if packed is None:
        with bar("packing", source.size()) as advance:
            packed = rootfs.pack(source, image, advance)
        if root is not None:
            try:
                root.keep(image, packed)
            except OutputError as error:
                _log.warning("packing it again will take as long: %s", error)
    for message in packed.messages:
        _log.warning("tar2sqfs: %s", message)
    return packed


def _bill_of_materials(image: BinaryIO, parts: assets.Assets, settings: config.Config) -> bytes:
    # Here, not above: its library takes longer to load than everything else together.
    from smolpack.sbom import document, packages

    found = packages.take_inventory(Image(image))
    for warning in found.warnings:
        _log.warning("bill of materials: %s", warning)
    return document.document(found, parts, settings, source_date())


def _complete(run: RunDefaults, image: BinaryIO) -> RunDefaults:
    """Run defaults with a program to run and a PATH to find it in."""
    program = programs.choose(image, run)
    return dataclasses.replace(
        run,
        cmd=run.cmd if run.argv0 else (program,),
        env=run.env if run.variable("PATH") else (f"PATH={DEFAULT_PATH}", *run.env),
    )
