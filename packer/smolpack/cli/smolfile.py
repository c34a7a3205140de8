"""Writing Smolfiles: `smolpack init`."""

from pathlib import Path
from typing import Annotated

import typer

from smolpack.cli import options
from smolpack.errors import OutputError, SpecError
from smolpack.origin import ImageOptions

INIT_EXAMPLES = """Examples:

\b
  smolpack init --image debian:12
  smolpack init --rootfs ./rootfs --out machine/Smolfile
  smolpack init --schema > smolfile.schema.json
"""


@options.bundled(image_options=options.image_options)
def init(
    image: options.Image = None,
    rootfs: options.RootDirectory = None,
    *,
    image_options: ImageOptions,
    out: Annotated[Path, typer.Option(help="The file to write; it must not exist.")] = Path(
        "Smolfile"
    ),
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of Smolfiles instead.")
    ] = False,
) -> None:
    """Write a Smolfile with comments for an image or a directory."""
    from smolpack.smolfile import schema as schema_file

    if schema:
        typer.echo(schema_file.PATH.read_text(), nl=False)
        return
    if (image is None) == (rootfs is None):
        raise SpecError("give what the machine is made of: --image REFERENCE or --rootfs DIRECTORY")
    if out.exists() or out.is_symlink():
        raise _exists(out)
    text = _content(image, rootfs, image_options, out.parent)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise _exists(out) from error
    except OSError as error:
        raise OutputError(f"{out}: cannot write: {error.strerror}") from error
    typer.echo(f"{out}: written; next: smolpack create -s {out} --out FILE")


def _content(
    image: str | None, rootfs: Path | None, image_options: ImageOptions, directory: Path
) -> str:
    from smolpack.smolfile import places, template

    if rootfs is not None:
        from smolpack.sources.directory import DirectorySource

        DirectorySource(rootfs)  # says what is wrong with it
        return template.for_directory(places.relative_path(rootfs, directory))
    assert image is not None
    from smolpack.oci import imageconfig, open_image
    from smolpack.origin import oci_options

    with open_image(image, oci_options(image_options)) as opened:
        said = imageconfig.settings(opened)
    return template.for_image(places.relative_reference(image, directory), said)


def _exists(out: Path) -> OutputError:
    return OutputError(f"{out} exists and is left alone; give another name with --out")
