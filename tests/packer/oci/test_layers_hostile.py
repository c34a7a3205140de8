"""Layers that are damaged or made to do harm: one line that names the layer, and no stream."""

import io
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smolpack.errors import ImageError
from smolpack.oci.base import Readable
from smolpack.oci.layers import LayersSource, Limits
from smolpack.sources.base import Advance
from stacks import Item, StoredLayer, directory, file, layers, link, opaque, symlink, tar, whiteout

GOOD = tar([file("a/b", "content " * 100, xattrs={"user.a": b"b"}), link("c", "a/b")])
NAME = "test, layer 2 of 2"


def refusal(*contents: bytes, limits: Limits | None = None) -> str:
    """Why an image is refused: one line that begins with the layer's name."""
    stack = [GOOD, *contents]
    out = io.BytesIO()
    with pytest.raises(ImageError) as caught:
        LayersSource(layers(*stack), limits).write(out, lambda size: None)
    text = str(caught.value)
    assert text.startswith(f"test, layer {len(stack)} of {len(stack)}: "), text
    assert "\n" not in text and text.isprintable()
    assert out.getvalue() == b""
    return text


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([Item("/", tarfile.REGTYPE)], "it would replace the root directory"),
        ([symlink("..", "x")], "it would replace the root directory"),
        ([link("l", "nowhere")], "a hard link to what is no file"),
        ([link("l", "")], "a hard link to what is no file"),
        ([link("l", "../..")], "a hard link to what is no file"),
        ([link("l", "a")], "a hard link to what is no file"),
        ([link("c", "c")], "a hard link to what is no file"),
        ([whiteout("c"), link("l", "c")], "a hard link to what is no file"),
        ([file("l", "1"), link("l/x", "l")], "a hard link to what is no file"),
        ([symlink("s", "")], "a symlink whose target is empty or too long"),
        ([symlink("s", "x/" * 2048)], "a symlink whose target is empty or too long"),
        ([symlink("s", "t"), symlink("t", "s"), file("s/x")], "too many levels of symbolic links"),
        ([symlink("s", "s/s"), file("s/x")], "too many levels of symbolic links"),
        ([file("x/.wh.")], "a whiteout of nothing"),
        ([file("a/.wh..")], "a whiteout of nothing"),
        ([file("a/.wh...")], "a whiteout of nothing"),
        ([file("n" * 256)], "a path that is too long for Linux"),
        ([file("d/" * 2048 + "f")], "a path that is too long for Linux"),
        ([symlink("s", "d/" * 1500), file("s/" + "s/" * 1000 + "f")], "too long for Linux"),
        ([Item("d", tarfile.CHRTYPE, device=(4096, 0))], "no such device"),
        ([Item("?", b"Z")], "type Z is unknown"),
        ([file("x\x1b[31m\n", records={"uid": "4294967295"})], "no such owner"),
        ([file("x", records={"uid": "-1"})], "a number that is none"),
        ([file("x", records={"size": "1e3"})], "a number that is none"),
        ([file("x", records={"mtime": "now"})], "a number that is none"),
        ([file("x", records={"path": "a\0b"})], "a name with a null character"),
        ([Item("x", tarfile.SYMTYPE, target="y", records={"linkpath": "a\0b"})], "null character"),
        ([file("x", records={"LIBARCHIVE.xattr.user.a": "A"})], "no base64"),
        ([file("x", records={"SCHILY.xattr.user.\0": "A"})], "null character in its name"),
        ([file("x", records={"GNU.sparse.map": "0,1,2"})], "an odd sparse map"),
        ([file("x", "xy", records={"GNU.sparse.map": "1,1,0,1", "GNU.sparse.size": "9"})],
         "a sparse map out of order"),
        ([file("x", "xy", records={"GNU.sparse.map": "0,2", "GNU.sparse.size": "1"})],
         "a sparse map that does not fit its data"),
        ([file("x", "xy", records={"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"})],
         "a sparse map that does not fit its data"),
        ([file("x", "9" * 600, records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})],
         "a sparse map that is no map"),
        ([file("x", b"9999999\n", records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})],
         "a sparse map longer than its member"),
        ([file("x", b"9999999\n" * 64, records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})],
         "a sparse map that is too long"),
    ],
)  # fmt: skip
def test_members_that_no_engine_takes(items: list[Item], why: str) -> None:
    assert why in refusal(tar(items))


