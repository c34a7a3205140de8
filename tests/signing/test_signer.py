"""A key file leads to what signs with it, as in ssh-keygen -Y sign."""

import shutil
from pathlib import Path

import pytest
from signing import openssh

from smolsign import (
    Agent,
    AgentError,
    AgentSigner,
    KeyFileError,
    PassphraseError,
    PrivateKey,
    UnknownKeyTypeError,
    load_public_key,
    load_signer,
    sign,
    verify,
)


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def test_a_private_key(keys: Path) -> None:
    signer = load_signer(keys / "alice")
    assert isinstance(signer, PrivateKey)
    assert verify(sign(signer, b"m", "file"), b"m", "file") == load_public_key(keys / "alice.pub")


def test_an_encrypted_private_key(tmp_path: Path) -> None:
    openssh.make_key(tmp_path / "key", "-a", "2", passphrase="correct horse")
    with pytest.raises(PassphraseError, match="no passphrase"):
        load_signer(tmp_path / "key")
    signer = load_signer(tmp_path / "key", lambda path: "correct horse")
    assert signer.public_key == load_public_key(tmp_path / "key.pub")


def test_a_public_key_selects_the_key_of_the_agent(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(keys / "alice.pub", tmp_path)
    with openssh.agent(tmp_path / "agent") as env:
        openssh.run("ssh-add", keys / "bob", keys / "alice", env=env)
        monkeypatch.setenv("SSH_AUTH_SOCK", env["SSH_AUTH_SOCK"])
        signer = load_signer(tmp_path / "alice.pub")
        assert isinstance(signer, AgentSigner)
        blob = sign(signer, b"m", "file")
    assert openssh.is_signature(blob, b"m", "file", tmp_path)
    assert verify(blob, b"m", "file") == load_public_key(keys / "alice.pub")


def test_the_agent_can_be_given(keys: Path, tmp_path: Path) -> None:
    with openssh.agent(tmp_path / "agent") as env:
        openssh.run("ssh-add", keys / "alice", env=env)
        signer = load_signer(keys / "alice.pub", agent=Agent(tmp_path / "agent"))
        assert isinstance(signer, AgentSigner)


def test_without_agent_the_private_key_beside_signs(keys: Path, tmp_path: Path) -> None:
    assert isinstance(load_signer(keys / "alice.pub"), PrivateKey)
    with openssh.agent(tmp_path / "agent") as env:
        openssh.run("ssh-add", keys / "bob", env=env)
        signer = load_signer(keys / "alice.pub", agent=Agent(tmp_path / "agent"))
        assert isinstance(signer, PrivateKey)


def test_a_public_key_without_anything_that_signs(keys: Path, tmp_path: Path) -> None:
    shutil.copy(keys / "alice.pub", tmp_path)
    with pytest.raises(AgentError, match=r"SSH_AUTH_SOCK is not set.*or give the private key file"):
        load_signer(tmp_path / "alice.pub")
    with openssh.agent(tmp_path / "agent"):
        agent = Agent(tmp_path / "agent")
        with pytest.raises(AgentError, match=r"alice\.pub: ssh-agent has not got .*run `ssh-add`"):
            load_signer(tmp_path / "alice.pub", agent=agent)


def test_halves_that_do_not_belong_together(keys: Path, tmp_path: Path) -> None:
    shutil.copy(keys / "alice.pub", tmp_path / "key.pub")
    shutil.copy(keys / "bob", tmp_path / "key")
    with pytest.raises(KeyFileError, match=r"key\.pub: is not the public half of .*key"):
        load_signer(tmp_path / "key.pub")


@pytest.mark.parametrize("name", ["rsa", "rsa.pub", "ecdsa", "ecdsa.pub"])
def test_other_key_types(name: str, keys: Path) -> None:
    with pytest.raises(UnknownKeyTypeError, match=f"{name}: "):
        load_signer(keys / name)


def test_no_key_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        load_signer(tmp_path / "none")
