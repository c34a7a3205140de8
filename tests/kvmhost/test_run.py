"""Behaviour of `run`, as its callers see it, in four boots."""

import hashlib
import os
import random
import select
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from kvmhost import image

RUN = Path(__file__).parent / "run"
MISSING = [tool for tool in image.TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"programs not installed: {MISSING}")

# Runs in the host: one scenario a function, so that one boot serves many checks.
SUITE = '''
import ctypes, fcntl, mmap, os, pwd, select, socket, struct, subprocess
import pytest

def test_kvm_api_version():
    with open("/dev/kvm", "rb+", buffering=0) as kvm:
        assert fcntl.ioctl(kvm, 0xAE00, 0) == 12  # KVM_GET_API_VERSION

def test_kvm_runs_a_guest():
    """Real mode: mov dx, 0x3f8; out dx, al; hlt. The first exit is that port write."""
    kvm = os.open("/dev/kvm", os.O_RDWR)
    vm = fcntl.ioctl(kvm, 0xAE01, 0)  # KVM_CREATE_VM
    ram = mmap.mmap(-1, 4096)
    ram.write(bytes.fromhex("baf803eef4"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(ram))
    # KVM_SET_USER_MEMORY_REGION: slot, flags, guest address, size, our address
    fcntl.ioctl(vm, 0x4020AE46, struct.pack("<IIQQQ", 0, 0, 0x1000, 4096, address))
    vcpu = fcntl.ioctl(vm, 0xAE41, 0)  # KVM_CREATE_VCPU
    run = mmap.mmap(vcpu, fcntl.ioctl(kvm, 0xAE04, 0))  # KVM_GET_VCPU_MMAP_SIZE
    sregs = bytearray(312)
    fcntl.ioctl(vcpu, 0x8138AE83, sregs)  # KVM_GET_SREGS; cs is the first segment
    struct.pack_into("<Q", sregs, 0, 0)
    struct.pack_into("<H", sregs, 12, 0)
    fcntl.ioctl(vcpu, 0x4138AE84, sregs)
    regs = bytearray(144)
    struct.pack_into("<QQ", regs, 128, 0x1000, 2)  # rip, rflags
    struct.pack_into("<Q", regs, 0, ord("K"))
    fcntl.ioctl(vcpu, 0x4090AE82, bytes(regs))
    fcntl.ioctl(vcpu, 0xAE80, 0)  # KVM_RUN
    reason = struct.unpack_from("<I", run, 8)[0]
    direction, size, port, count, offset = struct.unpack_from("<BBHIQ", run, 32)
    assert (reason, direction, size, port, count) == (2, 1, 1, 0x3F8, 1)  # KVM_EXIT_IO
    assert run[offset:offset + 1] == b"K"
    fcntl.ioctl(vcpu, 0xAE80, 0)
    assert struct.unpack_from("<I", run, 8)[0] == 5  # KVM_EXIT_HLT

@pytest.mark.parametrize(("user", "allowed"), [("tester", True), ("nobody", False)])
def test_group_kvm(user, allowed):
    entry = pwd.getpwnam(user)
    shell = subprocess.run(
        ["bash", "-c", "exec 3<>/dev/kvm"], user=user, group=entry.pw_gid,
        extra_groups=os.getgrouplist(user, entry.pw_gid), capture_output=True)
    assert (shell.returncode == 0) == allowed
    assert allowed or b"Permission denied" in shell.stderr

@pytest.mark.parametrize("path", ["/proc/1", "/sys/kernel", "/sys/fs/cgroup/cgroup.procs",
                                  "/dev/pts/ptmx", "/dev/shm", "/dev/mqueue", "/dev/stdin"])
def test_mounted(path):
    assert os.path.exists(path)

def test_loopback_and_name():
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname(), timeout=10)
    assert socket.gethostname() == "kvmhost"
    assert socket.gethostbyname("localhost") == "127.0.0.1"

def test_files_keep_modes_and_links():
    assert os.stat("/work/tree/secret").st_mode & 0o7777 == 0o600
    assert os.stat("/work/tree/tool").st_mode & 0o7777 == 0o751
    assert os.stat("/work/tree/tool").st_uid == 0
    assert os.readlink("/work/tree/link") == "tool"
    assert open("/opt/elsewhere/name").read() == "moved"

@pytest.mark.parametrize("program", ["strace", "ps", "qemu-system-x86_64", "tar2sqfs"])
def test_programs(program):
    assert subprocess.run([program, "--version"], capture_output=True).returncode == 0

def test_orphans_are_reaped():
    pid = int(subprocess.check_output(["sh", "-c", "sleep 0.2 >/dev/null & echo $!"]))
    pidfd = os.pidfd_open(pid)
    assert select.select([pidfd], [], [], 30)[0]
    os.close(pidfd)
    subprocess.run(["sh", "-c", f"while [ -e /proc/{pid} ]; do :; done"], timeout=30, check=True)
'''


