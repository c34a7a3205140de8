"""A packed machine reads back; every defect has its own error; hostile files raise no other."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smolpack import artifact, config, inspect, kernel
from smolpack import format as layout
from smolpack.errors import FormatError
from smolpack.format import SectionType
from smolpack.spec import RunDefaults

IMAGE = kernel.Image(layout.Arch.X86_64, 0x100_0000, 0x100_0000, b"\x90" * 5000, 9000)
CONTENTS = {
    SectionType.LAUNCHER: b"launcher",
    SectionType.KERNEL: kernel.encode(IMAGE),
    SectionType.INITRAMFS: b"i" * 4096,
    SectionType.ROOTFS: b"r" * 5000,
    SectionType.CONFIG: config.encode(config.Config(run=RunDefaults(cmd=("/bin/sh",)))),
}


def packed(contents: dict[SectionType, bytes] = CONTENTS) -> bytes:
    out = io.BytesIO()
    artifact.write(
        out, layout.Arch.X86_64, [(kind, io.BytesIO(data)) for kind, data in contents.items()]
    )
    return out.getvalue()


GOOD = packed()
TABLE = 6 * layout.PAGE_SIZE
TRAILER = len(GOOD) - layout.Trailer.disk_size()


def test_round_trip() -> None:
    file = io.BytesIO(GOOD)
    found = artifact.read(file)
    assert found.arch == layout.Arch.X86_64
    assert found.file_size == len(GOOD)
    assert [section.type for section in found.sections] == list(CONTENTS)
    for section in found.sections:
        assert section.offset % layout.PAGE_SIZE == 0
        assert artifact.read_section(file, section) == CONTENTS[section.type]


def test_the_drawing_in_the_documentation_is_what_is_written() -> None:
    assert GOOD.startswith(b"launcher")
    assert GOOD[TABLE:].startswith(layout.TABLE_MAGIC)
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
    "newer version": (put(TRAILER + 8, 2, 4), "format version 2"),
    "newer table": (put(TABLE + 8, 2, 4), "format version 2"),
    "reserved in trailer": (put(TRAILER + 12, 1, 4), "reserved0 is not zero"),
    "reserved in table": (put(TABLE + 24, 1), "reserved1 is not zero"),
    "reserved in section": (put(entry(1, "reserved1"), 1), "reserved1 is not zero"),
    "table outside": (put(TRAILER + 16, 1 << 40), "table does not end"),
    "table unaligned": (put(TRAILER + 16, TABLE - 1), "not page-aligned"),
    "table overflow": (put(TRAILER + 16, (1 << 64) - 4096), "table does not end"),
    "table elsewhere": (
        lambda data: put(TRAILER + 24, TRAILER)(put(TRAILER + 16, 0)(data)),
        "table is too large",
    ),
    "no table magic": (put(TABLE, 0), "there is no table"),
    "unknown architecture": (put(TABLE + 12, 9, 4), "unknown architecture"),
    "section count": (put(TABLE + 16, 4, 4), "number of sections"),
    "unknown section": (put(entry(2, "type"), 77, 4), "unknown section type 77"),
    "duplicate section": (put(entry(2, "type"), 2, 4), "two kernel sections"),
    "unaligned section": (put(entry(3, "offset"), 12289), "rootfs section is not page-aligned"),
    "zero-length rootfs": (put(entry(3, "size"), 0), "rootfs section is empty"),
    "overlap": (put(entry(2, "size"), 4097), "rootfs section overlaps"),
    "out of order": (put(entry(3, "offset"), 0), "rootfs section overlaps"),
    "section outside": (put(entry(3, "size"), 1 << 63), "rootfs section reaches beyond"),
    "section over the table": (put(entry(4, "size"), 4097), "config section reaches beyond"),
    "launcher not first": (put(entry(0, "offset"), 4096), "overlaps"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_defects(defect: str) -> None:
    change, message = DEFECTS[defect]
    with pytest.raises(FormatError, match=re.escape(message)):
        artifact.read(io.BytesIO(change(GOOD)))


@pytest.mark.parametrize("missing", SectionType)
def test_missing_section(missing: SectionType) -> None:
    rest = {kind: data for kind, data in CONTENTS.items() if kind != missing}
    with pytest.raises(FormatError, match=f"no {missing.name.lower()} section"):
        artifact.read(io.BytesIO(packed(rest)))


def test_offsets_beyond_4_gib(tmp_path: Path) -> None:
    path = tmp_path / "large.vm"
    with path.open("wb") as hole:
        hole.truncate((5 << 30) + 1)
    # Nothing of it is read: only table and trailer are.
    start = layout.align((5 << 30) + 1)
    sections = [(1, 0, 8), (2, 4096, 8), (3, 8192, 8), (4, 12288, (5 << 30) - 12287)]
    rows = [layout.Section(type=t, offset=o, size=s).pack() for t, o, s in sections]
    rows.append(layout.Section(type=5, offset=start, size=8).pack())
    table = layout.Table(arch=1, section_count=5).pack() + b"".join(rows)
    table_offset = start + 4096
    file_size = table_offset + len(table) + 64
    trailer = layout.Trailer(
        table_offset=table_offset, table_size=len(table), file_size=file_size
    ).pack()
    with path.open("r+b") as file:
        file.seek(table_offset)
        file.write(table + trailer)
        assert artifact.read(file).section(SectionType.ROOTFS).size == (5 << 30) - 12287


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from(
                [*range(TABLE, len(GOOD)), *range(4096, 4096 + 192), *range(20480, 20580)]
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
