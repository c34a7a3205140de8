"""Images of a real registry: anonymous, with a user, over TLS; nothing comes twice."""

import base64
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from layouts import (
    TARS,
    UPPER,
    Layout,
    compressed,
    digest_of,
    layers_of,
    read_layers,
    refusal,
    simple,
    tar_of,
)
from registries import (
    PASSWORD,
    USER,
    Certificate,
    DockerRegistry,
    docker_registry,
    make_certificate,
    needs_docker_registry,
)
from smolpack.errors import RegistryError
from smolpack.oci import Options, open_image
from smolpack.oci.platform import parse_platform
from support import Cli
from umoci import needs_umoci

pytestmark = needs_docker_registry


@pytest.fixture(scope="module", name="registry")
def _registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module", name="certificate")
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module", name="guarded")
def _guarded(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[DockerRegistry]:
    """With TLS and a user."""
    with docker_registry(tmp_path_factory.mktemp("guarded"), certificate, users=True) as registry:
        layout = simple(TARS).write(tmp_path_factory.mktemp("layout"))
        registry.push(layout, "app:1", "--dest-tls-verify=false", f"--dest-creds={USER}:{PASSWORD}")
        yield registry


def push(registry: DockerRegistry, layout: Layout, directory: Path, name: str) -> str:
    return registry.push(layout.write(directory / "layout"), name, "--dest-tls-verify=false")


@pytest.mark.parametrize("how", ["tar+gzip", "tar+zstd"])
def test_pull(how: str, registry: DockerRegistry, tmp_path: Path, options: Options) -> None:
    layout = simple(TARS, how=how)
    reference = push(registry, layout, tmp_path, f"org/app:{how.replace('+', '-')}")
    with open_image(reference, options) as image:
        assert image.digest == layout.entries[0]["digest"]
        assert image.layers[1].name.startswith(f"{reference}, layer 2 of 2 (sha256:")
        assert read_layers(image) == read_layers(image) == TARS
    assert layers_of(f"docker://{registry.host}/org/app@{image.digest}", options) == TARS
    for entry in options.store.entries():
        assert digest_of(entry.path.read_bytes()) == entry.name


@needs_umoci
def test_image_of_umoci(registry: DockerRegistry, tmp_path: Path, options: Options) -> None:
    """Made, changed and packed by the tool itself; the same from its layout and the registry."""
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"

    def umoci(*words: str | Path) -> None:
        subprocess.run(["umoci", *words], check=True, capture_output=True)

    image = f"{layout}:latest"
    umoci("init", "--layout", layout)
    umoci("new", "--image", image)
    umoci("config", "--image", image, "--config.cmd", "/bin/app", "--architecture", "amd64")
    for number in range(3):
        target = bundle / str(number)
        umoci("unpack", "--rootless", "--image", image, target)
        (target / "rootfs" / f"file{number}").write_text(f"layer {number}\n")
        umoci("repack", "--image", image, target)
    reference = registry.push(layout, "umoci:1", "--dest-tls-verify=false")
    tars = layers_of(f"oci:{layout}:latest", options)
    assert len(tars) == 3
    assert layers_of(reference, options) == tars
    with tarfile.open(fileobj=io.BytesIO(tars[2])) as archive:
        assert "file2" in [name.removeprefix("./") for name in archive.getnames()]


def test_nothing_comes_twice(registry: DockerRegistry, tmp_path: Path, options: Options) -> None:
    layout = simple(TARS)
    reference = push(registry, layout, tmp_path, "twice:1")
    assert layers_of(reference, options) == TARS
    registry.requests()
    assert layers_of(reference, options) == TARS
    # What a tag stands for is asked every time, and nothing else.
    assert registry.requests() == ["HEAD /v2/twice/manifests/1"]
    assert layers_of(f"{reference}@{layout.entries[0]['digest']}", options) == TARS
    assert registry.requests() == []


def test_layers_come_only_when_they_are_read(
    registry: DockerRegistry, tmp_path: Path, options: Options
) -> None:
    reference = push(registry, simple(TARS), tmp_path, "lazy:1")
    registry.requests()
    with open_image(reference, options) as image:
        assert len(image.layers) == 2
    assert len(registry.requests()) == 3  # HEAD and GET of the manifest, the configuration


def test_damaged_cache_is_fetched_again(
    registry: DockerRegistry, tmp_path: Path, options: Options
) -> None:
    reference = push(registry, simple(TARS), tmp_path, "again:1")
    assert layers_of(reference, options) == TARS
    for entry in options.store.entries():
        data = entry.path.read_bytes()
        entry.path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    registry.requests()
    assert layers_of(reference, options) == TARS
    assert len(registry.requests()) == 5
    registry.requests()
    assert layers_of(reference, options) == TARS
    assert len(registry.requests()) == 1


def test_cache_that_is_too_small(
    registry: DockerRegistry, tmp_path: Path, options: Options
) -> None:
    reference = push(registry, simple(TARS), tmp_path, "small:1")
    options.store.cap = 1
    assert layers_of(reference, options) == TARS
    assert options.store.entries() == []


def test_platforms(registry: DockerRegistry, tmp_path: Path, options: Options) -> None:
    layout = Layout()
    entries = []
    for architecture in ("arm64", "amd64"):
        platform = {"os": "linux", "architecture": architecture}
        tars = [UPPER] if architecture == "arm64" else TARS
        entries.append({**layout.image(tars, platform=platform), "platform": platform})
    reference = push(registry, layout.tag(layout.index(*entries)), tmp_path, "multi:1")
    assert layers_of(reference, options) == TARS
    arm64 = Options(platform=parse_platform("linux/arm64"), store=options.store)
    assert layers_of(reference, arm64) == [UPPER]
    s390x = Options(platform=parse_platform("linux/s390x"), store=options.store)
    assert refusal(reference, s390x) == (
        f"{reference}: not for linux/s390x but for linux/arm64, linux/amd64; choose with --platform"
    )


@pytest.mark.parametrize("name", ["nothing:1", "nothing/at/all"])
def test_what_is_not_there(name: str, registry: DockerRegistry, options: Options) -> None:
    reference = f"{registry.host}/{name}"
    text = refusal(reference, options)
    assert text.startswith(f"{reference}: no such image, or no such tag; check the name (404")


def log_in(home: Path, host: str, username: str, password: str) -> None:
    """As docker login does."""
    secret = base64.b64encode(f"{username}:{password}".encode()).decode()
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text(json.dumps({"auths": {host: {"auth": secret}}}))


def test_user_over_tls(
    guarded: DockerRegistry,
    certificate: Certificate,
    tmp_path: Path,
    options: Options,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = f"{guarded.host}/app:1"
    text = refusal(reference, options)
    assert f"{guarded.host}: its certificate is not to be trusted: self" in text
    assert "SSL_CERT_FILE" in text

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    text = refusal(reference, options)
    assert f"not for everyone; log in with docker login {guarded.host}" in text
    assert options.store.entries() == []

    log_in(tmp_path / "home", guarded.host, USER, PASSWORD)
    assert layers_of(reference, options) == TARS


def test_wrong_password(
    guarded: DockerRegistry,
    certificate: Certificate,
    tmp_path: Path,
    options: Options,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    log_in(tmp_path / "home", guarded.host, USER, "wrong")
    with pytest.raises(RegistryError, match="your credentials are refused; log in again"):
        layers_of(f"{guarded.host}/app:1", options)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authorities_of_the_environment(
    variable: str,
    guarded: DockerRegistry,
    certificate: Certificate,
    tmp_path: Path,
    options: Options,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, str(certificate.certificate))
    log_in(tmp_path / "home", guarded.host, USER, PASSWORD)
    assert layers_of(f"{guarded.host}/app:1", options) == TARS
    monkeypatch.setenv(variable, "/nowhere.pem")
    with pytest.raises(RegistryError, match=r"/nowhere\.pem: no certificates can be read"):
        layers_of(f"{guarded.host}/app:1", options)


def test_authorities_of_podman(
    guarded: DockerRegistry, certificate: Certificate, tmp_path: Path, options: Options
) -> None:
    place = tmp_path / "home/.config/containers/certs.d" / guarded.host
    place.mkdir(parents=True)
    (place / "ca.crt").write_bytes(certificate.certificate.read_bytes())
    log_in(tmp_path / "home", guarded.host, USER, PASSWORD)
    assert layers_of(f"{guarded.host}/app:1", options) == TARS


def test_insecure(guarded: DockerRegistry, tmp_path: Path, options: Options) -> None:
    log_in(tmp_path / "home", guarded.host, USER, PASSWORD)
    insecure = Options(platform=options.platform, store=options.store, insecure=True)
    assert layers_of(f"{guarded.host}/app:1", insecure) == TARS


def test_second_create_needs_no_layer(
    registry: DockerRegistry, tmp_path: Path, options: Options, cli: Cli
) -> None:
    root = tar_of({"bin/sh": b"#!"})
    reference = push(registry, simple([root, UPPER]), tmp_path, "create:1")
    files = [tmp_path / "first.vm", tmp_path / "second.vm"]
    common = ("create", "--image", reference, "--platform", "linux/amd64", "--no-sbom", "--out")
    assert cli(*common, files[0]).stderr == b""
    # Not even from the cache.
    for entry in options.store.entries():
        if entry.name in (digest_of(compressed(tar, "tar+gzip")) for tar in (root, UPPER)):
            entry.path.unlink()
    registry.requests()
    assert cli(*common, files[1]).stderr == b""
    assert registry.requests() == ["HEAD /v2/create/manifests/1"]
    assert files[0].read_bytes() == files[1].read_bytes()
