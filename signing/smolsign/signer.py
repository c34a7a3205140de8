"""Who signs: a private key file, or ssh-agent for a public one."""

from pathlib import Path
from typing import Protocol

from smolsign import keyfile
from smolsign.agent import Agent, AgentSigner
from smolsign.errors import AgentError, KeyFileError, UnknownKeyTypeError
from smolsign.keyfile import Passphrase
from smolsign.keys import PublicKey


class Signer(Protocol):
    """Makes SSH signatures with one key."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies them."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The SSH signature over `data`, for PublicKey.verify()."""
        ...


def load_signer(
    path: Path, passphrase: Passphrase | None = None, agent: Agent | None = None
) -> Signer:
    """What signs with the key file `path`, as `ssh-keygen -Y sign -f` finds it.

    A private key signs itself; `passphrase` is asked once if it is encrypted. For a public key
    (`….pub`) `agent` signs (default: the one at SSH_AUTH_SOCK), or, where that has not got it,
    the private key file beside it. Raises KeyFileError, PassphraseError, UnknownKeyTypeError or
    AgentError.
    """
    content = keyfile.read(path)
    if keyfile.is_private(content):
        return keyfile.parse_private_key(path, content, passphrase)
    key = keyfile.parse_public_key(path, content)
    try:
        key.check_type()
    except UnknownKeyTypeError as error:
        raise UnknownKeyTypeError(f"{path}: {error}") from None
    try:
        agent = agent or Agent.from_environment()
        if key in agent.identities():
            return AgentSigner(agent, key)
        missing = AgentError(f"{path}: ssh-agent has not got this key; run `ssh-add`")
    except AgentError as error:
        missing = error
    beside = path.with_suffix("")
    if path.suffix != ".pub" or not beside.exists():
        raise AgentError(f"{missing}; or give the private key file") from None
    private = keyfile.load_private_key(beside, passphrase)
    if private.public_key != key:
        raise KeyFileError(f"{path}: is not the public half of {beside}; give one that is")
    return private
