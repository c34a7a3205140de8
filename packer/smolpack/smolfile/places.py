"""Paths in a Smolfile are relative to it: seen from here, and written down."""

import os
from pathlib import Path

from smolpack.errors import SpecError
from smolpack.oci.reference import ARCHIVE_SUFFIXES, Kind

_PATH_KINDS = (Kind.LAYOUT, Kind.LAYOUT_ARCHIVE, Kind.DOCKER_ARCHIVE)


def anchored_path(text: str, directory: Path) -> Path:
    """The path `text` of a Smolfile in `directory`; ~ is the home directory."""
    try:
        return directory / Path(text).expanduser()
    except RuntimeError as error:
        raise SpecError(f"{text}: no home directory; write the path out") from error


def anchored_reference(reference: str, directory: Path) -> str:
    """The image reference of a Smolfile in `directory`; only those that are paths change."""
    prefix, path = _split(reference)
    return reference if path is None else prefix + _as_path(str(anchored_path(path, directory)))


def relative_path(path: Path, directory: Path) -> str:
    """How a Smolfile in `directory` writes `path`."""
    return str(path) if path.is_absolute() else _as_path(os.path.relpath(path, directory))


def relative_reference(reference: str, directory: Path) -> str:
    """How a Smolfile in `directory` writes an image reference."""
    prefix, path = _split(reference)
    if path is None or path.startswith(("/", "~")):
        return reference
    return prefix + relative_path(Path(path), directory)


def short_reference(reference: str) -> str:
    """An image reference without directories: the same wherever the image lies."""
    prefix, path = _split(reference)
    return reference if path is None else prefix + (path.rstrip("/").rpartition("/")[2] or path)


def _split(reference: str) -> tuple[str, str | None]:
    """The prefix of a reference, and what follows if that is a path, perhaps with a tag."""
    for kind in _PATH_KINDS:
        if reference.startswith(kind.value):
            return kind.value, reference.removeprefix(kind.value)
    is_path = reference.startswith((".", "/", "~"))
    is_archive = ":" not in reference and reference.lower().endswith(ARCHIVE_SUFFIXES)
    return "", reference if is_path or is_archive else None


def _as_path(text: str) -> str:
    """So that it cannot be taken for the name of an image."""
    return text if text.startswith(("/", ".")) else f"./{text}"
