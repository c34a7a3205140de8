"""A new Smolfile, with comments, for an image or a directory: `smolpack init`."""

import json
from collections.abc import Iterable, Iterator

from smolpack.errors import SpecError
from smolpack.settings import Settings

_HEAD = """\
# A machine: `smolpack create -s Smolfile --out FILE` packs it, `smolpack run -s Smolfile` runs an
# image at once. Behind # are examples, or what the image says itself; without # it is said here.
# Every key: `smolpack init --schema`.
"""

_TAIL = """
# The machine's size: processors, and memory in MiB.
cpus = 1
memory = 512

# labels = ["team=example"]
# sign = "~/.ssh/id_ed25519"

# Kept in the machine; nothing acts on these yet.
# net = true
"""

_TABLES = """
# In place of the above when it is packed to be handed on.
# [artifact]
# memory = 1024

# In place of the above, env besides it, for `smolpack run`.
# [dev]
# env = ["DEBUG=1"]
"""


def for_image(reference: str, said: Settings) -> str:
    """For the image `reference`, which says `said`."""
    ports = [port.removesuffix("/tcp") for port in said.exposed_ports]
    return "".join(
        (
            _HEAD,
            f"\nimage = {_quote(reference)}\n",
            '# platform = "linux/amd64"\n\n',
            *_example("entrypoint", said.entrypoint or (), "/usr/bin/program"),
            *_example("cmd", said.cmd or (), "--help"),
            *_example("env", said.env, "LANG=C.UTF-8"),
            f"# workdir = {_quote(said.workdir or '/')}\n",
            _TAIL,
            *_example("ports", (f"{port}:{port}" for port in ports if port.isdigit()), "8080:80"),
            *_example("volumes", map(_mount, said.volumes), "./data:/data"),
            _TABLES,
        )
    )


def for_directory(path: str) -> str:
    """For the root file system in the directory `path`."""
    return "".join(
        (
            _HEAD,
            f"\nrootfs = {_quote(path)}\n\n",
            '# entrypoint = ["/usr/bin/program"]\n',
            'cmd = ["/bin/sh"]\n',
            '# env = ["LANG=C.UTF-8"]\n',
            '# workdir = "/"\n',
            _TAIL,
            '# ports = ["8080:80"]\n',
            '# volumes = ["./data:/data"]\n',
            _TABLES,
        )
    )


def _example(key: str, words: Iterable[str], example: str) -> Iterator[str]:
    yield f"# {key} = [{', '.join(map(_quote, words)) or _quote(example)}]\n"


def _mount(volume: str) -> str:
    return f"./{volume.rstrip('/').rpartition('/')[2] or 'data'}:{volume}"


def _quote(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, less that of DEL."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SpecError(f"{text!r}: a Smolfile is UTF-8, and this name is not") from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
