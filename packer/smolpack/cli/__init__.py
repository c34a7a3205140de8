"""The command line: parse, call, print, map errors to exit codes. A module a group of commands.

Only what every command needs is imported at the top: keys and signatures are slow to import, and
`smolpack run` is often waited for.
"""

import logging
import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from smolpack import __version__
from smolpack.cli import cache, contents, host, inspection, packing, signing, smolfile
from smolpack.errors import RunError, SmolpackError, SpecError
from smolpack.text import printable

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
    """Pack a container image or a root file system into one executable file that boots as a
    virtual machine."""


app.command(epilog=packing.EXAMPLES)(packing.create)
app.command(epilog=smolfile.INIT_EXAMPLES)(smolfile.init)
app.command(
    cls=host.RunCommand,
    epilog=host.RUN_EXAMPLES,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)(host.run)
app.command(epilog=inspection.INFO_EXAMPLES)(inspection.info)
app.command(epilog=contents.LS_EXAMPLES)(contents.ls)
app.command(epilog=contents.CAT_EXAMPLES)(contents.cat)
app.command(epilog=contents.EXTRACT_EXAMPLES)(contents.extract)
app.command(epilog=contents.DIFF_EXAMPLES)(contents.diff)
app.command(epilog=contents.SBOM_EXAMPLES)(contents.sbom)
app.command(epilog=contents.REBUILD_EXAMPLES)(contents.rebuild)
app.command(epilog=signing.VERIFY_EXAMPLES)(signing.verify)
app.command(epilog=signing.SIGN_EXAMPLES)(signing.sign)
app.add_typer(signing.key_app, name="key")
app.add_typer(signing.trust_app, name="trust")
app.add_typer(cache.cache_app, name="cache")
app.command(epilog=host.DOCTOR_EXAMPLES)(host.doctor)


def main() -> NoReturn:
    """The console script."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_by_signal)
    logging.basicConfig(format="smolpack: warning: %(message)s", level=logging.WARNING)
    try:
        app(prog_name="smolpack")
    except SmolpackError as error:
        typer.echo(f"smolpack: error: {printable(str(error))}", err=True)
        sys.exit(EXIT_CODES.get(type(error), EXIT_FAILURE))
    except OSError as error:
        # What files do is told by those who know them; standard output is left.
        place = error.filename or "standard output"
        typer.echo(f"smolpack: error: {place}: {error.strerror}", err=True)
        sys.exit(EXIT_FAILURE)
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)
    sys.exit(0)


def _exit_by_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
