"""The tree that layers make together: which member of which layer each name ends up with.

Decided as umoci does, whose layers are applied to a directory one after the other:

- A name is looked up inside the root: `..` and leading slashes are resolved in the text, symlinks
  in its directories are followed with the tree as their root, the last component is not.
- Nothing is written through what a name was: a file replaces what is there, whole directories,
  too; a directory keeps what is in a directory and replaces anything else, symlinks to directories,
  too. Directories that no member made come into being, in the place of a file if there is one.
- A hard link is another name for the file that its target names at that moment. The file lives on
  when its first name is replaced or removed.
- Whiteouts remove what lower layers left, and nothing that this layer has touched, whether they
  come before or after it.
"""

from collections.abc import Iterator
from tarfile import DIRTYPE, LNKTYPE, SYMTYPE

from smolpack.oci.layers.members import Member

# The number of no member: a directory that only names of other members tell of.
IMPLIED = -1

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"

_MAX_NAME = 255
_MAX_PATH = 4095
_MAX_SYMLINKS = 255


class Entry:
    """A name of a file. Names with the same member are hard links to one file.

    There is one for every path of an image: an object of slots and no more, its type told by its
    class. `member` counts through all layers; `layer` is the last one that touched the name.
    """

    __slots__ = ("layer", "member", "name", "parent")

    def __init__(self, parent: "Directory | None", name: bytes, member: int, layer: int) -> None:
        self.parent = parent
        self.name = name
        self.member = member
        self.layer = layer

    def path(self) -> bytes:
        """The path from the root, without a leading slash; the root's is empty."""
        parts = []
        entry: Entry = self
        while entry.parent is not None:
            parts.append(entry.name)
            entry = entry.parent
        return b"/".join(reversed(parts))


class Symlink(Entry):
    """A name of a symlink."""

    __slots__ = ("target",)

    def __init__(
        self, parent: "Directory | None", name: bytes, member: int, layer: int, target: bytes
    ) -> None:
        super().__init__(parent, name, member, layer)
        self.target = target


class Directory(Entry):
    """A directory and what it holds. `purged` is the last layer that hid what was below."""

    __slots__ = ("children", "purged")

    def __init__(self, parent: "Directory | None", name: bytes, member: int, layer: int) -> None:
        super().__init__(parent, name, member, layer)
        self.children: dict[bytes, Entry] = {}
        self.purged = layer


# A place that may not exist yet: names from the root, each with its entry where there is one.
_Place = list[tuple[bytes, Entry | None]]


