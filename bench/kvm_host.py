"""Whole runs under real KVM, in one boot of the test host, beside QEMU microvm."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import machines
from bench.errors import BenchError
from bench.table import Row, of_samples
from smolpack import artifact
from smolpack.format import SectionType

HOST = machines.REPOSITORY / "tests/kvmhost/run"
TIMEOUT_S = 1200


def rows() -> list[Row]:
    """Start and end of a hello, memory, throughput."""
    samples = _samples()
    return [
        *_hello(samples["boot"], {"first": "exec to first output", "exit": "exec to exit"}),
        *_hello(
            samples["entry"],
            {"launch": "exec to first KVM_RUN", "guest": "from there to first output"},
        ),
        *_memory(samples["memory"]),
        *_streams(samples["streams"]),
    ]


def _samples() -> dict[str, Any]:
    files = {
        machines.hello(): "hello.vm",
        _root_image(): "root.squashfs",
        machines.VMLINUX: "vmlinux",
        machines.PEER_INITRAMFS: "peer.cpio",
        machines.STOPWATCH: "stopwatch",
        machines.WORKLOAD: "workload",
        Path(__file__).parent / "in_host": "bench/in_host",
    }
    command = [
        *(sys.executable, str(HOST), "--timeout", str(TIMEOUT_S)),
        *(word for path, name in files.items() for word in ("--file", f"{path}:/work/{name}")),
        *("--", "python3", "-m", "bench.in_host"),
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"the measurement in the KVM host ended with status {done.returncode}")
    samples: dict[str, Any] = json.loads(done.stdout)
    return samples


def _root_image() -> Path:
    """hello()'s root file system as a file of its own, for QEMU."""
    out = machines.BUILD / "root.squashfs"
    with artifact.opened(machines.hello()) as (file, machine):
        out.write_bytes(artifact.read_section(file, machine.section(SectionType.ROOTFS)))
    return out


def _hello(samples: dict[str, dict[str, list[float]]], titles: dict[str, str]) -> list[Row]:
    ours = samples.pop("ours")
    return [
        of_samples("hello under KVM", title, ours[moment], "ms", (name, theirs[moment]), min)
        for moment, title in titles.items()
        for name, theirs in samples.items()
    ]


def _memory(samples: dict[str, dict[str, int]]) -> list[Row]:
    ours = samples.pop("ours")
    titles = {"anonymous": "pages of its own", "resident": "with pages of mapped files"}
    return [
        Row("resident memory, guest RAM apart", title, ours[kind] / 1024, "MiB", 1, name,
            theirs[kind] / 1024)
        for kind, title in titles.items()
        for name, theirs in samples.items()
    ]  # fmt: skip


def _streams(samples: dict[str, dict[str, list[float]]]) -> list[Row]:
    ours = samples.pop("ours")
    return [
        of_samples(
            "throughput under KVM",
            direction,
            ours[direction],
            "MB/s",
            (name, theirs[direction]),
            max,
        )
        for direction in ours
        for name, theirs in samples.items()
    ]
