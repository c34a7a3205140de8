"""`Key: value` stanzas, separated by empty lines: dpkg's, apk's and Python's common grammar."""

from collections.abc import Iterator

# A longer value is no name, version or licence.
MAX_VALUE = 1024

# Field names to values, in order; a value is its first line.
Stanza = dict[str, list[str]]


def stanzas(data: bytes) -> Iterator[Stanza]:
    """The stanzas of a database. Continuation lines, lines without a colon and values of more
    than MAX_VALUE characters are left out; nothing is an error."""
    fields: Stanza = {}
    for line in data.split(b"\n"):
        if not line.strip():
            if fields:
                yield fields
            fields = {}
            continue
        key, colon, value = line.partition(b":")
        if colon and not key[:1].isspace() and len(value) <= MAX_VALUE:
            text = value.decode("utf-8", "replace").strip()
            fields.setdefault(key.decode("utf-8", "replace"), []).append(text)
    if fields:
        yield fields


def first(fields: Stanza, key: str) -> str | None:
    """The first value of a field; None when it is missing or empty."""
    return fields.get(key, [""])[0] or None
