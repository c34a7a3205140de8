"""Answers to a registry's 401: basic authentication, and tokens as the distribution project
describes them, for anonymous users too."""

import base64
import itertools
import json
import re
from typing import Any
from urllib.parse import urlsplit
from urllib.request import parse_http_list

import requests

from smolpack.errors import RegistryError
from smolpack.oci.connection import TIMEOUTS, RefusedError, check_scheme, read_body
from smolpack.oci.credentials import Credentials

_SCHEME = re.compile(r"(?:^|,)\s*([a-z]+)\s+(?=[a-z_]+\s*=)", re.IGNORECASE)
_MAX_ANSWER = 1 << 20


class Authenticator:
    """Says who the user is to one registry, once that has asked."""

    def __init__(
        self,
        session: requests.Session,
        repository: str,
        credentials: Credentials | None,
        insecure: bool,
    ) -> None:
        self._session = session
        self._scope = f"repository:{repository}:pull"
        self._credentials = credentials
        self._insecure = insecure
        # For every request to the registry.
        self.headers: dict[str, str] = {}

    @property
    def is_anonymous(self) -> bool:
        """Whether no credentials are known."""
        return self._credentials is None

    def answer(self, challenge: str) -> bool:
        """Takes up a WWW-Authenticate header; False when there is nothing to say to it. Raises
        RefusedError when no token is to be had, RegistryError, and FAILURES."""
        challenges = parse_challenges(challenge)
        if "bearer" in challenges:
            self.headers = {"Authorization": f"Bearer {self._token(challenges['bearer'])}"}
            return True
        if "basic" in challenges and self._credentials and self._credentials.username:
            self.headers = {"Authorization": _basic(self._credentials)}
            return True
        return False

    def _token(self, challenge: dict[str, str]) -> str:
        realm = challenge.get("realm", "")
        if not realm.startswith(("http:", "https:")):
            raise RegistryError("wants a token, but not of any server; is it a registry?")
        check_scheme(realm, self._insecure)
        fields = {"scope": challenge.get("scope") or self._scope}
        if challenge.get("service"):
            fields["service"] = challenge["service"]
        host = urlsplit(realm).netloc
        with self._ask(realm, fields) as response:
            if response.ok:
                return _parse_token(host, read_body(response, _MAX_ANSWER))
            known = "gives no token" if self.is_anonymous else "refuses your credentials"
            raise RefusedError(
                f"{host}: {known} ({response.status_code} {response.reason}); "
                "log in with docker login or podman login",
                response,
            )

    def _ask(self, realm: str, fields: dict[str, str]) -> requests.Response:
        known = self._credentials
        if known is not None and known.identity_token:
            data = {
                **fields,
                "grant_type": "refresh_token",
                "refresh_token": known.identity_token,
                "client_id": "smolpack",
            }
            # A redirected POST would show the token to someone else.
            return self._session.post(
                realm, data=data, stream=True, timeout=TIMEOUTS, allow_redirects=False
            )
        headers = {"Authorization": _basic(known)} if known is not None else {}
        return self._session.get(
            realm, params=fields, headers=headers, stream=True, timeout=TIMEOUTS
        )


def parse_challenges(header: str) -> dict[str, dict[str, str]]:
    """The parameters of each challenge of a WWW-Authenticate header, by lower-case scheme."""
    starts = list(_SCHEME.finditer(header))
    found = {}
    for start, following in itertools.zip_longest(starts, starts[1:]):
        parameters = header[start.end() : following.start() if following else None]
        pairs = (item.partition("=") for item in parse_http_list(parameters))
        found[start[1].lower()] = {key.lower(): value.strip('"') for key, _, value in pairs}
    return found


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _parse_token(host: str, body: bytes) -> str:
    try:
        fields: Any = json.loads(body)
        token = fields.get("token") or fields["access_token"]
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise ValueError("not a token")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise RegistryError(f"{host}: its answer holds no token; is it a registry's?") from error
    return token
