"""What this host does with packed machines: `smolpack run`, `smolpack doctor`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from smolpack import run as run_verb
from smolpack.cli import options
from smolpack.errors import RunError, SmolpackError, SpecError
from smolpack.origin import ImageOptions, Origin
from smolpack.settings import Settings

RUN_EXAMPLES = """Examples:

\b
  smolpack run tool.vm -- arg1 arg2 < in > out
  smolpack run tool.vm --vm-mem 1G -- arg1
  smolpack run --require-signer alice@example.com tool.vm
  smolpack run --image ./app.tar -- cmd
  smolpack run --image debian:12 --cpus 2 --vm-timeout 30s -- bash -c 'nproc'
  smolpack run -s Smolfile
"""

DOCTOR_EXAMPLES = "Example:\n\n\b\n  smolpack doctor\n"

_BEHIND = "smolpack.behind"


class RunCommand(TyperCommand):
    """Keeps `--` and all behind it from being taken apart: they are the machine's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_BEHIND] = args[at:]
        return super().parse_args(ctx, args[:at])


@options.bundled(image_options=options.image_options, settings=options.settings)
def run(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE] [--vm-OPTION…] [--] [ARG…]", show_default=False),
    ] = None,
    require_signer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Run it only if a key that you trust under this name has signed it; stands "
            "before FILE.",
        ),
    ] = None,
    image: options.Image = None,
    smolfile: options.SmolfilePath = None,
    *,
    image_options: ImageOptions,
    settings: Settings,
) -> None:
    """Check a packed machine and run it; it ends when the process that started it ends. Instead of
    FILE an image, or a Smolfile that names one, is packed into the cache and run; the options
    below --require-signer are for those."""
    arguments = [*(words or ()), *context.meta[_BEHIND]]
    if image is not None or smolfile is not None:
        if require_signer is not None:
            raise SpecError("--require-signer: what `run` packs itself is unsigned; use `create`")
        _run_image(Origin(image=image, options=image_options), smolfile, settings, arguments)
    elif not words:
        raise SpecError("give what to run: FILE, --image REFERENCE or --smolfile FILE")
    elif (image_options, settings) != (ImageOptions(), Settings()):
        raise SpecError("FILE says how it runs; options like --vm-mem stand behind it")
    else:
        run_verb.run(Path(words[0]), arguments[1:], require_signer)


def _run_image(
    origin: Origin, smolfile: Path | None, settings: Settings, arguments: list[str]
) -> None:
    from smolpack import machines
    from smolpack.cli.packing import read_smolfile
    from smolpack.origin import opened
    from smolpack.settings import merge
    from smolpack.smolfile.document import Profile

    said = read_smolfile(smolfile, Profile.DEV)
    origin = origin.or_else(said) if said else origin
    if origin.image is None:
        raise SpecError("`run` packs images only; make a FILE of anything else with `create`")
    try:
        with opened(origin, Path()) as found:
            run = merge(found.settings, said.settings if said else Settings(), settings)
            with machines.packed(found, run, said.later_json() if said else None) as path:
                run_verb.run(path, arguments, title=found.image)
    except (SpecError, RunError):
        raise
    except SmolpackError as error:
        # Not the program's failure.
        raise RunError(str(error)) from error


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Explain what this machine can do and why; status 1 when it cannot pack or run."""
    from smolpack import doctor as doctor_verb

    found = doctor_verb.diagnose()
    typer.echo(doctor_verb.as_json(found) if json else doctor_verb.as_text(found))
    raise typer.Exit(0 if found.healthy else 1)
