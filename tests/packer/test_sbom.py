"""The bill of materials that `create` packs and `smolpack sbom` prints."""

import io
import json
import sqlite3
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from roots import debian
from roots.cache import RecipeError

from smolpack import __version__
from smolpack.assets import Assets, Library
from smolpack.config import Config
from smolpack.format import Arch
from smolpack.sbom import rpm
from smolpack.sbom.document import document
from smolpack.sbom.package import Package
from smolpack.sbom.packages import Inventory
from smolpack.sbom.stanzas import stanzas
from smolpack.spec import RunDefaults
from support import Cli, failure

DPKG = """Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u9
Description: GNU C Library
 with a long: description

Package: gone
Status: deinstall ok config-files
Version: 1

Package: no-version
Status: install ok installed
"""
APK = "P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\n\nP:busybox\nV:1.36\nL:GPL-2.0-only\n"


def add(tree: Path, path: str, content: str | bytes) -> None:
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())


def pack(cli: Cli, tree: Path, out: Path, *options: str) -> tuple[dict[str, Any], list[str]]:
    """The document of a machine made from `tree`, and the warnings."""
    done = cli("create", "--rootfs", tree, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    shown = cli("sbom", out)
    assert (shown.returncode, shown.stderr) == (0, b"")
    return check(shown.stdout), done.stderr.decode().splitlines()


def check(text: bytes) -> dict[str, Any]:
    """The document, once CycloneDX's own schema has accepted it."""
    problem = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text.decode())
    assert problem is None, problem
    fields = json.loads(text)
    assert isinstance(fields, dict)
    return fields


