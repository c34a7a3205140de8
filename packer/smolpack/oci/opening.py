"""From what the user named to an image that can be read."""

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from smolpack.errors import ImageError
from smolpack.oci.base import ContainerImage
from smolpack.oci.dockerarchive import MANIFEST, open_docker_archive
from smolpack.oci.engine import saved_by_engine
from smolpack.oci.files import ArchiveFiles, DirectoryFiles, Files, index_archive, spool_archive
from smolpack.oci.layout import INDEX, open_layout
from smolpack.oci.options import Options
from smolpack.oci.reference import EngineReference, Kind, LocalReference, parse_reference
from smolpack.oci.stream import PipeReader, decompress
from smolpack.progress import bar


@contextlib.contextmanager
def open_image(reference: str, options: Options | None = None) -> Iterator[ContainerImage]:
    """The image that `reference` names, for the platform of `options`, readable within the block.

    Nothing is unpacked. A directory or a plain archive is read in place; what comes once (standard
    input, an engine, a compressed archive) goes to the cache first; layers of a registry come to
    the cache when the first of them is opened. Raises SpecError for what is no reference,
    ImageError, its RegistryError, and OutputError when the cache cannot be written.
    """
    options = options or Options()
    found = parse_reference(reference)
    with contextlib.ExitStack() as opened:
        if isinstance(found, LocalReference):
            yield _open_local(reference, found, options, opened)
        elif isinstance(found, EngineReference):
            with saved_by_engine(found) as stream:
                files = _files(reference, stream, options, opened)
            yield _open_saved(reference, files, LocalReference(Kind.PATH, Path("-")), options)
        else:
            # Slow to import, for its HTTP client.
            from smolpack.oci.pull import open_remote

            yield open_remote(reference, found, options, opened)


def _open_local(
    name: str, reference: LocalReference, options: Options, opened: contextlib.ExitStack
) -> ContainerImage:
    path = reference.path
    if str(path) == "-":
        name = "standard input"
        if sys.stdin is None or sys.stdin.isatty():
            raise ImageError("no image comes in on standard input; pipe `docker save` into it")
        return _open_saved(
            name, _files(name, sys.stdin.buffer, options, opened), reference, options
        )
    if path.is_dir():
        directory = DirectoryFiles(path)
        opened.callback(directory.close)
        return _open_saved(name, directory, reference, options)
    try:
        file = opened.enter_context(path.open("rb", buffering=0))
    except OSError as error:
        raise ImageError(f"{path}: cannot read: {error.strerror}") from error
    return _open_saved(name, _files(name, file, options, opened), reference, options)


def _files(
    name: str, file: BinaryIO, options: Options, opened: contextlib.ExitStack
) -> ArchiveFiles:
    """The members of an archive: read in place if that can be done."""
    reader = PipeReader(file)
    try:
        plain = decompress(reader, reader.head) is reader
    except ValueError as error:
        raise ImageError(f"{name}: {error}; unpack it first and pipe it into --image -") from error
    if plain and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return index_archive(name, file)
    with bar("reading", None) as advance:
        return spool_archive(name, reader, options, opened, advance)


def _open_saved(
    name: str, files: Files, reference: LocalReference, options: Options
) -> ContainerImage:
    """An image in files of some kind; what is there decides unless the user has told it."""
    kind = reference.kind
    is_layout = files.find(INDEX) is not None and files.find("oci-layout") is not None
    if kind in (Kind.LAYOUT, Kind.LAYOUT_ARCHIVE) or (
        kind is not Kind.DOCKER_ARCHIVE and is_layout
    ):
        return open_layout(name, files, reference, options)
    if kind is Kind.DOCKER_ARCHIVE or files.find(MANIFEST) is not None:
        return open_docker_archive(name, files, reference, options)
    if files.find("repositories") is not None:
        raise ImageError(f"{name}: saved by a docker older than 1.10; load it into a newer one")
    raise ImageError(
        f"{name}: not an image: it has neither {INDEX} nor {MANIFEST}; "
        "pack the files of a root file system with --rootfs or --tar"
    )
