"""The whole of `smolpack create`, as a user sees it."""

import json
import os
import re
import resource
import shlex
import shutil
import signal
import stat
import subprocess
import tarfile
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from smolpack import artifact, inspect
from smolpack.format import SectionType
from support import BANNER, Cli, failure, make_vmlinux


def hidden_and_visible(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


@pytest.fixture(name="out")
def _out(tmp_path: Path) -> Path:
    directory = tmp_path / "out"
    directory.mkdir()
    return directory / "tool.vm"


def test_a_directory(cli: Cli, tree: Path, out: Path, asset_root: Path) -> None:
    done = cli("create", "--rootfs", tree, "--out", out)
    said = f"{out}: {out.stat().st_size} bytes, unsigned\n"
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, said, b"")
    assert stat.S_IMODE(out.stat().st_mode) == 0o755
    assert hidden_and_visible(out.parent) == {"tool.vm"}
    info = inspect.inspect(out)
    assert info.config.run.cmd == ("/bin/sh",)
    assert info.config.run.entrypoint == ()
    assert info.config.kernel_version == "6.12.1-test"
    assert info.config.kernel_config == "ab" * 32
    launcher = (asset_root / "x86_64/launcher").read_bytes()
    assert out.read_bytes().startswith(launcher)
    rootfs = info.artifact.section(SectionType.ROOTFS)
    with out.open("rb") as file:
        assert artifact.read_section(file, rootfs).startswith(b"hsqs")


def test_everything_that_can_be_said(cli: Cli, tree: Path, out: Path) -> None:
    options = (
        "--entrypoint '/bin/sh -c' --env A=b=c --env PATH=/bin --workdir /etc --user 1:users "
        "--cpus 4 --mem 1G --hostname box --name tool --label x=y --label z="
    )
    done = cli("create", "--rootfs", tree, "--out", out, *shlex.split(options), "--", "echo", "--x")
    assert done.returncode == 0, done.stderr
    found = json.loads(cli("info", out, "--json").stdout)
    assert found["entrypoint"] == ["/bin/sh", "-c"]
    assert found["cmd"] == ["echo", "--x"]
    assert found["env"] == ["A=b=c", "PATH=/bin"]
    assert (found["workdir"], found["user"], found["hostname"]) == ("/etc", "1:users", "box")
    assert (found["cpus"], found["memory"], found["name"]) == (4, 1 << 30, "tool")
    assert found["labels"] == ["x=y", "z="]


def test_a_tar_on_standard_input_gives_the_same_image(
    cli: Cli, tree: Path, out: Path, tmp_path: Path
) -> None:
    stream = subprocess.run(
        ["tar", "-c", "-C", str(tree), "."], check=True, capture_output=True
    ).stdout
    (tmp_path / "rootfs.tar").write_bytes(stream)
    files = [out.with_name("a"), out.with_name("b")]
    assert cli("create", "--tar", "-", "--out", files[0], stdin=stream).returncode == 0
    assert cli("create", "--tar", tmp_path / "rootfs.tar", "--out", files[1]).returncode == 0
    assert files[0].read_bytes() == files[1].read_bytes()


XATTR = "SCHILY.xattr.system.posix_acl_access"


def test_what_squashfs_cannot_hold_is_told(cli: Cli, out: Path) -> None:
    stream = b""
    for number in range(15):
        member = tarfile.TarInfo(f"file{number}")
        member.mode, member.pax_headers = 0o755, {XATTR: "x"}
        stream += member.tobuf(tarfile.PAX_FORMAT)
    stream += tarfile.TarInfo("../outside").tobuf() + bytes(1024)
    done = cli("create", "--tar", "-", "--out", out, "--", "/file1", stdin=stream)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 11 and all(line.startswith("smolpack: warning: ") for line in lines)
    assert lines[0].endswith("6 more messages")
    assert "posix_acl_access" in lines[1] and "../outside" in lines[-1]


def test_no_archive_on_standard_input(cli: Cli, out: Path) -> None:
    ours, theirs = os.openpty()
    for stdin in (theirs, None):
        done = subprocess.run(
            [*cli.argv, "create", "--tar", "-", "--out", str(out)],
            stdin=stdin,
            capture_output=True,
            check=False,
            preexec_fn=(lambda: os.close(0)) if stdin is None else None,
        )
        assert "pipe one into it" in failure(done)
    os.close(ours)
    os.close(theirs)


