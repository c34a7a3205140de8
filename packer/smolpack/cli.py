"""The command line: parse, call, print, map errors to exit codes."""

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from smolpack import __version__, doctor, inspect
from smolpack import create as create_verb
from smolpack import run as run_verb
from smolpack.errors import RunError, SmolpackError, SpecError
from smolpack.sources.base import Source
from smolpack.sources.directory import DirectorySource
from smolpack.sources.tar import TarSource
from smolpack.spec import (
    DEFAULT_HOSTNAME,
    DEFAULT_MEMORY,
    CreateSpec,
    RunDefaults,
    format_size,
    parse_command,
    parse_size,
)

EXIT_FAILURE = 1
# RunError: as the launcher itself ends for a failure that is not the program's.
EXIT_CODES: dict[type[SmolpackError], int] = {SpecError: 2, RunError: 125}

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_CREATE_EXAMPLES = """Examples:

\b
  smolpack create --rootfs ./rootfs --out tool.vm
  smolpack create --tar rootfs.tar --out tool.vm -- /usr/bin/python3
  smolpack create --rootfs ./rootfs --out tool.vm --entrypoint "/usr/bin/git -C /src"
  docker export box | smolpack create --tar - --out tool.vm --cmd '["/bin/sh", "-c", "id"]'
"""

_RUN_EXAMPLES = """Examples:

\b
  smolpack run tool.vm -- arg1 arg2 < in > out
  smolpack run tool.vm --vm-mem 1G -- arg1
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"smolpack {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Pack a root file system into one executable file that boots as a virtual machine."""


@app.command(epilog=_CREATE_EXAMPLES)
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
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[-- CMD…]", show_default=False)
    ] = None,
) -> None:
    """Pack a directory or a tar archive into an executable file."""
    if cmd is not None and words:
        raise SpecError("give the command once: either --cmd or words behind --")
    spec = CreateSpec(
        out=out,
        kernel=kernel,
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
    create_verb.create(spec, _source(rootfs, tar, out))


def _source(rootfs: Path | None, tar: Path | None, out: Path) -> Source:
    if rootfs is not None and tar is None:
        return DirectorySource(rootfs, target=out)
    if tar is not None and rootfs is None:
        return TarSource(tar)
    raise SpecError("give the files to pack: either --rootfs DIRECTORY or --tar ARCHIVE")


@app.command(
    epilog=_RUN_EXAMPLES,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def run(
    file: Annotated[Path, typer.Argument(help="A packed machine.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[--vm-OPTION…] [--] [ARG…]", show_default=False)
    ] = None,
) -> None:
    """Run a packed machine; it ends when the process that started it ends."""
    run_verb.run(file, arguments or [])


@app.command(epilog="Example:\n\n\b\n  smolpack info tool.vm --json\n")
def info(
    file: Annotated[Path, typer.Argument(help="A packed machine.")],
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Show what a packed machine holds and how it runs."""
    found = inspect.inspect(file)
    typer.echo(inspect.as_json(found) if json else inspect.as_text(found))


@app.command("doctor", epilog="Example:\n\n\b\n  smolpack doctor\n")
def doctor_command(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Explain what this machine can do and why; status 1 when it cannot pack or run."""
    found = doctor.diagnose()
    typer.echo(doctor.as_json(found) if json else doctor.as_text(found))
    raise typer.Exit(0 if found.healthy else EXIT_FAILURE)


def main() -> NoReturn:
    """The console script."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_by_signal)
    logging.basicConfig(format="smolpack: warning: %(message)s", level=logging.WARNING)
    try:
        app(prog_name="smolpack")
    except SmolpackError as error:
        typer.echo(f"smolpack: error: {error}", err=True)
        sys.exit(EXIT_CODES.get(type(error), EXIT_FAILURE))
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)
    sys.exit(0)


def _exit_by_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
