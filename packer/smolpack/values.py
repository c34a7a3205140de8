"""Values as people and files write them: sizes, commands, users, signals. Every function gets the
name of what it checks, for its message, and raises SpecError."""

import json
import re
import shlex
from typing import Any

from smolpack.errors import SpecError

MIN_MEMORY = 32 << 20
MAX_MEMORY = 1 << 46
MAX_CPUS = 32

# Linux's signals from number 1 on; the same on every architecture that machines have.
_SIGNALS = (  # noqa: SIM905 (a line for each would be the longest part of this file)
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP "
    "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()
_SIGNAL_NUMBERS = {name: number for number, name in enumerate(_SIGNALS, 1)}
_SIGNAL_NUMBERS |= {"IOT": 6, "POLL": 29}
# The first and the last real-time signal that C libraries leave to programs.
_RTMIN, _RTMAX = 34, 64

_SIZE = re.compile(r"([0-9]{1,18})([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*", re.ASCII)
_USER = re.compile(r"[^:\s\0]+(:[^:\s\0]+)?")
_SIGNAL = re.compile(r"(?:SIG)?(?:([A-Z][A-Z0-9]*)|RTMIN\+([0-9]{1,2})|RTMAX-([0-9]{1,2}))")
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII)

# What a container image's Healthcheck has, times in nanoseconds.
HEALTHCHECK_NUMBERS = ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")


def parse_size(name: str, text: str) -> int:
    """Bytes meant by `512M`, `2G`, `1GiB`, `65536`: powers of 1024, no unit means bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise SpecError(f"{name} {text!r}: expected a number and K, M, G or T, like 512M")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[match[2].upper()]


def format_size(size: int) -> str:
    """The shortest exact way to write a size that parse_size() reads back."""
    for unit, shift in (("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    return str(size)


def parse_command(name: str, text: str) -> tuple[str, ...]:
    """Words of a command: a JSON array of strings when it starts with `[`, else split as a
    POSIX shell would (no expansion)."""
    if text.lstrip().startswith("["):
        try:
            words = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise SpecError(f"{name} {text!r}: not a JSON array: {error}") from error
        if not all(isinstance(word, str) for word in words):
            raise SpecError(f"{name} {text!r}: every element of the array must be a string")
    else:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise SpecError(f"{name} {text!r}: {error}") from error
    return tuple(words)


def parse_signal(name: str, text: str) -> int:
    """The number of a signal: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`."""
    if text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= _RTMAX:
        return int(text)
    match = _SIGNAL.fullmatch(text.upper())
    number = None
    if match is not None and match[1] is not None:
        ends = {"RTMIN": _RTMIN, "RTMAX": _RTMAX}
        number = (_SIGNAL_NUMBERS | ends).get(match[1])
    elif match is not None:
        number = _RTMIN + int(match[2]) if match[2] else _RTMAX - int(match[3])
        number = number if _RTMIN <= number <= _RTMAX else None
    if number is None:
        raise SpecError(f"{name} {text!r}: no signal; expected one like SIGTERM, 15 or SIGRTMIN+3")
    return number


def signal_name(number: int) -> str:
    """What parse_signal() reads back."""
    if number <= len(_SIGNALS):
        return f"SIG{_SIGNALS[number - 1]}"
    return f"SIGRTMIN+{number - _RTMIN}" if number >= _RTMIN else str(number)


def parse_port(name: str, text: str) -> str:
    """A port or a range of them with its protocol: `80` becomes `80/tcp`."""
    match = _PORT.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2] or match[1]) <= 65535:
        raise SpecError(f"{name} {text!r}: expected PORT or PORT/PROTOCOL, like 80 or 53/udp")
    last = f"-{int(match[2])}" if match[2] else ""
    return f"{int(match[1])}{last}/{match[3] or 'tcp'}"


def parse_healthcheck(name: str, text: str) -> str:
    """A health check as container images have it: a JSON object with Test (words), Interval,
    Timeout, StartPeriod, StartInterval (nanoseconds), Retries; or `none`, which ends one."""
    if text == "none":
        return format_healthcheck(name, {"Test": ["NONE"]})
    try:
        return format_healthcheck(name, json.loads(text))
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{name}: expected a JSON object or none: {error}") from error


def format_healthcheck(name: str, fields: Any) -> str:
    """The one way to write it; checks types."""
    if not isinstance(fields, dict):
        raise SpecError(f"{name}: expected a JSON object")
    for key, value in fields.items():
        if key == "Test":
            good = isinstance(value, list) and all(
                isinstance(word, str) and "\0" not in word for word in value
            )
        elif key in HEALTHCHECK_NUMBERS:
            good = type(value) is int and 0 <= value < 1 << 63
        else:
            raise SpecError(f"{name}: unknown field {key!r}")
        if not good:
            expected = "an array of strings" if key == "Test" else "a whole number from 0 on"
            raise SpecError(f"{name}: {key} must be {expected}")
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def check_assignment(name: str, text: str) -> None:
    """`NAME=value`."""
    variable, separator, _ = text.partition("=")
    if not variable or not separator:
        raise SpecError(f"{name} {text!r}: expected NAME=value")


def check_path(name: str, text: str) -> None:
    """An absolute path in the machine."""
    if not text.startswith("/"):
        raise SpecError(f"{name} {text!r}: must be an absolute path in the machine")


def check_user(name: str, text: str) -> None:
    """`USER` or `USER:GROUP`."""
    if not _USER.fullmatch(text):
        raise SpecError(f"{name} {text!r}: expected USER or USER:GROUP, names or numbers")


def check_hostname(name: str, text: str) -> None:
    """What Linux takes for one."""
    if len(text) > 64 or not _HOSTNAME.fullmatch(text):
        raise SpecError(f"{name} {text!r}: up to 64 letters, digits, dots and inner hyphens")
