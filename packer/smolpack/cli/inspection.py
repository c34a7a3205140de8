"""Looking into packed machines: `smolpack info`."""

from pathlib import Path
from typing import Annotated

import typer

INFO_EXAMPLES = "Example:\n\n\b\n  smolpack info tool.vm --json\n"


def info(
    file: Annotated[Path, typer.Argument(help="A packed machine.")],
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Show what a packed machine holds, how it runs and who signed it."""
    from smolpack import inspect

    found = inspect.inspect(file)
    typer.echo(inspect.as_json(found) if json else inspect.as_text(found))
