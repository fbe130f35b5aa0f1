"""Local wall time and instants, right where the local clock is changed.

Rules (weekly hours, series) name local times without end, so each must mean something: **a local
time is the first instant at which the local clock shows it or something later.** Hence one that
does not exist, because the clock was put forward over it, is the instant of the shift; one that
exists twice is the first; and what touches on paper (22:00-02:30, 02:30-06:00) touches in every
night of the year. A person who names a single time means one instant, so there a time that does
not exist, or exists twice, is refused.
"""

import datetime
from functools import lru_cache

from shared.core import instants
from shared.errors import Refused

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY = datetime.timedelta(days=1)
YEARS = range(1970, 9990)  # so that whatever is reckoned from a time is one too
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - local time, of no zone in particular
_MS = datetime.timedelta(milliseconds=1)
_DAYS_KEPT = 8192  # midnights kept: a year of twenty zones, some 1 MiB


def offset_ms(at_ms: int, zone: datetime.tzinfo) -> int:
    """Return how far the local clock is ahead of UTC at an instant."""
    moment = datetime.datetime.fromtimestamp(at_ms // SECOND_MS, zone)
    offset = moment.utcoffset()
    assert offset is not None  # zones by name always have one
    return offset // _MS


def local(at_ms: int, zone: datetime.tzinfo) -> datetime.datetime:
    """Return what the local clock shows at an instant, naive."""
    return _EPOCH + datetime.timedelta(milliseconds=at_ms + offset_ms(at_ms, zone))


def day(at_ms: int, zone: datetime.tzinfo) -> datetime.date:
    """Return the local date at an instant."""
    return local(at_ms, zone).date()


def shift(low_ms: int, high_ms: int, zone: datetime.tzinfo) -> int:
    """Return the instant in (low, high] at which the local clock is changed, Unix ms.

    Args:
        low_ms: Whole seconds, before the change.
        high_ms: After it, less than a day or two later: clocks are not changed twice in between.
        zone: The zone.
    """
    before = offset_ms(low_ms, zone)
    low, high = low_ms // SECOND_MS, high_ms // SECOND_MS
    while high - low > 1:
        middle = (low + high) // 2
        if offset_ms(middle * SECOND_MS, zone) == before:
            low = middle
        else:
            high = middle
    return high * SECOND_MS


def by_rule(wall: datetime.datetime, zone: datetime.tzinfo) -> int:
    """Return the first instant at which the local clock shows this or later, Unix ms.

    Args:
        wall: Naive.
        zone: The zone.
    """
    first, second = _readings(wall, zone)
    if second >= first:
        return first
    return shift(second // SECOND_MS * SECOND_MS, first, zone)


@lru_cache(_DAYS_KEPT)
def midnight(date: datetime.date, zone: datetime.tzinfo) -> int:
    """Return the first instant of a local day, Unix ms."""
    return by_rule(datetime.datetime.combine(date, datetime.time()), zone)


def by_person(
    wall: datetime.datetime,
    zone: datetime.tzinfo,
    offset: datetime.timedelta | None = None,
    path: str = "$.start",
) -> int:
    """Return the one instant that a person means by a local time, Unix ms.

    Args:
        wall: Naive.
        zone: The zone.
        offset: Ahead of UTC, of a time that exists twice.
        path: Place of the time in the request.

    Raises:
        Refused: It does not exist there, exists twice and no offset says which, or never has this
            offset.
    """
    shown = wall.isoformat(" ", "minutes")
    if wall.year not in YEARS:
        raise Refused(f"{shown} is not in this age; check the year", ((path, "year"),))
    found = [at for at in _readings(wall, zone) if local(at, zone) == wall]
    if not found:
        raise Refused(
            f"{shown} does not exist in {zone}: the clock is put forward over it; "
            "take a time before or after the change",
            ((path, "does not exist"),),
        )
    fitting = [at for at in found if offset is None or offset_ms(at, zone) == offset // _MS]
    if not fitting:
        told = _offset_text(offset_ms(found[0], zone))
        raise Refused(
            f"{shown} in {zone} is at {told} from UTC; leave the offset out or give that one",
            ((path, "wrong offset"),),
        )
    if fitting[0] != fitting[-1]:
        both = " or ".join(_offset_text(offset_ms(at, zone)) for at in fitting)
        raise Refused(
            f"{shown} exists twice in {zone}, as the clock is put back; say which: {both}",
            ((path, "ambiguous"),),
        )
    return fitting[0]


def instant(text: str, path: str = "$.start") -> int:
    """Read a time with its offset, Unix ms.

    Raises:
        Refused: It is no time, or a naive one.
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(
            f"{text!r} is no time; write 2026-12-01T14:00:00+01:00", ((path, "no time"),)
        ) from error
    if moment.tzinfo is None:
        raise Refused(
            f"{text!r} says no offset from UTC; add it, such as {text}Z or {text}+01:00",
            ((path, "naive time"),),
        )
    return instants.ms(moment)


def text(at_ms: int, zone: datetime.tzinfo) -> str:
    """Write an instant for people: ``Tue 2026-12-01 14:00``."""
    wall = local(at_ms, zone)
    precision = "milliseconds" if wall.microsecond else "seconds" if wall.second else "minutes"
    return f"{wall:%a %Y-%m-%d} {wall.time().isoformat(precision)}"


def _readings(wall: datetime.datetime, zone: datetime.tzinfo) -> tuple[int, int]:
    """Return the instant by the offset before a change around this time, and after it.

    They are equal but at a change: the first is earlier where the time exists twice, and later
    where it does not exist.
    """
    return (
        instants.ms(wall.replace(tzinfo=zone, fold=0)),
        instants.ms(wall.replace(tzinfo=zone, fold=1)),
    )


def _offset_text(ahead_ms: int) -> str:
    sign = "-" if ahead_ms < 0 else "+"
    hours, minutes = divmod(abs(ahead_ms) // MINUTE_MS, 60)
    return f"{sign}{hours:02d}:{minutes:02d}"
