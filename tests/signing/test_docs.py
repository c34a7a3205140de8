"""docs/signing.md: its examples run, in order, and its tables are complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import smolsign
from smolsign import errors

TEXT = (Path(__file__).parents[2] / "docs/signing.md").read_text()
EXAMPLES = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(smolsign.__file__).parents[1]),
    }
    names: dict[str, object] = {}
    for language, text in EXAMPLES:
        if language == "python":
            exec(text, names)
        else:
            assert language == "sh"
            subprocess.run(["sh", "-euc", text], check=True, env=env)
    assert {language for language, _ in EXAMPLES} == {"python", "sh"}
    assert {"store", "signers"} <= names.keys()


@pytest.mark.parametrize("name", smolsign.__all__)
def test_every_public_name_is_in_a_table(name: str) -> None:
    assert re.search(rf"^\| .*`{name}\b.* \|", TEXT, re.MULTILINE)


def test_every_error_is_explained() -> None:
    found = {name for name, value in vars(errors).items() if isinstance(value, type)}
    _, _, section = TEXT.partition("## Errors")
    assert found == set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert found <= set(smolsign.__all__)
