"""TOML to a checked dictionary; whatever is wrong is told with its line."""

import difflib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smolpack.errors import SpecError
from smolpack.smolfile.keys import SMOLFILE
from smolpack.smolfile.kinds import DefectError, Kind, Names, Place, Table, UnknownKeyError

MAX_SIZE = 1 << 20

# Of valid TOML: strings and comments, in which the rest means nothing; brackets; ends of lines.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\])*"|'
    r"'[^']*'|"
    r"#[^\n]*|"
    r"[\[\]{}\n]",
    re.DOTALL,
)


def read(path: Path) -> dict[str, Any]:
    """What the Smolfile at `path` says; raises SpecError, naming file, line and key."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise SpecError(f"{path}: cannot read: {error.strerror}") from error
    if len(data) > MAX_SIZE:
        raise SpecError(f"{path}: more than {MAX_SIZE} bytes; that is no Smolfile")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError(f"{path}, line {line}: not UTF-8; that is no Smolfile") from error
    return parse(text, str(path))


def parse(text: str, name: str) -> dict[str, Any]:
    """The same for the content of a file; `name` is for messages."""
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise SpecError(f"{name}: values are nested too deep") from error
    except ValueError as error:
        raise SpecError(f"{name}: not TOML: {error}") from error
    try:
        SMOLFILE.check(found, ())
    except UnknownKeyError as error:
        problem = f"unknown key {_show(error.place)}; did you mean {_nearest(error.place)}?"
        raise SpecError(f"{name}, line {line_of(text, error.place)}: {problem}") from error
    except DefectError as error:
        where = f"{name}, line {line_of(text, error.place)}"
        raise SpecError(f"{where}: {_show(error.place)}: {error}") from error
    return found


def line_of(text: str, place: Place) -> int:
    """The line, from 1 on, of the first statement of `text`, which is valid TOML, that says
    something at `place` or below it."""
    table: Place = ()
    for line, statement in _statements(text):
        stripped = statement.strip()
        if stripped.startswith("["):
            table = _path(tomllib.loads(stripped))
            says = table[: len(place)] == place
        else:
            says = _leads(tomllib.loads(stripped), table, place)
        if says:
            return line
    return 1


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Table headers, key/value pairs with their line, each parsable alone."""
    start = line = 1
    begin = depth = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        line += mark.count("\n")
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if mark == "\n" and depth == 0:
            yield start, text[begin : token.end()]
            start, begin = line, token.end()
    yield start, text[begin:]


def _path(header: dict[str, Any]) -> Place:
    """The keys of a table header that was parsed alone."""
    keys: list[str] = []
    inner: Any = header
    while isinstance(inner, dict) and inner:
        (key,) = inner
        keys.append(key)
        inner = inner[key][0] if isinstance(inner[key], list) else inner[key]
    return tuple(keys)


def _leads(statement: dict[str, Any], table: Place, place: Place) -> bool:
    """Whether a key/value pair below the header `table` says something at or below `place`."""
    if place[: len(table)] != table:
        return False
    inner: Any = statement
    for key in place[len(table) :]:
        if not isinstance(inner, dict):
            return False
        if key not in inner:
            return False
        inner = inner[key]
    return statement != {}


def _nearest(place: Place) -> str:
    """The known key that an unknown one looks most like: in its own table, else in any."""
    *table, key = place
    everywhere = dict(_all_keys(SMOLFILE, ()))
    here = [known[-1] for known in everywhere if list(known[:-1]) == table]
    if close := difflib.get_close_matches(key, here, 1):
        return _show((*table, close[0]))
    return _show(
        max(
            everywhere,
            key=lambda known: difflib.SequenceMatcher(None, key, known[-1]).ratio(),
        )
    )


def _all_keys(kind: Kind, place: Place) -> Iterator[tuple[Place, Kind]]:
    if isinstance(kind, Names):
        yield from _all_keys(kind.value, (*place, "NAME"))
    if isinstance(kind, Table):
        for name, key in kind.keys.items():
            yield (*place, name), key.kind
            yield from _all_keys(key.kind, (*place, name))


def _show(place: Place) -> str:
    *table, key = place
    return f"[{'.'.join(table)}] {key}" if table else repr(key)
