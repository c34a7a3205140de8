"""Text that came out of a file, made fit for a terminal."""

from datetime import UTC, datetime


def printable(text: str, keep: str = "") -> str:
    """`text` without what could steer the terminal; characters in `keep` stay as they are."""
    return "".join(
        char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text
    )


def show_time(seconds: int) -> str:
    """ISO 8601 in UTC; the number itself when it is no date."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"second {seconds}"
