"""What this host does with packed machines: `smolpack run`, `smolpack doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from smolpack import run as run_verb

RUN_EXAMPLES = """Examples:

\b
  smolpack run tool.vm -- arg1 arg2 < in > out
  smolpack run tool.vm --vm-mem 1G -- arg1
  smolpack run --require-signer alice@example.com tool.vm
"""

DOCTOR_EXAMPLES = "Example:\n\n\b\n  smolpack doctor\n"


def run(
    file: Annotated[Path, typer.Argument(help="A packed machine.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[--vm-OPTION…] [--] [ARG…]", show_default=False)
    ] = None,
    require_signer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Run it only if a key that you trust under this name has signed it; stands "
            "before FILE.",
        ),
    ] = None,
) -> None:
    """Check a packed machine and run it; it ends when the process that started it ends."""
    run_verb.run(file, arguments or [], require_signer)


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Explain what this machine can do and why; status 1 when it cannot pack or run."""
    from smolpack import doctor as doctor_verb

    found = doctor_verb.diagnose()
    typer.echo(doctor_verb.as_json(found) if json else doctor_verb.as_text(found))
    raise typer.Exit(0 if found.healthy else 1)
