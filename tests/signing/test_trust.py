"""The trust store: the user's file is changed line by line, the system's never."""

import multiprocessing
import os
import pwd
import stat
from pathlib import Path
from typing import NoReturn

import pytest
from signing import openssh

from smolsign import (
    AllowedSignersError,
    Entry,
    PublicKey,
    TrustError,
    TrustStore,
    UnknownKeyTypeError,
    load_public_key,
)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "config/smolpack/allowed_signers", tmp_path / "system")


@pytest.fixture(name="alice")
def _alice(keys: Path) -> PublicKey:
    return load_public_key(keys / "alice.pub")


@pytest.fixture(name="bob")
def _bob(keys: Path) -> PublicKey:
    return load_public_key(keys / "bob.pub")


def entry(principals: str, key: PublicKey, namespaces: str | None = None) -> Entry:
    return Entry(principals=principals, public_key=key, namespaces=namespaces)


def test_the_default_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for configured in ("", "relative"):
        monkeypatch.setenv("XDG_CONFIG_HOME", configured)
        assert TrustStore().user == Path("/home/me/.config/smolpack/allowed_signers")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/conf")
    assert TrustStore().user == Path("/conf/smolpack/allowed_signers")
    assert TrustStore().system == Path("/etc/smolpack/allowed_signers")


def test_a_user_without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(TrustError, match="no home directory; set HOME"):
        TrustStore()


def test_nobody_is_trusted_at_first(store: TrustStore, alice: PublicKey) -> None:
    assert store.load().entries == ()
    assert store.find(alice, "smolpack") == ()
    assert not store.user.parent.exists()


def test_added_signers_are_found(store: TrustStore, alice: PublicKey, bob: PublicKey) -> None:
    old = os.umask(0)
    try:
        assert store.add(entry("alice@example.com", alice, "smolpack"))
    finally:
        os.umask(old)
    assert stat.S_IMODE(store.user.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.user.parent.stat().st_mode) == 0o700
    assert store.user.read_text() == f'alice@example.com namespaces="smolpack" {alice.line}\n'
    (found,) = store.find(alice, "smolpack")
    assert (found.principals, found.path, found.line) == ("alice@example.com", store.user, 1)
    assert store.find(alice, "smolpack", principal="alice@example.com") == (found,)
    assert store.find(alice, "smolpack", principal="bob") == ()
    assert store.find(alice, "file") == ()
    assert store.find(bob, "smolpack") == ()


def test_adding_again_changes_nothing(store: TrustStore, alice: PublicKey) -> None:
    assert store.add(entry("alice", alice))
    before = store.user.stat()
    assert not store.add(entry("alice", PublicKey(alice.blob, "another comment")))
    assert store.user.stat() == before
    assert store.add(entry("alice", alice, "file"))
    assert len(store.load().entries) == 2


def test_ssh_keygen_reads_the_store(store: TrustStore, keys: Path, tmp_path: Path) -> None:
    store.add(entry("alice", load_public_key(keys / "alice.pub"), "smolpack"))
    (tmp_path / "sig").write_bytes(openssh.sign(keys / "alice", b"m", "smolpack"))
    judge = openssh.Judge(tmp_path / "sig", store.user, b"m")
    assert judge.verify("alice", "smolpack")
    assert not judge.verify("bob", "smolpack")


def test_both_files_count_the_users_first(
    store: TrustStore, alice: PublicKey, bob: PublicKey
) -> None:
    store.add(entry("alice", alice))
    store.system.write_text(f"release {alice.line}\nbob {bob.line}\n* cert-authority {bob.line}\n")
    assert [found.principals for found in store.load().entries] == ["alice", "release", "bob"]
    assert [found.path for found in store.find(alice, "x")] == [store.user, store.system]
    (warning,) = store.load().warnings
    assert warning.startswith(f"{store.system}:3: left out")


def test_other_lines_stay_as_they_are(store: TrustStore, alice: PublicKey, bob: PublicKey) -> None:
    before = b"# mine \xff\r\n\n  x\t%s  # a\n* cert-authority %s\n\t\n# end" % (
        alice.line.encode(),
        bob.line.encode(),
    )
    store.user.parent.mkdir(parents=True)
    store.user.write_bytes(before)
    store.add(entry("bob", bob))
    assert store.user.read_bytes() == before + f"\nbob {bob.line}\n".encode()
    store.remove("bob")
    assert store.user.read_bytes() == before + b"\n"
    store.remove("x")
    assert (
        store.user.read_bytes()
        == before.replace(b"  x\t%s  # a\n" % alice.line.encode(), b"") + b"\n"
    )


