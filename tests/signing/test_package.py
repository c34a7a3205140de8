"""The package stands alone."""

import os
import subprocess
import sys
from pathlib import Path

import smolsign

PACKAGE = Path(smolsign.__file__).parent


def test_nothing_of_the_packer_is_imported() -> None:
    modules = [path.stem for path in PACKAGE.glob("*.py")]
    assert "sshsig" in modules
    imports = "".join(f"import smolsign.{module}\n" for module in modules if module != "__init__")
    program = f"{imports}import sys; print(*(name.partition('.')[0] for name in sys.modules))"
    env = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=env
    )
    found = set(done.stdout.split())
    assert "smolsign" in found
    assert "smolpack" not in found


def test_what_is_public_is_there() -> None:
    assert list(smolsign.__all__) == sorted(smolsign.__all__)
    assert all(hasattr(smolsign, name) for name in smolsign.__all__)
