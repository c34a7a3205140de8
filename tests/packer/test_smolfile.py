"""Smolfiles: what they mean, what is refused and where, and that editors are told the same."""

import contextlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smolpack.errors import SpecError
from smolpack.settings import Settings
from smolpack.smolfile import parser, schema
from smolpack.smolfile.document import Profile, Smolfile, load
from smolpack.smolfile.keys import SMOLFILE
from smolpack.smolfile.kinds import (
    Choice,
    DefectError,
    Flag,
    Kind,
    Names,
    Number,
    Several,
    Table,
    Text,
)

EVERYTHING = """\
image = "ghcr.io/acme/api:1.2.3"
platform = "linux/amd64"
entrypoint = ["/app/api"]
cmd = ["serve"]
env = ["PORT=8080", "EMPTY="]
workdir = "/app"
cpus = 2
memory = 1024
labels = ["team=api"]
sign = "keys/id_ed25519"
net = true
ports = ["8000:8000", "9000"]
volumes = ["./src:/app", "/data:/data:ro"]
init = [
    "cargo build", # runs first
    "true",
]
storage = 20
overlay = 4

[dev]
volumes = ["./dev:/app"]
env = ["DEBUG=1"]
init = ["echo hello"]
workdir = "/src"
ports = ["8080:8080"]

[artifact]
cpus = 4
memory = 2048
entrypoint = ["/app/run"]
oci_platform = "linux/arm64"

[network]
allow_hosts = ["api.example.org"]
allow_cidrs = ["10.0.0.0/8", "1.1.1.1", "2001:db8::/32"]

[health]
exec = ["curl", "-f", "http://127.0.0.1:8080/health"]
interval = "10s"
timeout = "2s"
retries = 3
startup_grace = "1m"

[restart]
policy = "on-failure"
max_retries = 5
max_backoff = "60s"

[service]
port = 8080
protocol = "http"

[auth]
ssh_agent = true

[secrets]
DB_PASSWORD = { from_env = "PGPASSWORD" }
TLS_KEY = { from_file = "/run/secrets/tls.key" }
"""


def read(path: Path, text: str, profile: Profile = Profile.ARTIFACT) -> Smolfile:
    path.write_text(text)
    return load(path, profile)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "Smolfile"


def test_for_create(path: Path, tmp_path: Path) -> None:
    found = read(path, EVERYTHING)
    assert found.settings == Settings(
        entrypoint=("/app/run",),
        cmd=("serve",),
        env=("PORT=8080", "EMPTY="),
        workdir="/app",
        cpus=4,
        memory=2 << 30,
        labels=("team=api",),
    )
    assert (found.image, found.platform) == ("ghcr.io/acme/api:1.2.3", "linux/arm64")
    assert found.sign == tmp_path / "keys/id_ed25519"
    assert list(found.later) == [
        *("net", "ports", "volumes", "init", "storage", "overlay"),
        *("network", "health", "restart", "service", "auth", "secrets"),
    ]
    assert found.later["init"] == ["cargo build", "true"]
    assert found.later["secrets"] == tomllib.loads(EVERYTHING)["secrets"]
    assert json.loads(found.later_json() or "") == found.later


def test_for_run(path: Path) -> None:
    found = read(path, EVERYTHING, Profile.DEV)
    assert found.settings.entrypoint == ("/app/api",)
    assert (found.settings.cpus, found.settings.memory) == (2, 1 << 30)
    assert found.settings.env == ("PORT=8080", "EMPTY=", "DEBUG=1")
    assert (found.settings.workdir, found.platform) == ("/src", "linux/amd64")
    assert found.later["volumes"] == ["./dev:/app"]
    assert (found.later["ports"], found.later["init"]) == (["8080:8080"], ["echo hello"])


def test_nothing_said(path: Path) -> None:
    for text in ("", "# nothing\n", "entrypoint = []\ncmd = []\n[dev]\nports = []\n"):
        found = read(path, text)
        assert found.settings == Settings()
        assert (found.image, found.rootfs, found.tar, found.sign) == (None, None, None, None)
        assert (found.later, found.later_json(), found.later_names()) == ({}, None, [])


def test_pack_is_artifact(path: Path) -> None:
    assert read(path, "cpus = 1\n[pack]\ncpus = 3").settings.cpus == 3