def run(*args: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([RUN, *args], input=stdin, capture_output=True, timeout=300)


def test_host(tmp_path: Path) -> None:
    """Files in, a suite that needs KVM, its report out."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "secret").write_text("x")
    (tree / "secret").chmod(0o600)
    (tree / "tool").write_text("y")
    (tree / "tool").chmod(0o751)
    (tree / "link").symlink_to("tool")
    (tmp_path / "file").write_text("moved")
    (tmp_path / "test_inside.py").write_text(SUITE)
    report = tmp_path / "report.xml"
    files: list[str | Path] = ["--file", tree, "--file", f"{tmp_path}/file:/opt/elsewhere/name"]
    files += ["--file", tmp_path / "test_inside.py"]
    command = "python3 -m pytest -q --junit-xml=out/report.xml test_inside.py"
    done = run(*files, "--fetch", f"/work/out/report.xml:{report}", "--", *command.split())
    assert done.returncode == 0, done.stdout.decode()
    assert 'failures="0"' in report.read_text()


def test_streams(tmp_path: Path) -> None:
    """5 MB of random bytes in and out, stderr apart, death by signal, a tree out."""
    data = random.Random(1).randbytes(5_000_000)
    script = textwrap.dedent("""
        import hashlib, os, subprocess, sys
        data = sys.stdin.buffer.read()
        os.makedirs("tree/deep"); os.close(os.open("tree/deep/tool", os.O_CREAT, 0o750))
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        sys.stderr.write(hashlib.sha256(data).hexdigest())
        sys.stderr.flush()
        # Held open by a background process: must not keep the command from ending.
        subprocess.Popen(["sleep", "1000"])
        os.kill(os.getpid(), 9)
    """)
    target = tmp_path / "copy"
    done = run(
        *("--stdin", "--fetch", f"/work/tree:{target}", "--", "python3", "-c", script), stdin=data
    )
    assert done.returncode == 128 + 9
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    assert done.stderr.decode() == hashlib.sha256(data).hexdigest()
    assert (target / "deep/tool").stat().st_mode & 0o7777 == 0o750


def test_user_status_and_missing_fetch(tmp_path: Path) -> None:
    """A failed command's status wins over a fetch that finds nothing; stdin is empty by default."""
    command = "id -un; cat; touch here; exit 201"
    fetch = ("--fetch", f"/nowhere:{tmp_path}/x")
    done = run("--user", "tester", *fetch, "--", "sh", "-c", command, stdin=b"not for it")
    assert done.returncode == 201
    assert done.stdout == b"tester\n"
    assert b"cannot fetch /nowhere" in done.stderr
    assert list(tmp_path.iterdir()) == []


def qemu_of(pid: int) -> int:
    """The QEMU that a running `run` has started (setpriv becomes it)."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_killed_run_leaves_no_qemu() -> None:
    with subprocess.Popen([RUN, "--", "sh", "-c", "echo up; sleep 1000"], stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.read(3) == b"up\n"
        qemu = os.pidfd_open(qemu_of(process.pid))
        process.kill()
        assert select.select([qemu], [], [], 30)[0]
        os.close(qemu)


def test_time_limit() -> None:
    """At the limit everything ends with 124 and one line, here before the host has booted."""
    done = run("--timeout", "1", "--", "sleep", "1000")
    assert done.returncode == 124
    assert done.stderr == b"kvmhost: time limit of 1 s reached\n"


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        ((), 2, b"the following arguments are required: COMMAND"),
        (("--mem", "0", "--", "true"), 2, b"must be positive"),
        (("--file", "/nonexistent", "--", "true"), 125, b"--file /nonexistent: No such file"),
    ],
)
def test_bad_options(args: tuple[str, ...], status: int, message: bytes) -> None:
    done = run(*args)
    assert done.returncode == status
    assert message in done.stderr


def test_missing_programs() -> None:
    done = subprocess.run(
        ["/usr/bin/python3", RUN, "--", "true"], env={"PATH": "/nonexistent"}, capture_output=True
    )
    assert done.returncode == 125
    assert b"install them: apt-get install " in done.stderr
    assert done.stderr.count(b"\n") == 1
