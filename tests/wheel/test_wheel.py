"""The wheel carries launcher, init and kernel: installed elsewhere it packs and runs alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from images import save_image

ROOT = Path(__file__).parents[2]

# All that the installed packer and a machine may find on PATH: no compiler, no make.
TOOLS = ("tar2sqfs", "rdsquashfs", "qemu-system-x86_64")


def run(*argv: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command that must succeed; returns its output."""
    done = subprocess.run(argv, env=env, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A directory that holds the few tools and nothing else."""
    directory = tmp_path / "tools"
    directory.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, f"{tool} is not installed: run setup/install"
        (directory / tool).symlink_to(found)
    return directory


def test_installed_wheel_packs_and_runs(tmp_path: Path, tools: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("smolpack-*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    run(tmp_path / "venv/bin/pip", "--quiet", "--disable-pip-version-check", "install", wheel)

    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    machine = tmp_path / "tool.vm"
    env = {"PATH": str(tools), "HOME": str(tmp_path)}
    packer = tmp_path / "venv/bin/smolpack"
    options = ["--rootfs", root, "--out", machine, "--entrypoint", "/bin/busybox"]
    run(packer, "create", *options, env=env, cwd=tmp_path)
    assert os.access(machine, os.X_OK)
    assert run(machine, "echo", "hello", env=env, cwd=tmp_path) == "hello\n"

    busybox = Path("/bin/busybox").read_bytes()
    save_image(tmp_path / "app.tar", {"bin/busybox": busybox}, Entrypoint=["/bin/busybox", "env"])
    declared = 'image = "app.tar"\nenv = ["FROM=file"]\n[dev]\nworkdir = "/made"\n'
    (tmp_path / "Smolfile").write_text(declared)
    output = run(packer, "run", "-s", "Smolfile", "--env", "MORE=cli", env=env, cwd=tmp_path)
    assert {"FROM=file", "MORE=cli"} < set(output.split())
    shown = run(
        packer,
        "run",
        "-s",
        "Smolfile",
        "--entrypoint",
        "/bin/busybox",
        "--",
        "pwd",
        env=env,
        cwd=tmp_path,
    )
    assert shown == "/made\n"
    assert '"title": "Smolfile"' in run(packer, "init", "--schema", env=env)
