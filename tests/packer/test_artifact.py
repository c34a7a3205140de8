"""A packed machine reads back; every defect has its own error; hostile files raise no other."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smolpack import artifact, config, hashtree, inspect, kernel
from smolpack import format as layout
from smolpack.artifact import StoredSignature
from smolpack.errors import FormatError, SignError
from smolpack.format import SectionType
from smolpack.spec import RunDefaults

IMAGE = kernel.Image(layout.Arch.X86_64, 0x100_0000, 0x100_0000, b"\x90" * 5000, 9000)
CONTENTS = {
    SectionType.LAUNCHER: b"launcher",
    SectionType.KERNEL: kernel.encode(IMAGE),
    SectionType.INITRAMFS: b"i" * 4096,
    SectionType.ROOTFS: b"r" * 70_000,
    SectionType.CONFIG: config.encode(config.Config(run=RunDefaults(cmd=("/bin/sh",)))),
    SectionType.SBOM: b"{}",
}
REQUIRED = list(CONTENTS)[:-1]
SIGNED = (StoredSignature(1, b"x" * 19), StoredSignature(2, b"y" * 8))


def packed(
    contents: dict[SectionType, bytes] = CONTENTS, signatures: tuple[StoredSignature, ...] = ()
) -> bytes:
    out = io.BytesIO()
    sections = [(kind, io.BytesIO(data)) for kind, data in contents.items()]
    found = artifact.write(out, layout.Arch.X86_64, sections)
    artifact.write_signatures(out, found, signatures)
    return out.getvalue()


GOOD = packed(signatures=SIGNED)
PAGES = {"launcher": 1, "kernel": 1, "initramfs": 1, "rootfs": 18, "config": 1, "sbom": 1}
TABLE = (sum(PAGES.values()) + 1) * layout.PAGE_SIZE
SIGNATURES = TABLE + 64 + 7 * 64
CONFIG = 21 * layout.PAGE_SIZE
TRAILER = len(GOOD) - layout.Trailer.disk_size()


def test_round_trip() -> None:
    file = io.BytesIO(GOOD)
    found = artifact.read(file)
    assert found.arch == layout.Arch.X86_64
    assert found.file_size == len(GOOD)
    assert [section.type for section in found.sections] == [*CONTENTS, SectionType.HASHES]
    assert found.signatures == SIGNED
    for section in found.sections[:-1]:
        assert section.offset % layout.PAGE_SIZE == 0
        assert artifact.read_section(file, section) == CONTENTS[section.type]
        tree = hashtree.build(hashtree.hash_chunks([CONTENTS[section.type]]))
        assert section.root == tree.root
    assert artifact.read_section(file, found.sections[-1]) == tree_of_the_root().nodes


def tree_of_the_root() -> hashtree.Tree:
    return hashtree.build(hashtree.hash_chunks([CONTENTS[SectionType.ROOTFS]]))


def test_the_drawing_in_the_documentation_is_what_is_written() -> None:
    assert GOOD.startswith(b"launcher")
    assert GOOD[TABLE:].startswith(layout.TABLE_MAGIC)
    assert GOOD[SIGNATURES + 16 :].startswith(b"x" * 19 + bytes(5))
    assert GOOD[TRAILER:].startswith(layout.TRAILER_MAGIC)


def put(offset: int, value: int, size: int = 8) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        return data[:offset] + value.to_bytes(size, "little") + data[offset + size :]

    return change


def entry(number: int, member: str) -> int:
    """File offset of a section's entry in the table."""
    offsets = {name: offset for name, offset, _ in layout.Section.members()}
    start = TABLE + layout.Table.disk_size() + number * layout.Section.disk_size()
    return start + offsets[member]


DEFECTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "too short"),
    "foreign": (lambda _: Path("/bin/sh").read_bytes(), "not a packed machine"),
    "truncated": (lambda data: data[:-1], "truncated"),
    "cut in the middle": (lambda data: data[: len(data) // 2], "truncated"),
    "hole cut out": (lambda data: data[:4096] + data[8192:], "truncated, or something"),
    "trailing bytes": (lambda data: data + b"\n", "not a packed machine, or truncated"),
    "line ends converted": (lambda data: data.replace(b"\n", b"\r\n"), "not a packed machine"),
    "older version": (put(TRAILER + 8, 1, 4), "format version 1, this smolpack knows 2"),
    "newer version": (put(TRAILER + 8, 3, 4), "format version 3"),
    "newer table": (put(TABLE + 8, 3, 4), "format version 3"),
    "reserved in trailer": (put(TRAILER + 12, 1, 4), "reserved0 is not zero"),
    "reserved at the end": (put(TRAILER + 56, 1), "reserved1 is not zero"),
    "reserved in table": (put(TABLE + 24, 1), "reserved1 is not zero"),
    "reserved in section": (put(entry(1, "reserved0"), 1, 4), "reserved0 is not zero"),
    "table outside": (put(TRAILER + 16, 1 << 40), "table does not end"),
    "table unaligned": (put(TRAILER + 16, TABLE - 1), "not page-aligned"),
    "table overflow": (put(TRAILER + 16, (1 << 64) - 4096), "table does not end"),
    "table elsewhere": (
        lambda data: put(TRAILER + 24, SIGNATURES)(put(TRAILER + 16, 0)(data)),
        "table is too large",
    ),
    "no room for a table": (
        lambda data: put(TRAILER + 24, 0)(data[:SIGNATURES] + bytes(4096 - SIGNATURES % 4096)),
        "not a packed machine",
    ),
    "no table magic": (put(TABLE, 0), "there is no table"),
    "unknown architecture": (put(TABLE + 12, 9, 4), "unknown architecture"),
    "section count": (put(TABLE + 16, 4, 4), "number of sections"),
    "unknown section": (put(entry(2, "type"), 77, 4), "unknown section type 77"),
    "duplicate section": (put(entry(2, "type"), 2, 4), "two kernel sections"),
    "unaligned section": (put(entry(3, "offset"), 12289), "rootfs section is not where"),
    "zero-length rootfs": (put(entry(3, "size"), 0), "rootfs section is empty"),
    "overlap": (put(entry(2, "size"), 4097), "rootfs section is not where"),
    "a page between": (put(entry(2, "offset"), 12288), "initramfs section is not where"),
    "out of order": (put(entry(3, "offset"), 0), "rootfs section is not where"),
    "section outside": (put(entry(6, "size"), 1 << 63), "table is not where"),
    "section without end": (put(entry(6, "size"), (1 << 64) - 1), "table is not where"),
    "a page before the table": (put(entry(6, "size"), 1 << 12, 8), "hashes section does not have"),
    "launcher not first": (put(entry(0, "offset"), 4096), "launcher section is not where"),
    "another type first": (
        lambda data: put(entry(0, "type"), 5, 4)(put(entry(4, "type"), 1, 4)(data)),
        "launcher is not at the start",
    ),
    "tree elsewhere": (put(entry(3, "tree_offset"), 32), "tree of the rootfs section is not in"),
    "tree of a single chunk": (put(entry(0, "tree_offset"), 32), "tree of the launcher section"),
    "hash of the hashes": (put(entry(6, "root"), 1), "hash of its own"),
    "tree of the hashes": (put(entry(6, "tree_offset"), 1), "hash of its own"),
    "padding of the launcher": (put(4095, 1, 1), "padding behind the launcher section"),
    "padding before the table": (put(TABLE - 1, 1, 1), "padding behind the hashes section"),
    "signatures too large": (put(TRAILER + 40, (64 << 10) + 8), "signatures are too large"),
    "signatures elsewhere": (put(TRAILER + 40, 8), "table does not end"),
    "empty signature": (put(SIGNATURES + 8, 0, 4), "a signature is empty"),
    "endless signature": (put(SIGNATURES + 8, (1 << 32) - 1, 4), "signature is cut short"),
    "signature of half a header": (put(SIGNATURES + 8, 40, 4), "is cut short"),
    "padding of a signature": (put(SIGNATURES + 16 + 19, 1, 1), "padding behind a signature"),
    "reserved in a signature": (put(SIGNATURES + 12, 1, 4), "reserved is not zero"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defects(defect: str) -> None:
    change, message = DEFECTS[defect]
    with pytest.raises(FormatError, match=re.escape(message)):
        artifact.read(io.BytesIO(change(GOOD)))


@pytest.mark.parametrize("missing", REQUIRED)
def test_missing_section(missing: SectionType) -> None:
    rest = {kind: data for kind, data in CONTENTS.items() if kind != missing}
    with pytest.raises(FormatError, match=f"no {missing.name.lower()} section"):
        artifact.read(io.BytesIO(packed(rest)))


def test_sections_that_may_be_missing() -> None:
    small = {kind: CONTENTS[kind] for kind in REQUIRED} | {SectionType.ROOTFS: b"r" * 65536}
    found = artifact.read(io.BytesIO(packed(small)))
    assert [section.type for section in found.sections] == list(REQUIRED)
    assert found.signatures == ()


def test_hashes_that_nobody_needs() -> None:
    data = packed({**{kind: CONTENTS[kind] for kind in REQUIRED}, SectionType.ROOTFS: b"r"})
    table = data.index(layout.TABLE_MAGIC)
    extra = layout.Section(type=7, offset=table, size=1, root=bytes(32), tree_offset=0).pack()
    rows = data[table + 64 : -64] + extra
    header = layout.Table(arch=1, section_count=6).pack()
    trailer = layout.Trailer(
        table_offset=table + 4096, table_size=64 + len(rows), file_size=table + 4096 + 128 + 6 * 64
    )
    forged = data[:table].ljust(table + 4096, b"\0") + header + rows + trailer.pack()
    with pytest.raises(FormatError, match="hashes section does not have the size"):
        artifact.read(io.BytesIO(forged))


def test_offsets_beyond_4_gib(tmp_path: Path) -> None:
    path = tmp_path / "large.vm"
    rootfs = (5 << 30) + 1
    tree = hashtree.tree_size(rootfs)
    sizes = [(1, 8), (2, 8), (3, 8), (4, rootfs), (5, 8), (7, tree)]
    rows = []
    end = 0
    for kind, size in sizes:
        rows.append(
            layout.Section(
                type=kind, offset=layout.align(end), size=size, root=bytes(32), tree_offset=0
            ).pack()
        )
        end = layout.align(end) + size
    table_offset = layout.align(end)
    table = layout.Table(arch=1, section_count=len(rows)).pack() + b"".join(rows)
    file_size = table_offset + len(table) + 64
    trailer = layout.Trailer(
        table_offset=table_offset, table_size=len(table), file_size=file_size
    ).pack()
    with path.open("w+b") as file:
        # A hole up to there: only table, trailer and padding are read.
        file.seek(table_offset)
        file.write(table + trailer)
        assert artifact.read(file).section(SectionType.ROOTFS).size == rootfs


def test_signatures_are_replaced() -> None:
    file = io.BytesIO(GOOD)
    found = artifact.read(file)
    for signatures in ((StoredSignature(7, b"x" * 300),), (), SIGNED * 3):
        written = artifact.write_signatures(file, found, signatures)
        assert artifact.read(file) == written
        assert written.signatures == signatures
        assert len(file.getvalue()) == written.file_size


def test_too_many_signatures() -> None:
    file = io.BytesIO(GOOD)
    with pytest.raises(SignError, match="remove some"):
        artifact.write_signatures(file, artifact.read(file), [StoredSignature(0, b"x" * 65521)])
    assert file.getvalue() == GOOD


def test_payload() -> None:
    found = artifact.read(io.BytesIO(GOOD))
    assert found.payload(0x0102) == GOOD[TABLE:SIGNATURES] + b"\x02\x01" + bytes(6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from(
                [*range(TABLE, len(GOOD)), *range(4096, 4096 + 192), *range(CONFIG, CONFIG + 100)]
            ),
            st.binary(min_size=1, max_size=8),
        ),
        min_size=1,
        max_size=6,
    ),
    cut=st.integers(0, 200) | st.just(0),
)
def test_hostile_files_raise_nothing_but_the_format_error(
    tmp_path: Path, changes: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(GOOD)
    for offset, value in changes:
        data[offset : offset + len(value)] = value
    path = tmp_path / "hostile.vm"
    path.write_bytes(data[: len(data) - cut])
    try:
        info = inspect.inspect(path)
        inspect.as_text(info)
        inspect.as_json(info)
    except FormatError:
        pass
