"""Pattern lists as in ssh_config(5), PATTERNS: `*`, `?`, comma, and `!` for all but."""


def match_list(name: str, patterns: str) -> bool:
    """Whether a pattern of the list matches and no negated one does. As in OpenSSH, `?` stands
    for one byte of UTF-8, and a list of negated patterns only matches nothing."""
    found = False
    for pattern in patterns.split(","):
        if _match(_bytes(name), _bytes(pattern.removeprefix("!"))):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _match(name: bytes, pattern: bytes) -> bool:
    """Where it does not go on, the last star takes one byte more: never worse than quadratic."""
    at_name = at_pattern = 0
    star: tuple[int, int] | None = None
    while at_name < len(name):
        wanted = pattern[at_pattern : at_pattern + 1]
        if wanted == b"*":
            at_pattern += 1
            star = (at_name, at_pattern)
        elif wanted and wanted in (b"?", name[at_name : at_name + 1]):
            at_name += 1
            at_pattern += 1
        elif star is not None:
            star = (star[0] + 1, star[1])
            at_name, at_pattern = star
        else:
            return False
    return not pattern[at_pattern:].strip(b"*")
