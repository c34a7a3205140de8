"""`smolpack create`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smolpack.errors import SpecError
from smolpack.spec import DEFAULT_HOSTNAME, DEFAULT_MEMORY, CreateSpec, RunDefaults
from smolpack.values import format_size, parse_command, parse_size

if TYPE_CHECKING:
    from smolpack.sources.base import Source

EXAMPLES = """Examples:

\b
  smolpack create --rootfs ./rootfs --out tool.vm
  smolpack create --tar rootfs.tar --out tool.vm -- /usr/bin/python3
  smolpack create --rootfs ./rootfs --out tool.vm --entrypoint "/usr/bin/git -C /src"
  smolpack create --rootfs ./rootfs --out tool.vm --sign ~/.ssh/id_ed25519
  docker export box | smolpack create --tar - --out tool.vm --cmd '["/bin/sh", "-c", "id"]'
"""


def create(
    out: Annotated[Path, typer.Option(help="The file to write; replaced if it exists.")],
    rootfs: Annotated[Path | None, typer.Option(help="Directory to pack.")] = None,
    tar: Annotated[
        Path | None,
        typer.Option(help="Tar archive to pack: plain, gzip, bzip2, xz or zstd; - is stdin."),
    ] = None,
    entrypoint: Annotated[
        str | None,
        typer.Option(
            help="Program and first words, which arguments at run time are appended to. Split as "
            "a shell would, or a JSON array when it starts with [."
        ),
    ] = None,
    cmd: Annotated[
        str | None,
        typer.Option(
            help="Words that arguments at run time replace; written as --entrypoint, or put "
            "behind -- at the end. Without --entrypoint and --cmd: /bin/sh."
        ),
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Environment; repeatable.")
    ] = None,
    workdir: Annotated[str | None, typer.Option(help="Working directory in the machine.")] = None,
    user: Annotated[
        str | None, typer.Option(metavar="USER[:GROUP]", help="Who runs the program.")
    ] = None,
    cpus: Annotated[int, typer.Option(help="Virtual CPUs, 1 to 32.")] = 1,
    mem: Annotated[
        str, typer.Option(metavar="SIZE", help="Memory, like 512M or 2G; at least 32M.")
    ] = format_size(DEFAULT_MEMORY),
    hostname: Annotated[str, typer.Option(help="Host name in the machine.")] = DEFAULT_HOSTNAME,
    name: Annotated[str | None, typer.Option(help="Name of the machine, for `info`.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Label; repeatable.")
    ] = None,
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
    """Pack a directory or a tar archive into an executable file."""
    from smolpack import create as create_verb

    if cmd is not None and words:
        raise SpecError("give the command once: either --cmd or words behind --")
    spec = CreateSpec(
        out=out,
        kernel=kernel,
        sbom=sbom,
        run=RunDefaults(
            entrypoint=parse_command("--entrypoint", entrypoint or ""),
            cmd=tuple(words or ()) or parse_command("--cmd", cmd or ""),
            env=tuple(env or ()),
            workdir=workdir,
            user=user,
            hostname=hostname,
            cpus=cpus,
            memory=parse_size("--mem", mem),
            name=name,
            labels=tuple(label or ()),
        ),
    )
    found = find_source(rootfs, tar, out)
    if sign is None:
        written = create_verb.create(spec, found)
        typer.echo(f"{out}: {written.file_size} bytes, unsigned")
        return
    from smolpack import sign as sign_verb
    from smolpack.cli.signing import load_signer

    signer = load_signer(sign)
    written = create_verb.create(
        spec, found, lambda contents: [sign_verb.make_signature(contents, signer)]
    )
    typer.echo(f"{out}: {written.file_size} bytes, signed by {signer.public_key.fingerprint}")


def find_source(rootfs: Path | None, tar: Path | None, out: Path) -> Source:
    """The one that was given, to be packed into `out`; raises SpecError, SourceError."""
    from smolpack.sources.directory import DirectorySource
    from smolpack.sources.tar import TarSource

    if rootfs is not None and tar is None:
        return DirectorySource(rootfs, target=out)
    if tar is not None and rootfs is None:
        return TarSource(tar)
    raise SpecError("give the files to pack: either --rootfs DIRECTORY or --tar ARCHIVE")
