"""Where a hello's time goes: exec to the first KVM_RUN, and from there to the first output.

The host's kernel notes each entry into a guest, which costs a little: rounds of their own.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.in_host import contenders

ROUNDS = 4
CONTENDERS = {
    "ours": contenders.ours("hello"),
    "QEMU microvm, lean, initramfs": contenders.qemu_initramfs("hello"),
}
_TRACING = Path("/sys/kernel/tracing")
_EVENT = "events/kvm/kvm_entry/enable"
_SETTINGS = {
    "trace_clock": "mono",  # the stopwatch's
    "options/overwrite": "0",  # the first events count
    "buffer_size_kb": "64",
}
_ENTRY = re.compile(r" (\d+\.\d+): kvm_entry:")


def samples() -> dict[str, dict[str, list[float]]]:
    """Milliseconds: contender -> "launch" and "guest" -> samples, taken in turns."""
    subprocess.run(["mount", "-t", "tracefs", "tracefs", str(_TRACING)], check=False)
    for name, value in _SETTINGS.items():
        _set(name, value)
    result: dict[str, dict[str, list[float]]] = {
        name: {"launch": [], "guest": []} for name in CONTENDERS
    }
    for _ in range(ROUNDS):
        for name, command in CONTENDERS.items():
            seen, entry = _traced(command)
            result[name]["launch"].append(entry - seen["start"] / 1e6)
            result[name]["guest"].append(seen["first"] / 1e6 - entry)
    return result


def _traced(command: Sequence[str]) -> tuple[dict[str, Any], float]:
    """What the stopwatch saw, and the time of the first entry in ms."""
    _set("trace", "")
    _set(_EVENT, "1")
    seen = contenders.timed(command)
    _set(_EVENT, "0")  # other measurements are not to pay for it
    entry = _ENTRY.search((_TRACING / "trace").read_text())
    if not entry:
        raise RuntimeError(f"{command[0]} never entered a guest: {seen}")
    return seen, float(entry[1]) * 1e3


def _set(name: str, value: str) -> None:
    (_TRACING / name).write_text(value)
