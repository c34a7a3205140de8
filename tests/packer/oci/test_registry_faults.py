"""A registry that misbehaves: one clear line each, the cache stays good."""

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from layouts import TARS, blob_path, digest_of, layers_of, refusal, simple
from registries import (
    Fake,
    Fault,
    Handler,
    cut,
    fake_registry,
    hang_up,
    instead,
    make_certificate,
    redirect,
    status,
    whole,
)
from smolpack.oci import Options
from support import Cli, failure

BIG = 3 << 20


@pytest.fixture(name="fake")
def _fake() -> Iterator[Fake]:
    with fake_registry() as server:
        server.behaviour.serve(LAYOUT)
        yield server


LAYOUT = simple(TARS)
LAYERS = LAYOUT.manifest(LAYOUT.entries[0])["layers"]
SECOND = LAYERS[1]["digest"]


def title(fake: Fake) -> str:
    return f"{fake.host}/app:1, layer 2 of 2 ({SECOND[:19]})"


def check_cache(options: Options) -> None:
    """Whatever went wrong, nothing wrong or half-written is there."""
    for entry in options.store.entries():
        assert digest_of(entry.path.read_bytes()) == entry.name
    assert not list(options.store.path.rglob(".*"))


# ── what passes ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([status(500)], [1]),
        ([status(502), status(503), status(504), status(429)], [1, 2, 4, 8]),
        ([status(429, Retry_After="7")], [7]),
        ([status(503, Retry_After="0")], [1]),
        ([status(503, Retry_After="soon")], [1]),
        ([status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")], [1]),
        ([hang_up, hang_up], [1, 2]),
    ],
)
@pytest.mark.parametrize("where", ["HEAD /v2/app/manifests/1", "GET /v2/app/manifests/1", SECOND])
def test_what_passes_is_waited_for(
    where: str,
    faults: list[Fault],
    expected: list[float],
    fake: Fake,
    options: Options,
    waits: list[float],
) -> None:
    fake.behaviour.fault(where, *faults)
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert waits == expected


def test_cut_goes_on_where_it_was(fake: Fake, options: Options, waits: list[float]) -> None:
    fake.behaviour.fault(SECOND, cut(1000), cut(0), cut(5000))
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    ranges = [headers.get("Range") for headers in fake.behaviour.requests(SECOND)]
    assert ranges == [None, "bytes=1000-", "bytes=1000-", "bytes=6000-"]
    assert waits == [1, 2, 4]
    check_cache(options)


def test_progress_counts(fake: Fake, options: Options, waits: list[float]) -> None:
    large = simple([bytes(range(256)) * (40 << 10)], how="tar")
    fake.behaviour.serve(large, "large")
    digest = large.manifest(large.entries[0])["layers"][0]["digest"]
    fake.behaviour.fault(digest, *[cut(1 << 20)] * 9)
    assert len(layers_of(f"{fake.host}/large:1", options)[0]) == 10 << 20
    assert waits == [1] * 9


def test_the_same_again_is_no_progress(fake: Fake, options: Options, waits: list[float]) -> None:
    """A registry that knows no ranges, behind a line that never holds."""
    large = simple([bytes(range(256)) * (40 << 10)], how="tar")
    fake.behaviour.serve(large, "large")
    digest = large.manifest(large.entries[0])["layers"][0]["digest"]

    def whole_and_cut(handler: Handler) -> bool:
        del handler.headers["Range"]
        return cut(4 << 20)(handler)

    fake.behaviour.fault(digest, *[whole_and_cut] * 20)
    assert "the connection broke" in refusal(f"{fake.host}/large:1", options)
    assert waits == [1, 2, 4, 8]
    check_cache(options)


@pytest.mark.parametrize("answer", [whole, status(416)])
def test_range_that_is_not_to_be_had(
    answer: Fault, fake: Fake, options: Options, waits: list[float]
) -> None:
    fake.behaviour.fault(SECOND, cut(1000), answer)
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    check_cache(options)


def test_manifest_that_is_cut(fake: Fake, options: Options, waits: list[float]) -> None:
    fake.behaviour.fault("GET /v2/app/manifests/1", cut(10))
    assert layers_of(f"{fake.host}/app:1", options) == TARS
    assert waits == [1]


@pytest.mark.parametrize("code", [400, 405, 501])
def test_registry_that_knows_no_head(code: int, fake: Fake, options: Options) -> None:
    fake.behaviour.fault("HEAD", status(code))
    assert layers_of(f"{fake.host}/app:1", options) == TARS


