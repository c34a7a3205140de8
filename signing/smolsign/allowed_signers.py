"""allowed_signers files (ssh-keygen(1), ALLOWED SIGNERS): who may sign what, and when."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from smolsign import timestamps
from smolsign.errors import AllowedSignersError, KeyFormatError
from smolsign.keys import PublicKey
from smolsign.patterns import match_list

MAX_SIZE = 4 << 20

_BLANKS = " \t"
# A word of options: double quotes keep blanks together, a backslash keeps a quote inside them.
# Possessive, so that no second look takes an escaped quote for a closing one.
_OPTIONS = re.compile(r'(?:\\"|"(?:\\"|[^"])*+"|[^" \t])++')
_OPTION = re.compile(r'([a-z-]++)(?:="((?:\\"|[^"])*+)")?(,(?=.)|$)', re.IGNORECASE)
_KEY_TYPE = re.compile(r"(?!cert-authority\b)[a-z0-9@.-]+", re.IGNORECASE)
# What cannot be written so that it is read back as it was.
_UNWRITABLE = re.compile(r'["\x00-\x1f\x7f]')
_UNWRITABLE_OPTION = re.compile(r'["\\\x00-\x1f\x7f]')


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line: who signs with a key, and for what.

    `principals` and `namespaces` are pattern lists (ssh_config(5)); None allows every namespace.
    `valid_after` and `valid_before`, both included, are seconds since 1970. `path` and `line`
    tell where it was read. Raises AllowedSignersError for what no line could say.
    """

    principals: str
    public_key: PublicKey
    namespaces: str | None = None
    valid_after: int | None = None
    valid_before: int | None = None
    path: Path | None = field(default=None, compare=False)
    line: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.principals:
            raise AllowedSignersError("a signer needs a name")
        after, before = self.valid_after, self.valid_before
        if after is not None and before is not None and before <= after:
            raise AllowedSignersError("valid-before is not after valid-after")

    def names(self, principal: str) -> bool:
        """Whether `principal` is one of those that it is for."""
        return match_list(principal, self.principals)

    def allows(self, key: PublicKey, namespace: str, at: float) -> bool:
        """Whether a signature by `key` for `namespace` counts at that time (seconds since 1970)."""
        return (
            key == self.public_key
            and (self.namespaces is None or match_list(namespace, self.namespaces))
            and (self.valid_after is None or int(at) >= self.valid_after)
            and (self.valid_before is None or int(at) <= self.valid_before)
        )

    def text(self) -> str:
        """The line, without its end; times in UTC. Raises AllowedSignersError for a quote or a
        control character in principals or namespaces, and for a backslash in the latter."""
        for text, unwritable in (
            (self.principals, _UNWRITABLE),
            (self.namespaces or "", _UNWRITABLE_OPTION),
        ):
            if found := unwritable.search(text):
                raise AllowedSignersError(f"{text!r}: {found[0]!r} cannot stand in allowed_signers")
        options = []
        if self.namespaces is not None:
            options.append(f'namespaces="{self.namespaces}"')
        if self.valid_after is not None:
            options.append(f'valid-after="{timestamps.show(self.valid_after)}"')
        if self.valid_before is not None:
            options.append(f'valid-before="{timestamps.show(self.valid_before)}"')
        principals = self.principals
        if re.search(r"^#|\s", principals):
            principals = f'"{principals}"'
        return " ".join(filter(None, (principals, ",".join(options), self.public_key.line)))


