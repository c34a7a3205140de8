"""The cache of images and packed roots: `smolpack cache ls|prune|path`."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer

from smolpack.errors import SpecError
from smolpack.text import show_time
from smolpack.values import format_size, parse_size

if TYPE_CHECKING:
    from smolpack.oci.store import Entry, Store

_LS_EXAMPLES = "Example:\n\n\b\n  smolpack cache ls --json\n"
_PRUNE_EXAMPLES = """Examples:

\b
  smolpack cache prune
  smolpack cache prune --size 2G
  smolpack cache prune --all
"""
_PATH_EXAMPLES = 'Example:\n\n\b\n  du -sh "$(smolpack cache path)"\n'

cache_app = typer.Typer(
    help="Look after what is kept of images: layers, packed roots, machines of run --image.",
    epilog=_LS_EXAMPLES,
    no_args_is_help=True,
)

_Json = Annotated[bool, typer.Option("--json", help="Print a JSON object.")]


@cache_app.command(epilog=_LS_EXAMPLES)
def ls(json: _Json = False) -> None:
    """List what is in the cache, the least recently used first."""
    store = _store()
    entries = store.entries()
    if json:
        typer.echo(_as_json(entries, path=str(store.path), cap=store.cap))
        return
    for entry in entries:
        typer.echo(f"{show_time(int(entry.used))}  {entry.size:>12}  {entry.kind:<7}  {entry.name}")
    total = sum(entry.size for entry in entries)
    typer.echo(f"{total} bytes in {len(entries)} files; at most {format_size(store.cap)}")


@cache_app.command(epilog=_PRUNE_EXAMPLES)
def prune(
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="How much may stay, the most recently used of it.",
            show_default="SMOLPACK_CACHE_SIZE, else 10G",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove everything.")] = False,
    json: _Json = False,
) -> None:
    """Remove what was not used for the longest time, and what killed processes left."""
    if everything and size is not None:
        raise SpecError("--all and --size contradict each other; give one")
    store = _store()
    keep = 0 if everything else store.cap if size is None else parse_size("--size", size)
    removed = store.evict(keep)
    if json:
        typer.echo(_as_json(removed, path=str(store.path), cap=store.cap))
    else:
        freed = sum(entry.size for entry in removed)
        typer.echo(f"{freed} bytes in {len(removed)} files removed")


@cache_app.command(epilog=_PATH_EXAMPLES)
def path() -> None:
    """Print where the cache is."""
    typer.echo(_store().path)


def _store() -> Store:
    # Here, not above: what reads images takes a moment to import.
    from smolpack.oci.store import default_store

    return default_store()


def _as_json(entries: list[Entry], path: str, cap: int) -> str:
    return json_module.dumps(
        {
            "path": path,
            "cap": cap,
            "size": sum(entry.size for entry in entries),
            "entries": [
                {
                    "kind": entry.kind,
                    "name": entry.name,
                    "size": entry.size,
                    "used": show_time(int(entry.used)),
                }
                for entry in entries
            ],
        },
        indent=2,
    )
