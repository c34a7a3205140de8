"""HTTP to registries: certificates, proxies and timeouts, and where plain HTTP may be spoken."""

import ipaddress
import os
import socket
import ssl
import warnings
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from smolpack import __version__
from smolpack.errors import RegistryError

# To connect, and between two pieces of an answer; in seconds.
TIMEOUTS = (15, 60)
_MAX_REDIRECTS = 5

# requests' own exceptions, and what reading a body raises below it.
FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)

# What OpenSSL's versions make of an answer that is none of TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")
_NOWHERE = (
    requests.TooManyRedirects,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
)


class RefusedError(RegistryError):
    """A server answered with an error status; `retry_after` is how long it wants us to wait, in
    seconds."""

    def __init__(self, message: str, response: requests.Response) -> None:
        super().__init__(message)
        self.status = response.status_code
        self.retry_after = _retry_after(response)


def is_loopback(host: str | None) -> bool:
    """Whether a URL's host is this machine itself, by name or address."""
    if host is None or host == "localhost" or host.endswith(".localhost"):
        return host is not None
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_session(host: str, insecure: bool) -> requests.Session:
    """A session for the registry at `host` (with its port) and where it redirects to.

    Trusted are the system's authorities, those of SSL_CERT_FILE, REQUESTS_CA_BUNDLE and
    CURL_CA_BUNDLE, and for `host` those in docker's and podman's certs.d. Proxies come from the
    environment. A redirect to another host loses the credentials. Raises RegistryError.
    """
    session = requests.Session()
    # It would send what ~/.netrc has instead of what the registry is to get.
    session.trust_env = False
    session.verify = not insecure
    session.max_redirects = _MAX_REDIRECTS
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A blob's digest is over its bytes as they are.
    session.headers.update({"User-Agent": f"smolpack/{__version__}", "Accept-Encoding": "identity"})
    everywhere = _Adapter(_context(insecure, ()), insecure)
    session.mount("https://", everywhere)
    session.mount("http://", everywhere)
    if own := tuple(_certificates_of(host)):
        session.mount(f"https://{host}/", _Adapter(_context(insecure, own), insecure))
    if insecure:
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
    return session


class _Adapter(HTTPAdapter):
    """Sends one request; asked for every redirect, too."""

    def __init__(self, context: ssl.SSLContext, insecure: bool) -> None:
        self._context = context
        self._insecure = insecure
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, **kwargs, ssl_context=self._context)

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        assert request.url is not None
        check_scheme(request.url, self._insecure)
        local = is_loopback(urlsplit(request.url).hostname)
        kwargs["proxies"] = {} if local else get_environ_proxies(request.url)
        return super().send(request, *args, **kwargs)


def check_scheme(url: str, insecure: bool) -> None:
    """Raises RegistryError for what would go over the network in plain text, or elsewhere."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return
    if parts.scheme != "http" or not (insecure or is_loopback(parts.hostname)):
        raise RegistryError(
            f"{parts.scheme}://{parts.hostname}: not HTTPS; "
            "if you trust the network between, give --insecure"
        )


def _certificates_of(host: str) -> Iterator[str]:
    places = (
        Path("/etc/docker/certs.d"),
        Path("/etc/containers/certs.d"),
        Path(os.path.expanduser("~"), ".config/containers/certs.d"),  # noqa: PTH111
    )
    for place in places:
        yield from sorted(map(str, (place / host).glob("*.crt")))


def _context(insecure: bool, bundles: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(variable):
            bundles = (*bundles, path)
    for path in bundles:
        try:
            directory = Path(path).is_dir()
            context.load_verify_locations(**{"capath" if directory else "cafile": path})
        except OSError as error:
            raise RegistryError(f"{path}: no certificates can be read from it: {error}") from error
    return context


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised for, down to the operating system's."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        one = pending.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            pending.extend(
                (one.__context__, one.__cause__, getattr(one, "reason", None), *one.args)
            )


def read_body(response: requests.Response, limit: int) -> bytes:
    """A small answer; raises FAILURES, RegistryError for more than `limit` bytes."""
    body: bytes = response.raw.read(limit + 1, decode_content=True)
    if len(body) > limit:
        raise RegistryError(f"{urlsplit(response.url).netloc}: an answer of too many bytes")
    return body


def speaks_no_tls(error: BaseException) -> bool:
    """Whether a TLS handshake failed because there is no TLS at the other end."""
    return any(
        isinstance(cause, ssl.SSLError)
        and not isinstance(cause, ssl.SSLCertVerificationError)
        and cause.reason in _NO_TLS
        for cause in causes(error)
    )


def is_refused(error: BaseException) -> bool:
    """Whether nobody listens at the other end."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in causes(error))


def explain(error: BaseException) -> tuple[str, bool]:
    """What went wrong on the way to a server and what to do about it, and whether it may pass."""
    host = _host_of(error)
    found = list(causes(error))
    for cause in found:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"{host}: its certificate is not to be trusted: {cause.verify_message}; name its "
                "authority with SSL_CERT_FILE, or give --insecure",
                False,
            )
        if speaks_no_tls(cause):
            return f"{host}: speaks no TLS; if you trust the network, give --insecure", False
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return f"{host}: TLS fails: {cause.reason or cause}; check host name and port", False
        if isinstance(cause, socket.gaierror):
            again = cause.errno == socket.EAI_AGAIN
            return f"{host}: unknown host ({cause.strerror}); check its name and the network", again
        if isinstance(cause, ConnectionRefusedError):
            return f"{host}: connection refused; check host name and port", False
        if isinstance(cause, _NOWHERE):
            return f"{host}: redirects to nowhere; tell who runs the registry", False
        if isinstance(cause, requests.exceptions.ProxyError):
            return (
                f"{host}: the proxy of the environment refuses; check http_proxy and the like",
                False,
            )
    if any(isinstance(one, requests.Timeout | urllib3.exceptions.TimeoutError) for one in found):
        return f"{host}: no answer in time; check the network, or try again later", True
    for cause in reversed(found):
        if isinstance(cause, OSError) and cause.strerror:
            return f"{host}: {cause.strerror}; check the network, or try again later", True
    return f"{host}: the connection broke; check the network, or try again later", True


def _host_of(error: BaseException) -> str:
    for cause in causes(error):
        if isinstance(cause, requests.RequestException) and cause.request is not None:
            return urlsplit(str(cause.request.url)).netloc
    return "the registry"


def _retry_after(response: requests.Response) -> float:
    value = response.headers.get("Retry-After")
    try:
        return urllib3.Retry().parse_retry_after(value) if value else 0
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0
