"""`smolpack sign`, `verify`, `key`, `trust` as a user sees them, side by side with OpenSSH."""

import json
import os
import pty
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from smolpack import artifact
from support import Cli, failure

TIME = {"SOURCE_DATE_EPOCH": "1700000000"}


def openssh(*argv: str | Path, stdin: bytes = b"", ok: bool = True) -> str:
    """Runs a program of OpenSSH."""
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    assert not ok or done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).decode() if done.returncode == 0 else ""


def make_key(path: Path, passphrase: str = "") -> Path:
    openssh("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "test", "-f", path)
    return path


def fingerprint(key: Path) -> str:
    return openssh("ssh-keygen", "-l", "-f", f"{key}.pub").split()[1]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a trust store, an agent or a terminal."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(name="key")
def _key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "key")


@pytest.fixture(name="other_key")
def _other_key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "other")


@pytest.fixture(name="machine")
def _machine(cli: Cli, tree: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tool.vm"
    assert cli("create", "--rootfs", tree, "--out", path).returncode == 0
    return path


@pytest.fixture(name="signed")
def _signed(cli: Cli, machine: Path, key: Path) -> Path:
    done = cli("sign", machine, "--key", key, env=TIME)
    assert done.returncode == 0, done.stderr
    return machine


def trust(cli: Cli, name: str, key: Path, *options: str) -> None:
    done = cli("trust", "add", name, f"{key}.pub", *options)
    assert done.returncode == 0, done.stderr


def verdict(cli: Cli, *arguments: str | Path) -> dict[str, object]:
    """What `smolpack verify --json` says; its status and error agree."""
    done = cli("verify", "--json", *arguments)
    found: dict[str, object] = json.loads(done.stdout)
    assert (done.returncode == 0) == found["ok"]
    assert (done.stderr == b"") == found["ok"]
    if not found["ok"]:
        assert done.stderr.decode().endswith(f": {found['problem']}\n")
    return found


def test_unsigned(cli: Cli, machine: Path) -> None:
    for options in ([], ["--any-key"], ["--require-signer", "alice"]):
        found = verdict(cli, machine, *options)
        assert not found["ok"] and found["intact"] and found["signatures"] == []
        assert str(found["problem"]).startswith("unsigned")


def test_signed_by_whom(cli: Cli, signed: Path, key: Path) -> None:
    found = verdict(cli, signed)
    assert not found["ok"] and found["intact"]
    assert f"signed by {fingerprint(key)}, whom you do not trust" in str(found["problem"])
    assert verdict(cli, signed, "--any-key")["ok"]
    trust(cli, "alice@example.com", key)
    done = cli("verify", signed)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    signer = f"alice@example.com, ssh-ed25519 {fingerprint(key)}"
    assert f"signature  2023-11-14T22:13:20Z, {signer}" in text
    for name in ("launcher", "kernel", "initramfs", "rootfs", "config"):
        assert any(line.startswith(name) and "intact" in line for line in text.splitlines())


def test_a_required_signer(cli: Cli, signed: Path, key: Path, other_key: Path) -> None:
    trust(cli, "alice", key)
    trust(cli, "bob", other_key)
    assert verdict(cli, signed, "--require-signer", "alice")["ok"]
    problem = verdict(cli, signed, "--require-signer", "bob")["problem"]
    assert "not signed by bob (but by alice)" in str(problem)
    text = failure(cli("verify", signed, "--any-key", "--require-signer", "bob"), 2)
    assert "contradict" in text


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        (["--valid-before", "20200101"], False),
        (["--valid-after", "20200101"], True),
        (["--valid-after", "20990101"], False),
        (["--namespaces", "git,file"], False),
        (["--namespaces", "smol*"], True),
    ],
)
def test_limits_of_trust_are_those_of_openssh(
    options: list[str], accepted: bool, cli: Cli, signed: Path, key: Path, tmp_path: Path
) -> None:
    trust(cli, "alice", key, *options)
    assert verdict(cli, signed)["ok"] == accepted
    assert ssh_keygen_accepts(cli, signed, tmp_path) == accepted


def ssh_keygen_accepts(cli: Cli, machine: Path, directory: Path) -> bool:
    """What `ssh-keygen -Y verify` says of the pieces that `verify` wrote."""
    payload, signature = directory / "p", directory / "s"
    cli("verify", machine, "--payload", payload, "--signature", signature)
    allowed = directory / "config/smolpack/allowed_signers"
    whom = ("-f", allowed, "-I", "alice", "-n", "smolpack")
    said = openssh(
        "ssh-keygen", "-Y", "verify", *whom, "-s", signature, stdin=payload.read_bytes(), ok=False
    )
    return said.startswith('Good "smolpack" signature for alice')


