"""Every key that a Smolfile may have. Those of smolvm's Smolfile mean what they mean there."""

from smolpack.smolfile.kinds import Choice, Flag, Key, Names, Number, Several, Table, Text
from smolpack.values import MAX_CPUS, MAX_MEMORY, MIN_MEMORY

_PORT = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_BYTE}\.){{3}}{_BYTE}(?:/(?:3[0-2]|[12]?[0-9]))?"
_IPV6 = r"(?=.*:)[0-9A-Fa-f:.]{2,45}(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?"
# `$` also stands before a last newline in Python, but not in ECMA 262.
_END = r"$(?!\n)"

_TEXT = Text()
_WORD = Text("a string", r"^[^\x00]*$")
_VARIABLE = Text("NAME=value", r"^[^=\x00]+=[^\x00]*$")
_GUEST_PATH = Text("an absolute path in the machine", r"^/[^\x00]*$")
_HOST_PATH = Text("an absolute path on the host", r"^/[^\x00]*$")
_PORTS = Text("HOST:GUEST or PORT, from 1 to 65535", rf"^{_PORT}(?::{_PORT})?{_END}")
_MOUNT = Text("HOST:/GUEST, also with :ro or :rw", r"^[^\x00]+:/[^\x00:]*(?::r[ow])?" + _END)
_HOST = Text("a host name", rf"^[A-Za-z0-9._-]+{_END}")
_CIDR = Text("an address or a range like 10.0.0.0/8", rf"^(?:{_IPV4}|{_IPV6}){_END}")
_DURATION = Text("a time like 10s, 5m or 2h", rf"^[0-9]{{1,9}}[smh]?{_END}")
_PLATFORM = Text(
    "OS/ARCHITECTURE[/VARIANT] like linux/amd64", rf"^[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?{_END}"
)
_NAME = Text("the name of a variable", r"^[^=\x00]+$")

_CPUS = Number(1, MAX_CPUS)
_MEMORY = Number(MIN_MEMORY >> 20, MAX_MEMORY >> 20, "MiB")
_GIBIBYTES = Number(1, 1 << 32, "GiB")
_COUNT = Number(0, (1 << 32) - 1)
_SERVICE_PORT = Number(1, 65535)

_ENTRYPOINT = Key(
    Several(_WORD), "Program and first words, over the image's ENTRYPOINT and CMD; empty: unset."
)
_CMD = Key(
    Several(_WORD),
    "Words that arguments at run time replace, over the image's CMD; empty: unset.",
)

ARTIFACT = Table(
    {
        "cpus": Key(_CPUS, "Over cpus, for `create`."),
        "memory": Key(_MEMORY, "Over memory, for `create`."),
        "entrypoint": Key(Several(_WORD), "Over entrypoint, for `create`."),
        "cmd": Key(Several(_WORD), "Over cmd, for `create`."),
        "oci_platform": Key(_PLATFORM, "Over platform, for `create`."),
    }
)

DEV = Table(
    {
        "volumes": Key(Several(_MOUNT), "In place of volumes, for `run`.", acted_on=False),
        "env": Key(Several(_VARIABLE), "More variables, for `run`."),
        "init": Key(Several(_TEXT), "In place of init, for `run`.", acted_on=False),
        "workdir": Key(_GUEST_PATH, "Over workdir, for `run`."),
        "ports": Key(Several(_PORTS), "In place of ports, for `run`.", acted_on=False),
    }
)

NETWORK = Table(
    {
        "allow_hosts": Key(
            Several(_HOST), "Hosts that may be reached; implies net.", acted_on=False
        ),
        "allow_cidrs": Key(
            Several(_CIDR), "Addresses that may be reached; implies net.", acted_on=False
        ),
    }
)

HEALTH = Table(
    {
        "exec": Key(Several(_WORD), "Command that tells whether all is well.", acted_on=False),
        "interval": Key(_DURATION, "Time between two checks.", acted_on=False),
        "timeout": Key(_DURATION, "Time that a check may take.", acted_on=False),
        "retries": Key(_COUNT, "Failures in a row that make it unhealthy.", acted_on=False),
        "startup_grace": Key(_DURATION, "Time before the first check.", acted_on=False),
    }
)

RESTART = Table(
    {
        "policy": Key(
            Choice(("never", "always", "on-failure", "unless-stopped")),
            "When the machine is started again.",
            acted_on=False,
        ),
        "max_retries": Key(_COUNT, "How often at most.", acted_on=False),
        "max_backoff": Key(_DURATION, "Longest wait between two starts.", acted_on=False),
    }
)

