"""Registries for tests, on loopback: Debian's docker-registry, and one that does as it is told."""

import contextlib
import datetime
import ipaddress
import json
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from layouts import OCI, Layout, digest_of

USER, PASSWORD = "alice", "päss:word"

needs_docker_registry = pytest.mark.skipif(
    shutil.which("docker-registry") is None or shutil.which("skopeo") is None,
    reason="docker-registry or skopeo is missing: apt install docker-registry skopeo",
)


@dataclass(frozen=True)
class Certificate:
    """A self-signed one, with its key."""

    certificate: Path
    key: Path


def make_certificate(directory: Path, address: str = "127.0.0.1") -> Certificate:
    """For localhost and an address, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(address))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(directory / "cert.pem", directory / "key.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


@dataclass(frozen=True)
class DockerRegistry:
    """A running docker-registry at `host` (with its port)."""

    host: str
    log: Path

    def push(self, layout: Path, name: str, *options: str) -> str:
        """Copies the image tagged latest, of a directory or an archive, there; what to call it."""
        reference = f"{self.host}/{name}"
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--all", *options]
        kind = "oci-archive" if layout.is_file() else "oci"
        places = [f"{kind}:{layout}:latest", f"docker://{reference}"]
        subprocess.run([*command, *places], check=True, capture_output=True)
        return reference

    def requests(self) -> list[str]:
        """What was asked for since the last call: `GET /v2/…`."""
        lines = re.findall(r'"((?:GET|HEAD) \S+) HTTP/1.1" 2', self.log.read_text())
        self.log.write_text("")
        return lines


@contextlib.contextmanager
def docker_registry(
    directory: Path, certificate: Certificate | None = None, users: bool = False
) -> Iterator[DockerRegistry]:
    """Debian's registry, with TLS and with a user if asked for."""
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": "127.0.0.1:0"},
    }
    if certificate is not None:
        config["http"]["tls"] = {
            "certificate": str(certificate.certificate),
            "key": str(certificate.key),
        }
    if users:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (directory / "htpasswd").write_text(f"{USER}:{hashed}\n")
        config["auth"] = {"htpasswd": {"realm": "here", "path": str(directory / "htpasswd")}}
    path = directory / "config.yml"
    path.write_text(json.dumps(config))  # JSON is YAML
    log = directory / "log"
    with (
        log.open("a") as out,
        subprocess.Popen(
            ["docker-registry", "serve", str(path)],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        try:
            port = next(filter(None, map(_port, process.stderr)))
            drain = threading.Thread(target=process.stderr.read, daemon=True)
            drain.start()
            yield DockerRegistry(f"127.0.0.1:{port}", log)
        finally:
            process.terminate()
            process.wait()
            drain.join()


def _port(line: str) -> str | None:
    found = re.search(r"listening on 127\.0\.0\.1:([0-9]+)", line)
    return found[1] if found else None


# What happens instead of an answer; True when nothing else is to happen.
Fault = Callable[["Handler"], bool]


@dataclass
class Behaviour:
    """What a Fake serves and how: content by path, faults by a part of `METHOD PATH` and each for
    one request; who must say what to be let in."""

    content: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    authorization: str | None = None
    challenge: str = ""
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def serve(self, layout: Layout, repository: str = "app", tag: str = "1") -> None:
        """Serves the blobs of a layout, and its first entry under a tag."""
        for path, data in layout.files.items():
            if path.startswith("blobs/sha256/"):
                digest = digest_of(data)
                kind = f"{OCI}manifest.v1+json"
                if data.startswith(b"{"):
                    kind = json.loads(data).get("mediaType", kind)
                self.content[f"/v2/{repository}/blobs/{digest}"] = (kind, data)
                self.content[f"/v2/{repository}/manifests/{digest}"] = (kind, data)
        first = self.content[f"/v2/{repository}/manifests/{layout.entries[0]['digest']}"]
        self.content[f"/v2/{repository}/manifests/{tag}"] = first

    def fault(self, where: str, *faults: Fault) -> None:
        """The next requests for `where` fail, one after the other."""
        self.faults += [(where, fault) for fault in faults]

    def requests(self, where: str) -> list[dict[str, str]]:
        """The headers of all requests for `where`."""
        return [headers for method, path, headers in self.seen if where in f"{method} {path}"]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: "Fake"

    def handle(self) -> None:
        if not self.server.speaks_tls and self.request.recv(1, 2) == b"\x16":  # MSG_PEEK
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        behaviour = self.server.behaviour
        line = f"{self.command} {self.path}"
        behaviour.seen.append((self.command, self.path, dict(self.headers)))
        for number, (where, fault) in enumerate(behaviour.faults):
            if where in line:
                del behaviour.faults[number]
                if fault(self):
                    return
                break
        path = urlsplit(self.path).path
        given = self.headers.get("Authorization")
        if behaviour.authorization is not None and given != behaviour.authorization:
            self.answer(401, b"", {"WWW-Authenticate": behaviour.challenge})
        elif path == "/v2/":
            self.answer(200, b"{}")
        elif path in behaviour.content:
            kind, data = behaviour.content[path]
            self.send(data, {"Content-Type": kind, "Docker-Content-Digest": digest_of(data)})
        else:
            error = {"errors": [{"code": "UNKNOWN", "message": "not known here"}]}
            self.answer(404, json.dumps(error).encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def send(self, data: bytes, headers: dict[str, str]) -> None:
        """Content, or the range of it that was asked for."""
        asked = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range", ""))
        if asked is None:
            self.answer(200, data, headers)
            return
        start = int(asked[1])
        place = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        self.answer(206, data[start:], {**headers, **place})

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self) -> dict[str, list[str]]:
        """The form that was posted."""
        return parse_qs(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002
        pass


class Fake(ThreadingHTTPServer):
    """A registry, or a server of tokens, that does as `behaviour` says."""

    daemon_threads = True
    speaks_tls = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = Behaviour()

    @property
    def host(self) -> str:
        """With its port."""
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def fake_registry(certificate: Certificate | None = None) -> Iterator[Fake]:
    """A running one."""
    with Fake() as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.speaks_tls = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def status(code: int, message: str = "", **headers: str) -> Fault:
    """An error status."""

    def act(handler: Handler) -> bool:
        data = json.dumps({"errors": [{"message": message}]}).encode() if message else b""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.answer(code, data, named)
        return True

    return act


def cut(after: int) -> Fault:
    """The connection breaks when so many bytes of what was asked for have come."""

    def act(handler: Handler) -> bool:
        _, data = handler.server.behaviour.content[handler.path]
        asked = re.fullmatch(r"bytes=([0-9]+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(data[start : start + after])
        handler.close_connection = True
        return True

    return act


def hang_up(handler: Handler) -> bool:
    """The connection breaks before anything has come."""
    handler.close_connection = True
    return True


def redirect(url: str) -> Fault:
    """To another place."""

    def act(handler: Handler) -> bool:
        handler.answer(307, b"", {"Location": url})
        return True

    return act


def instead(data: bytes) -> Fault:
    """Other bytes."""

    def act(handler: Handler) -> bool:
        handler.send(data, {})
        return True

    return act


def whole(handler: Handler) -> bool:
    """All of it, although a range was asked for."""
    del handler.headers["Range"]
    return False
