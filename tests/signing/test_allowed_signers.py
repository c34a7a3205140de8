"""allowed_signers files say here what they say to ssh-keygen."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from signing import openssh

from smolsign import (
    AllowedSigners,
    AllowedSignersError,
    Entry,
    PublicKey,
    load_private_key,
    load_public_key,
    sign,
    timestamps,
)
from smolsign.allowed_signers import MAX_SIZE
from smolsign.wire import string

MESSAGE = b"message"
NOW = "20240601120000Z"

# What stands for the base64 of both keys, and of one of another type.
FILES = {
    "plain": "alice {alice}\n",
    "last line without end": "bob {bob}\nalice {alice}",
    "carriage returns": "bob {bob}\r\nalice {alice}\r\n",
    "comments": "# a\n\t# b\n  alice {alice} and a comment # here\n",
    "tabs": "alice\t{alice_tab}\n",
    "leading blanks": " \t alice {alice}\n",
    "several names": "alice,a@b.c,*.d {alice}\n",
    "empty names": ",alice,, {alice}\n",
    "negated": "*,!bob {alice}\n",
    "only negated": "!bob {alice}\n",
    "quoted name": '"alice in chains" {alice}\n',
    "quoted names": '"alice,a b,c" {alice}\n',
    "hash in quotes": '"#alice" {alice}\n',
    "name like a key type": "ssh-ed25519 {alice}\n",
    "first of two": "one {alice}\ntwo {alice}\n",
    "other types around": "alice {rsa}\nalice {ecdsa}\nalice {alice}\n",
    "namespaces": 'alice namespaces="smolpack" {alice}\n',
    "namespace pattern": 'alice namespaces="file,smol*,!smolder" {alice}\n',
    "upper-case option": 'alice NameSpaces="smolpack" {alice}\n',
    "quote in namespace": 'alice namespaces="a\\"b,smolpack" {alice}\n',
    "blank in namespace": 'alice namespaces="a b,smolpack" {alice}\n',
    "all options": 'alice namespaces="smolpack",valid-after="20240101Z",'
    'valid-before="202501010000Z" {alice}\n',
    "not yet": 'late valid-after="20250101Z" {alice}\nearly {alice}\n',
    "no more": 'early valid-before="20240101Z" {alice}\nlate {alice}\n',
    "certificate authority": "alice cert-authority {alice}\nlate {alice}\n",
    "certificate authority and more": 'a cert-authority,namespaces="x" {alice}\n',
    "another key": "alice {bob}\n",
    "nothing": "",
    # Wrong from here on.
    "name only": "alice\n",
    "name and blank": "alice \n",
    "options only": 'alice namespaces="x"\n',
    "options and blank": 'alice namespaces="x" \n',
    "type only": "alice ssh-ed25519\n",
    "no Base64": "alice ssh-ed25519 !!!!\n",
    "another key in the Base64": "alice ssh-rsa {alice_base64}\n",
    "key cut short": "alice {alice_cut}\n",
    "unknown option": 'alice trusted="yes" {alice}\n',
    "unknown flag": "alice trusted {alice}\n",
    "flag with a tail": "alice cert-authority-not {alice}\n",
    "flag with a value": 'alice cert-authority="x" {alice}\n',
    "option without value": "alice namespaces {alice}\n",
    "option without quotes": "alice namespaces=x {alice}\n",
    "option without comma": 'alice namespaces="x"valid-after="20240101Z" {alice}\n',
    "option twice": 'alice namespaces="x",namespaces="x" {alice}\n',
    "trailing comma": 'alice namespaces="x", {alice}\n',
    "no closing quote": 'alice namespaces="x {alice}\n',
    "only an escaped quote": 'alice namespaces="x\\" {alice}\n',
    "escaped quote, then more": 'alice namespaces="x\\",valid-after="20240101Z" {alice}\n',
    "name without closing quote": '"alice {alice}\n',
    "bad time": 'alice valid-after="soon" {alice}\n',
    "time zero": 'alice valid-after="19700101Z" {alice}\n',
    "wrong order": 'alice valid-after="20250101Z",valid-before="20240101Z" {alice}\n',
    "equal times": 'alice valid-after="20240101Z",valid-before="20240101Z" {alice}\n',
}

NAMES = ["alice", "bob", "a@b.c", "x.d", "alice in chains", "a b", "#alice", "ssh-ed25519", "one"]
NAMES += ["two", "early", "late", ""]


@pytest.fixture(name="write")
def _write(keys: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Writes a file for a text with the names of keys in braces."""
    lines = {
        name: load_public_key(keys / f"{name}.pub").line
        for name in ("alice", "bob", "rsa", "ecdsa")
    }
    base64 = lines["alice"].split()[1]
    lines |= {
        "alice_tab": f"ssh-ed25519\t{base64}",
        "alice_base64": base64,
        "alice_cut": f"ssh-ed25519 {base64[:-4]}",
    }

    def write(text: str) -> Path:
        path = tmp_path / "allowed_signers"
        path.write_bytes(text.format_map(lines).encode("utf-8", "surrogateescape"))
        return path

    return write