class Tree:
    """Members go in, in the order of the layers; `implied` counts the directories that were made
    without one. Raises ValueError for a member that no engine would take."""

    def __init__(self) -> None:
        self.root = Directory(None, b"", IMPLIED, IMPLIED)
        self.implied = 0
        self._layer = IMPLIED

    def begin_layer(self) -> None:
        """What comes now is above all that came before."""
        self._layer += 1

    def add(self, member: Member, number: int) -> None:
        """Applies a member; `number` has to grow."""
        parts = _parts(member.name)
        if not parts:
            if member.type != DIRTYPE:
                raise ValueError("it would replace the root directory")
            self.root.member = number
            return
        name = parts.pop()
        place = self._resolve(parts)
        if name.startswith(_WHITEOUT):
            self._whiteout(place, name)
            return
        _check_length([*(part for part, _ in place), name])
        parent = self._make(place)
        if member.type == DIRTYPE:
            self._directory(parent, name, number)
            return
        # Gone before the target is looked up: a link to itself has none.
        parent.children.pop(name, None)
        parent.children[name] = self._file(parent, name, member, number)

    def winners(self) -> list[Entry]:
        """Names in the order of their members, those of one file side by side. Directories without
        a member come first, as they are in the tree."""
        return sorted(self._entries(), key=lambda entry: entry.member)

    def _entries(self) -> Iterator[Entry]:
        pending: list[Entry] = [self.root]
        while pending:
            entry = pending.pop()
            yield entry
            if isinstance(entry, Directory):
                pending.extend(reversed(entry.children.values()))

    def _directory(self, parent: Directory, name: bytes, number: int) -> None:
        existing = parent.children.get(name)
        if isinstance(existing, Directory):
            existing.member, existing.layer = number, self._layer
        else:
            parent.children[name] = Directory(parent, name, number, self._layer)

    def _file(self, parent: Directory, name: bytes, member: Member, number: int) -> Entry:
        target = member.target
        if member.type == SYMTYPE:
            if not 0 < len(target) <= _MAX_PATH:
                raise ValueError("a symlink whose target is empty or too long")
            return Symlink(parent, name, number, self._layer, target)
        if member.type == LNKTYPE:
            linked = self._linked(target)
            if linked is None or isinstance(linked, Directory):
                raise ValueError("a hard link to what is no file")
            number = linked.member
            if isinstance(linked, Symlink):
                return Symlink(parent, name, number, self._layer, linked.target)
        return Entry(parent, name, number, self._layer)

    def _linked(self, target: bytes) -> Entry | None:
        parts = _parts(target)
        if not parts:
            return None
        name = parts.pop()
        place = self._resolve(parts)
        parent = place[-1][1] if place else self.root
        return parent.children.get(name) if isinstance(parent, Directory) else None

    def _resolve(self, parts: list[bytes]) -> _Place:
        """Where a path leads when all its symlinks are followed inside the root."""
        place: _Place = []
        pending = parts[::-1]
        links = 0
        while pending:
            part = pending.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                del place[-1:]
                continue
            above = place[-1][1] if place else self.root
            entry = above.children.get(part) if isinstance(above, Directory) else None
            if not isinstance(entry, Symlink):
                place.append((part, entry))
                continue
            links += 1
            if links > _MAX_SYMLINKS:
                raise ValueError("too many levels of symbolic links")
            if entry.target.startswith(b"/"):
                place.clear()
            pending += entry.target.split(b"/")[::-1]
        return place

    def _make(self, place: _Place) -> Directory:
        """The directory at a place, which is made where it does not exist."""
        directory = self.root
        for name, _ in place:
            entry = directory.children.get(name)
            if not isinstance(entry, Directory):
                entry = Directory(directory, name, IMPLIED, self._layer)
                directory.children[name] = entry
                self.implied += 1
            entry.layer = self._layer
            directory = entry
        return directory

    def _whiteout(self, place: _Place, whiteout: bytes) -> None:
        directory = place[-1][1] if place else self.root
        if whiteout == _OPAQUE:
            if isinstance(directory, Directory):
                self._purge(directory)
            return
        name = whiteout.removeprefix(_WHITEOUT)
        if name in (b"", b".", b".."):
            raise ValueError("a whiteout of nothing")
        if not isinstance(directory, Directory):
            return
        entry = directory.children.get(name)
        if entry is None:
            return
        if entry.layer != self._layer:
            del directory.children[name]
        elif isinstance(entry, Directory):
            self._purge(entry)

    def _purge(self, top: Directory) -> None:
        """Removes what is below a directory but for what this layer has touched. Where that has
        been done, or the directory is new, there is nothing left of lower layers: otherwise a layer
        of opaque directories would take quadratic time."""
        pending = [top]
        while pending:
            directory = pending.pop()
            if directory.purged == self._layer:
                continue
            directory.purged = self._layer
            directory.children = {
                name: entry
                for name, entry in directory.children.items()
                if entry.layer == self._layer
            }
            pending += [e for e in directory.children.values() if isinstance(e, Directory)]


def _parts(path: bytes) -> list[bytes]:
    """A name's components, `..` taken back in the text and kept inside the root."""
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return parts


def _check_length(parts: list[bytes]) -> None:
    if sum(map(len, parts)) + len(parts) > _MAX_PATH or max(map(len, parts)) > _MAX_NAME:
        raise ValueError("a path that is too long for Linux")