def on_one_cpu_with_another_umask() -> None:
    os.umask(0o077)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def test_same_input_same_bytes(cli: Cli, tree: Path, out: Path, tmp_path: Path) -> None:
    assert cli("create", "--rootfs", tree, "--out", out).returncode == 0
    first = out.read_bytes()
    # The same tree, made in another order, elsewhere, under another umask, zone and language.
    other = tmp_path / "other"
    other.mkdir()
    for path in sorted(tree.rglob("*"), reverse=True):
        copy = other / path.relative_to(tree)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        elif path.is_dir():
            copy.mkdir(exist_ok=True)
        else:
            shutil.copyfile(path, copy)
    for path in [*tree.rglob("*"), tree]:
        copy = other / path.relative_to(tree)
        shutil.copystat(path, copy, follow_symlinks=False)
        os.utime(copy, ns=(0, path.lstat().st_mtime_ns), follow_symlinks=False)
    done = cli(
        "create",
        "--rootfs",
        other,
        "--out",
        out.with_name("another name"),
        env={"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"},
        preexec=on_one_cpu_with_another_umask,
    )
    assert done.returncode == 0, done.stderr
    assert out.with_name("another name").read_bytes() == first


def test_an_existing_file_is_replaced(cli: Cli, tree: Path, out: Path) -> None:
    out.write_text("old")
    out.chmod(0o600)
    assert cli("create", "--rootfs", tree, "--out", out).returncode == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o755
    inspect.inspect(out)


def test_another_kernel(cli: Cli, tree: Path, out: Path, tmp_path: Path) -> None:
    vmlinux = tmp_path / "other-vmlinux"
    content = BANNER.replace(b"6.12.1-test", b"7.0-mine").ljust(20_000, b"\x90")
    vmlinux.write_bytes(make_vmlinux(((0x100_0000, content, 30_000),)))
    done = cli("create", "--rootfs", tree, "--out", out, "--kernel", vmlinux)
    assert done.returncode == 0, done.stderr
    info = inspect.inspect(out)
    assert info.config.kernel_version == "7.0-mine"
    assert info.config.kernel_config is None
    assert info.kernel_image_size == 20_000


def test_no_progress_bar_without_a_terminal(cli: Cli, tree: Path, out: Path) -> None:
    assert cli("create", "--rootfs", tree, "--out", out).stderr == b""


