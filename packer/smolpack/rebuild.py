"""A packed machine made once more from its inputs, and compared: `smolpack rebuild`."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from smolpack import artifact, config, create
from smolpack.artifact import Artifact
from smolpack.config import Config
from smolpack.diff import compare_settings, show_setting
from smolpack.epoch import pinned
from smolpack.format import SectionType
from smolpack.origin import Opened
from smolpack.spec import CreateSpec


@dataclass(frozen=True)
class SectionResult:
    """A section in both files: sizes in bytes (None where a file has none), and where, from
    its start, the first different byte stands; None when there is none."""

    name: str
    packed_size: int | None
    rebuilt_size: int | None
    differs_at: int | None


@dataclass(frozen=True)
class Comparison:
    """All of both files but signatures. `settings` are (key, packed, rebuilt) of the config
    section, which names tools and the digest of the inputs too."""

    sections: tuple[SectionResult, ...]
    settings: tuple[tuple[str, Any, Any], ...]

    @property
    def same(self) -> bool:
        """Whether every byte is the same, signatures apart."""
        return all(section.differs_at is None for section in self.sections)


def rebuild(file: Path, found: Opened, out: Path, kernel: Path | None = None) -> Artifact:
    """Packs what was `found` as `file` says that it was made, into `out`: run defaults,
    SOURCE_DATE_EPOCH and whether there is a bill of materials; without its signatures. An image
    keeps the name that it has there, since the same one can be had in many places. `kernel` is an
    uncompressed ELF vmlinux, unless it is the packaged one. Raises what create() does."""
    with artifact.opened(file) as (packed, contents):
        settings = config.read(packed, contents)
        has_sbom = any(section.type == SectionType.SBOM for section in contents.sections)
    spec = CreateSpec(
        out=out,
        run=settings.run,
        kernel=kernel,
        sbom=has_sbom,
        image=found.image and (settings.image or found.image),
        image_digest=found.image_digest,
        smolfile=settings.smolfile,
    )
    with pinned(settings.date):
        return create.create(spec, found.source)


def compare(file: Path, rebuilt: Path) -> Comparison:
    """Both files section by section, byte by byte."""
    with (
        artifact.opened(file) as (one_file, one),
        artifact.opened(rebuilt) as (other_file, other),
    ):
        ours = {section.type: section for section in one.sections}
        theirs = {section.type: section for section in other.sections}
        results = []
        for kind in sorted(ours | theirs):
            left, right = ours.get(kind), theirs.get(kind)
            at: int | None = 0
            if left and right:
                at = _first_difference(
                    artifact.read_pieces(one_file, left), artifact.read_pieces(other_file, right)
                )
            sizes = [section.size if section else None for section in (left, right)]
            results.append(SectionResult(kind.label, sizes[0], sizes[1], at))
        packed, made = (
            _fields(config.read(one_file, one)),
            _fields(config.read(other_file, other)),
        )
    return Comparison(tuple(results), compare_settings(packed, made))


def as_text(found: Comparison) -> str:
    """A line a section, then what the config sections say differently, then the verdict."""
    lines = []
    for section in found.sections:
        state = "identical"
        if None in (section.packed_size, section.rebuilt_size):
            state = f"only in the {'rebuilt' if section.packed_size is None else 'packed'} file"
        elif section.differs_at is not None:
            sizes = f"{section.packed_size} and {section.rebuilt_size} bytes"
            state = f"differs from byte {section.differs_at} on ({sizes})"
        lines.append(f"{section.name:<10} {state}")
    lines += [show_setting(*setting) for setting in found.settings]
    verdict = "identical, signatures apart" if found.same else "different"
    return "\n".join([*lines, verdict])


def as_json(file: Path, found: Comparison) -> str:
    """A JSON object; keys are stable, sizes and offsets in bytes."""
    fields = {
        "file": str(file),
        "same": found.same,
        "sections": [asdict(section) for section in found.sections],
        "settings": [
            {"key": key, "packed": packed, "rebuilt": rebuilt}
            for key, packed, rebuilt in found.settings
        ],
    }
    return json.dumps(fields, indent=2)


def _fields(settings: Config) -> dict[str, Any]:
    fields = asdict(settings)
    return {**fields.pop("run"), **fields}


def _first_difference(one: Iterable[bytes], other: Iterable[bytes]) -> int | None:
    """Both in pieces of the same size, but for the last."""
    offset = 0
    for left, right in zip_longest(one, other, fillvalue=b""):
        if left != right:
            shared = min(len(left), len(right))
            return offset + next((at for at in range(shared) if left[at] != right[at]), shared)
        offset += len(left)
    return None
