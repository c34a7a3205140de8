"""The JSON Schema (draft 7, which editors know) of Smolfiles: `schema.json` beside this file."""

import json
from pathlib import Path
from typing import Any

from smolpack.smolfile.keys import SMOLFILE

PATH = Path(__file__).with_name("schema.json")


def schema() -> dict[str, Any]:
    """What `keys` says; a test compares the file with it."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Smolfile",
        "description": "A virtual machine for smolpack, declared in TOML.",
        **SMOLFILE.schema(),
    }


def as_text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(as_text())
