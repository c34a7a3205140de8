"""Tokens and passwords: who gets them, who does not, and where they are found."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from layouts import TARS, blob_path, layers_of, refusal, simple
from registries import Fake, Handler, fake_registry, redirect, status
from smolpack.errors import RegistryError
from smolpack.oci import Options
from smolpack.oci.auth import parse_challenges
from smolpack.oci.credentials import Credentials, find_credentials
from smolpack.oci.reference import parse_registry_reference

LAYOUT = simple(TARS)
LAYER = LAYOUT.manifest(LAYOUT.entries[0])["layers"][1]


def basic(username: str, password: str) -> str:
    return "Basic " + encoded(username, password)


def encoded(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


@pytest.fixture(name="fake")
def _fake() -> Iterator[Fake]:
    """A registry that wants a token of the server `tokens`."""
    with fake_registry() as server:
        server.behaviour.serve(LAYOUT)
        yield server


@pytest.fixture(name="tokens")
def _tokens(fake: Fake) -> Iterator[Fake]:
    """Gives the token `t0ken` to everyone."""
    with fake_registry() as server:
        realm = f"http://{server.host}/token"
        fake.behaviour.authorization = "Bearer t0ken"
        fake.behaviour.challenge = f'Bearer realm="{realm}",service="the,registry"'
        server.behaviour.content["/token"] = ("application/json", b'{"token": "t0ken"}')
        yield server


@pytest.fixture(name="log_in")
def _log_in(tmp_path: Path) -> Callable[..., None]:
    """Writes docker's file of credentials."""

    def write(**config: object) -> None:
        (tmp_path / "home/.docker").mkdir(exist_ok=True)
        (tmp_path / "home/.docker/config.json").write_text(json.dumps(config))

    return write


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────


def test_token_for_anyone(fake: Fake, tokens: Fake, options: Options) -> None:
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    [(method, path, headers)] = tokens.behaviour.seen[-1:]
    assert method == "GET"
    assert path == "/token?scope=repository%3Aapp%3Apull&service=the%2Cregistry"
    assert "Authorization" not in headers


def test_scope_that_the_registry_asks_for(fake: Fake, tokens: Fake, options: Options) -> None:
    fake.behaviour.challenge += ',scope="repository:other:pull"'
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert "scope=repository%3Aother%3Apull" in tokens.behaviour.seen[-1][1]


def test_token_for_a_user(
    fake: Fake, tokens: Fake, options: Options, log_in: Callable[..., None]
) -> None:
    log_in(auths={fake.host: {"auth": encoded("bob", "secret")}})
    tokens.behaviour.authorization = basic("bob", "secret")
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert all(h["Authorization"] == basic("bob", "secret") for _, _, h in tokens.behaviour.seen)
    # The registry itself is shown the token, never the password.
    shown = {headers.get("Authorization") for _, _, headers in fake.behaviour.seen}
    assert shown == {None, "Bearer t0ken"}


def test_identity_token(
    fake: Fake, tokens: Fake, options: Options, log_in: Callable[..., None]
) -> None:
    log_in(auths={fake.host: {"identitytoken": "identity"}})
    forms = []

    def give(handler: Handler) -> bool:
        forms.append(handler.body())
        handler.answer(200, b'{"access_token": "t0ken"}')
        return True

    tokens.behaviour.fault("POST /token", give)
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert forms == [
        {
            "grant_type": ["refresh_token"],
            "refresh_token": ["identity"],
            "client_id": ["smolpack"],
            "scope": ["repository:app:pull"],
            "service": ["the,registry"],
        }
    ]


def test_token_that_ends_on_the_way(fake: Fake, tokens: Fake, options: Options) -> None:
    challenge = {"WWW-Authenticate": fake.behaviour.challenge}
    fake.behaviour.fault(LAYER["digest"], status(401, **challenge))
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert len(tokens.behaviour.requests("/token")) == 2


def test_token_server_that_is_busy(
    fake: Fake, tokens: Fake, options: Options, waits: list[float]
) -> None:
    tokens.behaviour.fault("/token", status(503), status(429, Retry_After="9"))
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert waits == [1, 9]