def test_an_empty_profile_says_nothing(path: Path) -> None:
    text = 'cmd = ["a"]\nports = ["1:1"]\n[artifact]\ncmd = []\n[dev]\nports = []'
    assert read(path, text).settings.cmd == ("a",)
    assert read(path, text, Profile.DEV).later == {"ports": ["1:1"]}


def test_what_is_told_to_come_later(path: Path) -> None:
    text = """\
        net = false
        ports = []
        gpu = true
        [auth]
        ssh_agent = false
        [health]
        retries = 0
        [secrets]
        A = { from_env = "B" }
    """
    found = read(path, text)
    assert found.later_names() == ["gpu", "[health] retries", "[secrets]"]
    assert "net" in found.later and "auth" in found.later


@pytest.mark.parametrize(
    ("written", "reference"),
    [
        ("debian:12", "debian:12"),
        ("docker://a.tar/b", "docker://a.tar/b"),
        ("./app.tar", "{}/app.tar"),
        ("app.tar", "{}/app.tar"),
        ("../app:1", "{}/../app:1"),
        ("/abs/app.tar", "/abs/app.tar"),
        ("oci:layout:1.2", "oci:{}/layout:1.2"),
        ("docker-archive:/a:b", "docker-archive:/a:b"),
        ("docker-daemon:app", "docker-daemon:app"),
        ("-", "-"),
    ],
)
def test_paths_are_relative_to_the_file(written: str, reference: str, path: Path) -> None:
    assert read(path, f'image = "{written}"').image == reference.format(path.parent)


