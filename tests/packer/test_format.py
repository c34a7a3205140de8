"""format.py, stub/format.h and docs/format.md say the same."""

import re
import shutil
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import pytest

from smolpack import format as layout

ROOT = Path(__file__).parents[2]
HEADER = ROOT / "stub/format.h"

ENUMS: dict[str, type[IntEnum]] = {
    "ARCH": layout.Arch,
    "SECTION": layout.SectionType,
    "ENCODING": layout.Encoding,
}


def python_constants() -> dict[str, int | bytes]:
    found: dict[str, int | bytes] = {
        f"FORMAT_{name}": value
        for name, value in vars(layout).items()
        if name.isupper() and isinstance(value, (int, bytes))
    }
    for prefix, members in ENUMS.items():
        found |= {f"FORMAT_{prefix}_{member.name}": int(member) for member in members}
    return found


def python_members() -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (record.C_STRUCT, name): (offset, size)
        for record in layout.RECORDS
        for name, offset, size in record.members()
    }


def header_text() -> str:
    return re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)


def test_header_has_no_name_that_python_lacks() -> None:
    text = header_text()
    constants = set(re.findall(r"^#define\s+(FORMAT_\w+)", text, re.MULTILINE))
    for body in re.findall(r"enum \w+ \{(.*?)\}", text, re.DOTALL):
        constants |= set(re.findall(r"(FORMAT_\w+)", body))
    assert constants == set(python_constants())
    members = {
        (name, member)
        for name, body in re.findall(r"struct (\w+) \{(.*?)\};", text, re.DOTALL)
        for member in re.findall(r"(\w+)(?:\[\w+\])?;", body)
    }
    assert members == set(python_members())


def test_values_offsets_and_sizes_agree_with_the_compiler(tmp_path: Path) -> None:
    lines = []
    for name, value in python_constants().items():
        if isinstance(value, bytes):
            lines.append(
                f"for (size_t i = 0; i < sizeof({name}) - 1; i++) "
                f'printf("%s%02x", i ? "" : "{name} ", (unsigned char){name}[i]); puts("");'
            )
        else:
            lines.append(f'printf("{name} %llu\\n", (unsigned long long){name});')
    for record in layout.RECORDS:
        lines.append(f'printf("{record.C_STRUCT} %zu\\n", sizeof(struct {record.C_STRUCT}));')
    for struct, member in python_members():
        lines.append(
            f'printf("{struct}.{member} %zu %zu\\n", offsetof(struct {struct}, {member}), '
            f"sizeof(((struct {struct} *)0)->{member}));"
        )
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n"
        f'#include "{HEADER}"\nint main(void) {{\n' + "\n".join(lines) + "\nreturn 0; }\n"
    )
    program = tmp_path / "layout"
    compiler = ["cc"] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    subprocess.run([*compiler, "-std=c11", "-o", program, source], check=True)
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    found = dict(line.split(" ", 1) for line in output.splitlines())
    expected = {
        name: value.hex() if isinstance(value, bytes) else str(value)
        for name, value in python_constants().items()
    }
    expected |= {record.C_STRUCT: str(record.disk_size()) for record in layout.RECORDS}
    expected |= {
        f"{struct}.{member}": f"{offset} {size}"
        for (struct, member), (offset, size) in python_members().items()
    }
    assert found == expected


@pytest.mark.parametrize("record", layout.RECORDS)
def test_documentation_tabulates_every_member(record: type[layout.Record]) -> None:
    _, _, section = (ROOT / "docs/format.md").read_text().partition(f": `struct {record.C_STRUCT}`")
    table = section.partition("\n#")[0]
    rows = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \|", table, re.MULTILINE)
    found = [(name, int(offset), int(size)) for offset, size, name in rows]
    assert found == list(record.members())


@pytest.mark.parametrize("members", ENUMS.values())
def test_documentation_tabulates_every_value(members: type[IntEnum]) -> None:
    text = (ROOT / "docs/format.md").read_text()
    for member in members:
        assert f"| {int(member)} | `{member.name.lower()}` |" in text


def test_records_survive_a_round_trip() -> None:
    frame = layout.Frame(offset=1, size=2, image_offset=3, image_size=(1 << 64) - 1)
    assert layout.Frame.unpack(frame.pack()) == frame


def test_alignment() -> None:
    assert [layout.align(n) for n in (0, 1, 4096, 4097)] == [0, 4096, 4096, 8192]
