"""The cache: what is put there comes back whole or not at all."""

import concurrent.futures
import errno
import json
import multiprocessing
import os
import tempfile
from pathlib import Path

import pytest

from layouts import digest_of
from smolpack.errors import OutputError, SpecError
from smolpack.oci.store import Store, default_store
from support import Cli, failure

KEY = "ab" * 32


def put(store: Store, data: bytes) -> str:
    with store.new_blob() as blob:
        blob.write(data)
        blob.keep().close()
    return digest_of(data)


def get(store: Store, digest: str) -> bytes | None:
    file = store.blob(digest)
    if file is None:
        return None
    with file:
        return file.read(1 << 20)


def get_root(store: Store, key: str = KEY) -> bytes | None:
    with store.root(key) as file:
        return None if file is None else file.read(1 << 20)


def put_root(store: Store, data: bytes, key: str = KEY) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        store.put_root(key, file)


def age(path: Path, seconds: int) -> None:
    """Makes a file as if it was last used so many seconds after 2001."""
    os.utime(path, (1_000_000_000 + seconds,) * 2)


def hidden(store: Store) -> list[Path]:
    return list(store.path.rglob(".*"))


def test_blobs(store: Store) -> None:
    assert get(store, digest_of(b"data")) is None
    assert put(store, b"data") == digest_of(b"data")
    assert get(store, digest_of(b"data")) == b"data"
    assert (store.path / "blobs/sha256").stat().st_mode & 0o777 == 0o700
    entries = store.entries()
    assert [(entry.kind, entry.name, entry.size) for entry in entries] == [
        ("blob", digest_of(b"data"), 4)
    ]


def test_what_was_kept_can_be_read_at_once(store: Store) -> None:
    with store.new_blob() as blob:
        blob.write(b"wrong")
        blob.restart()
        blob.write(b"da")
        blob.write(b"ta")
        assert (blob.size, blob.digest) == (4, digest_of(b"data"))
        with blob.keep() as kept:
            assert kept.read(10) == b"data"


