"""Layers as different programs write them: GNU, pax and V7 tars, sparse files, large files."""

import io
import shutil
import subprocess
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import umoci
from smolpack.oci.base import Readable
from smolpack.oci.layers import LayersSource
from smolpack.oci.layers.members import Member, Members
from smolpack.sources.base import Advance
from stacks import Item, file, layers, link, symlink, tar
from support import image_attributes, image_file, pack_image
from umoci import needs_umoci

END = bytes(1024)
LONG = "/".join(["directory"] * 30)


def block(item: Item, format: int) -> bytes:  # noqa: A002
    """A member without data in one of tarfile's formats."""
    return item.info().tobuf(format, "utf-8", "surrogateescape")  # type: ignore[arg-type]


def resealed(header: bytes, at: int, data: bytes) -> bytes:
    """A header with some bytes replaced and its checksum made to fit."""
    header = header[:at] + data + header[at + len(data) :]
    blank = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(blank) + header[156:]


@needs_umoci
@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_large_numbers(tmp_path: Path, format: int) -> None:  # noqa: A002
    items = [
        file(f"{LONG}/file", uid=4_000_000_000, gid=3_000_000, mtime=-7),
        symlink(f"{LONG}/symlink", f"../{LONG}/target"),
        link(f"{LONG}/link", f"{LONG}/file"),
    ]
    nodes = umoci.check(tmp_path, [b"".join(block(item, format) for item in items) + END])
    assert nodes[f"{LONG}/file"].uid == 4_000_000_000
    assert nodes[f"{LONG}/link"].links == (f"{LONG}/file", f"{LONG}/link")
    assert nodes[f"{LONG}/symlink"].content == f"../{LONG}/target"


@needs_umoci
@pytest.mark.parametrize("end", [2512, 2513, 2560, 3072])
def test_archives_that_just_end(tmp_path: Path, end: int) -> None:
    """As `umoci insert` writes them: without padding and end marker."""
    nodes = umoci.check(tmp_path, [tar([file("f", "x" * 2000)])[:end]])
    assert "f" in nodes


@needs_umoci
def test_old_headers(tmp_path: Path) -> None:
    """A name in two fields, types of V7, and fields that end with a blank or with nothing."""
    plain = block(file("plain", mode=0o640), tarfile.USTAR_FORMAT)
    v7 = resealed(plain, 257, bytes(255))
    contents = b"".join([
        block(file(f"{'u' * 90}/{'v' * 90}"), tarfile.USTAR_FORMAT),
        resealed(resealed(v7, 0, b"v7"), 156, b"\0"),
        resealed(resealed(v7, 0, b"directory/\0"), 156, b"\0"),
        resealed(resealed(plain, 0, b"blank"), 100, b"   755 \0" + b"000017 \0"),
        resealed(resealed(plain, 0, b"signed\xff"), 0, b"signed\xff\0"),
        END,
    ])  # fmt: skip
    nodes = umoci.check(tmp_path, [contents])
    assert nodes["directory"].type == "directory"
    assert nodes["blank"].mode == 0o755 and nodes["blank"].uid == 0o17


@needs_umoci
@pytest.mark.parametrize("end", [b"", bytes(512), bytes(10240), bytes(1024) + b"behind it"])
def test_ends_of_archives(tmp_path: Path, end: bytes) -> None:
    contents = tar([file("a", "1")]).removesuffix(END) + end
    assert umoci.check(tmp_path, [contents]).keys() == {"", "a"}


@needs_umoci
def test_empty_streams(tmp_path: Path) -> None:
    assert umoci.check(tmp_path, [b"", tar([file("a")]), END]).keys() == {"", "a"}


def test_no_layers_at_all(tmp_path: Path) -> None:
    assert unpacked(tmp_path).keys() == {""}


def test_global_headers_are_passed_over(tmp_path: Path) -> None:
    """As by most engines; umoci refuses them."""
    header = tarfile.TarInfo.create_pax_global_header({"comment": "x", "path": "other"})
    assert unpacked(tmp_path, header + tar([file("a")])).keys() == {"", "a"}


def test_contiguous_files_are_files(tmp_path: Path) -> None:
    """As POSIX wants; umoci refuses them."""
    contents = resealed(tar([file("a", "1")])[:512], 156, tarfile.CONTTYPE) + b"1".ljust(512, b"\0")
    assert unpacked(tmp_path, contents)["a"].type == "file"


def test_attributes_of_libarchive(tmp_path: Path) -> None:
    """umoci does not read them; bsdtar writes both forms, and here the first one counts."""
    records = {
        "LIBARCHIVE.xattr.user.name%20x": b64encode(b"\0\xff").decode().rstrip("="),
        "LIBARCHIVE.xattr.user.both": b64encode(b"no").decode(),
        "SCHILY.xattr.user.both": "yes",
    }
    nodes = unpacked(tmp_path, tar([Item("a", records=records)]))
    assert nodes["a"].xattrs == (("user.both", b"yes"), ("user.name x", b"\0\xff"))


