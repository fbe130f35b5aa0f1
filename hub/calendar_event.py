"""One event of a calendar: whether it says that somebody is busy, and when, once or again."""

import datetime
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from typing import Any

from dateutil.rrule import rrulestr

from shared.core import instants
from shared.core.booking import local_time
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import DAY

STEPS_MAX = 50_000  # occurrences of one event, from its first on
DAYS_MAX = 366  # of one event

FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
PARTS = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST"}
)
DAY_MS = 24 * 3600 * 1000


class Fault(Exception):
    """Something that cannot be read; which property of the event, why, and what to do."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text


def check(event: Any) -> None:
    """Check that an event has what it needs, and nothing that would be misread.

    Raises:
        Fault: It has not.
    """
    for name, message in event.errors:
        raise Fault(str(name or "").upper(), f"{name or 'a line of it'}: {str(message)[:200]}")
    if "DTSTART" not in event:
        raise Fault("", "an event without DTSTART; give it a start or leave it out")
    for name in ("DTSTART", "DTEND", "RRULE", "RECURRENCE-ID", "DURATION"):
        if isinstance(event.get(name), list) and name in event:
            raise Fault(name, f"{name} stands there more than once; leave one")
    later = event.get("RECURRENCE-ID")
    if later is not None and later.params.get("RANGE"):
        raise Fault(
            "RECURRENCE-ID", "RANGE is not understood; export single changes, or a new series"
        )


def is_busy(event: Any) -> bool:
    """Say whether an event takes time."""
    is_cancelled = str(event.get("STATUS", "")).upper() == "CANCELLED"
    return not is_cancelled and str(event.get("TRANSP", "")).upper() != "TRANSPARENT"


def occurrences(
    event: Any, zone: datetime.tzinfo, window: Interval, replaced: frozenset[int]
) -> Iterator[Interval]:
    """Yield when an event is on, within a window.

    Args:
        event: Checked.
        zone: For whole days, and times without a zone.
        window: At most so much is told.
        replaced: Starts of occurrences that have an event of their own, Unix ms.

    Raises:
        Fault: It cannot be read.
    """
    start, own_zone = _wall(event["DTSTART"], "DTSTART", zone)
    is_day = not isinstance(start, datetime.datetime)
    days, length_ms = _length(event, start, own_zone, zone)
    first = _first(start)
    walls: Iterable[datetime.datetime] = (first,)
    is_single = "RECURRENCE-ID" in event
    if not is_single:
        walls = _walls(event, first, own_zone, window)
    skipped = frozenset() if is_single else replaced
    left_out, dates_out = _exceptions(event, zone)
    for wall in walls:
        start_ms = _by_calendar(wall, own_zone)
        if is_day:
            start_ms = local_time.midnight(wall.date(), zone)
            end_ms = local_time.midnight(wall.date() + days * DAY, zone)
        else:
            end_ms = start_ms + length_ms
        if start_ms in skipped or start_ms in left_out or wall.date() in dates_out:
            continue
        start_ms, end_ms = max(start_ms, window.start_ms), min(end_ms, window.end_ms)
        if start_ms < end_ms:
            yield Interval(start_ms, end_ms)


def _first(start: datetime.datetime | datetime.date) -> datetime.datetime:
    if isinstance(start, datetime.datetime):
        return start
    return datetime.datetime.combine(start, datetime.time())


def _length(
    event: Any, start: Any, own_zone: datetime.tzinfo, zone: datetime.tzinfo
) -> tuple[int, int]:
    """Return the length of an event: whole days of a whole day, else ms."""
    is_day = not isinstance(start, datetime.datetime)
    duration = event.get("DURATION")
    if "DTEND" in event:
        end, end_zone = _wall(event["DTEND"], "DTEND", zone)
        if is_day != (not isinstance(end, datetime.datetime)):
            raise Fault("DTEND", "start and end must both be days, or both times")
        if is_day:
            days, length_ms = (end - start).days, 0
        else:
            length_ms = _by_calendar(_first(end), end_zone) - _by_calendar(start, own_zone)
            days = 0
    elif duration is not None:
        given = duration.dt
        if not isinstance(given, datetime.timedelta):
            raise Fault("DURATION", "DURATION is no length of time; write PT45M or P1D")
        days, length_ms = given.days, given // datetime.timedelta(milliseconds=1)
    else:
        days, length_ms = 1, 0  # a day lasts a day, a time no time at all (3.6.1)
    if days < 0 or length_ms < 0:
        raise Fault("DTEND", "the end is before the start; exchange them")
    if days > DAYS_MAX or length_ms > DAYS_MAX * DAY_MS:
        name = "DTEND" if "DTEND" in event else "DURATION"
        raise Fault(name, f"longer than {DAYS_MAX} days; split it")
    return days, length_ms


def _walls(
    event: Any, first: datetime.datetime, zone: datetime.tzinfo, window: Interval
) -> Iterator[datetime.datetime]:
    """Return the local times of a recurring event, its exceptions among them, in no order."""
    last = local_time.local(min(window.end_ms, instants.MS_MAX // 2), zone) + DAY
    found = {first}  # counts also if the rule does not name it (3.8.5.3)
    if "RRULE" in event:
        found.update(_named(event["RRULE"], first, zone, last))
    for name, line in _listed(event, "RDATE"):
        for given in line.dts:
            if isinstance(given.dt, tuple):
                raise Fault(name, "RDATE with periods is not understood; give it start times")
            wall, other = _wall(given, name, zone)
            if isinstance(wall, datetime.datetime):
                found.add(local_time.local(_by_calendar(wall, other), zone))
            else:
                found.add(datetime.datetime.combine(wall, first.time()))
    return iter(found)


def _named(
    rule: Any, first: datetime.datetime, zone: datetime.tzinfo, last: datetime.datetime
) -> Iterator[datetime.datetime]:
    parts = {str(key).upper(): list(values) for key, values in rule.items()}
    _check_rule(parts)
    count = int(parts.pop("COUNT", [STEPS_MAX])[0])
    (until,) = parts.pop("UNTIL", [None])
    if isinstance(until, datetime.datetime):
        if until.tzinfo is not None:
            until = local_time.local(instants.ms(until), zone)
        last = min(last, until)
    elif until is not None:
        last = min(last, datetime.datetime.combine(until, datetime.time.max))
    text = ";".join(f"{key}={','.join(map(str, values))}" for key, values in parts.items())
    named = iter(rrulestr(text, dtstart=first))
    walls = list(takewhile(lambda wall: wall <= last, islice(named, min(count, STEPS_MAX + 1))))
    if len(walls) > STEPS_MAX:
        raise Fault("RRULE", "it began too long ago; begin the series later")
    return iter(walls)


def _check_rule(parts: dict[str, list[Any]]) -> None:
    """Refuse what dateutil would read in another way, or would look for until the year 9999."""
    unknown = sorted(parts.keys() - PARTS)
    if unknown:
        raise Fault("RRULE", f"{unknown[0]} is not understood; write the rule with BYDAY instead")
    if str(parts.get("FREQ", [""])[0]).upper() not in FREQUENCIES:
        raise Fault("RRULE", "FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY")
    for name in ("INTERVAL", "COUNT"):
        if any(int(value) < 1 for value in parts.get(name, ())):
            raise Fault("RRULE", f"{name} must be at least 1")
    months = [int(value) for value in parts.get("BYMONTH", ())]
    days = [int(value) for value in parts.get("BYMONTHDAY", ())]
    if any(not 1 <= month <= 12 for month in months):
        raise Fault("RRULE", "BYMONTH is 1 to 12")
    if any(not 1 <= abs(day) <= 31 for day in days):
        raise Fault("RRULE", "BYMONTHDAY is 1 to 31, or -1 to -31")
    longest = max((_days_of(month) for month in months), default=31)
    if days and min(map(abs, days)) > longest:
        raise Fault("RRULE", "no such month has that day, so it is never")
    _check_weekdays(parts, is_of_month=str(parts["FREQ"][0]).upper() == "MONTHLY" or bool(months))


def _check_weekdays(parts: dict[str, list[Any]], *, is_of_month: bool) -> None:
    weekdays = [str(value) for value in parts.get("BYDAY", ())]
    for weekday in weekdays:
        if weekday[:-2] and abs(int(weekday[:-2])) > (5 if is_of_month else 53):
            raise Fault("RRULE", f"BYDAY={weekday} is never; no month has so many")
    places = [int(value) for value in parts.get("BYSETPOS", ())]
    is_odd = "BYMONTHDAY" in parts or not weekdays or any(not 1 <= abs(n) <= 5 for n in places)
    if places and is_odd:
        raise Fault("RRULE", "BYSETPOS is understood with BYDAY alone, from 1 to 5 or -1 to -5")


def _days_of(month: int) -> int:
    return 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31


def _exceptions(
    event: Any, zone: datetime.tzinfo
) -> tuple[frozenset[int], frozenset[datetime.date]]:
    """Return the instants and the days at which an event is not on."""
    at: set[int] = set()
    on: set[datetime.date] = set()
    for name, line in _listed(event, "EXDATE"):
        for given in line.dts:
            wall, own_zone = _wall(given, name, zone)
            if isinstance(wall, datetime.datetime):
                at.add(_by_calendar(wall, own_zone))
            else:
                on.add(wall)
    return frozenset(at), frozenset(on)


def _listed(event: Any, name: str) -> Iterator[tuple[str, Any]]:
    given = event.get(name)
    if given is not None:
        for line in given if isinstance(given, list) else [given]:
            yield name, line


# ------------------------------------------------------------------ times


def _wall(
    given: Any, name: str, zone: datetime.tzinfo
) -> tuple[datetime.datetime | datetime.date, datetime.tzinfo]:
    """Return a time without its zone, and the zone."""
    found = given.dt
    if isinstance(found, datetime.datetime):
        if not 1970 <= found.year <= 9000:
            raise Fault(name, f"{name} is in the year {found.year}; check it")
        if found.tzinfo is not None:
            return found.replace(tzinfo=None), found.tzinfo
        wanted = given.params.get("TZID")
        if wanted:
            raise Fault(name, f"no time zone {wanted[:80]!r} is known; add its VTIMEZONE")
        return found, zone
    if isinstance(found, datetime.date):
        if not 1970 <= found.year <= 9000:
            raise Fault(name, f"{name} is in the year {found.year}; check it")
        return found, zone
    raise Fault(name, f"{name} is no time; write 20261201T140000Z")


def instant(given: Any, name: str, zone: datetime.tzinfo) -> int:
    """Return the instant of a time, or of the beginning of a day, Unix ms.

    Raises:
        Fault: It is none.
    """
    wall, own_zone = _wall(given, name, zone)
    if isinstance(wall, datetime.datetime):
        return _by_calendar(wall, own_zone)
    return local_time.midnight(wall, zone)


def _by_calendar(wall: datetime.datetime, zone: datetime.tzinfo) -> int:
    """Return the instant of a local time as RFC 5545 has it (3.3.5), Unix ms.

    The first of two; of one that does not exist, by the offset before the clock is changed.
    """
    return instants.ms(wall.replace(tzinfo=zone, fold=0))
