"""A client of one repository of a registry (OCI distribution specification): manifests, and blobs
that arrive over bad lines, too."""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from typing import BinaryIO
from urllib.parse import urlsplit

import requests

from smolpack.errors import RegistryError
from smolpack.oci.auth import Authenticator
from smolpack.oci.connection import (
    FAILURES,
    TIMEOUTS,
    RefusedError,
    explain,
    is_loopback,
    is_refused,
    open_session,
    read_body,
    speaks_no_tls,
)
from smolpack.oci.credentials import find_credentials
from smolpack.oci.descriptor import INDEX_TYPES, MANIFEST_TYPES, MAX_DOCUMENT
from smolpack.oci.reference import DOCKER_HUB, RegistryReference
from smolpack.oci.store import NewBlob, Store
from smolpack.sources.base import CHUNK, Advance

# In a row, without progress; the wait doubles.
_TRIES = 5
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
# So many bytes more count as progress.
_PROGRESS = 1 << 20

_PASSING = (408, 429, 500, 502, 503, 504)
_RANGE_REFUSED = 416
# What servers that know no HEAD say to it.
_NO_HEAD = (400, 405, 501)
_ACCEPT = {"Accept": ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_RANGE = re.compile(r"bytes ([0-9]+)-", re.ASCII)
_MAX_ERROR = 64 << 10
_MAX_MESSAGE = 300


class Registry:
    """The registry that has what `reference` names. `sleep` waits so many seconds.

    Messages start with `what` callers want. Raises RegistryError, of the cache OutputError.
    """

    def __init__(
        self,
        reference: RegistryReference,
        store: Store,
        insecure: bool = False,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._reference = reference
        self._store = store
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._session = open_session(reference.host, insecure)
        self._plain_allowed = insecure or is_loopback(urlsplit(f"//{reference.host}").hostname)
        credentials = find_credentials(reference)
        self._auth = Authenticator(self._session, reference.repository, credentials, insecure)
        self._base: str | None = None

    def close(self) -> None:
        """Ends what is still under way in other threads, too."""
        self._stopped.set()
        self._session.close()

    def resolve(self, what: str) -> tuple[str, bytes]:
        """Digest and bytes of the manifest or index that the reference selects. What a tag stands
        for is asked every time; what is in the cache is not transferred again."""
        if self._reference.digest is not None:
            return self._reference.digest, self.manifest(what, self._reference.digest)
        path = f"manifests/{self._reference.tag}"
        digest = self._ask_digest(what, path)
        known = None if digest is None else self._known(digest)
        if digest is not None and known is not None:
            return digest, known
        return self._get_manifest(what, path)

    def manifest(self, what: str, digest: str) -> bytes:
        """A manifest or an index by its digest."""
        known = self._known(digest)
        if known is not None:
            return known
        found, data = self._get_manifest(what, f"manifests/{digest}")
        if found != digest:
            raise _damage(what, found)
        return data

    def blob(self, what: str, digest: str, size: int, advance: Advance) -> BinaryIO:
        """A blob, from the cache or fetched into it: an open file of exactly what `digest` says."""
        known = self._store.blob(digest)
        if known is not None:
            advance(size)
            return known
        with self._store.new_blob() as new:
            self._download(what, f"blobs/{digest}", size, new, advance)
            if new.digest != digest:
                raise _damage(what, new.digest)
            return new.keep()

    def _known(self, digest: str) -> bytes | None:
        file = self._store.blob(digest)
        if file is None:
            return None
        with file:
            return file.read(MAX_DOCUMENT)

    def _ask_digest(self, what: str, path: str) -> str | None:
        """The digest of a manifest; None when the registry does not tell without sending it."""
        try:
            with self._request(what, "HEAD", path, _ACCEPT, _Tries(self._sleep)) as response:
                digest = response.headers.get("Docker-Content-Digest", "")
        except RefusedError as error:
            if error.status in _NO_HEAD:
                return None
            raise
        return digest if _DIGEST.fullmatch(digest) else None

    def _get_manifest(self, what: str, path: str) -> tuple[str, bytes]:
        tries = _Tries(self._sleep)
        while True:
            with self._request(what, "GET", path, _ACCEPT, tries) as response:
                try:
                    data = read_body(response, MAX_DOCUMENT)
                    told = response.headers.get("Docker-Content-Digest")
                    break
                except RegistryError as error:
                    raise RegistryError(f"{what}: {error}") from error
                except FAILURES as error:
                    tries.again(_failure(what, error))
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if told is not None and _DIGEST.fullmatch(told) and told != digest:
            raise _damage(what, digest)
        with self._store.new_blob() as new:
            new.write(data)
            new.keep().close()
        return digest, data

    def _download(self, what: str, path: str, size: int, new: NewBlob, advance: Advance) -> None:
        """Fills `new`; after a cut it goes on where it was."""
        tries = _Tries(self._sleep)
        while True:
            headers = {"Range": f"bytes={new.size}-"} if new.size else {}
            try:
                with self._request(what, "GET", path, headers, tries) as response:
                    if new.size and not _goes_on(response, new.size):
                        _restart(new, advance)
                    self._receive(what, response, size, new, advance, tries)
            except RefusedError as error:
                if error.status != _RANGE_REFUSED or not new.size:
                    raise
                _restart(new, advance)
                tries.again(error)
            except FAILURES as error:
                tries.again(_failure(what, error))
            else:
                if new.size == size:
                    return
                tries.again(
                    RegistryError(f"{what}: only {new.size} bytes of {size} came; try again")
                )

    def _receive(
        self,
        what: str,
        response: requests.Response,
        size: int,
        new: NewBlob,
        advance: Advance,
        tries: "_Tries",
    ) -> None:
        for data in response.raw.stream(CHUNK, decode_content=False):
            self._check_stopped(what)
            if new.size + len(data) > size:
                raise RegistryError(
                    f"{what}: the registry sends more than the {size} bytes of its manifest; "
                    "push the image again"
                )
            new.write(data)
            advance(len(data))
            tries.got_to(new.size)

    def _request(
        self, what: str, method: str, path: str, headers: dict[str, str], tries: "_Tries"
    ) -> requests.Response:
        """A good answer, its body still to be read; waits, tries again and logs in as needed."""
        asked = False
        while True:
            self._check_stopped(what)
            try:
                response = self._send(method, path, headers)
                if response.ok:
                    return response
                with response:
                    challenge = response.headers.get("WWW-Authenticate", "")
                    if response.status_code == requests.codes.unauthorized and not asked:
                        asked = self._auth.answer(challenge)
                        if asked:
                            continue
                    raise self._refusal(path, response)
            except RefusedError as error:
                error.args = (f"{what}: {error}",)
                if error.status not in _PASSING:
                    raise
                tries.again(error, error.retry_after)
            except RegistryError as error:
                raise RegistryError(f"{what}: {error}") from error
            except FAILURES as error:
                text, may_pass = explain(error)
                if not may_pass:
                    raise RegistryError(f"{what}: {text}") from error
                tries.again(RegistryError(f"{what}: {text}"))

    def _check_stopped(self, what: str) -> None:
        if self._stopped.is_set():
            raise RegistryError(f"{what}: interrupted")

    def _send(self, method: str, path: str, headers: dict[str, str]) -> requests.Response:
        url = f"{self._find_base()}/v2/{self._reference.repository}/{path}"
        return self._session.request(
            method,
            url,
            headers={**headers, **self._auth.headers},
            stream=True,
            timeout=TIMEOUTS,
            allow_redirects=True,
        )

    def _find_base(self) -> str:
        """https://HOST, or http://HOST where that is allowed and TLS is not spoken."""
        if self._base is None:
            self._base = f"https://{self._reference.host}"
            if self._plain_allowed:
                try:
                    self._session.get(f"{self._base}/v2/", stream=True, timeout=TIMEOUTS).close()
                except FAILURES as error:
                    if speaks_no_tls(error) or is_refused(error):
                        self._base = f"http://{self._reference.host}"
        return self._base

    def _refusal(self, path: str, response: requests.Response) -> RefusedError:
        status = response.status_code
        login = "docker login" + (
            "" if self._reference.domain == DOCKER_HUB else f" {self._reference.domain}"
        )
        match status:
            case 401 if self._auth.is_anonymous:
                text = f"not for everyone; log in with {login}, and check the name"
            case 401:
                text = f"your credentials are refused; log in again with {login}"
            case 403:
                text = f"access denied; log in as someone who may pull it, with {login}"
            case 404 if path.startswith("blobs/"):
                text = "missing in the registry, though its manifest names it; push the image again"
            case 404:
                text = "no such image, or no such tag; check the name"
            case 429:
                text = f"too many requests; wait, or log in with {login}"
            case _ if status >= 500:
                text = "the registry fails; try again later"
            case _:
                text = "the registry refuses; check the name"
        detail = _message_of(response)
        return RefusedError(f"{text} ({status} {response.reason}{detail})", response)


class _Tries:
    """How often and how soon something is tried again."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self._sleep = sleep
        self._left = _TRIES - 1
        self._wait = _FIRST_WAIT
        self._furthest = 0

    def got_to(self, position: int) -> None:
        """So many bytes are there: after progress, the next failure counts as the first."""
        if position >= self._furthest + _PROGRESS:
            self._furthest = position
            self._left = _TRIES - 1
            self._wait = _FIRST_WAIT

    def again(self, failure: RegistryError, retry_after: float = 0) -> None:
        """Waits; raises `failure` when it was tried often enough or the wait is too long."""
        if retry_after > _LONGEST_WAIT:
            raise RegistryError(f"{failure}; it asks to wait {retry_after:.0f} seconds")
        if self._left == 0:
            raise failure
        self._left -= 1
        self._sleep(max(self._wait, retry_after))
        self._wait *= 2


def _goes_on(response: requests.Response, position: int) -> bool:
    """Whether an answer to a Range request starts at `position`."""
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    partial = response.status_code == requests.codes.partial_content
    return partial and found is not None and int(found[1]) == position


def _restart(new: NewBlob, advance: Advance) -> None:
    advance(-new.size)
    new.restart()


def _failure(what: str, error: BaseException) -> RegistryError:
    return RegistryError(f"{what}: {explain(error)[0]}")


def _damage(what: str, found: str) -> RegistryError:
    return RegistryError(
        f"{what}: damaged: what came is {found}; try again, and if that does not help, "
        "push the image again"
    )


def _message_of(response: requests.Response) -> str:
    """What a registry says in its error's body, if it is in the form it should be."""
    try:
        fields = json.loads(read_body(response, _MAX_ERROR))
        return f": {str(fields['errors'][0]['message'])[:_MAX_MESSAGE]}"
    except (*FAILURES, RegistryError, ValueError, LookupError, TypeError, RecursionError):
        return ""
