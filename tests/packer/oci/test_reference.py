"""What names an image, and what is said when it does not."""

from pathlib import Path

import pytest

from smolpack.errors import ImageError, SpecError
from smolpack.oci.reference import (
    EngineReference,
    Kind,
    LocalReference,
    RegistryReference,
    parse_reference,
)

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("debian", ("docker.io", "library/debian", "latest", None)),
        ("debian:12-slim", ("docker.io", "library/debian", "12-slim", None)),
        ("org/app", ("docker.io", "org/app", "latest", None)),
        ("docker.io/debian:12", ("docker.io", "library/debian", "12", None)),
        ("index.docker.io/org/app", ("docker.io", "org/app", "latest", None)),
        ("docker://debian:12", ("docker.io", "library/debian", "12", None)),
        ("registry.example/app:1.2", ("registry.example", "app", "1.2", None)),
        ("registry.example:5000/a/b/c", ("registry.example:5000", "a/b/c", "latest", None)),
        ("localhost/app", ("localhost", "app", "latest", None)),
        ("localhost:5000/app:1", ("localhost:5000", "app", "1", None)),
        ("[::1]:5000/app", ("[::1]:5000", "app", "latest", None)),
        (f"debian@{DIGEST}", ("docker.io", "library/debian", "latest", DIGEST)),
        (f"r.example/a:1@{DIGEST}", ("r.example", "a", "1", DIGEST)),
    ],
)
def test_names_in_registries(text: str, expected: tuple[str, str, str, str | None]) -> None:
    assert parse_reference(text) == RegistryReference(*expected)


def test_docker_hub_answers_elsewhere() -> None:
    found = parse_reference("debian")
    assert isinstance(found, RegistryReference)
    assert found.host == "registry-1.docker.io"
    assert str(found) == "docker.io/library/debian:latest"


def test_names_of_engines() -> None:
    assert parse_reference("docker-daemon:app:1") == EngineReference(Kind.DOCKER_DAEMON, "app:1")
    assert parse_reference("containers-storage:localhost/app") == EngineReference(
        Kind.CONTAINERS_STORAGE, "localhost/app"
    )


def test_standard_input() -> None:
    assert parse_reference("-") == LocalReference(Kind.PATH, Path("-"))


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "layout").mkdir()
    (tmp_path / "app.tar").touch()
    (tmp_path / "with:colon").touch()
    path = Path
    assert parse_reference("./app.tar") == LocalReference(Kind.PATH, path("app.tar"))
    assert parse_reference("app.tar") == LocalReference(Kind.PATH, path("app.tar"))
    assert parse_reference(f"{tmp_path}/app.tar:1.2") == LocalReference(
        Kind.PATH, tmp_path / "app.tar", "1.2"
    )
    assert parse_reference("oci:layout") == LocalReference(Kind.LAYOUT, path("layout"))
    assert parse_reference("oci:./layout:1.2") == LocalReference(Kind.LAYOUT, path("layout"), "1.2")
    assert parse_reference("oci:layout:r.example/a:1") == LocalReference(
        Kind.LAYOUT, path("layout"), "r.example/a:1"
    )
    assert parse_reference(f"oci:layout@{DIGEST}") == LocalReference(
        Kind.LAYOUT, path("layout"), None, DIGEST
    )
    assert parse_reference("docker-archive:app.tar:app:1") == LocalReference(
        Kind.DOCKER_ARCHIVE, path("app.tar"), "app:1"
    )
    assert parse_reference("docker-archive:with:colon") == LocalReference(
        Kind.DOCKER_ARCHIVE, path("with:colon")
    )
    assert parse_reference("oci-archive:with:colon:t") == LocalReference(
        Kind.LAYOUT_ARCHIVE, path("with:colon"), "t"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("./app.tar", "./app.tar: no such file or directory; an image of a registry is named"),
        ("app.tar", "app.tar: no such file; an image of this name on Docker Hub"),
        ("oci:nowhere:tag", "nowhere: no such file or directory; check the path"),
        ("docker-archive:/nowhere.tar", "/nowhere.tar: no such file or directory"),
    ],
)
def test_files_that_are_missing(text: str, says: str) -> None:
    with pytest.raises(ImageError) as caught:
        parse_reference(text)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not the name of an image"),
        (" debian", "not the name of an image"),
        ("a\0b", "not the name of an image"),
        ("Debian", "names of images are lower case"),
        ("app:", "'' is not a tag"),
        ("a//b", "not the name of an image"),
        ("app:1:2", "'1:2' is not a tag"),
        ("app:" + "x" * 129, "is not a tag"),
        ("r.example:port/app", "is not a registry's host name"),
        ("https://r.example/app", "is not a registry's host name"),
        ("app@sha256:0123", "64 hexadecimal digits"),
        (f"app@sha512:{HEX}", "64 hexadecimal digits"),
        ("oci:", "nothing is named after oci:"),
        ("docker-daemon:--help", "cannot start with a hyphen"),
        ("a" * 300, "not the name of an image"),
    ],
)
def test_names_of_nothing(text: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_reference(text)
    assert says in str(caught.value)


def test_ambiguous_name(tmp_path: Path) -> None:
    (tmp_path / "debian").mkdir()
    with pytest.raises(SpecError, match=r"Write \./debian or docker://debian"):
        parse_reference("debian")
    assert isinstance(parse_reference("./debian"), LocalReference)
    assert isinstance(parse_reference("docker://debian"), RegistryReference)


def test_file_whose_name_no_image_could_have(tmp_path: Path) -> None:
    (tmp_path / "My Images").mkdir()
    assert parse_reference("My Images") == LocalReference(Kind.PATH, Path("My Images"))
