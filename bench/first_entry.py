"""exec to the first KVM_RUN, on this machine: all that the launcher does before the guest runs.

A launcher that stops at its first KVM_RUN is measured (programs/first_entry.c), so that a KVM
which cannot run guests serves as well.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench import machines
from bench.table import Row, of_samples
from smolpack.format import SectionType

GROUP = "exec to first KVM_RUN, native"
ROUNDS = 25
T = TypeVar("T")
LAUNCHER = machines.BUILD / "first-entry-zstd"


@dataclass(frozen=True)
class Sample:
    """Milliseconds from exec to the first KVM_RUN, and those spent waiting for the kernel."""

    total: float
    waiting: float


def rows() -> list[Row]:
    """As packed by default: from the page cache, with nothing checked, and read from the disk."""
    vm = machines.rebuilt(
        machines.BUILD / "first-entry.vm", {SectionType.LAUNCHER: LAUNCHER.read_bytes()}
    )
    warm, unchecked = _with_and_without({"UNCHECKED": "1"}, vm)
    cold = measure({"vm": vm}, cold=True)["vm"]
    totals = [sample.total for sample in warm]
    waiting = [sample.waiting for sample in warm]
    return [
        best(GROUP, "file in the page cache", totals),
        best(GROUP, "of that, waiting for the kernel", waiting, ("all", totals)),
        best(GROUP, "all hashes compared", totals, ("none", [s.total for s in unchecked])),
        best(GROUP, "file on disk only", [s.total for s in cold], ("in the page cache", totals)),
    ]


def best(
    group: str, name: str, values: Sequence[float], other: tuple[str, Sequence[float]] | None = None
) -> Row:
    """A row of the best samples, in ms: all that other programs can do is to add to them."""
    return of_samples(group, name, values, "ms", other, min)


def measure(variants: Mapping[str, Path], cold: bool = False) -> dict[str, list[Sample]]:
    """Samples of each file, taken in turns."""

    def sample(path: Path) -> Sample:
        if cold:
            _forget(path)
        return _sample(path)

    return _in_turns(variants, sample)


def _with_and_without(settings: Mapping[str, str], path: Path) -> tuple[list[Sample], list[Sample]]:
    """Samples of one file, taken in turns: without these settings, and with them."""
    pairs = [(_sample(path), _sample(path, settings)) for _ in range(ROUNDS)]
    return [plain for plain, _ in pairs], [changed for _, changed in pairs]


def _sample(path: Path, settings: Mapping[str, str] | None = None) -> Sample:
    start, (entry, waiting) = _run(path, settings)
    return Sample((entry - start) / 1e6, waiting / 1e6)


def inflation(variants: Mapping[str, Path]) -> dict[str, list[float]]:
    """Milliseconds that each file's kernel takes to inflate with nothing else to do."""

    def sample(path: Path) -> float:
        _, (duration,) = _run(path, {"INFLATE_ONLY": "1"})
        return duration / 1e6

    return _in_turns(variants, sample)


def _in_turns(variants: Mapping[str, Path], sample: Callable[[Path], T]) -> dict[str, list[T]]:
    samples: dict[str, list[T]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, path in variants.items():
            samples[name].append(sample(path))
    return samples


def _run(path: Path, settings: Mapping[str, str] | None = None) -> tuple[int, list[int]]:
    """When the file was started, and the figures that it printed; nanoseconds."""
    command = [str(machines.STOPWATCH), "--", str(path), "--vm-accel", "kvm", "hello"]
    seen = json.loads(machines.run(command, os.environ | (settings or {})))
    return seen["start"], [int(word) for word in seen["head"].split()]


def _forget(path: Path) -> None:
    """Drop the file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