def test_messages_name_the_member() -> None:
    assert refusal(tar([file("good"), link("x\x1b", "nowhere")])) == (
        f"{NAME}: x\\x1b cannot be applied: a hard link to what is no file"
    )
    assert refusal(tar([file("good"), file("bad", records={"size": "x"})])) == (
        f"{NAME}: damaged tar archive: a number that is none (in bad, before byte 2048)"
    )


def changed(at: int, data: bytes, contents: bytes = tar([file("f", "1")])) -> bytes:
    """A tar whose first header says something else, with a checksum that fits."""
    header = contents[:at] + data + contents[at + len(data) : 512]
    summed = sum(header[:148]) + sum(header[156:]) + 8 * 0x20
    return header[:148] + b"%06o\0 " % summed + header[156:] + contents[512:]


def pax_header(records: bytes) -> bytes:
    size = changed(124, b"%011o\0" % len(records))
    return changed(156, b"x", size)[:512] + records.ljust(512, b"\0") + tar([file("f")])


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        (b"\x1f\x8b" + bytes(600), "wrong checksum"),
        (b"<html>" * 200, "a number that is none"),
        (changed(124, b"\xff" * 12), "a negative size"),
        (changed(124, b"0x000000001\0"), "a number that is none"),
        (changed(124, b"+0000000001\0"), "a number that is none"),
        (changed(108, b"\x80\0\0\1\0\0\0\0"), "no such owner"),
        (pax_header(b"30 path=x\n"), "a malformed pax record"),
        (pax_header(b"8 path=x\n"), "a malformed pax record"),
        (pax_header(b"8 path=x"), "a malformed pax record"),
        (pax_header(b"0 path=x\n"), "a malformed pax record"),
        (pax_header(b"-3 path=x\n"), "a number that is none"),
        (pax_header(b"path=x"), "a number that is none"),
        (pax_header(b"9 pathxx\n"), "a malformed pax record"),
        (changed(156, b"x", changed(124, b"07777777777\0")), "extended header that is too long"),
        (changed(156, b"L", changed(124, b"\x80" + b"\xff" * 11)), "header that is too long"),
        (changed(156, b"L"), "an extended header without a member"),
        (bytes(512) + tar([file("f")]), "half an end marker"),
    ],
)
def test_headers_that_lie(contents: bytes, why: str) -> None:
    assert why in refusal(contents)


@pytest.mark.parametrize("size", [1, 511, 513, 1536, 2000, 2559])
def test_truncated_layer(size: int) -> None:
    contents = tar([file("f", "x" * 2000, xattrs={"user.a": b"b"})])
    text = refusal(contents[:size])
    assert f"truncated: its tar archive ends at byte {size}, inside a member" in text


def test_bomb_of_bytes() -> None:
    contents = tar([file("f", "x" * 100_000)])
    text = refusal(contents, limits=Limits(size=50_000))
    assert "holds more than 50000 bytes" in text and "--image-max-size" in text
    LayersSource(layers(contents), Limits(size=len(contents))).write(
        io.BytesIO(), lambda size: None
    )


def test_bomb_behind_the_end_marker() -> None:
    assert "more than 9000" in refusal(tar([]) + bytes(10_000), limits=Limits(size=9000))


def test_bomb_of_holes() -> None:
    hole = file("f", records={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 50)})
    assert "more than 1000000 bytes" in refusal(tar([hole]), limits=Limits(size=1_000_000))


