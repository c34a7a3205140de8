"""`smolpack create`."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smolpack.cli import options
from smolpack.errors import SpecError
from smolpack.origin import ImageOptions, Origin, opened
from smolpack.settings import Settings, merge
from smolpack.spec import CreateSpec

if TYPE_CHECKING:
    from smolpack.smolfile.document import Profile, Smolfile

_log = logging.getLogger(__name__)

EXAMPLES = """Examples:

\b
  docker save app | smolpack create --image - --out app.vm
  smolpack create --image debian:12 --out debian.vm
  smolpack create --image registry.example/app:1.2 --out app.vm --entrypoint /app/run
  smolpack create -s Smolfile --out app.vm
  smolpack create --rootfs ./rootfs --out tool.vm --sign ~/.ssh/id_ed25519
  smolpack create --tar rootfs.tar --out tool.vm -- /usr/bin/python3
  smolpack create --rootfs ./rootfs --out tool.vm --cmd '["/bin/sh", "-c", "id"]'
"""


@options.bundled(image_options=options.image_options, settings=options.settings)
def create(
    out: Annotated[Path, typer.Option(help="The file to write; replaced if it exists.")],
    image: options.Image = None,
    rootfs: options.RootDirectory = None,
    tar: options.TarArchive = None,
    smolfile: options.SmolfilePath = None,
    *,
    image_options: ImageOptions,
    settings: Settings,
    kernel: Annotated[
        Path | None, typer.Option(help="Another kernel: an uncompressed ELF vmlinux with PVH.")
    ] = None,
    sbom: Annotated[
        bool, typer.Option("--sbom/--no-sbom", help="Pack a bill of materials, see `sbom`.")
    ] = True,
    sign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="Sign with an OpenSSH Ed25519 private key, or with a public key (.pub) that "
            "ssh-agent has.",
        ),
    ] = None,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[-- CMD…]", show_default=False)
    ] = None,
) -> None:
    """Pack a container image, a directory or a tar archive into an executable file. What is said
    here goes before what the Smolfile says, and that before what the image says."""
    from smolpack import create as create_verb
    from smolpack.smolfile.document import Profile

    if words:
        if settings.cmd is not None:
            raise SpecError("give the command once: either --cmd or words behind --")
        settings = dataclasses.replace(settings, cmd=tuple(words))
    origin = Origin(image=image, rootfs=rootfs, tar=tar, options=image_options)
    said = read_smolfile(smolfile, Profile.ARTIFACT)
    if said is not None:
        origin, sign = origin.or_else(said), sign or said.sign
    signer = None
    if sign is not None:
        from smolpack.cli.signing import load_signer

        signer = load_signer(sign)
    with opened(origin, out) as found:
        spec = CreateSpec(
            out=out,
            kernel=kernel,
            sbom=sbom,
            run=merge(found.settings, said.settings if said else Settings(), settings),
            image=found.image,
            image_digest=found.image_digest,
            smolfile=said.later_json() if said else None,
        )
        if signer is None:
            written = create_verb.create(spec, found.source, root=found.root)
            typer.echo(f"{out}: {written.file_size} bytes, unsigned")
            return
        from smolpack import sign as sign_verb

        written = create_verb.create(
            spec,
            found.source,
            lambda contents: [sign_verb.make_signature(contents, signer)],
            found.root,
        )
    typer.echo(f"{out}: {written.file_size} bytes, signed by {signer.public_key.fingerprint}")


def read_smolfile(path: Path | None, profile: Profile) -> Smolfile | None:
    """The Smolfile, if one was given; tells what it asks for in vain."""
    if path is None:
        return None
    from smolpack.smolfile.document import load

    said = load(path, profile)
    if names := said.later_names():
        _log.warning(
            "%s: kept in the machine, but nothing acts on it yet: %s", path, ", ".join(names)
        )
    return said
