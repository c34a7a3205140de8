"""Random stacks of layers: the image that is packed of them equals what umoci unpacks."""

import io
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import umoci
from smolpack.errors import ImageError
from smolpack.oci.layers import LayersSource
from stacks import Item, layers, link, opaque, symlink, tar, whiteout
from umoci import needs_umoci

# Few names, so that they meet: in other layers, as other types, through symlinks.
names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
odd_paths = st.builds(
    lambda parts, name: "/".join([*parts, name]),
    st.lists(st.one_of(names, st.sampled_from([".", "..", "", "é", "\udcff"])), max_size=4),
    names,
)
any_paths = st.one_of(paths, paths, odd_paths)
targets = st.one_of(paths, odd_paths, paths.map("/{}".format), paths.map("../{}".format))
owners = st.sampled_from([0, 0, 1000, 70_000, 4_000_000_000])
xattrs = st.dictionaries(
    st.sampled_from(["user.one", "user.two", "trusted.three", "security.four"]),
    st.binary(min_size=1, max_size=20),
    max_size=2,
)
times = st.one_of(
    st.integers(min_value=0, max_value=1_600_000_000), st.sampled_from([-5, 1.75, 1_599_999_999.5])
)
# What is nobody's to read is not, either, where the tests are not root's.
none_at_all = [] if umoci.ROOTLESS else [0]
modes = st.sampled_from([0o644, 0o755, 0o4755, 0o2750, 0o1777, *none_at_all])
# Not set-group-id: in such a directory Linux makes others that way, and so umoci does those that
# no member describes.
directory_modes = st.sampled_from([0o755, 0o700, 0o1777, *none_at_all])


@st.composite
def _files(draw: st.DrawFn) -> Item:
    return Item(
        draw(any_paths),
        data=draw(st.binary(max_size=5)),
        mode=draw(modes),
        uid=draw(owners),
        gid=draw(owners),
        mtime=draw(times),
        xattrs=draw(xattrs),
    )


@st.composite
def _directories(draw: st.DrawFn) -> Item:
    return Item(
        draw(any_paths) + draw(st.sampled_from(["", "/"])),
        tarfile.DIRTYPE,
        mode=draw(directory_modes),
        uid=draw(owners),
        mtime=draw(times),
        xattrs=draw(xattrs),
    )


items = st.one_of(
    _files(),
    _directories(),
    _directories(),
    st.builds(symlink, any_paths, targets),
    st.builds(whiteout, paths),
    st.builds(opaque, st.one_of(st.just(""), paths)),
    st.builds(
        Item,
        any_paths,
        st.sampled_from([tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]),
        device=st.sampled_from([(1, 3), (8, 1000)]),
    ),
)


@st.composite
def _stacks(draw: st.DrawFn) -> list[list[Item]]:
    """Layers in which hard links mostly lead to something that was there."""
    stack: list[list[Item]] = []
    linkable: list[str] = []
    for _ in range(draw(st.integers(min_value=1, max_value=4))):
        layer: list[Item] = []
        for item in draw(st.lists(st.one_of(items, items, st.none()), max_size=8)):
            if item is None:
                if not linkable:
                    continue
                item = link(draw(any_paths), draw(st.sampled_from(linkable[-3:])))
            if item.type != tarfile.DIRTYPE and ".wh." not in item.name:
                linkable.append(item.name)
            layer.append(item)
        stack.append(layer)
    return stack


@needs_umoci
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(_stacks())
def test_any_stack_becomes_what_umoci_makes_of_it(stack: list[list[Item]]) -> None:
    contents = [tar(items) for items in stack]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            umoci.check(Path(scratch), contents)
        except umoci.UmociError as error:
            if umoci.MADE_NO_DIRECTORY in str(error):
                return
            with pytest.raises(ImageError):
                LayersSource(layers(*contents)).write(io.BytesIO(), lambda size: None)
