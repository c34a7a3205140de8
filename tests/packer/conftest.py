"""Fixtures of the packer's tests: stand-in assets, a small root, the command."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from smolpack import assets, kernel
from support import BANNER, Cli, make_vmlinux

LAUNCHER = """
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--wait") == 0) {
		printf("%d\\n", getpid());
		fflush(stdout);
		pause();
	}
	for (int i = 0; i < argc; i++)
		puts(argv[i]);
	return 7;
}
"""


# Many more with `pytest --hypothesis-profile=fuzz tests/packer -k hostile`.
settings.register_profile("quick", max_examples=300, deadline=None)
settings.register_profile("fuzz", max_examples=200_000, deadline=None, print_blob=True)
settings.load_profile("quick")


def pytest_sessionstart() -> None:
    """Undo what a caller like nohup ignores: signals to the programs under test must count."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(name="vmlinux")
def _vmlinux(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    content = BANNER.ljust(5000, b"\x90")
    path.write_bytes(make_vmlinux(((0x100_0000, content, 9000),)))
    return path


@pytest.fixture(scope="session", name="launcher")
def _launcher(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program that prints its arguments and ends with status 7; with --wait it prints its
    process number and waits."""
    directory = tmp_path_factory.mktemp("launcher")
    (directory / "launcher.c").write_text(LAUNCHER)
    compiler = ["cc"] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    program = directory / "launcher"
    subprocess.run([*compiler, "-s", "-o", str(program), str(directory / "launcher.c")], check=True)
    return program.read_bytes()


@pytest.fixture(name="asset_root")
def _asset_root(tmp_path: Path, vmlinux: Path, launcher: bytes) -> Path:
    """Assets whose launcher is a stand-in: enough for everything but booting."""
    root = tmp_path / "assets"
    directory = root / "x86_64"
    directory.mkdir(parents=True)
    (directory / "launcher").write_bytes(launcher)
    (directory / "initramfs.cpio").write_bytes(b"070701")
    (directory / "kernel").write_bytes(kernel.encode(kernel.load(vmlinux)))
    (directory / "kernel.json").write_text(
        json.dumps({"version": "6.12.1-test", "config_sha256": "ab" * 32})
    )
    musl = {"name": "musl", "version": "1.2.5", "license": "MIT"}
    zstd = {"name": "zstd", "version": "1.5.7", "license": "BSD-3-Clause"}
    (directory / "libraries.json").write_text(
        json.dumps({"launcher": [musl, zstd], "initramfs": [musl]})
    )
    return root


@pytest.fixture(name="with_assets")
def _with_assets(monkeypatch: pytest.MonkeyPatch, asset_root: Path) -> Path:
    """The same for code that is called in this process."""
    monkeypatch.setattr(assets, "ROOT", asset_root)
    return asset_root


@pytest.fixture(name="tree")
def _tree(tmp_path: Path) -> Path:
    """A root with a shell that is a symlink, as on Debian."""
    root = tmp_path / "tree"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/dash").write_bytes(b"#!")
    (root / "usr/bin/dash").chmod(0o755)
    (root / "usr/bin/sh").symlink_to("dash")
    (root / "bin").symlink_to("usr/bin")
    (root / "etc").mkdir()
    (root / "etc/motd").write_text("hello\n")
    return root


@pytest.fixture(name="cli")
def _cli(asset_root: Path) -> Cli:
    program = (
        "import pathlib, sys; from smolpack import assets, cli; "
        f"assets.ROOT = pathlib.Path({str(asset_root)!r}); cli.main()"
    )
    return Cli((sys.executable, "-c", program))


def pytest_report_header() -> str:
    """Names the tool whose behaviour the tests depend on."""
    path = shutil.which("tar2sqfs")
    return f"tar2sqfs: {path or 'missing: install squashfs-tools-ng'}"
