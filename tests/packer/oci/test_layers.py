"""What layers make together, case by case, beside umoci."""

import io
import logging
import tarfile
from pathlib import Path

import pytest

import umoci
from smolpack.oci.layers import LayersSource
from stacks import Item, directory, file, layers, link, opaque, symlink, tar, whiteout
from support import pack_image
from umoci import Nodes, needs_umoci

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
DEVICE, BLOCK, FIFO = tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE

# Layers, lowest first, and the paths that are left; a symlink has its target behind it.
CASES: dict[str, tuple[list[list[Item]], str]] = {
    "later layers win": (
        [[file("a", "1"), file("b", "1")], [file("a", "2")]],
        "a b",
    ),
    "later members win": (
        [[file("a", "1"), file("a", "2", mode=0o600), file("./a", "3")]],
        "a",
    ),
    "whiteout of a file": ([[file("a/f"), file("a/g")], [whiteout("a/f")]], "a a/g"),
    "whiteout of a directory": ([[file("a/b/f"), file("c")], [whiteout("a")]], "c"),
    "whiteout of nothing": ([[file("f")], [whiteout("g"), whiteout("no/where")]], "f"),
    "whiteout, then the file again": ([[file("f", "1")], [whiteout("f"), file("f", "2")]], "f"),
    "the file again, then its whiteout": ([[file("f", "1")], [file("f", "2"), whiteout("f")]], "f"),
    "whiteout of a directory that has news": (
        [[file("a/old"), file("a/b/old")], [file("a/b/new"), whiteout("a")]],
        "a a/b a/b/new",
    ),
    "opaque before its siblings": (
        [[file("a/old"), file("a/b/old")], [directory("a"), opaque("a"), file("a/new")]],
        "a a/new",
    ),
    "opaque after its siblings": (
        [[file("a/old"), file("a/b/old")], [directory("a"), file("a/b/new"), opaque("a")]],
        "a a/b a/b/new",
    ),
    "opaque, and the directory is not described": ([[file("a/old")], [opaque("a")]], "a"),
    "opaque root": ([[file("old"), file("a/old")], [file("a/new"), opaque("")]], "a a/new"),
    "opaque of a file, of nothing": ([[file("a")], [opaque("a"), opaque("b")]], "a"),
    "opaque hides no later layer": (
        [[file("a/1")], [opaque("a"), file("a/2")], [file("a/3")]],
        "a a/2 a/3",
    ),
    "hard link to a file that is removed": (
        [[file("a", "x", mode=0o751, uid=7), link("b", "a")], [whiteout("a")]],
        "b",
    ),
    "hard link to a file that is replaced": (
        [[file("a", "1"), link("b", "a"), link("c", "b")], [file("a", "2")]],
        "a b c",
    ),
    "hard link to a file that is replaced in its layer": (
        [[file("a", "1"), link("b", "a"), file("a", "2"), link("c", "a")]],
        "a b c",
    ),
    "hard link to a lower layer's file": (
        [[file("a", "1")], [link("b", "a")], [whiteout("a"), link("c/d", "/b")]],
        "b c c/d",
    ),
    "hard link over a file": ([[file("a", "1"), file("b", "2")], [link("a", "b")]], "a b"),
    "hard link to a symlink": (
        [[symlink("s", "nowhere"), link("t", "s")], [whiteout("s")]],
        "t>nowhere",
    ),
    "hard link to a device": ([[Item("d", DEVICE, device=(1, 3)), link("e", "d")]], "d e"),
    "hard link through a symlink and `..`": (
        [[file("usr/lib/a", "1"), symlink("lib", "usr/lib"), link("b", "../x/../lib/./a")]],
        "b lib>usr/lib usr usr/lib usr/lib/a",
    ),
    "hard link into a directory that is removed": (
        [[file("a/b/f", "1"), link("f", "a/b/f")], [whiteout("a")]],
        "f",
    ),
    "whiteout through a symlink": (
        [[file("usr/lib/f"), file("usr/lib/g"), symlink("lib", "/usr/lib")], [whiteout("lib/f")]],
        "lib>/usr/lib usr usr/lib usr/lib/g",
    ),
    "whiteout of a symlink, not of its target": (
        [[file("usr/lib/f"), symlink("lib", "usr/lib")], [whiteout("lib")]],
        "usr usr/lib usr/lib/f",
    ),
    "opaque through a symlink": (
        [[file("usr/lib/f"), symlink("lib", "usr/lib")], [opaque("lib"), file("lib/g")]],
        "lib>usr/lib usr usr/lib usr/lib/g",
    ),
    "files through symlinks": (
        [
            [directory("usr/lib"), symlink("lib", "usr/lib"), symlink("usr/x", "../lib")],
            [file("lib/f"), file("usr/x/g"), directory("lib/d")],
        ],
        "lib>usr/lib usr usr/lib usr/lib/d usr/lib/f usr/lib/g usr/x>../lib",
    ),
    "files through a symlink to nothing": (
        [[symlink("lib", "usr/lib")], [file("lib/f")]],
        "lib>usr/lib usr usr/lib usr/lib/f",
    ),
    "file, directory, symlink, file": (
        [
            [file("x", "1"), file("t/f")],
            [directory("x"), file("x/f")],
            [symlink("x", "t")],
            [file("x/g")],
            [file("x", "2")],
        ],
        "t t/f t/g x",
    ),
    "directory to symlink and back": (
        [[file("x/f"), file("t/g")], [symlink("x", "t")], [directory("x", 0o700), file("x/h")]],
        "t t/g x x/h",
    ),
    "directory keeps what is in it": (
        [
            [directory("d", 0o755, xattrs={"user.a": b"1", "user.b": b"1"}), file("d/f")],
            [directory("d", 0o1770, uid=5, mtime=1000, xattrs={"user.b": b"2"})],
        ],
        "d d/f",
    ),
    "names that would escape": (
        [
            [file("../a"), file("/b"), file("../../c/../../d"), file("e/../../f")],
            [symlink("up", "../../.."), symlink("root", "/"), file("up/g"), file("root/etc/h")],
        ],
        "a b d etc etc/h f g root>/ up>../../..",
    ),
    "whiteouts that would escape": (
        [[file("a"), file("b"), file("c"), symlink("up", "/../..")],
         [whiteout("../a"), whiteout("/b"), whiteout("up/../c")]],
        "up>/../..",
    ),
    "missing parents": ([[file("a/b/c/f", mtime=5)], [file("a/b/d/f")]],
                        "a a/b a/b/c a/b/c/f a/b/d a/b/d/f"),
    "parents that come after": (
        [[file("a/b/f"), directory("a/b", 0o700, uid=3), directory("a", 0o711, mtime=77)]],
        "a a/b a/b/f",
    ),
    "an empty directory without a member": ([[file("a/b/f")], [whiteout("a/b/f")]], "a a/b"),
    "the root": (
        [[directory("./", 0o711, uid=1, mtime=9, xattrs={"user.r": b"x"}), file("f")]], "f",
    ),
    "owners, modes and times": (
        [[
            file("su", mode=0o4755), file("sg", mode=0o2711, uid=65_536, gid=70_000),
            directory("tmp", 0o1777), file("nobody", uid=4_294_967_294, gid=2_097_152),
            file("old", mtime=0), file("fraction", mtime=1_234_567_890.75),
            file("before", mtime=-1), file("far", mtime=4_294_967_000),
        ]],
        "before far fraction nobody old sg su tmp",
    ),
    "attributes and capabilities": (
        [[
            file("ping", xattrs={"security.capability": CAPABILITY}),
            file("all", xattrs={"user.null": b"\0\xff\n=", "trusted.t": b"1"}),
            directory("d", xattrs={"user.d": b"x" * 3000}),
        ]],
        "all d ping",
    ),
    "devices": (
        [[
            Item("null", DEVICE, device=(1, 3), mode=0o666),
            Item("disk", BLOCK, device=(259, 70_000)),
            Item("pipe", FIFO, mode=0o600),
        ]],
        "disk null pipe",
    ),
    "aufs's own files": ([[file("f"), file(".wh..wh.aufs"), directory(".wh..wh.orph")]], "f"),
    "nothing": ([[]], ""),
}  # fmt: skip


