"""Who the user is to a registry: what docker and podman, and their credential helpers, know."""

import json
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.auth import AuthConfig
from docker.errors import DockerException

from smolpack.errors import RegistryError
from smolpack.oci.reference import RegistryReference

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """Either `username` and `password`, or an `identity_token` (OAuth2 refresh token)."""

    username: str = ""
    password: str = ""
    identity_token: str = ""


def find_credentials(reference: RegistryReference) -> Credentials | None:
    """The first that are found, podman's before docker's; None: the user is anonymous. Raises
    RegistryError for a file that cannot be understood."""
    for path in _files():
        try:
            config = json.loads(path.read_bytes())
            if not isinstance(config, dict):
                raise ValueError("not a JSON object")
            found = _find(config, reference)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RegistryError(f"{path}: cannot read: {error.strerror}") from error
        except (ValueError, DockerException) as error:
            raise RegistryError(f"{path}: credentials cannot be understood: {error}") from error
        if found is not None:
            return found
    return None


def _files() -> Iterator[Path]:
    if chosen := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(chosen)
        return
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers/auth.json")
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - never fails, unlike Path.home()
    yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "containers/auth.json")
    yield Path(os.environ.get("DOCKER_CONFIG") or home / ".docker", "config.json")


def _find(config: dict[str, Any], reference: RegistryReference) -> Credentials | None:
    """From one file: an entry for the repository or what it lies in (podman), or for the domain."""
    auths = config.get("auths") or {}
    if not isinstance(auths, dict):
        raise ValueError("its auths are not a JSON object")
    parts = f"{reference.domain}/{reference.repository}".split("/")
    for end in range(len(parts), 1, -1):
        key = "/".join(parts[:end])
        if key in auths:
            return _credentials(AuthConfig.parse_auth({key: auths[key]})[key])
    # What else has a path, and is no URL, is for other repositories.
    known = {key: value for key, value in auths.items() if "/" not in key or "://" in key}
    stores = {key: config[key] for key in ("credsStore", "credHelpers") if config.get(key)}
    auth = AuthConfig({"auths": AuthConfig.parse_auth(known, raise_on_error=True), **stores})
    try:
        with warnings.catch_warnings(action="ignore"):
            return _credentials(auth.resolve_authconfig(reference.domain))
    except DockerException as error:
        # As likely as not the image is public.
        _log.warning("%s: going on without credentials: %s", reference.domain, error)
        return None


def _credentials(entry: dict[str, Any] | None) -> Credentials | None:
    """An entry as the library gives it, which spells it in two ways."""
    fields = {key.lower(): value for key, value in (entry or {}).items()}
    if token := fields.get("identitytoken"):
        return Credentials(identity_token=token)
    if fields.get("username"):
        return Credentials(fields["username"], fields.get("password", ""))
    return None
