"""Key files as ssh-keygen makes them, and as ours are for it."""

import os
import pickle
import stat
import threading
import traceback
from pathlib import Path

import pytest
from signing import openssh

from smolsign import (
    KeyFileError,
    PassphraseError,
    PrivateKey,
    SmolsignError,
    UnknownKeyTypeError,
    generate,
    load_private_key,
    load_public_key,
    sign,
)

SECRET = "correct horse"


def test_a_key_of_ssh_keygen(keys: Path) -> None:
    key = load_private_key(keys / "alice")
    assert key.public_key == load_public_key(keys / "alice.pub")


@pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-cbc", "aes256-gcm@openssh.com"])
def test_an_encrypted_key(cipher: str, tmp_path: Path) -> None:
    path = openssh.make_key(tmp_path / "key", "-Z", cipher, "-a", "2", passphrase=SECRET)
    asked: list[Path] = []

    def answer(path: Path) -> str:
        asked.append(path)
        return SECRET

    assert load_private_key(path, answer).public_key == load_public_key(tmp_path / "key.pub")
    assert asked == [path]


@pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-gcm@openssh.com"])
def test_a_wrong_passphrase_is_asked_for_once(cipher: str, tmp_path: Path) -> None:
    path = openssh.make_key(tmp_path / "key", "-Z", cipher, "-a", "2", passphrase=SECRET)
    asked: list[Path] = []

    def answer(path: Path) -> str:
        asked.append(path)
        return "wrong-horse"

    with pytest.raises(PassphraseError, match="wrong passphrase") as caught:
        load_private_key(path, answer)
    assert asked == [path]
    assert "wrong-horse" not in "".join(traceback.format_exception(caught.value))


def test_no_passphrase(tmp_path: Path) -> None:
    path = openssh.make_key(tmp_path / "key", "-a", "2", passphrase=SECRET)
    for passphrase in (None, lambda path: ""):
        with pytest.raises(PassphraseError, match=rf"no passphrase .*`ssh-add {path}`"):
            load_private_key(path, passphrase)


def test_a_passphrase_that_is_no_text(tmp_path: Path) -> None:
    path = openssh.make_key(tmp_path / "key", "-a", "2", passphrase=SECRET)
    with pytest.raises(PassphraseError, match=f"{path}: the passphrase is not text"):
        load_private_key(path, lambda path: "\ud800")
    with pytest.raises(PassphraseError, match="new: the passphrase is not text"):
        generate(tmp_path / "new", passphrase="\ud800")


def test_a_cipher_that_is_not_supported(tmp_path: Path) -> None:
    options = ("-Z", "aes128-ctr", "-a", "2")
    path = openssh.make_key(tmp_path / "key", *options, passphrase=SECRET)
    with pytest.raises(KeyFileError, match="ssh-keygen -p -Z aes256-ctr"):
        load_private_key(path, lambda path: SECRET)


@pytest.mark.parametrize("passphrase", [None, "", SECRET, "x" * 100, "\udcff not UTF-8"])
def test_a_key_of_ours_is_one_for_ssh_keygen(passphrase: str | None, tmp_path: Path) -> None:
    path = tmp_path / "new/key"
    public = generate(path, "me@here", passphrase)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(path.parent.iterdir()) == [path, path.with_suffix(".pub")]
    answer = (passphrase or "").encode("utf-8", "surrogateescape")
    done = openssh.run("ssh-keygen", "-y", "-P", answer, "-f", path)
    assert done.stdout.decode().split()[:2] == public.line.split()[:2]
    assert path.with_suffix(".pub").read_text() == f"{public.line}\n"
    assert public.comment == "me@here"
    refused = openssh.run("ssh-keygen", "-y", "-P", "other", "-f", path, ok=False)
    assert (refused.returncode != 0) == bool(passphrase)
    assert load_private_key(path, lambda path: passphrase or "").public_key == public


@pytest.mark.parametrize("existing", ["key", "key.pub"])
def test_nothing_is_overwritten(existing: str, tmp_path: Path) -> None:
    (tmp_path / existing).write_text("precious")
    with pytest.raises(KeyFileError, match=f"{existing}: exists and is never overwritten"):
        generate(tmp_path / "key")
    assert list(tmp_path.iterdir()) == [tmp_path / existing]
    assert (tmp_path / existing).read_text() == "precious"


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="never overwritten"):
        generate(tmp_path / "key")
    assert not (tmp_path / "elsewhere").exists()


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        generate(tmp_path / "key")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "key.pub").stat().st_mode) == 0o644


def test_a_comment_of_two_lines(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be made"):
        generate(tmp_path / "key", "two\nlines")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="file: cannot be made"):
        generate(tmp_path / "file/key")