SPARSE_SIZE = 3 << 20
SPARSE_DATA = ((0, b"a" * 5000), (1 << 20, b"b" * 4096), ((2 << 20) - 1, b"c"))


def sparse_file(path: Path, size: int = SPARSE_SIZE) -> Path:
    with path.open("wb") as out:
        for offset, data in SPARSE_DATA:
            out.seek(offset)
            out.write(data)
        out.truncate(size)
    return path


@pytest.mark.parametrize("size", [SPARSE_SIZE, 2 << 20])
@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_files_of_gnu_tar(tmp_path: Path, form: str, size: int) -> None:
    """umoci reads all but the oldest form, which it refuses."""
    original = sparse_file(tmp_path / "sparse", size)
    sparse_file(tmp_path / "other", size)
    options = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    contents = subprocess.run(
        ["tar", "--create", "--sparse", *options, "-C", tmp_path, "sparse", "other"],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    assert len(contents) < 1 << 20
    image = pack_image(LayersSource(layers(contents)), tmp_path / "image")
    for name in ("sparse", "other"):
        assert image_file(image, name) == original.read_bytes()
    if form != "gnu" and shutil.which("umoci"):
        umoci.check(tmp_path, [contents])


def test_holes_stay_holes(tmp_path: Path) -> None:
    """In the stream: a reader of it need not see gigabytes of zeros."""
    size = 9 << 30
    contents = pax_sparse("sparse", size, [(4096, b"x" * 4096), (8 << 30, b"y")])
    out = io.BytesIO()
    LayersSource(layers(contents)).write(out, lambda size: None)
    assert len(out.getvalue()) < 20_000
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        (member,) = archive.getmembers()[1:]
        assert member.issparse() and member.size == size
    image = pack_image(LayersSource(layers(contents)), tmp_path / "image")
    assert image_attributes(image, "sparse")["File size"] == str(size)
    assert image.stat().st_size < 1 << 20


def test_more_holes_than_the_stream_can_say(tmp_path: Path) -> None:
    data = [(2 * place, b"x") for place in range(70_000)]
    contents = pax_sparse("sparse", 140_000, data)
    image = pack_image(LayersSource(layers(contents)), tmp_path / "image")
    assert image_file(image, "sparse") == b"x\0" * 70_000


def test_a_file_that_is_nothing_but_a_hole(tmp_path: Path) -> None:
    image = pack_image(LayersSource(layers(pax_sparse("s", 5000, []))), tmp_path / "image")
    assert image_file(image, "s") == bytes(5000)


def pax_sparse(name: str, size: int, data: list[tuple[int, bytes]]) -> bytes:
    """A sparse file in the pax format 1.0."""
    numbers = [len(data), *(n for offset, piece in data for n in (offset, len(piece)))]
    text = "".join(f"{number}\n" for number in numbers).encode()
    text += bytes(-len(text) % 512)
    records = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": name,
        "GNU.sparse.realsize": str(size),
    }
    content = text + b"".join(piece for _, piece in data)
    return tar([file("GNUSparseFile.1/x", content, records=records)])


class HugeLayer:
    """A file of so many zeros that its size needs more than ustar's field."""

    name = "huge, layer 1 of 1"
    diff_id = "sha256:0"
    piece = bytes(1 << 20)

    def __init__(self, header: bytes, size: int) -> None:
        self.header, self.size = header, size

    @contextmanager
    def open(self, advance: Advance) -> Iterator[Readable]:
        yield _Zeros(self.header, self.size, self.piece)


class _Zeros:
    def __init__(self, header: bytes, left: int, piece: bytes) -> None:
        self.header, self.left, self.piece = header, left, piece

    def read(self, size: int, /) -> bytes:
        data, self.header = self.header, b""
        if data:
            return data
        count = min(size, self.left, len(self.piece))
        self.left -= count
        return self.piece if count == len(self.piece) else self.piece[:count]


class _Head:
    """Keeps the first bytes and counts all."""

    def __init__(self) -> None:
        self.head, self.size = b"", 0

    def write(self, data: bytes, /) -> None:
        if len(self.head) < 4096:
            self.head += data[:4096]
        self.size += len(data)


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_above_8_gib(format: int) -> None:  # noqa: A002
    size = (8 << 30) + 512
    member = file("huge").info()
    member.size = size
    header = member.tobuf(format, "utf-8", "surrogateescape")  # type: ignore[arg-type]
    sink = _Head()
    LayersSource([HugeLayer(header, size)]).write(sink, lambda size: None)
    assert sink.size > size
    found = next(m for m in members(sink.head) if m.name == b"huge")
    assert found.size == size


def members(head: bytes) -> Iterator[Member]:
    return iter(Members(io.BytesIO(head), "head"))


def unpacked(scratch: Path, *contents: bytes) -> umoci.Nodes:
    """What an image of these layers holds."""
    return umoci.of_image(pack_image(LayersSource(layers(*contents)), scratch / "image"))
