"""What differs between two packed machines, for those who run them: `smolpack diff`.

Times of files, packing and provenance do not count: a guest that does the same is the same.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smolpack import artifact, config, image, sections
from smolpack.config import Config
from smolpack.format import SectionType
from smolpack.image import Entry, Image, path_key
from smolpack.listing import type_name, xattrs
from smolpack.sources.base import CHUNK
from smolpack.text import printable

_BOOT = (SectionType.LAUNCHER, SectionType.KERNEL, SectionType.INITRAMFS)
_MARKS = {"added": "+", "removed": "-", "changed": "M"}


@dataclass(frozen=True)
class FileChange:
    """A file that only one side has (`removed`: the first, `added`: the second), or that is
    `changed`, then `what` says in which respects."""

    path: str
    kind: str
    what: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Sections with other bytes, settings as (key, first, second), files by path."""

    sections: tuple[str, ...]
    settings: tuple[tuple[str, Any, Any], ...]
    files: tuple[FileChange, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.sections or self.settings or self.files)


def diff(first: Path, second: Path) -> Difference:
    """Compares two machines. Both are read once; memory grows with what differs only. Raises
    FormatError for one that is damaged and RootfsError."""
    with (
        artifact.opened(first) as (one_file, one),
        artifact.opened(second) as (other_file, other),
    ):
        differing = tuple(
            kind.label
            for kind in _BOOT
            if sections.read(one_file, one.section(kind))
            != sections.read(other_file, other.section(kind))
        )
        settings = compare_settings(
            _run_settings(config.read(one_file, one)), _run_settings(config.read(other_file, other))
        )
        roots = {contents.section(SectionType.ROOTFS).root for contents in (one, other)}
    # Opening checks them, so that the same hash means the same bytes.
    with image.opened(first) as one_root, image.opened(second) as other_root:
        files = tuple(compare_files(one_root, other_root)) if len(roots) > 1 else ()
    return Difference(differing, settings, files)


def compare_settings(
    one: dict[str, Any], other: dict[str, Any]
) -> tuple[tuple[str, Any, Any], ...]:
    """(key, first, second) of what differs."""
    return tuple((key, one[key], other[key]) for key in one if one[key] != other[key])


def compare_files(one: Image, other: Image) -> Iterator[FileChange]:
    """Both images side by side, in the order of paths."""
    ours, theirs = one.entries(), other.entries()
    left, right = next(ours, None), next(theirs, None)
    while left or right:
        if right is None or (left and path_key(left.path) < path_key(right.path)):
            assert left is not None
            yield FileChange(left.path, "removed")
            left = next(ours, None)
        elif left is None or path_key(left.path) > path_key(right.path):
            yield FileChange(right.path, "added")
            right = next(theirs, None)
        else:
            what = tuple(_changes(left, right))
            if what:
                yield FileChange(left.path, "changed", what)
            left, right = next(ours, None), next(theirs, None)


def as_json(first: Path, second: Path, found: Difference) -> str:
    """A JSON object; keys are stable."""
    fields = {
        "first": str(first),
        "second": str(second),
        "same": found.same,
        "sections": found.sections,
        "settings": [
            {"key": key, "first": one, "second": other} for key, one, other in found.settings
        ],
        "files": [asdict(change) for change in found.files],
    }
    return json.dumps(fields, indent=2)


def as_text(found: Difference) -> str:
    """A line for each difference; nothing when there is none."""
    lines = [f"{name} differs" for name in found.sections]
    lines += [show_setting(*setting) for setting in found.settings]
    for change in found.files:
        what = f" ({', '.join(change.what)})" if change.what else ""
        lines.append(f"{_MARKS[change.kind]} {printable(change.path)}{what}")
    return "\n".join(lines)


def show_setting(key: str, one: Any, other: Any) -> str:
    """A setting that differs, in one line."""
    shown = (json.dumps(value, ensure_ascii=False) for value in (one, other))
    return printable(f"{key.replace('_', ' ')}: {' -> '.join(shown)}")


def _run_settings(settings: Config) -> dict[str, Any]:
    return {
        **asdict(settings.run),
        "kernel_version": settings.kernel_version,
        "kernel_config": settings.kernel_config,
    }


def _changes(one: Entry, other: Entry) -> Iterator[str]:
    if type_name(one) != type_name(other):
        yield "type"
        return
    left, right = one.member, other.member
    if left.mode != right.mode:
        yield "mode"
    if (left.uid, left.gid) != (right.uid, right.gid):
        yield "owner"
    if left.linkname != right.linkname:
        yield "target"
    if (left.devmajor, left.devminor) != (right.devmajor, right.devminor):
        yield "device"
    if xattrs(one) != xattrs(other):
        yield "xattrs"
    if left.size != right.size:
        yield "size"
    elif _content_differs(one, other):
        yield "content"


def _content_differs(one: Entry, other: Entry) -> bool:
    if one.content is None or other.content is None:
        return False
    while data := one.content.read(CHUNK):
        if data != other.content.read(CHUNK):
            return True
    return False
