"""What is in packed machines: `smolpack ls`, `cat`, `extract`, `diff`, `sbom`, `rebuild`."""

import json as json_module
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from smolpack.cli import options
from smolpack.errors import OutputError, SmolpackError, SpecError
from smolpack.origin import ImageOptions, Origin, opened
from smolpack.text import printable

LS_EXAMPLES = """Examples:

\b
  smolpack ls tool.vm /etc
  smolpack ls tool.vm /usr/bin --long
  smolpack ls tool.vm --recursive --json
"""
CAT_EXAMPLES = "Example:\n\n\b\n  smolpack cat tool.vm /etc/os-release\n"
EXTRACT_EXAMPLES = """Examples:

\b
  smolpack extract tool.vm ./rootfs
  smolpack extract tool.vm --tar rootfs.tar
  smolpack extract tool.vm --tar - | tar -t
  smolpack extract tool.vm ./parts --section kernel
"""
DIFF_EXAMPLES = "Example:\n\n\b\n  smolpack diff old.vm new.vm --json\n"
SBOM_EXAMPLES = "Example:\n\n\b\n  smolpack sbom tool.vm > tool.cdx.json\n"
REBUILD_EXAMPLES = """Examples:

\b
  smolpack rebuild --check tool.vm --rootfs ./rootfs
  smolpack rebuild --check app.vm --image registry.example/app:1.2
  smolpack rebuild tool.vm --tar rootfs.tar --out again.vm
"""

# As diff(1) and cmp(1) end.
EXIT_DIFFERENT = 1
EXIT_TROUBLE = 2

File = Annotated[Path, typer.Argument(help="A packed machine.")]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


def ls(
    file: File,
    path: Annotated[str, typer.Argument(help="Directory or file in the machine.")] = "/",
    long: Annotated[
        bool, typer.Option("--long", "-l", help="With mode, owner, size, time and target.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-R", help="With everything below.")
    ] = False,
    json: Json = False,
) -> None:
    """List files of a packed root file system."""
    from smolpack import image, listing

    with image.opened(file) as root:
        found = listing.entries(root, path, recursive=recursive)
        if json:
            fields = {
                "file": str(file),
                "path": path,
                "entries": [listing.as_fields(entry) for entry in found],
            }
            typer.echo(json_module.dumps(fields, indent=2))
            return
        for entry in found:
            typer.echo(listing.as_line(entry, long=long))


def cat(
    file: File,
    path: Annotated[str, typer.Argument(help="File in the machine; symlinks are followed.")],
    json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object with the content in base64.")
    ] = False,
) -> None:
    """Print a file of a packed root file system."""
    import base64
    import io

    from smolpack import image, listing

    with image.opened(file) as root:
        if not json:
            listing.cat(root, path, sys.stdout.buffer)
            sys.stdout.flush()
            return
        content = io.BytesIO()
        listing.cat(root, path, content)
        text = base64.b64encode(content.getvalue()).decode()
    fields = {"file": str(file), "path": path, "base64": text}
    typer.echo(json_module.dumps(fields, indent=2))


def extract(
    file: File,
    directory: Annotated[
        Path | None, typer.Argument(help="Where to; a new or empty one for all files.")
    ] = None,
    section: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this section's bytes, to DIRECTORY/NAME."),
    ] = None,
    tar: Annotated[
        Path | None,
        typer.Option(help="All files with owners and devices to a tar archive; - is stdout."),
    ] = None,
    json: Json = False,
) -> None:
    """Take the root file system or a section out of a packed machine."""
    from smolpack import extract as verb

    if (directory is None) == (tar is None) or (tar is not None and section is not None):
        raise SpecError("give where to: DIRECTORY, DIRECTORY with --section, or --tar")
    left_out = None
    if tar is not None:
        _extract_tar(file, tar, json=json)
        target = tar
    elif section is not None:
        assert directory is not None
        target = verb.extract_section(file, directory, section)
    else:
        assert directory is not None
        target = directory
        if not verb.extract_tree(file, directory):
            left_out = verb.LEFT_OUT
            note = f"smolpack: without root left out: {left_out}; --tar keeps them"
            typer.echo(note, err=True)
    if json:
        fields = {"file": str(file), "target": str(target), "left_out": left_out}
        typer.echo(json_module.dumps(fields, indent=2))


def _extract_tar(file: Path, tar: Path, *, json: bool) -> None:
    from smolpack import extract as verb

    to_stdout = str(tar) == "-"
    if to_stdout and json:
        raise SpecError("--tar - and --json both print; give --tar a file")
    if to_stdout and sys.stdout.isatty():
        raise OutputError("an archive is nothing for a terminal; give --tar a file, or pipe it")
    verb.write_tar(file, None if to_stdout else tar, sys.stdout.buffer)


def diff(
    first: Annotated[Path, typer.Argument(help="A packed machine.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    json: Json = False,
) -> None:
    """Show what differs: files (- only in the first, + only in the second, M changed), kernel,
    init, launcher, run defaults. Times of files do not count. Status 0: nothing, 1: something,
    2: trouble."""
    from smolpack import diff as verb

    with _trouble():
        found = verb.diff(first, second)
    text = verb.as_json(first, second, found) if json else verb.as_text(found)
    if text:
        typer.echo(text)
    raise typer.Exit(0 if found.same else EXIT_DIFFERENT)


def sbom(file: File) -> None:
    """Print the bill of materials, CycloneDX 1.5 in JSON, that was packed with a machine."""
    from smolpack import artifact, sections
    from smolpack.format import SectionType

    with artifact.opened(file) as (packed, contents):
        found = [section for section in contents.sections if section.type == SectionType.SBOM]
        if not found:
            raise OutputError(f"{file} has no bill of materials: it was made with --no-sbom")
        document = sections.read(packed, found[0])
    sys.stdout.buffer.write(document)
    sys.stdout.flush()


@options.bundled(image_options=options.image_options)
def rebuild(
    file: File,
    image: options.Image = None,
    rootfs: options.RootDirectory = None,
    tar: options.TarArchive = None,
    *,
    image_options: ImageOptions,
    kernel: Annotated[
        Path | None, typer.Option(help="The kernel, if it was not the packaged one.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare section by section; keep nothing.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where to write the rebuilt file.")] = None,
    json: Json = False,
) -> None:
    """Pack again, from the same files, as a packed machine says that it was made. With --check:
    status 0 when every byte but signatures is the same, 1 when not, 2 for trouble."""
    import tempfile

    from smolpack import rebuild as verb

    if check == (out is not None):
        raise SpecError("give either --check or --out FILE")
    origin = Origin(image=image, rootfs=rootfs, tar=tar, options=image_options)
    if out is not None:
        with opened(origin, out) as found:
            written = verb.rebuild(file, found, out, kernel)
        typer.echo(f"{out}: {written.file_size} bytes, unsigned")
        return
    with _trouble(), tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch, "rebuilt.vm")
        with opened(origin, made) as found:
            verb.rebuild(file, found, made, kernel)
        compared = verb.compare(file, made)
    typer.echo(verb.as_json(file, compared) if json else verb.as_text(compared))
    raise typer.Exit(0 if compared.same else EXIT_DIFFERENT)


@contextmanager
def _trouble() -> Iterator[None]:
    """Failures of commands whose status 1 means that something differs."""
    try:
        yield
    except SmolpackError as error:
        typer.echo(f"smolpack: error: {printable(str(error))}", err=True)
        raise typer.Exit(EXIT_TROUBLE) from error