def packages(fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Components by package URL."""
    return {part["purl"]: part for part in fields["components"] if "purl" in part}


def licence(part: dict[str, Any]) -> str:
    (found,) = part["licenses"]
    return str(found.get("expression") or found["license"].get("id") or found["license"]["name"])


def header(**tags: str | int) -> bytes:
    """An rpm header with the given tags."""
    numbers = {"name": 1000, "version": 1001, "release": 1002, "epoch": 1003}
    numbers |= {"license": 1014, "arch": 1022}
    entries, store = b"", b""
    for name, value in tags.items():
        kind, data = (4, struct.pack(">I", value)) if isinstance(value, int) else (6, b"")
        if isinstance(value, str):
            data = value.encode() + b"\0"
        entries += struct.pack(">IIII", numbers[name], kind, len(store), 1)
        store += data
    return struct.pack(">II", len(tags), len(store)) + entries + store


def rpm_database(*headers: bytes) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(data,) for data in headers])
    connection.commit()
    data = bytearray(connection.serialize())
    data[18:20] = b"\2\2"  # rpm keeps its database with a write-ahead log
    return bytes(data)


def test_every_database(cli: Cli, tree: Path, tmp_path: Path) -> None:
    add(tree, "usr/lib/os-release", 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME=\'Debian 12\'\n"\n')
    (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
    add(tree, "var/lib/dpkg/status", DPKG)
    add(tree, "var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\n")
    add(tree, "var/lib/dpkg/status.d/base.md5sums", "Package: no\nVersion: 1\n")
    add(tree, "lib/apk/db/installed", APK)
    bash = header(name="bash", version="5.2", release="1.fc40", epoch=3, arch="x86_64")
    key = header(name="gpg-pubkey", version="1")
    add(tree, "usr/lib/sysimage/rpm/rpmdb.sqlite", rpm_database(bash, key, b"damaged"))
    site = "usr/lib/python3/site-packages"
    metadata = "Name: Some_Thing\nVersion: 1.0\nLicense: A licence of ours\n\nName: text\n"
    add(tree, f"{site}/some_thing-1.0.dist-info/METADATA", metadata)
    add(tree, f"{site}/old.egg-info", "Name: old\nVersion: 2\nLicense-Expression: MIT OR ISC\n")
    fields, warnings = pack(cli, tree, tmp_path / "tool.vm", "--name", "box", "--label", "a=b")
    assert warnings == []
    found = packages(fields)
    assert [url for url in sorted(found) if not url.startswith("pkg:generic/")] == [
        "pkg:apk/debian/busybox@1.36?distro=debian-12",
        "pkg:apk/debian/musl@1.2.5-r0?arch=x86_64&distro=debian-12",
        "pkg:deb/debian/base-files@12?distro=debian-12",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=debian-12&upstream=glibc",
        "pkg:pypi/old@2",
        "pkg:pypi/some-thing@1.0",
        "pkg:rpm/debian/bash@5.2-1.fc40?arch=x86_64&distro=debian-12&epoch=3",
    ]
    assert licence(found["pkg:pypi/some-thing@1.0"]) == "A licence of ours"
    assert licence(found["pkg:pypi/old@2"]) == "MIT OR ISC"
    assert licence(found["pkg:apk/debian/busybox@1.36?distro=debian-12"]) == "GPL-2.0-only"
    names = {part["bom-ref"]: part for part in fields["components"]}
    assert names["distribution"]["description"] == "Debian 12"
    machine = fields["metadata"]["component"]
    assert machine["name"] == "box"
    assert {"name": "smolpack:label", "value": "a=b"} in machine["properties"]


def test_what_boots_is_in_it(cli: Cli, tree: Path, tmp_path: Path) -> None:
    fields, _ = pack(cli, tree, tmp_path / "tool.vm")
    parts = {part["bom-ref"]: part for part in fields["components"]}
    assert parts["kernel"]["version"] == "6.12.1-test"
    config = {"name": "smolpack:config-sha256", "value": "ab" * 32}
    assert parts["kernel"]["properties"] == [config]
    assert parts["launcher:zstd"]["purl"] == "pkg:generic/zstd@1.5.7"
    assert parts["launcher"]["version"] == parts["initramfs"]["version"] == __version__
    needs = {entry["ref"]: entry.get("dependsOn") for entry in fields["dependencies"]}
    assert needs["machine"] == ["initramfs", "kernel", "launcher"]
    assert needs["launcher"] == ["launcher:musl", "launcher:zstd"]
    assert needs["initramfs"] == ["initramfs:musl"]
    tools = {tool["name"] for tool in fields["metadata"]["tools"]["components"]}
    assert tools == {"smolpack", "tar2sqfs"}


def test_the_same_each_time(cli: Cli, tree: Path, tmp_path: Path) -> None:
    add(tree, "var/lib/dpkg/status", DPKG)
    texts = []
    for environment in ({}, {"TZ": "Asia/Tokyo"}, {"SOURCE_DATE_EPOCH": "86400"}):
        out = tmp_path / "tool.vm"
        assert cli("create", "--rootfs", tree, "--out", out, env=environment).returncode == 0
        texts.append(cli("sbom", out).stdout)
    assert texts[0] == texts[1]
    assert "timestamp" not in check(texts[0])["metadata"]
    assert check(texts[2])["metadata"]["timestamp"] == "1970-01-02T00:00:00+00:00"
    assert check(texts[0])["serialNumber"] != check(texts[2])["serialNumber"]


def test_none(cli: Cli, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "tool.vm"
    assert cli("create", "--rootfs", tree, "--out", out, "--no-sbom").returncode == 0
    assert "has no bill of materials" in failure(cli("sbom", out))


def test_what_is_not_read_is_told(cli: Cli, tree: Path, tmp_path: Path) -> None:
    add(tree, "var/lib/rpm/Packages.db", b"RpmP")
    add(tree, "usr/lib/sysimage/rpm/rpmdb.sqlite", b"SQLite format 3\0" + bytes(5000))
    fields, warnings = pack(cli, tree, tmp_path / "tool.vm")
    told = [
        "/usr/lib/sysimage/rpm/rpmdb.sqlite: not read: ",
        "/var/lib/rpm/Packages.db: not read: only rpm databases in SQLite are understood",
    ]
    for text, line in zip(told, warnings, strict=True):
        assert line.startswith(f"smolpack: warning: bill of materials: {text}")
    properties = fields["metadata"]["component"]["properties"]
    incomplete = [item["value"] for item in properties if item["name"] == "smolpack:incomplete"]
    assert len(incomplete) == 2 and incomplete[1] == told[1]


def test_a_damaged_one_is_not_shown(cli: Cli, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "tool.vm"
    assert cli("create", "--rootfs", tree, "--out", out).returncode == 0
    data = out.read_bytes()
    assert data.count(b'"CycloneDX"') == 1
    out.write_bytes(data.replace(b'"CycloneDX"', b'"cycloneDX"'))
    assert "damaged: the sbom section" in failure(cli("sbom", out))


def test_debian(cli: Cli, tmp_path: Path) -> None:
    """What dpkg wrote in a real root: every package of it, once."""
    try:
        root = debian.tar()
    except RecipeError as error:
        pytest.skip(str(error))
    small = io.BytesIO()
    with tarfile.open(root) as whole, tarfile.open(fileobj=small, mode="w") as part:
        for member in whole:
            name = member.name.removeprefix("./")
            if name.startswith("var/lib/dpkg/status") or name.endswith("os-release"):
                part.addfile(member, whole.extractfile(member) if member.isreg() else None)
            if name == "var/lib/dpkg/status":
                file = whole.extractfile(member)
                assert file is not None
                count = file.read().count(b"\nStatus: install ok installed\n")
        shell = tarfile.TarInfo("bin/sh")
        shell.mode = 0o755
        part.addfile(shell)
    out = tmp_path / "tool.vm"
    done = cli("create", "--tar", "-", "--out", out, stdin=small.getvalue())
    assert (done.returncode, done.stderr) == (0, b"")
    urls = [url for url in packages(check(cli("sbom", out).stdout)) if url.startswith("pkg:deb/")]
    assert len(urls) == count > 100
    assert any(url.startswith("pkg:deb/debian/gcc@") for url in urls)


_MUSL = (Library("musl", "1.2.5", "MIT"),)
_PARTS = Assets(Arch.X86_64, b"a", b"b", b"c", None, None, {"launcher": _MUSL, "initramfs": _MUSL})
_words = st.text(min_size=1, max_size=30)


@settings(deadline=None, max_examples=50)
@given(
    st.sets(
        st.builds(
            Package,
            st.sampled_from(["deb", "apk", "rpm", "pypi"]),
            _words,
            _words,
            namespace=st.none() | _words,
            architecture=st.none() | _words,
            licence=st.none() | _words,
        ),
        max_size=4,
    ),
    st.dictionaries(st.sampled_from(["ID", "VERSION_ID", "PRETTY_NAME"]), _words),
)
def test_hostile_packages(found: set[Package], distribution: dict[str, str]) -> None:
    inventory = Inventory(distribution, found, [])
    check(document(inventory, _PARTS, Config(run=RunDefaults(), tool="smolpack 1"), None))


@given(st.binary(max_size=300))
def test_hostile_stanzas(data: bytes) -> None:
    for fields in stanzas(data):
        assert fields and all(fields.values())


@given(st.binary(max_size=120))
def test_hostile_headers(data: bytes) -> None:
    list(rpm.headers(rpm_database(data, header(name="a", version="1") + data)))


@settings(deadline=None)
@given(st.integers(0, 8191), st.binary(min_size=1, max_size=40))
def test_hostile_databases(at: int, data: bytes) -> None:
    whole = bytearray(rpm_database(header(name="bash", version="5")))
    whole[at : at + len(data)] = data
    try:
        list(rpm.headers(bytes(whole)))
    except rpm.UnreadableError as error:
        assert str(error)


def test_a_database_that_runs_code_is_refused() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS "
        "(SELECT x'' UNION ALL SELECT blob FROM n) SELECT blob FROM n"
    )
    connection.commit()
    with pytest.raises(rpm.UnreadableError, match="no table of packages"):
        list(rpm.headers(connection.serialize()))