def test_ssh_keygen_says_the_same(cli: Cli, signed: Path, key: Path, tmp_path: Path) -> None:
    trust(cli, "alice", key)
    assert ssh_keygen_accepts(cli, signed, tmp_path)
    (tmp_path / "p").write_bytes((tmp_path / "p").read_bytes()[:-1] + b"\1")
    check = ("ssh-keygen", "-Y", "check-novalidate", "-n", "smolpack", "-s", tmp_path / "s")
    assert not openssh(*check, stdin=(tmp_path / "p").read_bytes(), ok=False)


def test_a_signature_made_by_ssh_keygen(cli: Cli, machine: Path, key: Path, tmp_path: Path) -> None:
    payload = tmp_path / "p"
    assert cli("verify", machine, "--payload", payload, env=TIME).returncode == 1
    openssh("ssh-keygen", "-q", "-Y", "sign", "-n", "smolpack", "-f", key, payload)
    done = cli("sign", machine, "--payload", payload, "--signature", f"{payload}.sig")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == f"{machine}: signed by {fingerprint(key)}\n"
    trust(cli, "alice", key)
    assert verdict(cli, machine)["ok"]
    # Ed25519 has one signature for one message: ours is the same.
    theirs = machine.read_bytes()
    assert cli("sign", machine, "--key", key, env=TIME).returncode == 0
    assert machine.read_bytes() == theirs


def test_signatures_that_do_not_belong(
    cli: Cli, machine: Path, key: Path, tree: Path, tmp_path: Path
) -> None:
    payload, signature = tmp_path / "p", tmp_path / "p.sig"
    attach = ("sign", machine, "--payload", payload, "--signature", signature)
    cli("verify", machine, "--payload", payload)
    openssh("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", key, payload)
    assert "namespace 'file'" in failure(cli(*attach))
    signature.write_text("nonsense")
    assert "malformed signature" in failure(cli(*attach))
    (tree / "etc/motd").write_text("changed\n")
    other = tmp_path / "other.vm"
    assert cli("create", "--rootfs", tree, "--out", other).returncode == 0
    cli("verify", other, "--payload", payload)
    signature.unlink()
    openssh("ssh-keygen", "-q", "-Y", "sign", "-n", "smolpack", "-f", key, payload)
    assert "payload is not of this file" in failure(cli(*attach))
    payload.write_bytes(b"")
    assert "cannot be used" in failure(cli(*attach))


def test_pieces_of_what_has_none(cli: Cli, machine: Path, tmp_path: Path) -> None:
    done = cli("verify", machine, "--payload", tmp_path / "p", "--signature", tmp_path / "s")
    assert done.returncode == 1 and b"there is no signature to write" in done.stderr
    damaged = bytearray(machine.read_bytes())
    damaged[0] ^= 1
    machine.write_bytes(damaged)
    done = cli("verify", machine, "--payload", tmp_path / "p")
    assert done.returncode == 1 and b"launcher section is not what it was" in done.stderr
    assert not (tmp_path / "p").exists() and not (tmp_path / "s").exists()