def test_other_sources(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert read(path, 'rootfs = "root"').rootfs == path.parent / "root"
    assert read(path, 'rootfs = "/root"').rootfs == Path("/root")
    assert read(path, 'tar = "a.tar"').tar == path.parent / "a.tar"
    assert read(path, 'tar = "-"').tar == Path("-")
    assert read(path, 'sign = "~/.ssh/id"').sign == Path("/home/me/.ssh/id")


BAD = [
    ('imag = "a"', 1, "unknown key 'imag'; did you mean 'image'?"),
    (
        "\n\n# x\nallow_hosts = []",
        4,
        "unknown key 'allow_hosts'; did you mean [network] allow_hosts",
    ),
    ("a = 1\n[network]\nallow_host = []", 1, "unknown key 'a'"),
    (
        "[network]\nallow_host = []",
        2,
        "unknown key [network] allow_host; did you mean [network] al",
    ),
    ("[network]\n\n'allow_cidr' = []", 3, "did you mean [network] allow_cidrs?"),
    ("network.allow_host = []", 1, "unknown key [network] allow_host;"),
    ("network = { allow_host = [] }", 1, "unknown key [network] allow_host;"),
    ("net = true\n[devv]\nports = []", 2, "unknown key 'devv'; did you mean 'dev'?"),
    ("[devv.x]\n", 1, "unknown key 'devv'"),
    ("[[network]]\n", 1, "'network': expected a table, not an array"),
    ('cpus = "2"', 1, "'cpus': expected a whole number from 1 to 32, not a string"),
    ("env = [\n'a=1',\n'#]\"',\n]\ncpus = 0", 1, "'env': expected NAME=value, not '#]\"'"),
    ("env = [\n'a=1', # ]\n'b=',\n]\ncpus = 0", 5, "'cpus': expected a whole number"),
    ('env = ["""a=[\n\\"""" ]\ncpus = 33', 3, "from 1 to 32, not 33"),
    ("cpus = true", 1, "not true or false"),
    ("cpus = 1.0", 1, "not 1.0"),
    ("memory = 31", 1, "'memory': expected a whole number (MiB) from 32 to"),
    ("net = 1", 1, "'net': expected true or false, not a number"),
    ("net = 2020-01-01", 1, "not a date or time"),
    ('entrypoint = "/bin/sh"', 1, "expected an array, each item a string, not a string"),
    ('workdir = "app"', 1, "'workdir': expected an absolute path in the machine, not 'app'"),
    ('image = ""', 1, "'image': expected a string that is not empty"),
    ('cmd = ["a\\u0000"]', 1, "'cmd': expected a string, not"),
    ('ports = ["0:80"]', 1, "'ports': expected HOST:GUEST or PORT"),
    ('[restart]\npolicy = "sometimes"', 2, '[restart] policy: expected one of "never", "alw'),
    ("[health]\ninterval = 10", 2, "[health] interval: expected a time like 10s"),
    ('image = "a"\nrootfs = "b"', 2, "'rootfs': give either this or image, not both"),
    ("[artifact]\n[pack]", 2, "'pack': give either this or artifact"),
    ('[secrets]\nA = "inline"', 2, "[secrets] A: expected a table, not a string"),
    ('[secrets]\nA = { from_stor = "x" }', 2, "unknown key [secrets.A] from_stor; did you mean"),
    ('[secrets]\nA = { from_env = "x", from_file = "/y" }', 2, "give either this or from_env"),
    ("[secrets]\n[secrets.A]\n", 2, "[secrets] A: expected one of from_env, from_file"),
    ('[secrets]\nA = { from_file = "x" }', 2, "expected an absolute path on the host"),
]


@pytest.mark.parametrize(("text", "line", "message"), BAD)
def test_what_is_refused(text: str, line: int, message: str, path: Path) -> None:
    for written in (text, text.replace("\n", "\r\n")):
        path.write_bytes(written.encode())
        with pytest.raises(SpecError) as caught:
            load(path, Profile.ARTIFACT)
        assert str(caught.value).startswith(f"{path}, line {line}: ")
        assert message in str(caught.value)


def test_every_unknown_key_comes_with_a_known_one(path: Path) -> None:
    with pytest.raises(SpecError, match=r"unknown key 'zzz'; did you mean .+\?"):
        read(path, "zzz = 1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cpus = \n", r"not TOML: .*line 1"),
        (b"cpus = 1\ncpus = 2\n", r"not TOML: .*line 2"),
        (b"# \xff", r"line 1: not UTF-8"),
        (b"a = " + b"[" * 100_000, r"nested too deep|not TOML"),
        (b"a = " + b"1" * 10_000, r"not TOML"),
        (bytes(parser.MAX_SIZE + 1), r"that is no Smolfile"),
    ],
)
def test_no_toml(content: bytes, message: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(SpecError, match=message):
        load(path, Profile.ARTIFACT)


def test_a_byte_order_mark_is_nothing(path: Path) -> None:
    path.write_bytes("cpus = 2".encode("utf-8-sig"))
    assert load(path, Profile.ARTIFACT).settings.cpus == 2


def test_no_file(path: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Smolfile: cannot read: No such file"):
        load(path, Profile.ARTIFACT)
    with pytest.raises(SpecError, match="cannot read: Is a directory"):
        load(tmp_path, Profile.ARTIFACT)


def test_finding_a_line_takes_no_time(path: Path) -> None:
    lines = "init = [\n" + "'true', \"]\", # [\n" * 40_000 + "]\ncpus = 0"
    with pytest.raises(SpecError, match="line 40003: 'cpus'"):
        read(path, lines)


# Values that take lines of their own, and look like statements inside.
VALUES = [
    *("1", '"#"', "'''\nx = 1\n[y]\n'''", '"""\n\\"""\nz = ["""', "[ # ]\n]", "{ a = ']' }"),
    *("[\n'[', # '\n\"]\",\n]", '"""a"""""', "''''''", '""', "[[\n], [],\n]"),
]
OTHERS = ["# a = 1", "", "  # '''", "[{}]", "[[{}]]", "[{}.'a.b']"]


@given(st.lists(st.sampled_from([*VALUES, *OTHERS]), max_size=8))
def test_lines_are_counted(parts: list[str]) -> None:
    text = ""
    places: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, part in enumerate(parts):
        line = text.count("\n") + 1
        key = f"k{number}"
        if part in VALUES:
            places[(*table, key)] = line
            text += f" {key} = {part}\n"
        elif "{}" in part:
            table = (key, "a.b") if "a.b" in part else (key,)
            places[table] = line
            text += f"{part.format(key)} # ]\n"
        else:
            text += f"{part}\n"
    tomllib.loads(text)
    assert {place: parser.line_of(text, place) for place in places} == places


@given(st.text(alphabet="abcdenpuv=[]{}\"'#\\.,0123 \n", max_size=60))
def test_hostile(text: str) -> None:
    with contextlib.suppress(SpecError):
        parser.parse(text, "Smolfile")


def test_the_shipped_schema_is_what_the_parser_says() -> None:
    assert schema.PATH.read_text() == schema.as_text()
    jsonschema.Draft7Validator.check_schema(schema.schema())


VALIDATOR = jsonschema.Draft7Validator(schema.schema())


def agree(document: dict[str, Any]) -> bool:
    """Whether a document is good, which parser and schema must say alike."""
    try:
        SMOLFILE.check(document, ())
        good = True
    except DefectError:
        good = False
    assert VALIDATOR.is_valid(document) == good, document
    return good


@pytest.mark.parametrize("text", [text for text, _, _ in BAD if "2020" not in text])
def test_the_schema_refuses_what_the_parser_refuses(text: str) -> None:
    # JSON has one type for numbers: for editors 1.0 is a whole one.
    if "1.0" not in text:
        assert not agree(tomllib.loads(text))


def test_the_schema_takes_everything() -> None:
    assert agree(tomllib.loads(EVERYTHING))


# Near what is right, so that both answers come up.
TEXTS = st.sampled_from(
    [
        *("", "a", "é", "a\n", "a\0b", "A=b", "=b", "/a", "/a\n", "a:/b", "a:/b:ro", "a:/b\n"),
        *("80", "80:0", "80\n", "65536", "10.0.0.0/8", "1.2.3.4", "300.1.1.1", "::1", "::1/129"),
        *("10s", "10s\n", "10d", "linux/amd64", "never", "http", "api.example.org", "https://x"),
    ]
)
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    TEXTS, st.integers(), st.booleans(), st.lists(TEXTS, max_size=2), st.just({})
)


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Values for a kind, right and wrong."""
    found: st.SearchStrategy[Any]
    match kind:
        case Text():
            found = TEXTS | st.text(max_size=4)
        case Number():
            edges = [kind.minimum - 1, kind.minimum, kind.maximum, kind.maximum + 1]
            found = st.sampled_from(edges)
        case Flag():
            found = st.booleans()
        case Choice():
            found = st.sampled_from(kind.words)
        case Several():
            found = st.lists(values(kind.item), max_size=3)
        case Names():
            found = st.dictionaries(TEXTS, values(kind.value), max_size=2)
        case Table():
            known = {name: values(key.kind) for name, key in kind.keys.items()}
            some = st.sets(st.sampled_from(sorted(known)), max_size=3)
            found = some.flatmap(
                lambda names: st.fixed_dictionaries({name: known[name] for name in names})
            )
    return st.one_of(*[found] * 9, ANYTHING)


@given(values(SMOLFILE).filter(lambda document: isinstance(document, dict)))
def test_schema_and_parser_agree(document: dict[str, Any]) -> None:
    agree(document)


@pytest.mark.parametrize("name", SMOLFILE.keys)
def test_schema_and_parser_agree_on_every_key(name: str) -> None:
    seen = set()

    @settings(max_examples=100)
    @given(values(SMOLFILE.keys[name].kind))
    def try_one(value: Any) -> None:
        seen.add(agree({name: value}))

    try_one()
    assert False in seen


def leaves(kind: Kind, name: str) -> dict[str, bool]:
    """Every key below a kind, as the documentation writes it, and whether something acts on it."""
    if isinstance(kind, Names):
        return leaves(kind.value, f"{name}.NAME")
    assert isinstance(kind, Table)
    found: dict[str, bool] = {}
    for inner, key in kind.keys.items():
        path = f"{name}.{inner}".lstrip(".")
        if inner == "pack":
            found["pack.…"] = True
        elif isinstance(key.kind, Table | Names):
            found |= leaves(key.kind, path)
        else:
            found[path] = key.acted_on
    return found


def test_documentation_tabulates_every_key() -> None:
    text = (Path(__file__).parents[2] / "docs/smolfile.md").read_text()
    _, _, section = text.partition("## Keys")
    rows = re.findall(r"^\| `([^`]+)` \|.*\| (yes|later) \|$", section, re.MULTILINE)
    assert {key: acts == "yes" for key, acts in rows} == leaves(SMOLFILE, "")