@pytest.fixture(name="any_store", params=[False, True], ids=["unnamed", "named"])
def _any_store(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, store: Store
) -> Store:
    """On a file system with and without unnamed files."""
    really_open = os.open

    def refuse(path: str, flags: int, *rest: int, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return really_open(path, flags, *rest, **more)

    if request.param:
        monkeypatch.setattr(os, "open", refuse)
    return store


def test_blobs_whatever_the_file_system(any_store: Store) -> None:
    digest = put(any_store, b"data" * 100_000)
    assert put(any_store, b"data" * 100_000) == digest
    assert get(any_store, digest) == b"data" * 100_000
    [entry] = any_store.entries()
    assert entry.path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(ZeroDivisionError), any_store.new_blob() as blob:
        blob.write(b"data" * 200_000)
        raise ZeroDivisionError
    assert len(any_store.entries()) == 1
    assert hidden(any_store) == []


def test_what_was_not_kept_is_gone(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.new_blob() as blob:
        blob.write(b"data" * 100_000)
        raise ZeroDivisionError
    assert store.entries() == []
    assert hidden(store) == []


@pytest.mark.parametrize("content", [b"dat", b"Data", b"", b"data and more"])
def test_damaged_blob_is_not_used(content: bytes, store: Store) -> None:
    digest = put(store, b"data")
    [entry] = store.entries()
    entry.path.write_bytes(content)
    assert get(store, digest) is None
    assert store.entries() == []
    assert put(store, b"data") == digest
    assert get(store, digest) == b"data"


def test_roots(store: Store) -> None:
    assert get_root(store) is None
    put_root(store, b"root")
    assert get_root(store) == b"root"
    assert get_root(store, "cd" * 32) is None
    put_root(store, b"other")
    assert get_root(store) == b"other"
    assert [(entry.kind, entry.name) for entry in store.entries()] == [("root", KEY)]


def test_damaged_root_is_not_used(store: Store) -> None:
    put_root(store, b"root")
    store.entries()[0].path.write_bytes(b"rood")
    assert get_root(store) is None
    assert store.entries() == []


def test_root_from_an_unnamed_file(store: Store, tmp_path: Path) -> None:
    with (tmp_path / "image").open("w+b") as image:
        image.write(b"root" * 1000)
        image.flush()
        store.put_root(KEY, image)
    assert get_root(store) == b"root" * 1000


def test_machines(store: Store) -> None:
    with store.machine(KEY) as path:
        assert path is None
    with store.new_machine(KEY) as new:
        new.write_bytes(b"machine")
        assert hidden(store) != []
    assert hidden(store) == []
    with store.machine(KEY) as path:
        assert path is not None
        assert path.read_bytes() == b"machine"
        assert os.access(path, os.X_OK)


def test_machine_that_was_not_made(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.new_machine(KEY) as new:
        new.write_bytes(b"half")
        raise ZeroDivisionError
    assert store.entries() == []
    assert hidden(store) == []


def test_least_recently_used_goes_first(store: Store) -> None:
    store.cap = 10
    digests = [put(store, name * 4) for name in (b"a", b"b")]
    for number, digest in enumerate(digests):
        age(store.path / "blobs/sha256" / digest.removeprefix("sha256:"), number)
    assert get(store, digests[0]) == b"aaaa"  # used: now b is the oldest
    put_root(store, b"root")
    assert {entry.name for entry in store.entries()} == {digests[0], KEY}


def test_entry_larger_than_the_cache(store: Store) -> None:
    store.cap = 3
    with store.new_blob() as blob:
        blob.write(b"data")
        kept = blob.keep()
    assert store.entries() == []
    with kept:
        assert kept.read(10) == b"data"


def test_open_entry_stays_readable(store: Store) -> None:
    file = store.blob(put(store, b"data"))
    assert file is not None
    assert len(store.evict(0)) == 1
    with file:
        assert file.read(10) == b"data"


def test_leftovers_of_killed_processes(store: Store) -> None:
    put(store, b"data")
    old, new = (store.path / "blobs/sha256" / f".new-{name}" for name in ("old", "new"))
    directory = store.path / "machines/.new-directory"
    for path in (old, new):
        path.write_bytes(b"half")
    directory.mkdir(parents=True)
    (directory / "machine").write_bytes(b"half")
    for path in (old, directory):
        age(path, 0)
    assert store.evict() == []
    assert hidden(store) == [new]


def test_foreign_files_are_left_alone(store: Store) -> None:
    put(store, b"data")
    (store.path / "blobs/sha256/directory").mkdir()
    (store.path / "notes").write_text("mine")
    store.evict(0)
    assert store.entries() == []
    assert (store.path / "notes").read_text() == "mine"


def _use(path: Path) -> int:
    """Puts and gets what others put, get and evict."""
    store = Store(path, cap=400_000)
    found = 0
    for turn in range(20):
        data = bytes([turn % 7]) * 50_000
        digest = digest_of(data)
        content = get(store, digest)
        if content is None:
            assert put(store, data) == digest
        else:
            assert content == data
            found += 1
        put_root(store, bytes([turn % 3]) * 50_000, f"{turn % 3:064x}")
        assert get_root(store, f"{turn % 3:064x}") in (None, bytes([turn % 3]) * 50_000)
    return found


def test_many_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as pool:
        found = list(pool.map(_use, [tmp_path] * 3))
    assert sum(found) > 0
    store = Store(tmp_path)
    assert sum(entry.size for entry in store.entries()) <= 400_000
    assert hidden(store) == []


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_store().path == Path("/elsewhere/smolpack")
    assert default_store().cap == 10 << 30
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert default_store().path == tmp_path / "home/.cache/smolpack"
    monkeypatch.setenv("SMOLPACK_CACHE_SIZE", "2G")
    assert default_store().cap == 2 << 30
    monkeypatch.setenv("SMOLPACK_CACHE_SIZE", "much")
    with pytest.raises(SpecError, match="SMOLPACK_CACHE_SIZE 'much'"):
        default_store()


def test_place_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be used: Not a directory"):
        put(Store(tmp_path / "file"), b"data")


def test_full_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="cannot be used: No space left on device; free some"):
        put(store, b"data")
    assert store.entries() == []
    assert hidden(store) == []


# ── the command ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(name="filled")
def _filled(store: Store) -> Store:
    put(store, b"data")
    put_root(store, b"root" * 100)
    age(store.entries()[0].path, 5)
    return store


def test_ls(filled: Store, cli: Cli) -> None:
    lines = cli("cache", "ls").stdout.decode().splitlines()
    assert lines[0] == f"2001-09-09T01:46:45Z             4  blob     {digest_of(b'data')}"
    assert lines[1].endswith(f"root     {KEY}")
    assert lines[2] == "404 bytes in 2 files; at most 10G"
    found = json.loads(cli("cache", "ls", "--json").stdout)
    assert found["path"] == str(filled.path)
    assert (found["size"], found["cap"]) == (404, 10 << 30)
    assert found["entries"][0] == {
        "kind": "blob",
        "name": digest_of(b"data"),
        "size": 4,
        "used": "2001-09-09T01:46:45Z",
    }


@pytest.mark.parametrize(
    ("arguments", "env", "left"),
    [
        ([], {}, 2),
        ([], {"SMOLPACK_CACHE_SIZE": "403"}, 1),
        (["--size", "400"], {}, 1),
        (["--size", "0"], {}, 0),
        (["--all"], {}, 0),
    ],
)
def test_prune(
    arguments: list[str], env: dict[str, str], left: int, filled: Store, cli: Cli
) -> None:
    found = json.loads(cli("cache", "prune", "--json", *arguments, env=env).stdout)
    assert len(found["entries"]) == 2 - left
    assert len(filled.entries()) == left


def test_prune_says_what_it_did(filled: Store, cli: Cli) -> None:
    assert cli("cache", "prune", "--all").stdout == b"404 bytes in 2 files removed\n"
    assert cli("cache", "prune", "--all").stdout == b"0 bytes in 0 files removed\n"
    assert cli("cache", "ls").stdout == b"0 bytes in 0 files; at most 10G\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--size", "much"], "--size 'much'"),
        (["--size", "1G", "--all"], "--all and --size contradict"),
    ],
)
def test_prune_as_nobody_means_it(arguments: list[str], says: str, cli: Cli) -> None:
    assert says in failure(cli("cache", "prune", *arguments), status=2)


def test_path(store: Store, cli: Cli) -> None:
    assert cli("cache", "path").stdout.decode() == f"{store.path}\n"
    assert not store.path.exists()


@pytest.mark.parametrize("words", [["cache"], ["cache", "ls"], ["cache", "prune"]])
def test_help_has_examples(words: list[str], cli: Cli) -> None:
    assert b"Example" in cli(*words, "--help").stdout


def test_what_others_keep_there(store: Store) -> None:
    put(store, b"blob")
    (store.path / "blobs/sha256/README").write_text("not ours")
    assert [entry.size for entry in store.entries()] == [4]
    store.evict(0)
    assert (store.path / "blobs/sha256/README").exists()
