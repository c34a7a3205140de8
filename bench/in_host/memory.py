"""Resident memory of what runs a machine, guest RAM apart."""

import re
import subprocess
from pathlib import Path

from bench.in_host import contenders

CONTENDERS = {
    "ours": contenders.ours("hold"),
    "QEMU microvm, initramfs": contenders.qemu_initramfs("hold"),
}
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)$")


def samples() -> dict[str, dict[str, int]]:
    """KiB: contender -> "private" (its own pages) and "resident" (with pages of files it maps)."""
    return {name: _measure(command) for name, command in CONTENDERS.items()}


def _measure(command: list[str]) -> dict[str, int]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            process.stdout.read(1)  # the program is up
            mappings = _mappings(Path(f"/proc/{process.pid}/smaps").read_text())
        finally:
            process.kill()
    ram = max(mappings, key=lambda mapping: mapping["Size"])
    rest = [mapping for mapping in mappings if mapping is not ram]
    return {
        "private": sum(m["Private_Dirty"] + m["Private_Clean"] * (not m["file"]) for m in rest),
        "resident": sum(m["Rss"] for m in rest),
    }


def _mappings(smaps: str) -> list[dict[str, int]]:
    """Every mapping's figures in KiB, and whether it is of a file."""
    mappings: list[dict[str, int]] = []
    for line in smaps.splitlines():
        if head := _MAPPING.match(line):
            mappings.append({"file": int(head[1].startswith("/"))})
            continue
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            mappings[-1][name] = int(value.split()[0])
    return mappings