def copy(source: Path, target: Path, content: bytes | None = None) -> Path:
    target.write_bytes(source.read_bytes() if content is None else content)
    target.chmod(0o600)
    return target


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_private_key_that_others_may_read(mode: int, keys: Path, tmp_path: Path) -> None:
    path = copy(keys / "alice", tmp_path / "key")
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"other users .*{mode:o}.*`chmod 600 {path}`"):
        load_private_key(path)
    path.chmod(0o600)
    load_private_key(path)


@pytest.mark.parametrize("name", ["rsa", "ecdsa"])
def test_other_key_types(name: str, keys: Path) -> None:
    with pytest.raises(UnknownKeyTypeError, match=rf"{name}: is a key of type .*{name}.* not ssh-"):
        load_private_key(keys / name)


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
def test_other_formats(form: str, tmp_path: Path) -> None:
    path = openssh.make_key(tmp_path / "key", "-b", "2048", "-m", form, kind="rsa")
    with pytest.raises(KeyFileError, match=r"key: is .* in another format.*ssh-keygen -t ed25519"):
        load_private_key(path)


def test_a_handle_of_a_hardware_key(tmp_path: Path) -> None:
    body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAASgAAABpzay1zc2gtZWQyNTUx\n"
    body += "OUBvcGVuc3NoLmNvbQAAACAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAARzc2g6\n"
    path = tmp_path / "key"
    content = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}-----END OPENSSH PRIVATE KEY-----\n"
    copy(path, path, content.encode())
    with pytest.raises(
        KeyFileError, match=rf"in hardware; run `ssh-add {path}` and give {path}.pub"
    ):
        load_private_key(path)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"\xff\n", b"hello world\n", b"x" * (65 << 10)]
)
def test_garbage(content: bytes, tmp_path: Path) -> None:
    path = copy(tmp_path, tmp_path / "key", content)
    for load in (load_private_key, load_public_key):
        with pytest.raises(KeyFileError, match=f"{path}: "):
            load(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for load in (load_private_key, load_public_key):
        with pytest.raises(KeyFileError, match="none: cannot be read: No such file"):
            load(tmp_path / "none")
        with pytest.raises(KeyFileError, match="cannot be read: Is a directory"):
            load(tmp_path)


def test_the_halves_are_told_apart(keys: Path) -> None:
    with pytest.raises(KeyFileError, match=r"is a private key; give the public one, .*alice\.pub"):
        load_public_key(keys / "alice")
    with pytest.raises(KeyFileError, match="is not an OpenSSH private key"):
        load_private_key(keys / "alice.pub")


def test_a_public_key_file_has_one_key(keys: Path, tmp_path: Path) -> None:
    line = (keys / "alice.pub").read_text()
    (tmp_path / "key.pub").write_text(f"# mine\n\n{line}\n")
    assert load_public_key(tmp_path / "key.pub") == load_public_key(keys / "alice.pub")
    (tmp_path / "key.pub").write_text(line * 2)
    with pytest.raises(KeyFileError, match="2 lines where one key should be"):
        load_public_key(tmp_path / "key.pub")


def test_a_key_from_a_pipe(keys: Path) -> None:
    reading, writing = os.pipe()
    writer = threading.Thread(target=os.write, args=(writing, (keys / "alice").read_bytes()))
    writer.start()
    writer.join()
    os.close(writing)
    key = load_private_key(Path(f"/dev/fd/{reading}"))
    os.close(reading)
    assert key.public_key == load_public_key(keys / "alice.pub")


def test_every_cut_and_every_changed_byte_is_an_error_or_the_same_key(
    keys: Path, tmp_path: Path
) -> None:
    content = (keys / "alice").read_bytes()
    public = load_public_key(keys / "alice.pub")
    broken = [content[:size] for size in range(len(content) - 40)]
    broken += [
        content[:at] + bytes([content[at] ^ 2]) + content[at + 1 :] for at in range(len(content))
    ]
    secrets = {content[at : at + 12].decode() for at in range(40, len(content) - 50)}
    accepted = 0
    for case in broken:
        path = copy(tmp_path, tmp_path / "key", case)
        try:
            key = load_private_key(path)
        except SmolsignError as error:
            text = str(error)
            assert str(path) in text
            assert not any(secret in text for secret in secrets)
        else:
            accepted += 1
            assert key.public_key == public
    # Comment, padding and line ends may change without harm to the key.
    assert accepted < len(broken) / 10


def test_a_private_key_does_not_show_itself(keys: Path) -> None:
    key = load_private_key(keys / "alice")
    assert isinstance(key, PrivateKey)
    assert repr(key) == f"PrivateKey(public_key={key.public_key!r})"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_signatures_do_not_vary(keys: Path) -> None:
    key = load_private_key(keys / "alice")
    assert sign(key, b"message", "file") == sign(key, b"message", "file")