@needs_umoci
@pytest.mark.parametrize(("stack", "left"), CASES.values(), ids=CASES.keys())
def test_image_is_what_umoci_unpacks(tmp_path: Path, stack: list[list[Item]], left: str) -> None:
    nodes = umoci.check(tmp_path, [tar(items) for items in stack])
    assert listing(nodes) == left


@needs_umoci
def test_names_are_bytes(tmp_path: Path) -> None:
    names = ["é", "\udcff\udcfe", "a b\n\\\"'", "-x", "...", ".wha", "x" * 255, f"{'y/' * 200}z"]
    nodes = umoci.check(tmp_path, [tar(map(file, names)), tar([file("é", "2"), whiteout("-x")])])
    assert {name for name, node in nodes.items() if node.type == "file"} == set(names) - {"-x"}


@needs_umoci
def test_a_hundred_layers(tmp_path: Path) -> None:
    stack = [
        [
            file("all", str(number)),
            file(f"own/{number}", str(number)),
            link(f"kept/{number}", "all"),
            *([whiteout(f"own/{number - 1}")] if number % 2 else []),
        ]
        for number in range(100)
    ]
    nodes = umoci.check(tmp_path, [tar(items) for items in stack])
    assert sum(path.startswith("own/") for path in nodes) == 50
    assert sum(path.startswith("kept/") for path in nodes) == 100