# ── what does not ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (401, "not for everyone; log in with docker login"),
        (403, "access denied; log in as someone who may pull it"),
        (404, "missing in the registry, though its manifest names it; push the image again"),
        (410, "the registry refuses; check the name"),
    ],
)
def test_refusals_of_a_layer(
    code: int, says: str, fake: Fake, options: Options, waits: list[float]
) -> None:
    fake.behaviour.fault(SECOND, status(code, "so it is"))
    text = refusal(f"{fake.host}/app:1", options)
    assert text.startswith(f"{title(fake)}: {says}")
    assert f"({code} " in text
    assert text.endswith(": so it is)")
    assert waits == []
    check_cache(options)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (401, "not for everyone"),
        (403, "access denied"),
        (404, "no such image, or no such tag; check the name (404 Not Found)"),
    ],
)
def test_refusals_of_an_image(code: int, says: str, fake: Fake, options: Options) -> None:
    fake.behaviour.fault("manifests/1", status(code))
    assert refusal(f"{fake.host}/app:1", options).startswith(f"{fake.host}/app:1: {says}")
    assert not options.store.path.exists()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (status(429, "slow down"), "too many requests; wait, or log in with docker login"),
        (status(500), "the registry fails; try again later (500 Internal Server Error)"),
        (cut(100), "the connection broke"),
        (hang_up, "the connection broke"),
    ],
)
def test_what_does_not_pass(
    fault: Fault, says: str, fake: Fake, options: Options, waits: list[float]
) -> None:
    fake.behaviour.fault(SECOND, *[fault] * 5)
    text = refusal(f"{fake.host}/app:1", options)
    assert text.startswith(f"{title(fake)}: ")
    assert says in text
    assert waits == [1, 2, 4, 8]
    check_cache(options)
    assert layers_of(f"{fake.host}/app:1", options) == TARS


def test_too_long_to_wait(fake: Fake, options: Options, waits: list[float]) -> None:
    fake.behaviour.fault("manifests/1", status(429, Retry_After="3600"))
    text = refusal(f"{fake.host}/app:1", options)
    assert "too many requests" in text
    assert "asks to wait 3600 seconds" in text
    assert waits == []


def _spoiled(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_wrong_digest(fake: Fake, options: Options) -> None:
    spoiled = _spoiled(LAYOUT.files[blob_path(LAYERS[1])])
    fake.behaviour.fault(SECOND, instead(spoiled))
    text = refusal(f"{fake.host}/app:1", options)
    assert text.startswith(f"{title(fake)}: damaged: what came is {digest_of(spoiled)}; try again")
    check_cache(options)
    assert layers_of(f"{fake.host}/app:1", options) == TARS


@pytest.mark.parametrize("by_digest", [False, True])
def test_wrong_digest_of_a_manifest(by_digest: bool, fake: Fake, options: Options) -> None:
    entry = LAYOUT.entries[0]
    spoiled = LAYOUT.files[blob_path(entry)] + b" "
    reference = f"{fake.host}/app{'@' + entry['digest'] if by_digest else ':1'}"

    def act(handler: object) -> bool:
        headers = {"Docker-Content-Digest": entry["digest"]}
        handler.answer(200, spoiled, headers)  # type: ignore[attr-defined]
        return True

    fake.behaviour.fault("GET /v2/app/manifests/", act)
    text = refusal(reference, options)
    assert text.startswith(f"{reference}: damaged: what came is {digest_of(spoiled)}")
    assert options.store.entries() == []


def test_more_than_the_manifest_says(fake: Fake, options: Options) -> None:
    more = LAYOUT.files[blob_path(LAYERS[1])] + bytes(BIG)
    fake.behaviour.fault(SECOND, instead(more))
    text = refusal(f"{fake.host}/app:1", options)
    assert f"sends more than the {LAYERS[1]['size']} bytes" in text
    check_cache(options)


def test_less_than_the_manifest_says(fake: Fake, options: Options) -> None:
    less = LAYOUT.files[blob_path(LAYERS[1])][:-5]
    fake.behaviour.content[f"/v2/app/blobs/{SECOND}"] = ("", less)
    text = refusal(f"{fake.host}/app:1", options)
    assert f"only {len(less)} bytes of {LAYERS[1]['size']} came" in text
    check_cache(options)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bytes(5 << 20), "an answer of too many bytes"),
        (b"<html>", "damaged: not JSON"),
        (b'{"schemaVersion": 1, "fsLayers": []}', "schema 1, which is no longer in use"),
        (b"{}", "neither an image manifest nor an image index"),
    ],
)
def test_what_is_no_manifest(data: bytes, says: str, fake: Fake, options: Options) -> None:
    fake.behaviour.fault("GET /v2/app/manifests/1", instead(data))
    text = refusal(f"{fake.host}/app:1", options)
    assert text.startswith(f"{fake.host}/app:1: ")
    assert says in text


def test_connection_refused(options: Options, waits: list[float]) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{reserved.getsockname()[1]}"
        assert refusal(f"{host}/app:1", options) == (
            f"{host}/app:1: {host}: connection refused; check host name and port"
        )
    assert waits == []


