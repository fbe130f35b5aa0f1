"""When a resource is open: its wall-time rules laid out as instants, a day at a time.

A search may walk through months of days again and again, so the days are kept: their openings
depend on nothing but zone, date and hours, and most resources of a site share those.
"""

import datetime
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from shared.core import zones
from shared.core.booking import hours as hours_of
from shared.core.booking import local_time
from shared.core.booking.hours import DAY_MIN, Span
from shared.core.booking.interval import Interval, merged
from shared.core.booking.local_time import DAY
from shared.core.booking.rules import Holidays, Hours

Differing = tuple[datetime.date, tuple[Span, ...]]

_OPENINGS_KEPT = 16_384  # days: a year of forty different hours, some 6 MiB


class Calendar(msgspec.Struct, frozen=True):
    """Hours, ready to be asked.

    Attributes:
        zone: In which they are read.
        week: Hours of Monday to Sunday.
        special: Hours of the days that differ.
        notes: Why those days differ, for people.
        dates: Of those days, in order.
    """

    zone: datetime.tzinfo
    week: tuple[tuple[Span, ...], ...]
    special: dict[datetime.date, tuple[Span, ...]]
    notes: dict[datetime.date, str]
    dates: tuple[datetime.date, ...]

    def differing(self, first: datetime.date, final: datetime.date) -> tuple[Differing, ...]:
        """Return the days from one to another that differ from the week, with their hours."""
        dates = self.dates
        if not dates or final < dates[0] or dates[-1] < first:
            return ()
        some = dates[bisect_left(dates, first) : bisect_right(dates, final)]
        return tuple([(date, self.special[date]) for date in some])

    def hours(self, date: datetime.date) -> tuple[Span, ...]:
        """Return what begins on a local day."""
        found = self.special.get(date)
        return self.week[date.weekday()] if found is None else found

    def begun(self, date: datetime.date) -> tuple[Interval, ...]:
        """Return the openings that begin on a local day, in order."""
        spans = self.hours(date)
        return _begun(self.zone, date, spans) if spans else ()

    def near(self, at_ms: int) -> Iterator[Interval]:
        """Yield the openings that begin on the local day of an instant or a day beside it."""
        date = local_time.day(at_ms, self.zone)
        for day in (date - DAY, date, date + DAY):
            yield from self.begun(day)

    def open(self, start_ms: int, end_ms: int) -> Iterator[Interval]:
        """Yield when it is open in [start, end), lazily: merged, in order, clipped."""
        for opening in merged(self.openings(start_ms, end_ms)):
            yield Interval(max(opening.start_ms, start_ms), min(opening.end_ms, end_ms))

    def openings(self, start_ms: int, end_ms: int) -> Iterator[Interval]:
        """Yield the openings that reach into [start, end), whole, in the order of their starts.

        They may touch or overlap: joining them all would walk to the end of the window before it
        could say when a resource that never closes is open.
        """
        date = local_time.day(start_ms, self.zone) - DAY
        while local_time.midnight(date, self.zone) < end_ms:
            for opening in self.begun(date):
                if start_ms < opening.end_ms and opening.start_ms < end_ms:
                    yield opening
            date += DAY


def calendar(hours: Hours, holidays: Holidays) -> Calendar:
    """Lay out hours that were checked.

    Args:
        hours: The rules.
        holidays: Public holidays of their region, for the years that may be asked for; those of
            another region must not be among them.
    """
    special: dict[datetime.date, tuple[Span, ...]] = {}
    notes: dict[datetime.date, str] = {}
    for date, name in holidays.items():
        special[date] = ()
        notes[date] = name
    for exception in hours.exceptions:
        spans = hours_of.spans(exception.hours)
        for number in range((exception.final - exception.first).days + 1):
            date = exception.first + number * DAY
            special[date] = spans
            notes[date] = exception.note or exception.cause.value
    week = hours_of.weekdays(hours.week)
    return Calendar(zones.find(hours.timezone), week, special, notes, tuple(sorted(special)))


@lru_cache(_OPENINGS_KEPT)
def _begun(
    zone: datetime.tzinfo, date: datetime.date, spans: tuple[Span, ...]
) -> tuple[Interval, ...]:
    found = (
        Interval(_at(zone, date, span.start_min), _at(zone, date, span.end_min)) for span in spans
    )
    return tuple(opening for opening in found if opening.length_ms > 0)


def _at(zone: datetime.tzinfo, date: datetime.date, minutes: int) -> int:
    """Return the instant of a local time: minutes that the clock shows, not that have elapsed."""
    days, minute = divmod(minutes, DAY_MIN)
    wall = datetime.datetime.combine(date + days * DAY, datetime.time(*divmod(minute, 60)))
    return local_time.by_rule(wall, zone)
