"""The host's PID 1: runs the requested command, carries its streams, reaps orphans."""

import fcntl
import grp
import os
import pwd
import selectors
import signal
import subprocess
from typing import NoReturn

from kvmhost.frames import CHUNK, Decoder, Kind, Request, encode, write_all

FILES_DEVICE = "/dev/vdb"
WORK = "/work"


def spawn(request: Request, stdin: int, stdout: int, stderr: int) -> int:
    """Start the command in /work; returns its pid, raises OSError, or KeyError for the user."""
    user = pwd.getpwnam(request.user)
    os.chown(WORK, user.pw_uid, user.pw_gid)
    process = subprocess.Popen(
        request.argv,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=WORK,
        env={
            "HOME": user.pw_dir,
            "LANG": "C.UTF-8",
            "LOGNAME": user.pw_name,
            "PATH": os.environ["PATH"],
            "SHELL": user.pw_shell,
            "USER": user.pw_name,
        },
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=os.getgrouplist(user.pw_name, user.pw_gid),
        start_new_session=True,
    )
    process.returncode = 0  # reaped below with all others, never by the subprocess module
    return process.pid


class Session:
    """One command between its start and its end, and the three pipes it is connected to."""

    def __init__(self, port: int, decoder: Decoder, request: Request) -> None:
        self.port = port
        self.decoder = decoder
        self.pending = bytearray()  # standard input that the command has not taken yet
        self.stdin_ended = not request.stdin
        self.selector = selectors.DefaultSelector()

        stdin, self.stdin = os.pipe() if request.stdin else (os.open("/dev/null", os.O_RDONLY), -1)
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        try:
            self.pid = spawn(request, stdin, stdout, stderr)
        finally:
            for fd in (stdin, stdout, stderr):
                os.close(fd)
        for fd in (self.stdout, self.stderr):
            os.set_blocking(fd, False)
            self.selector.register(fd, selectors.EVENT_READ)
        if request.stdin:
            os.set_blocking(self.stdin, False)
            self.selector.register(self.port, selectors.EVENT_READ)
            self.accept(b"")  # some may have come with the request

    def run(self) -> int:
        """Carry the streams until the command ends; returns its wait status."""
        wake, wake_writer = os.pipe()
        for fd in (wake, wake_writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake_writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(wake, selectors.EVENT_READ)
        while (status := self.reap()) is None:
            for key, _ in self.selector.select():
                if key.fd == wake:
                    os.read(wake, CHUNK)
                elif key.fd == self.port:
                    self.accept(os.read(self.port, CHUNK))
                elif key.fd == self.stdin:
                    self.feed()
                elif self.forward(key.fd) == 0:
                    self.selector.unregister(key.fd)
        # A background process may hold the pipes open: what they hold now is all that is sent.
        for fd in (self.stdout, self.stderr):
            left = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
            while left > 0 and (sent := self.forward(fd)):
                left -= sent
        return status

    def reap(self) -> int | None:
        """Collect every dead child; returns the command's wait status once it is among them."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return None
                if pid == self.pid:
                    return status
        except ChildProcessError:
            return None

    def forward(self, fd: int) -> int:
        """Send what a pipe holds, one chunk at most; returns its size, 0 for none or the end."""
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return 0
        if data:
            write_all(self.port, encode(Kind.STDOUT if fd == self.stdout else Kind.STDERR, data))
        return len(data)

    def accept(self, data: bytes) -> None:
        """Take standard input from the port, and no more of it until the command has read that."""
        for _, payload in self.decoder.feed(data):
            self.pending += payload
            self.stdin_ended = self.stdin_ended or not payload
        if self.stdin < 0:
            self.pending.clear()  # the command has closed its end
        elif self.pending or self.stdin_ended:
            self.selector.unregister(self.port)
            self.selector.register(self.stdin, selectors.EVENT_WRITE)

    def feed(self) -> None:
        """Write standard input to the command; when all is written, receive more or end it."""
        try:
            del self.pending[: os.write(self.stdin, self.pending)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.pending.clear()
            self.stdin_ended = True
        if self.pending:
            return
        self.selector.unregister(self.stdin)
        if self.stdin_ended:
            os.close(self.stdin)
            self.stdin = -1
        self.selector.register(self.port, selectors.EVENT_READ)


def send_fetched(port: int, path: str) -> None:
    """Send a path as a tar, or nothing where it does not exist, and the mark that ends it."""
    if os.path.lexists(path):
        parent, name = os.path.split(os.path.normpath(path))
        argv = ["tar", "--create", f"--directory={parent}", "--", name]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as tar:
            assert tar.stdout is not None
            while data := tar.stdout.read(CHUNK):
                write_all(port, encode(Kind.FETCH, data))
    write_all(port, encode(Kind.FETCH))


def failed(reason: str) -> bytes:
    """The frame that says why the command was not started."""
    return encode(Kind.FAILED, reason.encode())


def serve(port: int, decoder: Decoder, request: Request) -> bytes:
    """Do what was requested; returns the frame that reports the end."""
    if request.files:
        unpacked = subprocess.run(
            ["tar", "--extract", "--preserve-permissions", "--file", FILES_DEVICE, "-C", "/"],
            stderr=subprocess.PIPE,
        )
        if unpacked.returncode:
            reason = unpacked.stderr.decode(errors="replace").splitlines()[0]
            return failed(f"cannot unpack the files (try more --mem): {reason}")
    try:
        session = Session(port, decoder, request)
    except KeyError:
        return failed(f"there is no user {request.user!r} in the host")
    except OSError as error:
        message = f"kvmhost: {request.argv[0]}: {error.strerror}\n"
        write_all(port, encode(Kind.STDERR, message.encode()))
        code = 127 if isinstance(error, FileNotFoundError) else 126
    else:
        code = os.waitstatus_to_exitcode(session.run())
    for path in request.fetch:
        send_fetched(port, path)
    return encode(Kind.EXIT, bytes([code if code >= 0 else 128 - code]))


def main() -> NoReturn:
    """Serve one request; `run` then ends the machine."""
    _, status = os.wait()  # for init.sh's child that loads KVM; to end here is to fail the boot
    if status:
        raise SystemExit("cannot load KVM")
    os.chown("/dev/kvm", 0, grp.getgrnam("kvm").gr_gid)
    os.chmod("/dev/kvm", 0o660)  # noqa: PTH101  (importing pathlib takes 0.1 s in the host)
    (device,) = (entry.path for entry in os.scandir("/dev") if entry.name.startswith("vport"))
    port = os.open(device, os.O_RDWR)
    write_all(port, encode(Kind.READY))
    decoder = Decoder()
    while (first := next(decoder.feed(os.read(port, CHUNK)), None)) is None:
        pass
    write_all(port, serve(port, decoder, Request.decode(first[1])))
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
