"""Times as allowed_signers has them: YYYYMMDD[HHMM[SS]], local, or UTC when `Z` follows."""

import calendar
import re
import time

_FORMAT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z|UTC)?", re.ASCII | re.I)


def parse(text: str) -> int:
    """Seconds since 1970; raises ValueError for another format, for a day or an hour that does
    not exist, and for anything up to 1970-01-01T00:00:00Z, as ssh-keygen does."""
    found = _FORMAT.fullmatch(text)
    if found is None:
        raise ValueError("not YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with or without Z")
    year, month, day, hour, minute, second = (int(number or 0) for number in found.groups()[:6])
    if year == 0 or not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        raise ValueError("no such day")
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no such time of day")
    # Local time is standard time, even in summer: what it means to ssh-keygen.
    moment = (year, month, day, hour, minute, second, 0, 0, 0)
    seconds = calendar.timegm(moment) if found[7] else int(time.mktime(moment))
    if seconds <= 0:
        raise ValueError("before 1970")
    return seconds


def show(seconds: int) -> str:
    """The inverse of parse(), in UTC."""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))
