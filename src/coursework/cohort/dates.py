"""Times as people and platforms write them, and the moments they name."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[ T](?P<clock>\d\d:\d\d)(?P<seconds>:\d\d(?:\.\d{1,6})?)?"
    r"(?: ?(?P<offset>Z|[+-]\d\d:?\d\d)| (?P<zone>[A-Za-z][\w+/-]*))?"
)
_LONGEST_TIME = 60
_UNKNOWN = (ValueError, OverflowError, OSError, ZoneInfoNotFoundError)
EXAMPLE = "2026-03-02 23:59 Europe/Berlin"


def time_of(text: str, zone: tzinfo | None) -> datetime | None:
    """Return the moment that a text names; None where it names none.

    Args:
        text: such as "2026-03-02 23:59", with seconds or not, with an offset, a zone or neither.
        zone: that counts where the text names none; None means this machine's.

    Example:
        >>> str(time_of("2026-03-02 23:59 Europe/Berlin", None))
        '2026-03-02 23:59:00+01:00'

    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    try:
        named = _zone(match["offset"] or match["zone"] or "") or zone
        local = datetime.fromisoformat(f"{match['day']} {match['clock']}{match['seconds'] or ''}")
        moment = local.replace(tzinfo=named) if named else local.astimezone()
        # Moments are compared in UTC, where a year may be 0 or 10,000, which Python doesn't know.
        moment.astimezone(UTC)
    except _UNKNOWN:
        return None
    return moment


def end_of(text: str, zone: tzinfo | None) -> datetime | None:
    """Return the last moment of a deadline: 23:59 is over when the minute is."""
    moment, match = time_of(text, zone), _TIME.fullmatch(text.strip())
    if moment is None or match is None or match["seconds"]:
        return moment
    return moment + timedelta(minutes=1, microseconds=-1)


def zone_of(text: str) -> tzinfo | None:
    """Return the zone that a time names; None where it names none, or none that is known."""
    match = _TIME.fullmatch(text.strip())
    try:
        return _zone(match["offset"] or match["zone"] or "") if match else None
    except _UNKNOWN:
        return None


def _zone(name: str) -> tzinfo | None:
    if name in ("Z", "UTC"):
        return UTC
    if name.startswith(("+", "-")):
        return datetime.strptime(name, "%z").tzinfo
    return ZoneInfo(name) if name else None


def nbgraders_time(written: bytes) -> str:
    """Return what a timestamp.txt says, which to nbgrader is UTC where no zone is named."""
    text = written.decode(errors="replace").strip()[:_LONGEST_TIME]
    return f"{text} UTC" if time_of(text, None) and zone_of(text) is None else text


def shown(moment: datetime) -> str:
    """Return a moment for people, with its zone."""
    return f"{moment:%Y-%m-%d %H:%M} {getattr(moment.tzinfo, 'key', '') or moment.tzname()}"


def how_long(time: timedelta) -> str:
    """Return a length of time for people, in its two largest units; a begun minute is a whole one.

    Example:
        >>> how_long(timedelta(days=1, hours=2, minutes=3))
        '1 day 2 h'

    """
    minutes = -(-time // timedelta(minutes=1))
    days, hours = minutes // 1440, minutes // 60 % 24
    units = (f"{days} day{'s' * (days > 1)}" * bool(days), f"{hours} h" * bool(hours),
             f"{minutes % 60} min" * bool(minutes % 60))  # fmt: skip
    return " ".join([unit for unit in units if unit][:2])
