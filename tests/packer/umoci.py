"""The reference for layers: what `umoci raw unpack` makes of them, as a tree to compare with."""

import gzip
import hashlib
import json
import os
import shutil
import stat
import subprocess
import tarfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from smolpack.oci.layers import LayersSource
from stacks import layers
from support import pack_image

ROOTLESS = os.geteuid() != 0
_OWNER_XATTR = "user.rootlesscontainers"
# squashfs holds no others; the first is the machine's own.
_KEPT_XATTRS = ("user.", "trusted.", "security.")
_LEFT_OUT_XATTRS = ("security.selinux", _OWNER_XATTR)
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
}
_TAR_TYPES = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}
_EMPTY = hashlib.sha256().hexdigest()
# What squashfs can say of a time.
_LATEST = 0xFFFF_FFFF


# umoci before 0.5 does not put directories that no member describes in the place of a file.
MADE_NO_DIRECTORY = "mkdir parent"

needs_umoci = pytest.mark.skipif(
    shutil.which("umoci") is None, reason="umoci is missing: apt install umoci"
)


class UmociError(Exception):
    """umoci refused the layers; its last line."""


class Node(NamedTuple):
    """A file as both sides show it. `content` is a digest, a symlink's target or a device;
    `links` are all paths of the inode; `mtime` is None where nobody chose it."""

    type: str
    mode: int
    uid: int
    gid: int
    mtime: int | None
    xattrs: tuple[tuple[str, bytes], ...]
    content: object
    links: tuple[str, ...]


Nodes = dict[str, Node]


