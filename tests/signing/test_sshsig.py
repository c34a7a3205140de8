"""Signatures that ssh-keygen accepts, ssh-keygen's accepted; everything else refused."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from signing import openssh

from smolsign import (
    Signature,
    SignatureError,
    Signer,
    SmolsignError,
    UnknownKeyTypeError,
    armor,
    dearmor,
    load_private_key,
    load_public_key,
    sign,
    verify,
)
from smolsign.sshsig import MAX_SIZE
from smolsign.wire import string, uint32

MESSAGE = b"payload\0\xff"
SEED = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.mark.parametrize("options", [(), ("-Ohashalg=sha256",), ("-Ohashalg=sha512",)])
@pytest.mark.parametrize("message", [b"", MESSAGE, bytes(100_000)])
def test_a_signature_by_ssh_keygen(message: bytes, options: tuple[str, ...], keys: Path) -> None:
    text = openssh.sign(keys / "alice", message, "smolpack", *options)
    assert verify(dearmor(text), message, "smolpack") == load_public_key(keys / "alice.pub")


@pytest.mark.parametrize("message", [b"", MESSAGE, bytes(100_000)])
def test_a_signature_for_ssh_keygen(message: bytes, keys: Path, tmp_path: Path) -> None:
    blob = sign(load_private_key(keys / "alice"), message, "smolpack")
    assert openssh.is_signature(blob, message, "smolpack", tmp_path)
    assert not openssh.is_signature(blob, message + b"x", "smolpack", tmp_path)
    assert not openssh.is_signature(blob, message, "file", tmp_path)


def test_both_make_the_same_bytes(keys: Path) -> None:
    text = openssh.sign(keys / "alice", MESSAGE, "smolpack")
    assert armor(sign(load_private_key(keys / "alice"), MESSAGE, "smolpack")).encode() == text


@pytest.mark.parametrize(("flags", "counter"), [(1, 7), (0, 0), (5, 0xFFFF_FFFF)])
@pytest.mark.parametrize("application", ["ssh:", "ssh:smolpack"])
def test_a_hardware_key(application: str, flags: int, counter: int, tmp_path: Path) -> None:
    device = openssh.HardwareKey(SEED, application, flags, counter)
    blob = sign(device, MESSAGE, "smolpack")
    assert openssh.is_signature(blob, MESSAGE, "smolpack", tmp_path)
    assert verify(blob, MESSAGE, "smolpack") == device.public_key


def test_another_message_namespace_or_key(keys: Path) -> None:
    alice = load_private_key(keys / "alice")
    blob = sign(alice, MESSAGE, "smolpack")
    with pytest.raises(
        SignatureError, match=f"signed with {re.escape(alice.public_key.fingerprint)}"
    ):
        verify(blob, MESSAGE + b"x", "smolpack")
    with pytest.raises(SignatureError, match="for namespace 'smolpack', not 'file'"):
        verify(blob, MESSAGE, "file")
    stolen = Signature.from_bytes(blob)
    bob = load_public_key(keys / "bob.pub")
    claimed = Signature(bob, stolen.namespace, stolen.hash_algorithm, stolen.signature)
    with pytest.raises(SignatureError, match="bad signature"):
        claimed.verify(MESSAGE, "smolpack")


@pytest.mark.parametrize("name", ["rsa", "ecdsa"])
def test_other_key_types_can_be_told_from_bad_signatures(name: str, keys: Path) -> None:
    blob = dearmor(openssh.sign(keys / name, MESSAGE, "smolpack"))
    assert Signature.from_bytes(blob).public_key == load_public_key(keys / f"{name}.pub")
    with pytest.raises(UnknownKeyTypeError):
        verify(blob, MESSAGE, "smolpack")


@pytest.mark.parametrize("namespace", ["", "a\0b", "\udcff"])
def test_namespaces_that_cannot_be(namespace: str, keys: Path) -> None:
    with pytest.raises(ValueError):
        sign(load_private_key(keys / "alice"), MESSAGE, namespace)


def fields(**changed: bytes) -> bytes:
    """A good signature, field by field, with some of them changed."""
    key = openssh.HardwareKey(SEED).public_key
    good = Signature.from_bytes(sign(openssh.HardwareKey(SEED), MESSAGE, "file"))
    values = {
        "magic": b"SSHSIG",
        "version": uint32(1),
        "key": string(key.blob),
        "namespace": string("file"),
        "reserved": string(""),
        "hash": string("sha512"),
        "signature": string(good.signature),
        "trailing": b"",
    }
    assert changed.keys() <= values.keys()
    return b"".join((values | changed).values())


def test_the_field_by_field_signature_is_good() -> None:
    verify(fields(), MESSAGE, "file")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"magic": b"SSHSIF"}, "does not start with SSHSIG"),
        ({"version": uint32(0)}, "its version is 0, not 1"),
        ({"version": uint32(2)}, "its version is 2, not 1"),
        ({"key": string(b"")}, "not a public key"),
        ({"key": uint32(0xFFFF_FFFF)}, "cut short"),
        ({"namespace": string("")}, "namespace is empty"),
        ({"namespace": string("fi\0le")}, "holds NUL"),
        ({"namespace": string(b"\xff")}, "not UTF-8"),
        ({"reserved": string("x")}, "reserved field is not empty"),
        ({"hash": string("sha1")}, "hash is neither of sha256, sha512"),
        ({"hash": string("")}, "hash is neither"),
        ({"signature": b""}, "cut short"),
        ({"signature": string("")}, "cut short"),
        ({"trailing": b"\0"}, "more bytes than belong to it"),
        ({"trailing": bytes(MAX_SIZE)}, "more than 65536 bytes"),
    ],
)
def test_malformed(changed: dict[str, bytes], message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        verify(fields(**changed), MESSAGE, "file")


@pytest.mark.parametrize("hardware", [False, True])
def test_every_changed_bit_and_every_cut_fails(hardware: bool, keys: Path) -> None:
    signer: Signer = openssh.HardwareKey(SEED) if hardware else load_private_key(keys / "alice")
    blob = sign(signer, MESSAGE, "file")
    for at in range(len(blob)):
        with pytest.raises(SmolsignError):
            verify(blob[:at], MESSAGE, "file")
        for bit in range(8):
            changed = blob[:at] + bytes([blob[at] ^ 1 << bit]) + blob[at + 1 :]
            with pytest.raises(SmolsignError):
                verify(changed, MESSAGE, "file")


@given(at=st.integers(0, len(fields()) - 1), change=st.integers(1, 255))
def test_any_changed_byte_fails(at: int, change: int) -> None:
    blob = bytearray(fields())
    blob[at] ^= change
    with pytest.raises(SmolsignError):
        verify(bytes(blob), MESSAGE, "file")


@given(st.binary(max_size=400))
def test_any_bytes_are_an_error_or_one_signature(blob: bytes) -> None:
    for data in (blob, b"SSHSIG" + uint32(1) + blob):
        try:
            signature = Signature.from_bytes(data)
        except SignatureError:
            continue
        assert signature.to_bytes() == data


@given(
    namespace=st.text(min_size=1),
    hash_algorithm=st.sampled_from(["sha256", "sha512", "md5"]),
    signature=st.binary(),
    more=st.binary(max_size=2),
)
def test_any_fields_are_an_error_or_read_as_written(
    namespace: str, hash_algorithm: str, signature: bytes, more: bytes
) -> None:
    key = openssh.HardwareKey(SEED).public_key
    written = Signature(key, namespace, hash_algorithm, signature)
    if more or "\0" in namespace or hash_algorithm == "md5":
        with pytest.raises(SignatureError):
            Signature.from_bytes(written.to_bytes() + more)
    else:
        assert Signature.from_bytes(written.to_bytes()) == written


@given(st.binary(max_size=400))
def test_armor_survives_a_round_trip(blob: bytes) -> None:
    assert dearmor(armor(blob)) == blob
    assert dearmor(armor(blob).replace("\n", "\r\n").encode()) == blob


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_an_error_or_a_signature(text: str | bytes) -> None:
    with pytest.raises(SignatureError):
        dearmor(text)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[1:],
        lambda text: "\n" + text,
        lambda text: text + "\n",
        lambda text: text + text,
        lambda text: text.replace("-----END", "----END"),
        lambda text: text.replace("SIGNATURE-----\n", "SIGNATURE----- \n", 1),
        lambda text: text.replace("\nU1", "\n U1"),
        lambda text: text.replace("\nU1", "\n=U1"),
        lambda text: text.replace("\nU1", "\n\x0bU1"),
        lambda text: text.replace("\nU1", "\n\u00e9U1"),
        lambda text: text + "x" * 2 * MAX_SIZE,
    ],
)
def test_malformed_armor(change: Callable[[str], str]) -> None:
    text = armor(fields())
    dearmor(text)
    with pytest.raises(SignatureError, match="expected Base64 behind -----BEGIN SSH SIGNATURE"):
        dearmor(change(text))