def test_removal_by_name_or_fingerprint(
    store: TrustStore, alice: PublicKey, bob: PublicKey
) -> None:
    for names in ("alice,a", "b,alice", "alicex", "*"):
        store.add(entry(names, alice))
    store.add(entry("bob", bob))
    removed = store.remove("alice")
    assert [gone.principals for gone in removed] == ["alice,a", "b,alice"]
    removed = store.remove(alice.fingerprint)
    assert [gone.principals for gone in removed] == ["alicex", "*"]
    assert [left.principals for left in store.load().entries] == ["bob"]


def test_removal_of_what_is_not_there(store: TrustStore, alice: PublicKey) -> None:
    with pytest.raises(TrustError, match=f"alice: not in {store.user}; give a name or a finger"):
        store.remove("alice")
    store.system.write_text(f"alice {alice.line}\n")
    for who in ("alice", alice.fingerprint):
        with pytest.raises(TrustError, match=f"trusted by {store.system}; that file is root's"):
            store.remove(who)
    assert store.system.read_text() == f"alice {alice.line}\n"


def test_keys_that_verify_nothing_are_not_added(store: TrustStore, keys: Path) -> None:
    with pytest.raises(UnknownKeyTypeError, match="ssh-rsa keys neither sign nor verify"):
        store.add(entry("rsa", load_public_key(keys / "rsa.pub")))
    with pytest.raises(AllowedSignersError, match="cannot stand in allowed_signers"):
        store.add(entry('"', load_public_key(keys / "alice.pub")))
    assert not store.user.exists()


def test_a_file_with_a_bad_line_is_not_touched(store: TrustStore, alice: PublicKey) -> None:
    store.user.parent.mkdir(parents=True)
    store.user.write_text("nonsense\n")
    for change in (lambda: store.add(entry("alice", alice)), lambda: store.remove("alice")):
        with pytest.raises(AllowedSignersError, match=f"{store.user}:1: the key is missing"):
            change()
    assert store.user.read_text() == "nonsense\n"
    assert list(store.user.parent.iterdir()) == [store.user]


def test_a_link_stays_one_and_a_mode_too(
    store: TrustStore, alice: PublicKey, tmp_path: Path
) -> None:
    real = tmp_path / "dotfiles"
    real.write_text("# shared\n")
    real.chmod(0o644)
    store.user.parent.mkdir(parents=True)
    store.user.symlink_to(real)
    store.add(entry("alice", alice))
    assert store.user.is_symlink()
    assert real.read_text() == f"# shared\nalice {alice.line}\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o644


def test_a_loop_of_links(store: TrustStore, alice: PublicKey) -> None:
    store.user.parent.mkdir(parents=True)
    store.user.symlink_to(store.user)
    with pytest.raises((TrustError, AllowedSignersError), match=f"{store.user.parent}.*cannot be"):
        store.add(entry("alice", alice))
    with pytest.raises(AllowedSignersError, match="cannot be read: Too many levels"):
        store.load()


def test_a_failed_change_leaves_the_old_file(
    store: TrustStore, alice: PublicKey, bob: PublicKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(entry("alice", alice))
    before = store.user.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrustError, match="cannot be changed: No space left on device"):
        store.add(entry("bob", bob))
    assert store.user.read_bytes() == before
    assert list(store.user.parent.iterdir()) == [store.user]


def test_a_directory_that_cannot_be_made(tmp_path: Path, alice: PublicKey) -> None:
    (tmp_path / "file").write_text("")
    store = TrustStore(tmp_path / "file/allowed_signers", tmp_path / "system")
    with pytest.raises((TrustError, AllowedSignersError), match=f"{tmp_path}/file"):
        store.add(entry("alice", alice))


def add_some(store: TrustStore, key: PublicKey, prefix: str) -> None:
    for number in range(10):
        store.add(entry(f"{prefix}{number}", key))


def test_changes_at_the_same_time_are_all_kept(store: TrustStore, alice: PublicKey) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=add_some, args=(store, alice, name)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(store.load().entries) == 40
