"""Text that came out of a file, made fit for a terminal."""


def printable(text: str, keep: str = "") -> str:
    """`text` without what could steer the terminal; characters in `keep` stay as they are."""
    return "".join(
        char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text
    )