SERVICE = Table(
    {
        "port": Key(_SERVICE_PORT, "Port that the program listens on.", acted_on=False),
        "listen": Key(_SERVICE_PORT, "Another name of port.", acted_on=False),
        "protocol": Key(Choice(("http", "tcp")), "What it speaks there.", acted_on=False),
    },
    exclusive=(("port", "listen"),),
)

AUTH = Table({"ssh_agent": Key(Flag(), "Hands on the host's SSH agent.", acted_on=False)})

SECRET = Table(
    {
        "from_env": Key(_TEXT, "Variable of the host, read at every start.", acted_on=False),
        "from_file": Key(_HOST_PATH, "File of the host, read at every start.", acted_on=False),
    },
    exclusive=(("from_env", "from_file"),),
    required=True,
)

FORK = Table(
    {
        "enabled": Key(Flag(), "Starts as the base of copy-on-write clones.", acted_on=False),
        "pool_size": Key(
            Number(1, (1 << 32) - 1), "Clones that are planned; implies enabled.", acted_on=False
        ),
        "cuda_vram_limit_mib": Key(
            Number(1, 1 << 32, "MiB"), "Video memory of each clone.", acted_on=False
        ),
    }
)

SMOLFILE = Table(
    {
        "image": Key(_TEXT, "Container image, as `create --image` takes it."),
        "rootfs": Key(_TEXT, "Directory to pack."),
        "tar": Key(_TEXT, "Tar archive to pack."),
        "platform": Key(_PLATFORM, "Which of a multi-platform image; default: this host's."),
        "entrypoint": _ENTRYPOINT,
        "cmd": _CMD,
        "env": Key(Several(_VARIABLE), "Variables, over the image's of the same name."),
        "workdir": Key(_GUEST_PATH, "Working directory, over the image's."),
        "cpus": Key(_CPUS, "Virtual CPUs; default: 1."),
        "memory": Key(_MEMORY, "Memory in MiB; default: 512."),
        "labels": Key(Several(_VARIABLE), "Labels, over the image's of the same name."),
        "sign": Key(_TEXT, "OpenSSH key that `create` signs with."),
        "net": Key(Flag(), "Outbound network.", acted_on=False),
        "ports": Key(Several(_PORTS), "Ports of the host that lead inside.", acted_on=False),
        "volumes": Key(Several(_MOUNT), "Directories of the host seen inside.", acted_on=False),
        "init": Key(Several(_TEXT), "Commands before the program, at every start.", acted_on=False),
        "storage": Key(_GIBIBYTES, "Size in GiB of a disk for data.", acted_on=False),
        "overlay": Key(_GIBIBYTES, "Size in GiB of what can be written to /.", acted_on=False),
        "gpu": Key(Flag(), "Graphics acceleration.", acted_on=False),
        "gpu_vram": Key(Number(1, 1 << 32, "MiB"), "Video memory in MiB.", acted_on=False),
        "cuda": Key(Flag(), "The host's NVIDIA GPU.", acted_on=False),
        "auto_graph": Key(Flag(), "CUDA graphs for frameworks; implies cuda.", acted_on=False),
        "rosetta": Key(Flag(), "Translation of x86_64 programs on Apple silicon.", acted_on=False),
        "docker_socket": Key(Flag(), "The guest's Docker socket on the host.", acted_on=False),
        "network": Key(NETWORK, "What may be reached."),
        "dev": Key(DEV, "For `run` alone; never in what `create` makes."),
        "artifact": Key(ARTIFACT, "For `create` alone."),
        "pack": Key(ARTIFACT, "Another name of artifact."),
        "health": Key(HEALTH, "Health check, over the image's HEALTHCHECK."),
        "restart": Key(RESTART, "What happens when the program ends."),
        "service": Key(SERVICE, "What the machine serves, for those who deploy it."),
        "auth": Key(AUTH, "Credentials that are handed on."),
        "secrets": Key(
            Names(_NAME, SECRET),
            "Variables whose values stay on the host: NAME = { from_env or from_file = … }.",
            acted_on=False,
        ),
        "fork": Key(FORK, "Copy-on-write clones."),
    },
    exclusive=(("image", "rootfs", "tar"), ("artifact", "pack")),
)