@pytest.fixture(name="judge")
def _judge(keys: Path, tmp_path: Path) -> openssh.Judge:
    """ssh-keygen with a signature by alice for namespace smolpack."""
    (tmp_path / "sig").write_bytes(openssh.sign(keys / "alice", MESSAGE, "smolpack"))
    return openssh.Judge(tmp_path / "sig", tmp_path / "allowed_signers", MESSAGE)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_ssh_keygen_agrees(
    text: str, keys: Path, write: Callable[[str], Path], judge: openssh.Judge
) -> None:
    path = write(text)
    alice = load_public_key(keys / "alice.pub")
    theirs = judge.principals(f"-Overify-time={NOW}")
    if theirs is None:
        with pytest.raises(AllowedSignersError, match=rf"{path}:1: .*; correct that line"):
            AllowedSigners.load(path)
        return
    ours = AllowedSigners.load(path)
    found = ours.find(alice, "smolpack", at=timestamps.parse(NOW))
    first = found[0].principals.split(",") if found else []
    # ssh-keygen stops printing at an empty name.
    assert theirs == (first[: first.index("")] if "" in first else first)
    for name in NAMES:
        accepted = bool(ours.find(alice, "smolpack", principal=name, at=timestamps.parse(NOW)))
        assert accepted == judge.verify(name, "smolpack", f"-Overify-time={NOW}"), name


def test_the_files_are_of_both_kinds(write: Callable[[str], Path], judge: openssh.Judge) -> None:
    write(FILES["plain"])
    assert judge.principals() == ["alice"]
    write(FILES["trailing comma"])
    assert judge.principals() is None
    write(FILES["nothing"])
    assert judge.principals() == []


@pytest.mark.parametrize("zone", ["UTC", "CET-1CEST,M3.5.0,M10.5.0/3", "NST3:30"])
@pytest.mark.parametrize("limit", ["20240701", "202401011234", "20240701123456", "20240701Z"])
def test_validity_is_that_of_ssh_keygen(
    limit: str,
    zone: str,
    keys: Path,
    write: Callable[[str], Path],
    judge: openssh.Judge,
    set_zone: Callable[[str], None],
) -> None:
    set_zone(zone)
    judge = openssh.Judge(judge.signature, judge.allowed_signers, MESSAGE, zone)
    alice = load_public_key(keys / "alice.pub")
    at = timestamps.parse(limit)
    seen = set()
    for option in ("valid-after", "valid-before"):
        path = write(f'alice {option}="{limit}" {{alice}}\n')
        for moment in (at - 3600, at - 1, at, at + 1, at + 3600):
            ours = bool(AllowedSigners.load(path).find(alice, "smolpack", at=moment))
            shown = f"-Overify-time={timestamps.show(moment)}"
            assert ours == judge.verify("alice", "smolpack", shown), (option, moment - at)
            seen.add((option, ours))
    assert len(seen) == 4


def test_a_namespace_that_is_not_allowed(
    keys: Path, write: Callable[[str], Path], judge: openssh.Judge
) -> None:
    path = write('alice namespaces="file,git" {alice}\n')
    alice = load_public_key(keys / "alice.pub")
    assert not judge.verify("alice", "smolpack")
    assert AllowedSigners.load(path).find(alice, "smolpack") == ()
    assert AllowedSigners.load(path).find(alice, "git") != ()
    # find-principals has no namespace to go by.
    assert judge.principals() == ["alice"]


def test_a_file_of_ours_for_ssh_keygen(keys: Path, tmp_path: Path) -> None:
    alice = load_private_key(keys / "alice")
    entry = Entry(
        principals="alice in chains,a",
        public_key=alice.public_key,
        namespaces="smol*",
        valid_after=timestamps.parse("20240101Z"),
        valid_before=timestamps.parse("20250101Z"),
    )
    (tmp_path / "file").write_text(f"{entry.text()}\n")
    blob = sign(alice, MESSAGE, "smolpack")
    assert openssh.is_signature(blob, MESSAGE, "smolpack", tmp_path)
    judge = openssh.Judge(tmp_path / "sig", tmp_path / "file", MESSAGE)
    assert judge.verify("alice in chains", "smolpack", f"-Overify-time={NOW}")
    assert not judge.verify("bob", "smolpack", f"-Overify-time={NOW}")
    assert not judge.verify("a", "smolpack", "-Overify-time=20260101Z")


def test_the_time_is_now_unless_told(keys: Path, write: Callable[[str], Path]) -> None:
    path = write('a valid-before="20200101Z" {alice}\nb valid-after="20200101Z" {alice}\n')
    found = AllowedSigners.load(path).find(load_public_key(keys / "alice.pub"), "file")
    assert [entry.principals for entry in found] == ["b"]
    assert (found[0].path, found[0].line) == (path, 2)