def test_user_that_is_refused_a_token(
    fake: Fake, tokens: Fake, options: Options, log_in: Callable[..., None]
) -> None:
    log_in(auths={fake.host: {"auth": encoded("bob", "wrong")}})
    tokens.behaviour.authorization = basic("bob", "secret")
    tokens.behaviour.challenge = 'Basic realm="here"'
    text = refusal(f"{fake.host}/app:1", options)
    assert text == (
        f"{fake.host}/app:1: {tokens.host}: refuses your credentials (401 Unauthorized); "
        "log in with docker login or podman login"
    )


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\nb"}', b"[" * 9000]
)
def test_answer_without_a_token(answer: bytes, fake: Fake, tokens: Fake, options: Options) -> None:
    tokens.behaviour.content["/token"] = ("", answer)
    text = refusal(f"{fake.host}/app:1", options)
    assert text.startswith(f"{fake.host}/app:1: {tokens.host}: its answer holds no token")


def test_token_server_in_plain_text(fake: Fake, options: Options) -> None:
    fake.behaviour.authorization = "Bearer t0ken"
    fake.behaviour.challenge = 'Bearer realm="http://tokens.example/token"'
    assert "http://tokens.example: not HTTPS; " in refusal(f"{fake.host}/app:1", options)


@pytest.mark.parametrize("realm", ["ftp://127.0.0.1/", "", "/token", "file:///token"])
def test_token_server_that_is_none(realm: str, fake: Fake, options: Options) -> None:
    fake.behaviour.authorization = "Bearer t0ken"
    fake.behaviour.challenge = f'Bearer realm="{realm}"'
    text = refusal(f"{fake.host}/app:1", options)
    assert text == f"{fake.host}/app:1: wants a token, but not of any server; is it a registry?"


# ── passwords ───────────────────────────────────────────────────────────────────────────────────


def test_password(fake: Fake, options: Options, log_in: Callable[..., None]) -> None:
    fake.behaviour.authorization = basic("bøb", "s:ecret")
    fake.behaviour.challenge = 'Basic realm="here"'
    log_in(auths={fake.host: {"auth": encoded("bøb", "s:ecret")}})
    assert layers_of(f"{fake.host}/app:1", options) == TARS


def test_password_is_told_only_when_asked(
    fake: Fake, options: Options, log_in: Callable[..., None]
) -> None:
    log_in(auths={fake.host: {"auth": encoded("bob", "secret")}})
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert not any("Authorization" in headers for _, _, headers in fake.behaviour.seen)


def test_redirect_does_not_carry_credentials(
    fake: Fake, options: Options, log_in: Callable[..., None]
) -> None:
    fake.behaviour.authorization = basic("bob", "secret")
    fake.behaviour.challenge = 'Basic realm="here"'
    log_in(auths={fake.host: {"auth": encoded("bob", "secret")}})
    with fake_registry() as other:
        other.behaviour.content["/blob"] = ("", LAYOUT.files[blob_path(LAYER)])
        # Another host: localhost has the same address.
        place = other.host.replace("127.0.0.1", "localhost")
        fake.behaviour.fault(LAYER["digest"], redirect(f"http://{place}/blob"))
        assert layers_of(f"{fake.host}/app:1", options) == TARS
        [headers] = other.behaviour.requests("/blob")
    assert "Authorization" not in headers
    [headers] = fake.behaviour.requests(LAYER["digest"])
    assert headers["Authorization"] == basic("bob", "secret")


def test_netrc_is_not_asked(fake: Fake, options: Options, tmp_path: Path) -> None:
    netrc = tmp_path / "home/.netrc"
    netrc.write_text("machine 127.0.0.1 login bob password secret\n")
    netrc.chmod(0o600)
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert not any("Authorization" in headers for _, _, headers in fake.behaviour.seen)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("Negotiate", {}),
        ('Basic realm="a b"', {"basic": {"realm": "a b"}}),
        ("BEARER Realm=x, Service=y", {"bearer": {"realm": "x", "service": "y"}}),
        (
            'Basic realm="here", Bearer realm="https://t/,x",service="s", scope="a:b:pull,push"',
            {
                "basic": {"realm": "here"},
                "bearer": {"realm": "https://t/,x", "service": "s", "scope": "a:b:pull,push"},
            },
        ),
    ],
)
def test_challenges(header: str, expected: dict[str, dict[str, str]]) -> None:
    assert parse_challenges(header) == expected


# ── where credentials are found ─────────────────────────────────────────────────────────────────


