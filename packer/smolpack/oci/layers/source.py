"""Layers as a source: one tar stream of what wins, read from the layers in two passes.

The first pass reads headers into a tree; the second streams the members that the tree still names.
Nothing is unpacked, and memory holds names, no content and no attributes.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from tarfile import BLOCKSIZE, DIRTYPE, LNKTYPE, SYMTYPE

from smolpack.epoch import source_date
from smolpack.errors import ImageError
from smolpack.oci.base import Layer
from smolpack.oci.layers import headers, sparse
from smolpack.oci.layers.members import Member, Members, shown
from smolpack.oci.layers.tree import Directory, Entry, Symlink, Tree
from smolpack.sources import squashfs
from smolpack.sources.base import Advance, ByteSink

# Targets of links are kept, too: one of so many bytes counts as one more entry.
_LONG_TARGET = 256

_ZEROS = bytes(1 << 16)


@dataclass(frozen=True)
class Limits:
    """What an image may take before it counts as a decompression bomb: `size`, the bytes of all
    its layers uncompressed and of the holes in their files; `entries`, the members of all its
    layers and the directories that they imply."""

    size: int = 64 << 30
    entries: int = 1_000_000


class LayersSource:
    """Streams the tree that layers, lowest first, make together (OCI image-spec, "Image Layer
    Filesystem Changeset"): with owners, modes, times (whole seconds), hard links, extended
    attributes, device nodes and holes. Directories that no layer describes are root's,
    mode 0755."""

    def __init__(self, layers: Sequence[Layer], limits: Limits | None = None) -> None:
        self._layers = layers
        self._limits = limits or Limits()
        self._acls = 0

    def size(self) -> int:
        """Bytes of the layers as stored, twice: each is read two times."""
        return 2 * sum(layer.size for layer in self._layers)

    def write(self, sink: ByteSink, advance: Advance) -> None:
        """See Source.write(); raises ImageError naming the layer."""
        survey = _Survey(self._limits)
        for layer in self._layers:
            survey.read(layer, advance)
        self._acls = 0
        implied, *winners = survey.winners()
        for entry in implied:
            sink.write(headers.encode(_implied_directory(), entry.path(), {}))
        for layer, first, entries in zip(self._layers, survey.starts, winners, strict=True):
            progress = _Progress(advance)
            if entries:
                with layer.open(progress) as stream:
                    self._stream(layer, Members(stream, layer.name), first, entries, sink)
            advance(layer.size - progress.done)  # the rest of it is not needed
        sink.write(bytes(2 * BLOCKSIZE))
        squashfs.warn_of_acls(self._acls)

    def _stream(
        self, layer: Layer, members: Members, first: int, entries: list[Entry], sink: ByteSink
    ) -> None:
        """Writes the members of a layer, numbered from `first`, that have names."""
        numbered = enumerate(members, first)
        for wanted, group in groupby(entries, key=_member):
            names = list(group)
            member = next((member for number, member in numbered if number == wanted), None)
            if member is None or not _is_of(member, names[0]):
                raise ImageError(f"{layer.name}: changed while it was read; try again")
            path = names[0].path()
            try:
                self._write(member, path, members, sink)
                for link in names[1:]:
                    sink.write(headers.encode_link(member, link.path(), path))
            except ValueError as error:
                raise _refused(layer, member, error) from error

    def _write(self, member: Member, path: bytes, members: Members, sink: ByteSink) -> None:
        extents = member.extents
        if extents is not None and len(extents) > squashfs.MAX_EXTENTS:
            member = member._replace(extents=None, stored=member.size)
        sink.write(headers.encode(member, path, self._xattrs(member)))
        if member.extents is extents:
            for piece in members.content(member.stored):
                sink.write(piece)
        else:
            assert extents is not None
            for piece in _expanded(extents, member.size, members):
                sink.write(piece)
        sink.write(bytes(-member.stored % BLOCKSIZE))

    def _xattrs(self, member: Member) -> dict[bytes, bytes]:
        """What squashfs can hold of them."""
        if not member.xattrs:
            return {}
        self._acls += any(map(squashfs.is_acl, member.xattrs))
        return {name: value for name, value in member.xattrs.items() if squashfs.holds_xattr(name)}


class _Survey:
    """The first pass: layers go in one after the other, within limits. `starts` holds for each the
    number of its first member."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tree = Tree()
        self._layer = ""
        self._size = self._count = self._long = 0
        self.starts: list[int] = []

    def read(self, layer: Layer, advance: Advance) -> None:
        """Applies a layer to the tree."""
        self._layer = layer.name
        self.starts.append(self._count)
        self._tree.begin_layer()
        with layer.open(advance) as stream:
            for member in Members(stream, layer.name, self._took):
                self._took(member.size - member.stored)
                try:
                    self._tree.add(member, self._count)
                except ValueError as error:
                    raise _refused(layer, member, error) from error
                self._count += 1
                self._long += len(member.target) // _LONG_TARGET
                if self._count + self._tree.implied + self._long > self._limits.entries:
                    raise self._too_much(
                        f"{self._limits.entries} files and directories", "--image-max-files"
                    )

    def winners(self) -> list[list[Entry]]:
        """The entries that no member made, then those of each layer's members, in their order."""
        entries = self._tree.winners()
        bounds = [bisect_left(entries, start, key=_member) for start in self.starts]
        return [entries[at:end] for at, end in pairwise([0, *bounds, len(entries)])]

    def _took(self, size: int) -> None:
        self._size += max(size, 0)
        if self._size > self._limits.size:
            raise self._too_much(f"{self._limits.size} bytes", "--image-max-size")

    def _too_much(self, limit: str, option: str) -> ImageError:
        return ImageError(
            f"{self._layer}: the image holds more than {limit}; is it a decompression bomb? "
            f"If you trust it, raise the limit with {option}"
        )


class _Progress:
    """Passes progress on and adds it up."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self.done = 0

    def __call__(self, size: int) -> None:
        self.done += size
        self._advance(size)


def _implied_directory() -> Member:
    """What stands for a directory that no layer describes, as tar2sqfs would make it."""
    date = source_date() or 0
    return Member(b"", DIRTYPE, 0o755, 0, 0, date, 0, 0, None, b"", (0, 0), {})


def _member(entry: Entry) -> int:
    return entry.member


def _is_of(member: Member, entry: Entry) -> bool:
    """Whether it is the member that an entry was made from, as far as can be told."""
    if isinstance(entry, Symlink):
        return member.type == SYMTYPE and member.target == entry.target
    if isinstance(entry, Directory):
        return member.type == DIRTYPE
    return member.type not in (DIRTYPE, SYMTYPE, LNKTYPE)


def _expanded(extents: sparse.Extents, size: int, members: Members) -> Iterator[bytes]:
    """A sparse member's data with its holes as zeros."""
    at = 0
    for offset, length in (*extents, (size, 0)):
        hole = offset - at
        while hole:
            yield _ZEROS[:hole]
            hole -= min(hole, len(_ZEROS))
        yield from members.content(length)
        at = offset + length


def _refused(layer: Layer, member: Member, error: ValueError) -> ImageError:
    return ImageError(f"{layer.name}: {shown(member.name)} cannot be applied: {error}")
