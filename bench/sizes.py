"""Size of a packed machine and of its parts."""

from bench import machines
from bench.table import Row
from smolpack import artifact

GROUP = "file size"
MIB = 1 << 20
# What the peers' own pages and packages say that has to be shipped (claims, not measured here).
CLAIMS = {
    "libkrun and its kernel (claimed)": 8.1 + 17,
    "smolBSD image, smallest (claimed)": 10.0,
    "smolvm assets, smallest (claimed)": 30.0,
}


def rows() -> list[Row]:
    """Whole files beside the peers' claims, then the parts of the smaller one."""
    with artifact.opened(machines.hello()) as (_, hello):
        parts = {section.type: section.size for section in hello.sections}
    total = hello.file_size / MIB
    tar = machines.busybox_tar()
    packed = machines.pack(tar, machines.BUILD / "busybox.vm", "/bin/sh").stat().st_size / MIB
    tar_size = tar.stat().st_size / MIB
    return [
        *(Row(GROUP, "hello machine", total, "MiB", 1, *claim) for claim in CLAIMS.items()),
        Row(GROUP, "busybox machine", packed, "MiB", 1, "its root as a tar", tar_size),
        *(
            Row(GROUP, f"hello: {kind.name.lower()}", size / MIB, "MiB", 1, "whole file", total)
            for kind, size in parts.items()
        ),
    ]
