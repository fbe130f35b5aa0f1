"""Small resources, bookings and times to test the rules with."""

import datetime
from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

from shared.core.booking.hours import Week
from shared.core.booking.resource import Resource, resource
from shared.core.booking.rules import Hours, Limits, SpecialDays
from shared.core.booking.taken import Busy, Taken

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
BERLIN = ZoneInfo("Europe/Berlin")
LONG_AGO = 0
YEARS_S = 5 * 366 * 24 * 3600

PLAIN = Limits(horizon_s=YEARS_S)
WORKDAYS = ("08:00-12:00", "13:00-17:00")
OFFICE = Week(mon=WORKDAYS, tue=WORKDAYS, wed=WORKDAYS, thu=WORKDAYS, fri=("08:00-12:00",))
NIGHTS = Week(*(("22:00-06:00",),) * 7)
ALWAYS = Week(*(("00:00-24:00",),) * 7)


def at(text: str) -> int:
    """Return an instant with its offset, or in Berlin, as Unix ms."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=BERLIN)
    return int(moment.timestamp() * 1000)


def a_resource(
    week: Week = OFFICE,
    *,
    name: str = "strange",
    timezone: str = "Europe/Berlin",
    exceptions: tuple[SpecialDays, ...] = (),
    holidays: Mapping[datetime.date, str] | None = None,
    limits: Limits = PLAIN,
) -> Resource:
    return resource(name, Hours(timezone, week, exceptions), limits, holidays or {})


def bookings(found: Mapping[str, Iterable[Taken]]) -> Busy:
    """Serve bookings as a store would: those that overlap, in order of their starts."""
    kept = {name: sorted(taken) for name, taken in found.items()}

    def busy(name: str, start_ms: int, end_ms: int) -> Iterable[Taken]:
        for taken in kept.get(name, ()):
            if taken[0] < end_ms and start_ms < taken[1]:
                yield taken

    return busy


def taken(*spans: tuple[str, str], name: str = "strange") -> Busy:
    """Serve bookings b1, b2 … of one resource, from local times in Berlin."""
    return bookings({name: [(at(s), at(e), f"b{n}") for n, (s, e) in enumerate(spans, start=1)]})