def test_certificate_authorities_are_left_out_aloud(write: Callable[[str], Path]) -> None:
    path = write("# none\n*@example.com cert-authority {alice}\nbob {bob}\n")
    signers = AllowedSigners.load(path)
    assert [entry.principals for entry in signers.entries] == ["bob"]
    (warning,) = signers.warnings
    assert warning.startswith(f"{path}:2: left out: certificate authorities are not supported")


def test_empty_lines(write: Callable[[str], Path]) -> None:
    path = write("\n   \n\t\r\nalice {alice}\n \n")
    assert len(AllowedSigners.load(path).entries) == 1


def test_a_bad_line_anywhere_spoils_the_file(write: Callable[[str], Path]) -> None:
    path = write("alice {alice}\nbob {bob}\n\nmallory ssh-ed25519 AAAA\n")
    with pytest.raises(AllowedSignersError, match=rf"{path}:4: not a public key"):
        AllowedSigners.load(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('al"ice" {alice}\n', "a quote inside the signer's name"),
        ('"alice"{alice}\n', "a quote has no end"),
        ('"" {alice}\n', "a signer needs a name"),
        ('a namespaces="x"y {alice}\n', "bad options"),
        ('a valid-after="20230229Z" {alice}\n', "valid-after: no such day"),
        ("a {alice}\0\n", "NUL in the line"),
        ('a ,namespaces="x" {alice}\n', "bad options"),
    ],
)
def test_stricter_than_ssh_keygen(text: str, says: str, write: Callable[[str], Path]) -> None:
    with pytest.raises(AllowedSignersError, match=rf":1: {says}"):
        AllowedSigners.load(write(text))


def test_key_types_of_the_future_are_left_alone(keys: Path) -> None:
    future = PublicKey(string("ssh-future") + b"anything")
    alice = load_public_key(keys / "alice.pub")
    content = f"a {future.line}\nb {alice.line}\n".encode()
    (entry,) = AllowedSigners.parse(content, Path("f")).find(alice, "file")
    assert entry.principals == "b"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert AllowedSigners.load(tmp_path / "none") == AllowedSigners()
    with pytest.raises(AllowedSignersError, match="cannot be read: Is a directory"):
        AllowedSigners.load(tmp_path)
    with (tmp_path / "large").open("wb") as file:
        os.truncate(file.fileno(), MAX_SIZE + 1)
    with pytest.raises(AllowedSignersError, match=f"large: has more than {MAX_SIZE} bytes"):
        AllowedSigners.load(tmp_path / "large")


@pytest.mark.parametrize("field", ["principals", "namespaces"])
@pytest.mark.parametrize("text", ['a"b', "a\nb", "a\rb", "a\0b", "a\x1bb"])
def test_what_cannot_be_written(field: str, text: str) -> None:
    values = {"principals": "a", field: text}
    entry = Entry(
        public_key=ANY_KEY, principals=values["principals"], namespaces=values.get("namespaces")
    )
    with pytest.raises(AllowedSignersError, match="cannot stand in allowed_signers"):
        entry.text()


ANY_KEY = openssh.HardwareKey(Ed25519PrivateKey.from_private_bytes(bytes(32))).public_key
TIMES = st.none() | st.integers(1, 253402300799)


@given(
    principals=st.text(min_size=1),
    namespaces=st.none() | st.text(),
    times=st.tuples(TIMES, TIMES),
)
def test_an_entry_is_read_as_written(
    principals: str, namespaces: str | None, times: tuple[int | None, int | None]
) -> None:
    try:
        entry = Entry(
            principals=principals,
            public_key=ANY_KEY,
            namespaces=namespaces,
            valid_after=times[0],
            valid_before=times[1],
        )
        text = entry.text()
    except AllowedSignersError:
        return
    content = text.encode("utf-8", "surrogateescape")
    assert AllowedSigners.parse(content, Path("file")).entries == (entry,)


def pieces() -> Iterator[str]:
    """Words that lines are made of, and some that they are not."""
    yield from ("alice", " ", "\t", ",", '"', "\\", "=", "\n", "#", "cert-authority", "!*", "\0")
    yield from ("namespaces=", "valid-after=", '"20240101"', "ssh-ed25519", ANY_KEY.line)


@given(st.lists(st.sampled_from(list(pieces())) | st.text(max_size=3), max_size=12))
def test_any_text_is_a_file_or_an_error(words: list[str]) -> None:
    content = "".join(words).encode("utf-8", "surrogatepass")
    try:
        signers = AllowedSigners.parse(content, Path("file"))
    except AllowedSignersError as error:
        assert str(error).startswith("file:")
    else:
        assert all(entry.public_key == ANY_KEY for entry in signers.entries)