@dataclass(frozen=True)
class AllowedSigners:
    """A file: its entries in order, and a warning for each line that is left out because it
    names a certificate authority, which is not supported."""

    entries: tuple[Entry, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file; one that does not exist is empty. Raises AllowedSignersError, which names
        file and line; no part of a file with a bad line counts."""
        return cls.parse(read(path), path)

    @classmethod
    def parse(cls, content: bytes, path: Path) -> Self:
        """Reads a file's content; `path` is for entries, warnings and errors."""
        entries = []
        warnings = []
        for number, raw in enumerate(content.split(b"\n"), 1):
            line = raw.decode("utf-8", "surrogateescape").strip(_BLANKS + "\r")
            if not line or line.startswith("#"):
                continue
            try:
                entry = _parse_line(line, path, number)
            except (_BadLineError, AllowedSignersError, KeyFormatError) as error:
                raise AllowedSignersError(f"{path}:{number}: {error}; correct that line") from None
            if entry is None:
                warnings.append(
                    f"{path}:{number}: left out: certificate authorities are not supported; "
                    "list the keys themselves"
                )
            else:
                entries.append(entry)
        return cls(tuple(entries), tuple(warnings))

    def find(
        self,
        key: PublicKey,
        namespace: str,
        *,
        principal: str | None = None,
        at: float | None = None,
    ) -> tuple[Entry, ...]:
        """The entries that let `key` sign for `namespace` at the time `at` (seconds since 1970,
        default now); of those, with `principal`, the ones that are for it."""
        now = time.time() if at is None else at
        return tuple(
            entry
            for entry in self.entries
            if entry.allows(key, namespace, now) and (principal is None or entry.names(principal))
        )


def read(path: Path) -> bytes:
    """The bytes of a file, none if it does not exist; raises AllowedSignersError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise AllowedSignersError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_SIZE:
        raise AllowedSignersError(f"{path}: has more than {MAX_SIZE} bytes")
    return content


class _BadLineError(ValueError):
    """What is wrong with a line."""


def _parse_line(line: str, path: Path, number: int) -> Entry | None:
    """None for a certificate authority."""
    if "\0" in line:
        raise _BadLineError("NUL in the line")
    principals, rest = _split_principals(line)
    options = ""
    if not _KEY_TYPE.fullmatch(rest.partition(" ")[0].partition("\t")[0]):
        found = _OPTIONS.match(rest)
        options = found[0] if found else ""
        rest = rest[len(options) :]
        if rest and rest[0] not in _BLANKS:
            raise _BadLineError("a quote has no end")
    if not rest.strip(_BLANKS):
        raise _BadLineError("the key is missing")
    public_key = PublicKey.parse(rest)
    values = dict(_parse_options(options))
    entry = Entry(
        principals=principals,
        public_key=public_key,
        namespaces=values.get("namespaces"),
        valid_after=_time(values, "valid-after"),
        valid_before=_time(values, "valid-before"),
        path=path,
        line=number,
    )
    return None if "cert-authority" in values else entry


def _split_principals(line: str) -> tuple[str, str]:
    if line.startswith('"'):
        principals, quote, rest = line[1:].partition('"')
        if not quote or (rest and rest[0] not in _BLANKS):
            raise _BadLineError("a quote has no end")
        return principals, rest.lstrip(_BLANKS)
    found = re.match(r"[^ \t]+", line)
    principals = found[0] if found else ""
    if '"' in principals:
        raise _BadLineError("a quote inside the signer's name")
    return principals, line[len(principals) :].lstrip(_BLANKS)


def _parse_options(options: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    at = 0
    while at < len(options):
        found = _OPTION.match(options, at)
        if found is None:
            raise _BadLineError(f'bad options: expected NAME="VALUE", … at {options[at:]!r:.60}')
        name, value = found[1].lower(), found[2]
        if name not in ("cert-authority", "namespaces", "valid-after", "valid-before"):
            raise _BadLineError(f"unknown option {name!r:.60}")
        if (value is None) != (name == "cert-authority"):
            raise _BadLineError(f"option {name}: a value is missing, or one too many")
        if name in seen:
            raise _BadLineError(f"option {name} twice")
        seen.add(name)
        yield name, (value or "").replace('\\"', '"')
        at = found.end()


def _time(values: dict[str, str], name: str) -> int | None:
    if name not in values:
        return None
    try:
        return timestamps.parse(values[name])
    except ValueError as error:
        raise _BadLineError(f"{name}: {error}") from None