def layout(directory: Path, layers: Sequence[bytes], compress: bool = False) -> Path:
    """An OCI image layout with one image, tagged `latest`."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(kind: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": f"sha256:{digest}",
            "size": len(data),
        }

    kind = "layer.v1.tar+gzip" if compress else "layer.v1.tar"
    stored = [blob(kind, gzip.compress(data, 1) if compress else data) for data in layers]
    diff_ids = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2,
        "config": blob("config.v1+json", json.dumps(config).encode()),
        "layers": stored,
    }
    entry = blob("manifest.v1+json", json.dumps(manifest).encode())
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


def unpack(image: Path, rootfs: Path) -> Nodes:
    """What umoci unpacks of an OCI layout, into a directory of its own; raises UmociError."""
    command = ["umoci", "raw", "unpack", *(["--rootless"] if ROOTLESS else [])]
    start = int(time.time()) - 1  # a file's time is that of the clock's last tick
    done = subprocess.run(
        [*command, "--image", f"{image}:latest", rootfs],
        capture_output=True,
        check=False,
        umask=0o022,
    )
    if done.returncode:
        raise UmociError(done.stderr.decode(errors="replace").strip().splitlines()[-1])
    return _of_directory(rootfs, start)


def reference(scratch: Path, layers: Sequence[bytes]) -> Nodes:
    """What umoci makes of layers; `scratch` is removed."""
    try:
        return unpack(layout(scratch / "layout", layers), scratch / "rootfs")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def of_image(image: Path) -> Nodes:
    """What a squashfs holds."""
    command = ["sqfs2tar", "--root-becomes", ".", str(image)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            nodes = _of_members(archive)
    assert process.returncode == 0
    return nodes


def check(scratch: Path, contents: Sequence[bytes]) -> Nodes:
    """Packs layers (tars) and asserts that the image is what umoci unpacks; what is in it.
    Raises UmociError when umoci refuses them."""
    theirs = reference(scratch / "umoci", contents)
    ours = of_image(pack_image(LayersSource(layers(*contents)), scratch / "image"))
    found = differences(ours, theirs)
    assert not found, "\n".join(found)
    return ours


def differences(ours: Nodes, theirs: Nodes) -> list[str]:
    """What is not the same, for people; empty when all is."""
    found = [f"only ours: {path}" for path in sorted(ours.keys() - theirs.keys())]
    found += [f"only umoci's: {path}" for path in sorted(theirs.keys() - ours.keys())]
    for path in sorted(ours.keys() & theirs.keys()):
        mine, reference = ours[path], theirs[path]
        if reference.mtime is None:
            mine = mine._replace(mtime=None)
        if ROOTLESS:
            mine, reference = _as_rootless(mine), _as_rootless(reference)
        found += [
            f"{path or '/'}: {name} is {a!r}, umoci has {b!r}"
            for name, a, b in zip(Node._fields, mine, reference, strict=True)
            if a != b
        ]
    return found


def _of_directory(top: Path, start: int) -> Nodes:
    nodes: Nodes = {}
    inodes: dict[int, list[str]] = {}
    pending = [""]
    while pending:
        path = pending.pop()
        place = top / path
        status = place.lstat()
        kind = stat.S_IFMT(status.st_mode)
        content: object = None
        if kind == stat.S_IFDIR:
            pending += [f"{path}/{child.name}".lstrip("/") for child in place.iterdir()]
        elif kind == stat.S_IFREG:
            with place.open("rb") as file:
                content = _digest(file)
        elif kind == stat.S_IFLNK:
            content = os.readlink(place)  # noqa: PTH115  (a Path would tidy it up)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            content = (os.major(status.st_rdev), os.minor(status.st_rdev))
        xattrs = {
            name: os.getxattr(place, name, follow_symlinks=False)
            for name in os.listxattr(place, follow_symlinks=False)
        }
        uid, gid = status.st_uid, status.st_gid
        if ROOTLESS:
            uid, gid = _rootless_owner(xattrs.get(_OWNER_XATTR, b""))
        seconds = status.st_mtime_ns // 1_000_000_000
        nodes[path] = Node(
            _TYPES[kind],
            stat.S_IMODE(status.st_mode),
            uid,
            gid,
            # The time of unpacking stands where no layer says another.
            None if start <= seconds <= time.time() else min(max(seconds, 0), _LATEST),
            _kept(xattrs),
            content,
            (),
        )
        inodes.setdefault(status.st_ino, []).append(path)
    return _with_links(nodes, inodes.values())


def _of_members(archive: tarfile.TarFile) -> Nodes:
    nodes: Nodes = {}
    links: dict[str, list[str]] = {}
    for member in archive:
        path = _plain(member.name)
        assert path not in nodes, f"{path} is in the image twice"
        if member.islnk():
            target = _plain(member.linkname)
            links[target].append(path)
            nodes[path] = nodes[target]
            continue
        links[path] = [path]
        kind = _TAR_TYPES[member.type]
        content: object = None
        if member.isreg():
            data = archive.extractfile(member)
            assert data is not None
            content = _digest(data)
        elif member.issym():
            content = member.linkname
        elif member.ischr() or member.isblk():
            content = (member.devmajor, member.devminor)
        prefix = "SCHILY.xattr."
        xattrs = {
            name.removeprefix(prefix): value.encode("utf-8", "surrogateescape")
            for name, value in member.pax_headers.items()
            if name.startswith(prefix)
        }
        nodes[path] = Node(
            _TYPES[kind],
            member.mode,
            member.uid,
            member.gid,
            int(member.mtime),
            _kept(xattrs),
            content,
            (),
        )
    return _with_links(nodes, links.values())


def _with_links(nodes: Nodes, groups: Iterable[list[str]]) -> Nodes:
    return {
        path: nodes[path]._replace(links=tuple(sorted(group))) for group in groups for path in group
    }


def _plain(name: str) -> str:
    return "" if name in (".", "./") else name.removeprefix("./").rstrip("/")


def _kept(xattrs: dict[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    return tuple(
        sorted(
            (name, value)
            for name, value in xattrs.items()
            if name.startswith(_KEPT_XATTRS) and name not in _LEFT_OUT_XATTRS
        )
    )


def _digest(file: IO[bytes]) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _rootless_owner(payload: bytes) -> tuple[int, int]:
    """Owner and group out of what umoci notes when it cannot change them: a protocol buffer of
    two optional numbers, left out where they are 0 or all ones."""
    ids = {1: 0, 2: 0}
    at = 0
    while at < len(payload):
        which, value, shift = payload[at] >> 3, 0, 0
        at += 1
        while True:
            byte = payload[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        ids[which] = 0 if value == 0xFFFF_FFFF else value
    return ids[1], ids[2]


def _as_rootless(node: Node) -> Node:
    """Without what nobody but root can make: devices, attributes of the system."""
    xattrs = tuple((name, value) for name, value in node.xattrs if name.startswith("user."))
    node = node._replace(xattrs=xattrs)
    if node.type.endswith("device"):
        node = node._replace(type="file", content=_EMPTY)
    return node