def test_directory_in_the_place_of_a_file(tmp_path: Path) -> None:
    """umoci refuses it before 0.5, and does this since: a layer that has `a/b` has a directory."""
    contents = [tar([file("a"), file("b")]), tar([file("a/b", "1")])]
    assert listing(packed(tmp_path, *contents)) == "a a/b b"


def test_acls_are_left_out_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    acl = {"system.posix_acl_access": b"\x02\0\0\0", "user.kept": b"1", "security.selinux": b"x"}
    with caplog.at_level(logging.WARNING):
        nodes = packed(tmp_path, tar([file("a", xattrs=acl), file("b", xattrs=acl)]))
    assert nodes["a"].xattrs == (("user.kept", b"1"),)
    assert [record.getMessage() for record in caplog.records] == [
        "POSIX ACLs of 2 files left out: squashfs cannot hold them"
    ]


def test_same_layers_give_the_same_bytes_however_they_are_read() -> None:
    contents = [tar(items) for items in CASES["hard link to a lower layer's file"][0]]
    streams = []
    for chunk in (1 << 20, 7):
        out = io.BytesIO()
        LayersSource(layers(*contents, chunk=chunk)).write(out, lambda size: None)
        streams.append(out.getvalue())
    assert streams[0] == streams[1]


def test_progress_adds_up_to_the_size() -> None:
    contents = [tar([file("a", "x" * 5000)]), tar([whiteout("b")]), tar([file("c"), file("c")])]
    source = LayersSource(layers(*contents))
    told: list[int] = []
    source.write(io.BytesIO(), told.append)
    assert sum(told) == source.size() == 2 * sum(map(len, contents))


def packed(scratch: Path, *contents: bytes) -> Nodes:
    """What an image of these layers holds."""
    return umoci.of_image(pack_image(LayersSource(layers(*contents)), scratch / "image"))


def listing(nodes: Nodes) -> str:
    """Paths, and behind symlinks their targets."""
    found = [
        f"{path}>{node.content}" if node.type == "symlink" else path
        for path, node in nodes.items()
        if path
    ]
    return " ".join(sorted(found))