def test_bomb_of_names() -> None:
    assert "more than 4 files" in refusal(tar([file("x")] * 3), limits=Limits(entries=4))
    text = refusal(tar([file("a/1/2/3/4/5/6")]), limits=Limits(entries=8))
    assert "more than 8 files and directories" in text and "--image-max-files" in text
    assert "more than 10 files" in refusal(
        tar([symlink("s", "t" * 4000)]), limits=Limits(entries=10)
    )


def test_opaque_directories_without_end() -> None:
    """Each would look through all that is below it, if it were not known to be done."""
    names = [file(f"{'d/' * 30}{number}") for number in range(10_000)]
    again = [opaque("/".join("d" * depth)) for depth in range(30)] * 300
    start = time.process_time()
    LayersSource(layers(GOOD, tar([*names, *again]))).write(io.BytesIO(), lambda size: None)
    assert time.process_time() - start < 4


def test_attributes_larger_than_tar2sqfs_takes() -> None:
    contents = tar([file("x", xattrs={"user.a": b"x" * 65_536})])
    with pytest.raises(ImageError, match="layer 1 of 1: x cannot be applied: more extended attr"):
        LayersSource(layers(contents)).write(io.BytesIO(), lambda size: None)


@pytest.mark.parametrize(
    "second",
    [tar([]), tar([directory("a")]), tar([symlink("a", "b")]), tar([link("a", "b")])],
)
def test_layer_that_changes_between_the_passes(second: bytes) -> None:
    layer = _Changing([tar([file("a", "1")]), second])
    with pytest.raises(ImageError, match=r"^changing: changed while it was read"):
        LayersSource([layer]).write(io.BytesIO(), lambda size: None)


class _Changing:
    name, diff_id, size = "changing", "sha256:0", 0

    def __init__(self, contents: list[bytes]) -> None:
        self.contents = contents

    @contextmanager
    def open(self, advance: Advance) -> Iterator[Readable]:
        with StoredLayer(self.contents.pop(0)).open(advance) as stream:
            yield stream


def test_what_the_layer_itself_complains_about_gets_through() -> None:
    with pytest.raises(ImageError, match=r"^its own words$"):
        LayersSource([_Complaining()]).write(io.BytesIO(), lambda size: None)


class _Complaining:
    """Damage that shows at the end of the stream only, behind the archive's end marker."""

    name, diff_id, size = "complaining", "sha256:0", 0

    @contextmanager
    def open(self, advance: Advance) -> Iterator[Readable]:
        yield _Complaint(io.BytesIO(tar([file("a")]) + bytes(9000)).read)


class _Complaint:
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def read(self, size: int, /) -> bytes:
        if not (data := self._read(min(size, 1000))):
            raise ImageError("its own words")
        return data


SAMPLE = tar(
    [
        file("d/" * 60 + "f", "x" * 600, uid=3_000_000, xattrs={"user.a": b"\0\xff"}),
        file("s", b"1\n0\n2\n".ljust(512, b"\0") + b"xy",
             records={"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                      "GNU.sparse.realsize": "9000"}),
        symlink("t", "d"), link("t/l", "s"), whiteout("d"),
        Item("n", tarfile.BLKTYPE, device=(8, 1)),
    ]
)  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), min_size=1, max_size=4
    ),
    st.booleans(),
)
def test_hostile_bytes_are_refused_or_make_a_tar(
    changes: list[tuple[int, int]], seal: bool
) -> None:
    damaged = bytearray(SAMPLE)
    for at, value in changes:
        damaged[at] = value
        start = at - at % 512
        if seal:  # as if it were a header: the checksum is no protection
            header = damaged[start : start + 512]
            summed = sum(header[:148]) + sum(header[156:]) + 8 * 0x20
            damaged[start + 148 : start + 156] = b"%06o\0 " % summed
    out = io.BytesIO()
    try:
        LayersSource(layers(bytes(damaged)), Limits(1 << 20, 1000)).write(out, lambda size: None)
    except ImageError as error:
        assert str(error).startswith("test, layer 1 of 1: ")
    else:
        with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
            archive.getmembers()
