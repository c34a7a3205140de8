"""The command line of `run`: options, files, time limit, exit status."""

import argparse
import os
import signal
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import IO

from kvmhost import image
from kvmhost.errors import HostError
from kvmhost.frames import Request
from kvmhost.machine import Shape, booted
from kvmhost.session import Fetch, Session

EXIT_TIMEOUT = 124
EXIT_HOST = 125

DESCRIPTION = """\
Run COMMAND on a Debian host with real KVM (kvm-amd on a CPU that QEMU emulates).
Its stdout and stderr are relayed separately; stdin is empty unless --stdin is given."""

EPILOG = """\
exit status:
  the command's own; 128+n when signal n killed it; 126 not executable, 127 not found;
  124 time limit reached; 125 the host could not be built or booted, or stopped

examples:
  run -- ls -l /dev/kvm
  run --file tool.vm -- ./tool.vm hello
  run --file tests/vm:/work/tests --fetch /work/junit.xml --timeout 600 -- \\
      python3 -m pytest --junit-xml=junit.xml tests
  run --stdin -- sha256sum < large.bin
  run --user nobody -- cat /dev/kvm            # permission denied: not in group kvm

The command runs in /work as root. User tester is in group kvm, nobody is not.
The image is built once (about a minute) and kept in ~/.cache/smolpack/kvmhost."""


class _TimeLimitError(Exception):
    """--timeout has passed."""


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="run [option …] -- COMMAND…",
    )
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="PATH[:GUESTPATH]",
        help="copy a file or directory in, modes kept (default GUESTPATH: /work/<basename>)",
    )
    parser.add_argument(
        "--fetch",
        action="append",
        default=[],
        metavar="GUESTPATH[:PATH]",
        help="copy a file or directory out when the command has ended (default PATH: ./<basename>)",
    )
    parser.add_argument("--mem", type=_positive, default=2048, metavar="M", help="MiB (2048)")
    parser.add_argument("--cpus", type=_positive, default=2, metavar="N", help="CPUs (2)")
    parser.add_argument(
        "--timeout",
        type=_positive,
        metavar="S",
        help="end everything S seconds after the boot began, with status 124 (default: never)",
    )
    parser.add_argument("--user", default="root", metavar="NAME", help="run as this user (root)")
    parser.add_argument("--stdin", action="store_true", help="relay standard input")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be positive")
    return value


def _split(argument: str, default_parent: str) -> tuple[str, str]:
    """SOURCE[:TARGET], where TARGET defaults to the source's last name in another directory."""
    source, _, target = argument.partition(":")
    return source, target or str(PurePosixPath(default_parent, Path(source).absolute().name))


def _pack(arguments: list[str]) -> IO[bytes] | None:
    """A tar of the files for the host in an unnamed temporary file; None where there are none."""
    if not arguments:
        return None
    packed = tempfile.TemporaryFile()  # noqa: SIM115  (QEMU reads it until the end)
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for argument in arguments:
            source, target = _split(argument, "/work")
            try:
                tar.add(os.path.realpath(source, strict=True), target.lstrip("/"), filter=_as_root)
            except OSError as error:
                raise HostError(f"--file {source}: {error.strerror}") from error
    packed.flush()
    return packed


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _run(options: argparse.Namespace) -> int:
    fetches = [
        Fetch(source, Path(target)) for source, target in (_split(f, ".") for f in options.fetch)
    ]
    files = _pack(options.file)
    request = Request(
        argv=options.command,
        user=options.user,
        stdin=options.stdin,
        files=files is not None,
        fetch=[fetch.source for fetch in fetches],
    )
    built = image.prepare()
    if options.timeout:
        signal.signal(signal.SIGALRM, _time_limit)
        signal.alarm(options.timeout)
    with booted(built, Shape(options.mem, options.cpus, files)) as machine:
        return Session(machine, 0 if options.stdin else None, fetches).run(request)


def _time_limit(_signal: int, _frame: FrameType | None) -> None:
    raise _TimeLimitError


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status that --help explains."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    options = _parse(argv)
    try:
        return _run(options)
    except HostError as error:
        print(f"kvmhost: {error}", file=sys.stderr)
        return EXIT_HOST
    except _TimeLimitError:
        print(f"kvmhost: time limit of {options.timeout} s reached", file=sys.stderr)
        return EXIT_TIMEOUT
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
