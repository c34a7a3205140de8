"""What a user names an image by, taken apart: a place on this host, a registry, an engine."""

import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from smolpack.errors import ImageError, SpecError

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"

_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?",
    re.ASCII,
)
_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*", re.ASCII
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_MAX_REPOSITORY = 255

ARCHIVE_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.xz", ".tar.bz2")


class Kind(Enum):
    """Where an image is; the value is the prefix that says so."""

    PATH = ""
    LAYOUT = "oci:"
    LAYOUT_ARCHIVE = "oci-archive:"
    DOCKER_ARCHIVE = "docker-archive:"
    DOCKER_DAEMON = "docker-daemon:"
    CONTAINERS_STORAGE = "containers-storage:"
    REGISTRY = "docker://"


@dataclass(frozen=True)
class LocalReference:
    """An archive or layout on this host, `path` "-" for standard input; `tag` and `digest` choose
    among the images in it. `kind` is PATH when what is there decides."""

    kind: Kind
    path: Path
    tag: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class EngineReference:
    """An image that a container engine of this host has, by the engine's own name for it."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class RegistryReference:
    """`domain` is host[:port], `repository` the path there; `digest` goes before `tag`."""

    domain: str
    repository: str
    tag: str = DEFAULT_TAG
    digest: str | None = None

    @property
    def host(self) -> str:
        """Where its registry answers."""
        return "registry-1.docker.io" if self.domain == DOCKER_HUB else self.domain

    def __str__(self) -> str:
        end = f"@{self.digest}" if self.digest else f":{self.tag}"
        return f"{self.domain}/{self.repository}{end}"


Reference = LocalReference | EngineReference | RegistryReference


def parse_reference(text: str) -> Reference:
    """Takes `text` apart; looks at the file system where a name could be a file's, too.

    Raises SpecError for what names nothing or two things, ImageError for a file that is missing.
    """
    if not text or text != text.strip() or "\0" in text:
        raise SpecError(f"{text!r}: not the name of an image; try ./app.tar or debian:12")
    if text == "-":
        return LocalReference(Kind.PATH, Path("-"))
    for kind in Kind:
        if kind.value and text.startswith(kind.value):
            return _parse_prefixed(kind, text, text.removeprefix(kind.value))
    if text.startswith((".", "/", "~")):
        # Not Path.expanduser(), which would drop a leading "./".
        return _parse_local(Kind.PATH, text, os.path.expanduser(text))  # noqa: PTH111
    return _parse_bare(text)


def _parse_prefixed(kind: Kind, text: str, rest: str) -> Reference:
    if not rest:
        raise SpecError(f"{text}: nothing is named after {kind.value}")
    if kind is Kind.REGISTRY:
        return parse_registry_reference(rest)
    if kind in (Kind.DOCKER_DAEMON, Kind.CONTAINERS_STORAGE):
        if rest.startswith("-"):
            raise SpecError(f"{text}: an image's name cannot start with a hyphen")
        return EngineReference(kind, rest)
    return _parse_local(kind, text, rest)


def _parse_local(kind: Kind, text: str, rest: str) -> LocalReference:
    """PATH, PATH:TAG or PATH@sha256:…; a path may have colons, and so may a tag."""
    rest, _, encoded = rest.partition("@sha256:")
    digest = _check_digest(text, f"sha256:{encoded}") if encoded else None
    ends = [at for at, char in enumerate(rest) if char == ":"]
    for end in (*ends, len(rest)):
        path = Path(rest[:end])
        if rest[:end] and _exists(path):
            return LocalReference(kind, path, rest[end + 1 :] or None, digest)
    missing = rest[: ends[0]] if ends else rest
    if kind is Kind.PATH:
        remedy = "an image of a registry is named without ./ at its front, like debian:12"
    else:
        remedy = "check the path"
    raise ImageError(f"{missing}: no such file or directory; {remedy}")


def _parse_bare(text: str) -> Reference:
    """A name that could be a file's as well as an image's."""
    path = Path(text)
    if text.lower().endswith(ARCHIVE_SUFFIXES):
        if _exists(path):
            return LocalReference(Kind.PATH, path)
        raise ImageError(
            f"{text}: no such file; an image of this name on Docker Hub would be docker://{text}"
        )
    if not _exists(path):
        return parse_registry_reference(text)
    try:
        parse_registry_reference(text)
    except SpecError:
        return LocalReference(Kind.PATH, path)
    raise SpecError(f"{text}: a file here, or an image? Write ./{text} or docker://{text}")


def parse_registry_reference(text: str) -> RegistryReference:
    """[DOMAIN/]REPOSITORY[:TAG][@sha256:…]; without a domain it is Docker Hub's. The grammar is
    that of the distribution project. Raises SpecError."""
    name, _, encoded = text.partition("@")
    digest = _check_digest(text, encoded) if "@" in text else None
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        domain, path = first, rest
    else:
        domain, path = DOCKER_HUB, name
    if domain == "index.docker.io":
        domain = DOCKER_HUB
    repository, colon, tag = path.partition(":")
    if domain == DOCKER_HUB and repository and "/" not in repository:
        repository = f"library/{repository}"
    if not _DOMAIN.fullmatch(domain):
        raise SpecError(f"{text}: {domain!r} is not a registry's host name and port")
    if not _REPOSITORY.fullmatch(repository) or len(repository) > _MAX_REPOSITORY:
        hint = ": names of images are lower case" if repository.lower() != repository else ""
        raise SpecError(
            f"{text}: no such file, and not the name of an image{hint}; "
            "images are named like ./app.tar, debian:12 or registry.example/app:1.2"
        )
    if colon and not _TAG.fullmatch(tag):
        raise SpecError(f"{text}: {tag!r} is not a tag")
    return RegistryReference(domain, repository, tag or DEFAULT_TAG, digest)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that no file could have
        return False


def _check_digest(text: str, digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise SpecError(f"{text}: a digest is written @sha256: and 64 hexadecimal digits")
    return digest