def found(reference: str) -> Credentials | None:
    return find_credentials(parse_registry_reference(reference))


def entry(name: str) -> dict[str, str]:
    return {"auth": encoded(name, "secret")}


def test_nobody() -> None:
    assert found("r.example/app") is None


@pytest.mark.parametrize("key", ["docker.io", "https://index.docker.io/v1/", "index.docker.io"])
def test_names_of_docker_hub(key: str, log_in: Callable[..., None]) -> None:
    log_in(auths={key: entry("bob")})
    assert found("debian") == Credentials("bob", "secret")
    assert found("r.example/app") is None


def test_the_entry_that_is_nearest(log_in: Callable[..., None]) -> None:
    log_in(
        auths={
            "r.example": entry("all"),
            "r.example/org": entry("org"),
            "r.example/org/app": entry("app"),
            "https://s.example/v2/": entry("url"),
            "t.example/org": entry("org"),
        }
    )
    names = {
        "r.example/org/app": "app",
        "r.example/org/other": "org",
        "r.example/other/app": "all",
        "s.example/app": "url",
    }
    for reference, name in names.items():
        assert found(reference) == Credentials(name, "secret")
    assert found("t.example/other") is None
    assert found("r.example.org/app") is None


def test_files_in_order(
    tmp_path: Path, log_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, name: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"auths": {"r.example": entry(name)}}))

    log_in(auths={"r.example": entry("docker"), "d.example": entry("docker")})
    assert found("r.example/app") == Credentials("docker", "secret")
    write(tmp_path / "home/.config/containers/auth.json", "podman")
    assert found("r.example/app") == Credentials("podman", "secret")
    assert found("d.example/app") == Credentials("docker", "secret")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    write(tmp_path / "run/containers/auth.json", "runtime")
    assert found("r.example/app") == Credentials("runtime", "secret")
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "chosen"))
    write(tmp_path / "chosen", "chosen")
    assert found("r.example/app") == Credentials("chosen", "secret")
    assert found("d.example/app") is None
    monkeypatch.delenv("REGISTRY_AUTH_FILE")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "elsewhere"))
    write(tmp_path / "elsewhere/config.json", "elsewhere")
    assert found("d.example/app") is None


HELPER = """#!/bin/sh
read -r server
case "$1 $server" in
"get r.example" | "get https://index.docker.io/v1/")
	echo '{"ServerURL": "x", "Username": "bob", "Secret": "from helper"}' ;;
"get t.example")
	echo '{"ServerURL": "x", "Username": "<token>", "Secret": "identity"}' ;;
"get broken.example") echo 'cannot open the display'; exit 1 ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"""


@pytest.fixture(name="helper")
def _helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/docker-credential-test"
    program.parent.mkdir()
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.mark.usefixtures("helper")
def test_credential_helpers(log_in: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    log_in(credsStore="test", auths={"n.example": entry("in file"), "r.example": {}})
    assert found("r.example/app") == Credentials("bob", "from helper")
    assert found("debian") == Credentials("bob", "from helper")
    assert found("t.example/app") == Credentials(identity_token="identity")
    assert found("n.example/app") == Credentials("in file", "secret")
    assert found("o.example/app") is None
    assert caplog.messages == []
    assert found("broken.example/app") is None
    assert "broken.example: going on without credentials" in caplog.messages[0]
    log_in(credHelpers={"r.example": "test"})
    assert found("r.example/app") == Credentials("bob", "from helper")
    assert found("t.example/app") is None


def test_helper_that_is_not_installed(
    log_in: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    log_in(credsStore="desktop.exe", auths={})
    assert found("debian") is None
    assert "docker-credential-desktop.exe not installed" in caplog.messages[0]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"auths": 1}',
        '{"auths": {"r.example": {"auth": "?"}}}',
        '{"auths": {"r.example": {"auth": "Ym9i"}}}',
        '{"auths": {"r.example": 1}}',
    ],
)
def test_file_that_is_not_understood(text: str, tmp_path: Path) -> None:
    (tmp_path / "home/.docker").mkdir()
    path = tmp_path / "home/.docker/config.json"
    path.write_text(text)
    with pytest.raises(RegistryError) as caught:
        found("r.example/app")
    assert str(caught.value).startswith(f"{path}: credentials cannot be understood: ")
