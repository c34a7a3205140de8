"""Resident memory of what runs a machine, guest RAM apart."""

import re
import subprocess
from pathlib import Path

from bench.in_host import contenders

CONTENDERS = {
    "ours": contenders.ours("hold"),
    "QEMU microvm, lean, initramfs": contenders.qemu_initramfs("hold"),
}
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ ")


def samples() -> dict[str, dict[str, int]]:
    """KiB: contender -> "anonymous" (pages of its own) and "resident" (with those of files)."""
    return {name: _measure(command) for name, command in CONTENDERS.items()}


def _measure(command: list[str]) -> dict[str, int]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            process.stdout.read(1)  # the program is up
            mappings = _mappings(Path(f"/proc/{process.pid}/smaps").read_text())
        finally:
            process.kill()
    mappings.remove(max(mappings, key=lambda mapping: mapping["Size"]))  # guest RAM
    return {
        "anonymous": sum(mapping["Anonymous"] for mapping in mappings),
        "resident": sum(mapping["Rss"] for mapping in mappings),
    }


def _mappings(smaps: str) -> list[dict[str, int]]:
    """Every mapping's figures in KiB."""
    mappings: list[dict[str, int]] = []
    for line in smaps.splitlines():
        name, _, value = line.partition(":")
        if _MAPPING.match(line):
            mappings.append({})
        elif value.endswith(" kB"):
            mappings[-1][name] = int(value.split()[0])
    return mappings