def test_unknown_host(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert refusal("registry.invalid/app:1", options) == (
        "registry.invalid/app:1: registry.invalid: unknown host (Name or service not known); "
        "check its name and the network"
    )


def test_no_answer(
    fake: Fake, options: Options, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def wait(handler: object) -> bool:
        released.wait()
        return True

    monkeypatch.setattr("smolpack.oci.registry.TIMEOUTS", (0.2, 0.05))
    fake.behaviour.fault("HEAD", *[wait] * 5)
    text = refusal(f"{fake.host}/app:1", options)
    released.set()
    assert text == (
        f"{fake.host}/app:1: {fake.host}: no answer in time; check the network, or try again later"
    )
    assert waits == [1, 2, 4, 8]


# ── plain HTTP, redirects ───────────────────────────────────────────────────────────────────────


def test_plain_http_only_here_or_if_told(
    fake: Fake, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smolpack.oci.registry.is_loopback", lambda host: False)
    monkeypatch.setattr("smolpack.oci.connection.is_loopback", lambda host: False)
    assert refusal(f"{fake.host}/app:1", options) == (
        f"{fake.host}/app:1: {fake.host}: speaks no TLS; if you trust the network, give --insecure"
    )
    insecure = Options(platform=options.platform, store=options.store, insecure=True)
    assert layers_of(f"{fake.host}/app:1", insecure) == TARS


def test_redirect_to_plain_http(fake: Fake, options: Options) -> None:
    fake.behaviour.fault(SECOND, redirect("http://cdn.example/blob"))
    assert refusal(f"{fake.host}/app:1", options) == (
        f"{title(fake)}: http://cdn.example: not HTTPS; "
        "if you trust the network between, give --insecure"
    )


def test_redirect_elsewhere(fake: Fake, options: Options) -> None:
    fake.behaviour.fault(SECOND, redirect("file:///etc/passwd"))
    assert refusal(f"{fake.host}/app:1", options).startswith(f"{title(fake)}: ")


def test_redirects_in_a_circle(fake: Fake, options: Options) -> None:
    fake.behaviour.fault(SECOND, *[redirect(f"/v2/app/blobs/{SECOND}")] * 10)
    assert "redirects to nowhere" in refusal(f"{fake.host}/app:1", options)


def test_redirect_to_a_store_of_blobs(fake: Fake, options: Options) -> None:
    with fake_registry() as other:
        other.behaviour.content["/blob"] = ("", LAYOUT.files[blob_path(LAYERS[1])])
        fake.behaviour.fault(SECOND, redirect(f"http://{other.host}/blob"))
        assert layers_of(f"{fake.host}/app:1", options) == TARS


def test_proxy_of_the_environment(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is none: what is said to it is enough."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        said: list[bytes] = []

        def listen() -> None:
            connection, _ = proxy.accept()
            with connection:
                said.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        threads = threading.Thread(target=listen)
        threads.start()
        text = refusal("registry.invalid/app:1", options)
        threads.join()
    assert said[0].startswith(b"CONNECT registry.invalid:443 ")
    assert text == (
        "registry.invalid/app:1: registry.invalid: the proxy of the environment refuses; "
        "check http_proxy and the like"
    )


def test_no_proxy_for_loopback(
    fake: Fake, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert layers_of(f"{fake.host}/app:1", options) == TARS


def test_certificate_of_another_host(
    tmp_path: Path, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    with fake_registry(certificate) as server:
        text = refusal(f"{server.host}/app:1", options)
    assert f"{server.host}: its certificate is not to be trusted: " in text


# ── the command ─────────────────────────────────────────────────────────────────────────────────


def test_create_leaves_nothing_behind(
    fake: Fake, options: Options, cli: Cli, tmp_path: Path
) -> None:
    fake.behaviour.fault(SECOND, status(403))
    out = tmp_path / "app.vm"
    image = f"{fake.host}/app:1"
    text = failure(cli("create", "--image", image, "--platform", "linux/amd64", "--out", out))
    assert text.startswith(f"smolpack: error: {title(fake)}: access denied; ")
    assert not out.exists()
    check_cache(options)


def test_a_name_of_nothing_is_a_mistake_of_use(cli: Cli, tmp_path: Path) -> None:
    text = failure(cli("create", "--image", "No/Image", "--out", tmp_path / "app.vm"), status=2)
    assert "names of images are lower case" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_the_registry_is_silent(
    number: signal.Signals, fake: Fake, options: Options, cli: Cli, tmp_path: Path
) -> None:
    arrived, released = threading.Event(), threading.Event()

    def stall(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(LAYERS[1]["size"]))
        handler.end_headers()
        handler.wfile.write(b"some of it")
        arrived.set()
        released.wait()
        return True

    fake.behaviour.fault(SECOND, stall)
    out = tmp_path / "app.vm"
    words = ("create", "--image", f"{fake.host}/app:1", "--platform", "linux/amd64", "--out", out)
    with subprocess.Popen([*cli.argv, *map(str, words)], stderr=subprocess.PIPE) as process:
        assert arrived.wait(60)
        process.send_signal(number)
        # Long before the registry counts as dead.
        _, text = process.communicate(timeout=30)
        released.set()
    assert process.returncode == 128 + number
    assert text == b""
    assert not out.exists()
    check_cache(options)
