#!/usr/bin/env python3
"""Write the initramfs: a cpio archive ("newc", as the kernel takes it) with init and its log."""

import argparse
import os
import stat
from pathlib import Path


def entry(inode: int, name: str, mode: int, data: bytes = b"", device: int = 0) -> bytes:
    """One archive member; owner root, time 0, so that the same input gives the same bytes."""
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (
        inode, mode, 0, 0, links, 0, len(data), 0, 0,
        os.major(device), os.minor(device), len(name) + 1, 0,
    )  # fmt: skip
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return pad(header) + pad(data)


def pad(data: bytes) -> bytes:
    """Fill up to the 4 bytes that headers and contents are aligned to."""
    return data + bytes(-len(data) % 4)


def archive(init: bytes) -> bytes:
    """The whole archive."""
    return b"".join(
        (
            entry(1, "dev", stat.S_IFDIR | 0o755),
            entry(2, "dev/kmsg", stat.S_IFCHR | 0o600, device=os.makedev(1, 11)),
            entry(3, "init", stat.S_IFREG | 0o755, init),
            entry(0, "TRAILER!!!", 0),
        )
    )


def main() -> None:
    """Command line: INIT OUTPUT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("init", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arguments.output.write_bytes(archive(arguments.init.read_bytes()))


if __name__ == "__main__":
    main()