def test_progress_bar_on_a_terminal(cli: Cli, tree: Path, out: Path) -> None:
    (tree / "file").write_bytes(bytes(1000) * 1000)
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    command = [*cli.argv, "create", "--rootfs", str(tree), "--out", str(out)]
    with subprocess.Popen(command, stderr=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:
            pass  # EIO: the other side is closed
    os.close(ours)
    assert process.returncode == 0
    assert b"packing: 100%" in shown


BAD: list[tuple[list[str], int, str]] = [
    ([], 2, "one of --image REFERENCE, --rootfs"),
    (["--rootfs", "{tree}", "--tar", "-"], 2, "one of --image REFERENCE, --rootfs"),
    (["--rootfs", "{tree}", "--cpus", "0"], 2, "--cpus 0"),
    (["--rootfs", "{tree}", "--cpus", "33"], 2, "--cpus 33"),
    (["--rootfs", "{tree}", "--mem", "31M"], 2, "at least 32M"),
    (["--rootfs", "{tree}", "--mem", "lots"], 2, "--mem 'lots': expected"),
    (["--rootfs", "{tree}", "--env", "K"], 2, "--env 'K'"),
    (["--rootfs", "{tree}", "--workdir", "etc"], 2, "--workdir"),
    (["--rootfs", "{tree}", "--cmd", "a", "--", "b"], 2, "give the command once"),
    (["--rootfs", "{tree}", "--entrypoint", "[1]"], 2, "--entrypoint"),
    (["--rootfs", "{tree}/none"], 1, "none does not exist"),
    (["--rootfs", "{tree}/etc/motd"], 1, "is not a directory"),
    (["--rootfs", "{tree}/etc"], 1, "nothing to run"),
    (["--rootfs", "{tree}", "--", "/none"], 1, "/none is not in the root"),
    (["--rootfs", "{tree}", "--", "/etc/motd"], 1, "not an executable file"),
    (["--rootfs", "{tree}", "--kernel", "/bin/sh"], 1, "/bin/sh: it has no PVH entry note"),
    (["--tar", "/bin/sh"], 1, "/bin/sh: not a tar archive"),
    (["--tar", "{tree}/none.tar"], 1, "none.tar: cannot read"),
    (["--tar", "-"], 1, "standard input: not a tar archive"),
]


@pytest.mark.parametrize(("arguments", "status", "message"), BAD)
def test_bad_input(
    arguments: list[str], status: int, message: str, cli: Cli, tree: Path, out: Path
) -> None:
    words = [word.replace("{tree}", str(tree)) for word in arguments]
    assert message in failure(cli("create", "--out", out, *words), status)
    assert hidden_and_visible(out.parent) == set()


def test_bad_targets(cli: Cli, tree: Path, out: Path) -> None:
    for target, message in (
        (out.parent, "is a directory"),
        (out / "x", "create it first"),
        (Path("/dev/null"), "not a regular file"),
        (tree / "tool.vm", "packed into itself"),
    ):
        assert message in failure(cli("create", "--rootfs", tree, "--out", target))
    assert hidden_and_visible(out.parent) == set()
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_failure_keeps_the_old_file(cli: Cli, tree: Path, out: Path) -> None:
    out.write_text("old")
    failure(cli("create", "--rootfs", tree, "--out", out, "--", "/none"))
    assert out.read_text() == "old"
    assert hidden_and_visible(out.parent) == {"tool.vm"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_file(cli: Cli, tree: Path, out: Path) -> None:
    (tree / "etc/motd").chmod(0)
    message = failure(cli("create", "--rootfs", tree, "--out", out))
    assert "etc/motd: cannot read" in message and "--tar" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_an_unwritable_target(cli: Cli, tree: Path, out: Path) -> None:
    out.parent.chmod(0o555)
    assert "no permission to write" in failure(cli("create", "--rootfs", tree, "--out", out))


def test_an_unwritable_file_system(cli: Cli, tree: Path) -> None:
    text = failure(cli("create", "--rootfs", tree, "--out", "/proc/tool.vm"))
    assert "/proc/tool.vm: " in text and "write" in text


def test_missing_assets(cli: Cli, tree: Path, out: Path, asset_root: Path) -> None:
    (asset_root / "x86_64/launcher").unlink()
    text = failure(cli("create", "--rootfs", tree, "--out", out))
    assert "launcher: No such file" in text and "make assets" in text


def test_without_tar2sqfs(cli: Cli, tree: Path, out: Path) -> None:
    done = cli("create", "--rootfs", tree, "--out", out, env={"PATH": "/nowhere"})
    assert "apt install squashfs-tools-ng" in failure(done)


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    directory = tmp_path / "small"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(directory)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not permitted here")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


@pytest.mark.parametrize("size", [1_500_000, 4_000_000], ids=["copying", "packing"])
def test_a_full_disk(size: int, cli: Cli, tree: Path, small: Path) -> None:
    (tree / "random").write_bytes(os.urandom(size))
    text = failure(cli("create", "--rootfs", tree, "--out", small / "tool.vm"))
    assert "no space left" in text.lower()
    assert hidden_and_visible(small) == set()
    assert shutil.disk_usage(small).used == 0


@pytest.mark.parametrize("limit", [20_000, 400_000], ids=["packing", "copying"])
def test_a_file_size_limit(limit: int, cli: Cli, tree: Path, out: Path) -> None:
    (tree / "random").write_bytes(os.urandom(395_000))
    done = cli(
        "create",
        "--rootfs",
        tree,
        "--out",
        out,
        preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    text = failure(done)
    assert "ulimit -f" in text or "File too large" in text
    assert hidden_and_visible(out.parent) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_interrupted(number: signal.Signals, cli: Cli, out: Path) -> None:
    command = [*cli.argv, "create", "--tar", "-", "--out", str(out)]
    member = tarfile.TarInfo("file")
    member.size = 1 << 30
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        # More than pipes hold: once it is taken, packing is under way.
        process.stdin.write(member.tobuf() + os.urandom(16 << 20))
        process.stdin.flush()
        process.send_signal(number)
        status = process.wait()
        said = process.stderr.read()
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    assert b"Traceback" not in said
    assert hidden_and_visible(out.parent) == set()


def peak_memory(status: Path) -> int:
    """In bytes, out of /proc/PID/status."""
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
    assert found is not None
    return int(found[1]) << 10


def test_memory_does_not_grow_with_the_input(cli: Cli, out: Path, tmp_path: Path) -> None:
    """200 MiB are packed within 70 MiB, interpreter and libraries included."""
    # Not the peak in rusage, which counts what the test's own process had when it forked.
    told = tmp_path / "status"
    tell = (
        "import atexit, pathlib; atexit.register(lambda: "
        f"pathlib.Path({str(told)!r}).write_bytes(pathlib.Path('/proc/self/status').read_bytes()))"
    )
    python, option, program = cli.argv
    command = [python, option, f"{tell}; {program}"]
    command += ["create", "--tar", "-", "--out", str(out), "--", "/file"]
    member = tarfile.TarInfo("file")
    member.size, member.mode = 200 << 20, 0o755
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(member.tobuf())
        for _ in range(200):
            process.stdin.write(os.urandom(1 << 20))
        process.stdin.write(bytes(1024))
    assert process.returncode == 0
    assert peak_memory(told) < 70 << 20
    verify = [python, option, f"{tell}; {program}", "verify", str(out)]
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 1
    assert peak_memory(told) < 80 << 20
