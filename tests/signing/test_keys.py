"""Public keys read, written and shown as OpenSSH does."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from signing import openssh

from smolsign import KeyFormatError, PublicKey, SignatureError, UnknownKeyTypeError
from smolsign.wire import string

POINT = bytes(range(32))
ED25519 = string("ssh-ed25519") + string(POINT)
SK = string("sk-ssh-ed25519@openssh.com") + string(POINT) + string("ssh:")


def text(name: str, blob: bytes) -> str:
    return f"{name} {base64.b64encode(blob).decode()}"


@pytest.mark.parametrize("name", ["alice", "rsa", "ecdsa"])
def test_fingerprint_and_text_are_those_of_ssh_keygen(name: str, keys: Path) -> None:
    line = (keys / f"{name}.pub").read_text()
    key = PublicKey.parse(line)
    listed = openssh.run("ssh-keygen", "-l", "-f", keys / f"{name}.pub").stdout.decode().split()
    assert key.fingerprint == listed[1]
    assert key.comment == "a b@c"
    assert key.line + "\n" == line


def test_a_hardware_key(tmp_path: Path) -> None:
    key = openssh.HardwareKey(Ed25519PrivateKey.generate()).public_key
    (tmp_path / "sk.pub").write_text(key.line)
    listed = openssh.run("ssh-keygen", "-l", "-f", tmp_path / "sk.pub").stdout.decode().split()
    assert (key.type, key.fingerprint) == ("sk-ssh-ed25519@openssh.com", listed[1])
    assert PublicKey.parse(key.line) == key


def test_the_comment_does_not_distinguish_keys() -> None:
    assert PublicKey(ED25519, "one") == PublicKey(ED25519, "other")
    assert PublicKey(ED25519) != PublicKey(SK)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 not/Base64!",
        "ssh-ed25519 AAAA",
        text("ssh-ed25519", SK),
        text("ssh-ed25519", ED25519 + b"x"),
        text("ssh-ed25519", ED25519[:-1]),
        text("ssh-ed25519", string("ssh-ed25519") + string(POINT[:31])),
        text("ssh-ed25519", string("ssh-ed25519") + string(POINT + b"x")),
        text("sk-ssh-ed25519@openssh.com", SK[:-8]),
        text("sk-ssh-ed25519@openssh.com", SK + b"x"),
        text("\x1b[31m", string("\x1b[31m")),
        text("x" * 65, string("x" * 65)),
        # The last character has bits that no byte holds.
        text("ssh-ed25519", ED25519).rstrip("=")[:-1] + "9=",
    ],
)
def test_malformed(line: str) -> None:
    with pytest.raises(KeyFormatError, match="not a public key"):
        PublicKey.parse(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_an_error(blob: bytes) -> None:
    try:
        key = PublicKey(blob)
    except KeyFormatError:
        return
    assert PublicKey.parse(key.line) == key


@given(st.text(max_size=200))
def test_any_text_is_a_key_or_an_error(line: str) -> None:
    try:
        key = PublicKey.parse(line)
    except KeyFormatError:
        return
    assert PublicKey.parse(key.line) == key


def test_a_comment_of_several_lines() -> None:
    with pytest.raises(KeyFormatError, match="one line"):
        PublicKey(ED25519, "a\nroot ssh-ed25519 AAAA")


def test_other_types_do_not_verify(keys: Path) -> None:
    key = PublicKey.parse((keys / "rsa.pub").read_text())
    with pytest.raises(UnknownKeyTypeError, match="ssh-rsa keys neither sign nor verify"):
        key.verify(b"", b"")


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (b"", "cut short"),
        (string("ssh-rsa") + string(bytes(64)), "another type"),
        (string("ssh-ed25519") + string(bytes(63)), "64 bytes"),
        (string("ssh-ed25519") + string(bytes(64)) + b"x", "more bytes"),
        (string("ssh-ed25519") + string(bytes(64)), "bad signature"),
    ],
)
def test_bad_signatures(signature: bytes, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        PublicKey(ED25519).verify(signature, b"data")