def test_signing_while_packing_is_signing_afterwards(
    cli: Cli, signed: Path, key: Path, tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "at once.vm"
    done = cli("create", "--rootfs", tree, "--out", out, "--sign", key, env=TIME)
    said = f"{out}: {out.stat().st_size} bytes, signed by {fingerprint(key)}\n"
    assert (done.returncode, done.stdout.decode()) == (0, said)
    with artifact.opened(out) as (_, one), artifact.opened(signed) as (_, other):
        # The image's own time stamp differs: only here SOURCE_DATE_EPOCH was set for it.
        assert len(one.signatures) == len(other.signatures) == 1
    assert verdict(cli, out, "--any-key")["ok"]


def test_several_signatures(cli: Cli, signed: Path, key: Path, other_key: Path) -> None:
    alone = signed.read_bytes()
    assert cli("sign", signed, "--key", other_key).returncode == 0
    both = [fingerprint(key), fingerprint(other_key)]
    listed = json.loads(cli("info", "--json", signed).stdout)["signatures"]
    assert [signature["fingerprint"] for signature in listed] == both
    # One trusted key is enough.
    trust(cli, "alice", key)
    assert verdict(cli, signed)["ok"]
    # The same key again replaces its own.
    assert cli("sign", signed, "--key", key).returncode == 0
    listed = json.loads(cli("info", "--json", signed).stdout)["signatures"]
    assert sorted(signature["fingerprint"] for signature in listed) == sorted(both)
    assert verdict(cli, signed)["ok"]
    assert cli("sign", signed, "--remove", both[1]).returncode == 0
    assert cli("sign", signed, "--key", key, env=TIME).returncode == 0
    assert signed.read_bytes() == alone
    assert "has no signature by" in failure(cli("sign", signed, "--remove", both[1]))
    assert cli("sign", signed, "--remove", both[0]).returncode == 0
    assert "unsigned" in str(verdict(cli, signed)["problem"])


def test_mode_and_link_are_kept(cli: Cli, machine: Path, key: Path, tmp_path: Path) -> None:
    machine.chmod(0o750)
    link = tmp_path / "link.vm"
    link.symlink_to(machine.name)
    before = set(tmp_path.iterdir())
    assert cli("sign", link, "--key", key).returncode == 0
    assert link.is_symlink()
    assert stat.S_IMODE(machine.stat().st_mode) == 0o750
    assert set(tmp_path.iterdir()) == before


def test_a_damaged_file_is_not_signed(cli: Cli, machine: Path, key: Path) -> None:
    with artifact.opened(machine) as (_, found):
        offset = found.sections[3].offset
    data = bytearray(machine.read_bytes())
    data[offset] ^= 1
    machine.write_bytes(data)
    assert "the rootfs section is not" in failure(cli("sign", machine, "--key", key))
    assert machine.read_bytes() == data


def test_a_bad_signature_is_dropped_by_the_next_one(cli: Cli, signed: Path, key: Path) -> None:
    with artifact.opened(signed) as (_, found):
        offset = found.table_offset + len(found.table)
    data = bytearray(signed.read_bytes())
    data[offset] ^= 1  # its time
    signed.write_bytes(data)
    assert "bad signature" in str(verdict(cli, signed)["problem"])
    done = cli("sign", signed, "--key", key)
    assert done.returncode == 0 and b"dropped a bad signature" in done.stderr
    assert verdict(cli, signed, "--any-key")["ok"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--key", "a", "--remove", "b"], ["--payload", "p"], ["--key", "a", "--signature", "s"]],
)
def test_one_thing_at_a_time(arguments: list[str], cli: Cli, machine: Path) -> None:
    assert "give one of" in failure(cli("sign", machine, *arguments), 2)


def test_keys_that_cannot_sign(cli: Cli, machine: Path, key: Path, tmp_path: Path) -> None:
    text = failure(cli("sign", machine, "--key", tmp_path / "none"))
    assert "none: cannot be read: No such file" in text
    key.chmod(0o644)
    assert "chmod 600" in failure(cli("sign", machine, "--key", key))


def without_terminal() -> None:
    os.setsid()


def test_an_encrypted_key(cli: Cli, machine: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "secret", passphrase="open sesame")
    sign = ("sign", machine, "--key", key)
    assert "no terminal" in failure(cli(*sign, preexec=without_terminal))
    generate = ("key", "generate", tmp_path / "new")
    assert "--no-passphrase" in failure(cli(*generate, preexec=without_terminal))
    askpass = tmp_path / "askpass"
    askpass.write_text('#!/bin/sh\necho "$1" >&2\necho open sesame\n')
    askpass.chmod(0o755)
    done = cli(*sign, env={"SSH_ASKPASS": str(askpass)}, preexec=without_terminal)
    assert done.returncode == 0 and f"Passphrase for {key}" in done.stderr.decode()
    assert verdict(cli, machine, "--any-key")["ok"]
    askpass.write_text("#!/bin/sh\necho open barley\n")
    never = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    text = failure(cli(*sign, env=never))
    assert "wrong passphrase" in text and "barley" not in text


def test_the_terminal_is_asked(cli: Cli, machine: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "secret", passphrase="open sesame")
    command = [*cli.argv, "sign", str(machine), "--key", str(key)]
    process, terminal = pty.fork()
    if process == 0:
        os.execv(command[0], command)
    said = b""
    with os.fdopen(terminal, "r+b", buffering=0) as both:
        while b"Passphrase for" not in said:
            said += both.read(100)
        both.write(b"open sesame\n")
        try:
            while data := both.read(1000):
                said += data
        except OSError:
            pass  # EIO: it has ended
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, said
    assert b"sesame" not in said


@pytest.fixture(name="agent")
def _agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real ssh-agent."""
    socket = tmp_path / "agent"
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield {"SSH_AUTH_SOCK": str(socket)}
        process.kill()


def test_a_key_in_the_agent(
    cli: Cli, machine: Path, key: Path, tmp_path: Path, agent: dict[str, str]
) -> None:
    env = {**os.environ, **agent}
    subprocess.run(["ssh-add", "-q", key], check=True, env=env, capture_output=True)
    key.unlink()
    done = cli("sign", machine, "--key", f"{key}.pub", env=agent)
    assert done.returncode == 0, done.stderr
    assert verdict(cli, machine, "--any-key")["ok"]
    assert "ssh-agent" in failure(cli("sign", machine, "--key", f"{key}.pub"))


def test_a_generated_key(cli: Cli, machine: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys/release"
    done = cli("key", "generate", path, "--no-passphrase", "--comment", "us")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert fingerprint(path) in done.stdout.decode()
    assert openssh("ssh-keygen", "-y", "-f", path).split()[1] in Path(f"{path}.pub").read_text()
    assert cli("sign", machine, "--key", path).returncode == 0
    trust(cli, "us", path)
    assert verdict(cli, machine, "--require-signer", "us")["ok"]
    before = path.read_bytes()
    assert "never overwritten" in failure(cli("key", "generate", path, "--no-passphrase"))
    assert path.read_bytes() == before
    path.unlink()
    assert "never overwritten" in failure(cli("key", "generate", path, "--no-passphrase"))
    assert not path.exists()


def test_a_generated_key_with_a_passphrase(cli: Cli, machine: Path, tmp_path: Path) -> None:
    askpass = tmp_path / "askpass"
    askpass.write_text("#!/bin/sh\necho secret\n")
    askpass.chmod(0o755)
    env = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    done = cli("key", "generate", env=env)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "config/smolpack/id_ed25519"
    assert openssh("ssh-keygen", "-y", "-P", "secret", "-f", path)
    assert not openssh("ssh-keygen", "-y", "-P", "", "-f", path, ok=False)
    assert cli("sign", machine, "--key", path, env=env).returncode == 0


def test_the_trust_store(cli: Cli, key: Path, other_key: Path) -> None:
    trust(cli, "alice", key)
    trust(cli, "bob", other_key, "--valid-before", "20991231Z")
    assert b"trusted already" in cli("trust", "add", "alice", f"{key}.pub").stdout
    listed = json.loads(cli("trust", "list", "--json").stdout)
    assert [entry["principals"] for entry in listed] == ["alice", "bob"]
    assert {entry["namespaces"] for entry in listed} == {"smolpack"}
    text = cli("trust", "list").stdout.decode()
    assert f"bob {fingerprint(other_key)} for smolpack, until 2099-12-31T00:00:00Z" in text
    assert cli("trust", "remove", "alice").returncode == 0
    assert cli("trust", "remove", fingerprint(other_key)).returncode == 0
    assert cli("trust", "list").stdout == b""
    assert "not in" in failure(cli("trust", "remove", "alice"))


def test_keys_as_text(cli: Cli, key: Path) -> None:
    line = Path(f"{key}.pub").read_text().strip()
    assert cli("trust", "add", "alice", line).returncode == 0
    assert "not a public key" in failure(cli("trust", "add", "bob", "ssh-ed25519 nonsense"))
    assert "no such day" in failure(
        cli("trust", "add", "bob", line, "--valid-after", "20250231"), 2
    )


def test_a_trust_store_with_a_bad_line(cli: Cli, signed: Path, tmp_path: Path) -> None:
    path = tmp_path / "config/smolpack/allowed_signers"
    path.parent.mkdir(parents=True)
    path.write_text("alice ssh-ed25519 nonsense\n")
    for arguments in (["verify", str(signed)], ["trust", "list"]):
        assert f"{path}:1: not a public key" in failure(cli(*arguments))


def test_info_names_the_signers(cli: Cli, signed: Path, key: Path) -> None:
    trust(cli, "alice", key)
    text = cli("info", signed).stdout.decode()
    assert f"signature     2023-11-14T22:13:20Z, alice, ssh-ed25519 {fingerprint(key)}" in text
    found = json.loads(cli("info", "--json", signed).stdout)
    assert [signature["principals"] for signature in found["signatures"]] == [["alice"]]
    roots = {section["type"]: section["root"] for section in found["sections"]}
    assert f"  {roots['rootfs'][:16]}\n" in text


def test_info_of_an_unsigned_file(cli: Cli, machine: Path) -> None:
    assert "unsigned" in cli("info", machine).stdout.decode()
    assert json.loads(cli("info", "--json", machine).stdout)["signatures"] == []


def test_an_agent_that_refuses(
    cli: Cli, tree: Path, key: Path, tmp_path: Path, agent: dict[str, str]
) -> None:
    env = {**os.environ, **agent}
    # It lists the key, but nobody is there to confirm.
    subprocess.run(["ssh-add", "-q", "-c", key], check=True, env=env, capture_output=True)
    out = tmp_path / "tool.vm"
    done = cli("create", "--rootfs", tree, "--out", out, "--sign", f"{key}.pub", env=agent)
    assert "ssh-agent refused" in failure(done)
    assert not out.exists()


@pytest.mark.parametrize(
    "command",
    ["verify", "sign", "key", "key generate", "trust", "trust add", "trust list", "trust remove"],
)
def test_help_shows_an_example(command: str, cli: Cli) -> None:
    done = cli(*command.split(), "--help")
    assert done.returncode == 0
    assert f"  smolpack {command}" in done.stdout.decode()
