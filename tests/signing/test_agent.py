"""A real ssh-agent signs; one that answers anything else is an error, in time."""

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from signing import openssh

from smolsign import (
    Agent,
    AgentError,
    AgentSigner,
    UnknownKeyTypeError,
    load_public_key,
    sign,
    verify,
)
from smolsign.wire import string, uint32

DEVICE = openssh.HardwareKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = DEVICE.public_key


def test_a_real_agent(keys: Path, tmp_path: Path) -> None:
    alice = load_public_key(keys / "alice.pub")
    with openssh.agent(tmp_path / "agent") as env:
        agent = Agent(tmp_path / "agent")
        assert agent.identities() == ()
        openssh.run("ssh-add", keys / "rsa", keys / "alice", env=env)
        assert agent.identities() == (load_public_key(keys / "rsa.pub"), alice)
        assert agent.identities()[1].comment == "a b@c"
        blob = sign(AgentSigner(agent, alice), b"message", "smolpack")
    assert openssh.is_signature(blob, b"message", "smolpack", tmp_path)
    assert verify(blob, b"message", "smolpack") == alice


def test_refusals_of_a_real_agent(keys: Path, tmp_path: Path) -> None:
    alice, bob, rsa = (load_public_key(keys / f"{name}.pub") for name in ("alice", "bob", "rsa"))
    with openssh.agent(tmp_path / "agent") as env:
        agent = Agent(tmp_path / "agent")
        # To be confirmed, and nobody there to ask.
        openssh.run("ssh-add", "-c", keys / "alice", env=env)
        for key in (alice, bob):
            with pytest.raises(AgentError, match=r"refused to sign with SHA256:.*`ssh-add -l`"):
                agent.sign(key, b"data")
        with pytest.raises(UnknownKeyTypeError):
            agent.sign(rsa, b"data")
        with pytest.raises(AgentError, match="at most 262144 bytes"):
            agent.sign(alice, bytes(256 << 10))


def test_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(AgentError, match=r"SSH_AUTH_SOCK is not set; run `eval \$\(ssh-agent\)`"):
        Agent.from_environment()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "none"))
    with pytest.raises(AgentError, match="none: no ssh-agent: No such file"):
        Agent.from_environment().identities()
    with pytest.raises(AgentError, match=r"no ssh-agent: .*too long"):
        Agent(Path("/" + "x" * 200)).identities()


def test_a_hardware_key_in_an_agent(tmp_path: Path) -> None:
    def answer(request: bytes) -> bytes:
        if request == b"\x0b":
            return string(b"\x0c" + uint32(1) + string(KEY.blob) + string("the key\x1b[31m"))
        expected = b"\x0d" + string(KEY.blob) + string(b"data") + uint32(0)
        assert request == expected
        return string(b"\x0e" + string(DEVICE.sign(b"data")))

    with openssh.played_agent(tmp_path / "agent", answer):
        agent = Agent(tmp_path / "agent")
        assert agent.identities() == (KEY,)
        assert agent.identities()[0].comment == "the key[31m"
        KEY.verify(agent.sign(KEY, b"data"), b"data")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"", "hung up"),
        (b"\0\0", "hung up"),
        (uint32(0), "0 bytes"),
        (uint32(1), "hung up"),
        (uint32(0xFFFF_FFFF) + b"\x0c", "4294967295 bytes"),
        (uint32((256 << 10) + 1), "262145 bytes"),
        (string(b"\x05"), "does not tell its keys; is it locked"),
        (string(b"\x0e"), "does not tell its keys"),
        (string(b"\x0c"), "cut short"),
        (string(b"\x0c" + uint32(0xFFFF_FFFF)), "cut short"),
        (string(b"\x0c" + uint32(0) + b"x"), "more bytes"),
        (string(b"\x0c" + uint32(1) + string("x") + string("")), "not a public key"),
        (string(b"\x0c" + uint32(1) + string(KEY.blob + b"x") + string("")), "not a public key"),
    ],
)
def test_nonsense_instead_of_keys(reply: bytes, message: str, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent")
    with (
        openssh.played_agent(agent.socket, lambda _: reply),
        pytest.raises(AgentError, match=message),
    ):
        agent.identities()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (string(b"\x06"), "message 6 instead of a signature"),
        (string(b"\x0e"), "cut short"),
        (string(b"\x0e" + string(DEVICE.sign(b"data")) + b"x"), "more bytes"),
        (string(b"\x0e" + string(DEVICE.sign(b"other"))), "bad signature"),
        (string(b"\x0e" + string("")), "malformed signature"),
    ],
)
def test_nonsense_instead_of_a_signature(reply: bytes, message: str, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent")
    with (
        openssh.played_agent(agent.socket, lambda _: reply),
        pytest.raises(AgentError, match=message),
    ):
        agent.sign(KEY, b"data")


def test_silence(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent", timeout=0.2, sign_timeout=0.3)
    with openssh.played_agent(agent.socket, lambda _: None):
        with pytest.raises(AgentError, match=r"no answer from ssh-agent in 0\.2 s"):
            agent.identities()
        with pytest.raises(AgentError, match=r"no answer from ssh-agent in 0\.3 s"):
            agent.sign(KEY, b"data")


def test_an_answer_in_drops_does_not_extend_the_time(tmp_path: Path) -> None:
    def drops(_: bytes) -> Iterator[bytes]:
        yield uint32(256 << 10)
        pause = threading.Event()
        while not pause.wait(0.01):
            yield b"\x0c"

    agent = Agent(tmp_path / "agent", timeout=0.3)
    with (
        openssh.played_agent(agent.socket, drops),
        pytest.raises(AgentError, match=r"no answer from ssh-agent in 0\.3 s"),
    ):
        agent.identities()


@given(st.lists(st.binary(max_size=100), min_size=20, max_size=20))
@settings(max_examples=20, deadline=None)
def test_any_answer_is_an_error_or_keys(replies: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        agent = Agent(Path(directory) / "agent")
        pending = iter(replies)
        with openssh.played_agent(agent.socket, lambda _: string(b"\x0c" + next(pending))):
            for reply in replies:
                try:
                    found = agent.identities()
                except AgentError:
                    continue
                assert len(found) == int.from_bytes(reply[:4], "big")
