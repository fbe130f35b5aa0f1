"""The rules of bookings once more, by looking at every minute: slow, and too simple to be wrong."""

import datetime
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from itertools import accumulate

import msgspec

from shared.core.booking.hours import DAYS, Week
from shared.core.booking.rules import Anchor, Limits, SpecialDays
from shared.core.booking.taken import Taken
from tests.shared.core.booking.making import MINUTE_MS

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY = datetime.timedelta(days=1)


class Place(msgspec.Struct, frozen=True):
    """A resource as the oracle knows it: as it was written down."""

    name: str
    zone: datetime.tzinfo
    week: Week
    exceptions: tuple[SpecialDays, ...]
    holidays: dict[datetime.date, str]
    limits: Limits


@cache
def walls(zone: datetime.tzinfo, first_ms: int, last_ms: int) -> tuple[datetime.datetime, ...]:
    """Return what the local clock shows, minute by minute."""
    return tuple(
        (_EPOCH + datetime.timedelta(milliseconds=ms)).astimezone(zone).replace(tzinfo=None)
        for ms in range(first_ms, last_ms, MINUTE_MS)
    )


@cache
def latest(zone: datetime.tzinfo, first_ms: int, last_ms: int) -> tuple[datetime.datetime, ...]:
    """Return the latest time that the local clock has shown by each minute."""
    return tuple(accumulate(walls(zone, first_ms, last_ms), max))


class Oracle:
    """One resource in [first, last), whole minutes; a day at both ends is only for its openings."""

    def __init__(self, place: Place, taken: Sequence[Taken], first_ms: int, last_ms: int) -> None:
        self.place, self.first_ms, self.last_ms = place, first_ms, last_ms
        self.walls = walls(place.zone, first_ms, last_ms)
        self.openings = [o for o in map(self._opening, self._spans()) if o[0] < o[1]]
        self.open = [False] * len(self.walls)
        for begin, end in self.openings:
            for minute in range(begin, end):
                self.open[minute] = True
        self.count = [0] * len(self.walls)
        for start_ms, end_ms, _ in taken:
            begin = self.minute(start_ms - place.limits.before_s * 1000)
            end = self.minute(end_ms + place.limits.after_s * 1000)
            for minute in range(max(begin, 0), min(end, len(self.count))):
                self.count[minute] += 1
        self.room = [count < place.limits.capacity for count in self.count]

    def minute(self, ms: int) -> int:
        assert (ms - self.first_ms) % MINUTE_MS == 0
        return (ms - self.first_ms) // MINUTE_MS

    def fits(self, start_ms: int, length_ms: int, now_ms: int, *, on_grid: bool = True) -> bool:
        limits = self.place.limits
        start, end = self.minute(start_ms), self.minute(start_ms + length_ms)
        begin = start - limits.before_s // 60
        return (
            start_ms >= now_ms + limits.notice_s * 1000
            and start_ms + length_ms <= now_ms + limits.horizon_s * 1000
            and all(self.open[start:end])
            and all(self.room[begin : end + limits.after_s // 60])
            and (not on_grid or self.on_grid(start))
        )

    def on_grid(self, minute: int) -> bool:
        grid, wall = self.place.limits.grid, self.walls[minute]
        if grid is None:
            return True
        if grid.anchor is Anchor.MIDNIGHT:
            return (wall.hour * 60 + wall.minute) % grid.minutes == 0
        return any(
            begin <= minute < end and (minute - begin) % grid.minutes == 0
            for begin, end in self.openings
        )

    def _spans(self) -> list[tuple[datetime.datetime, datetime.datetime]]:
        found = []
        date = self.walls[0].date()
        while date <= self.walls[-1].date():
            for words in self._hours(date):
                begin, end = (part.split(":") for part in words.split("-"))
                start = datetime.datetime.combine(date, datetime.time(int(begin[0]), int(begin[1])))
                later = int(end[0]) * 60 + int(end[1]) <= start.hour * 60 + start.minute
                stop = datetime.datetime.combine(date + _DAY * later, datetime.time())
                stop += datetime.timedelta(hours=int(end[0]), minutes=int(end[1]))
                found.append((start, stop))
            date += _DAY
        return found

    def _hours(self, date: datetime.date) -> tuple[str, ...]:
        for exception in self.place.exceptions:
            if exception.first <= date <= (exception.last or exception.first):
                return exception.hours
        if date in self.place.holidays:
            return ()
        hours: tuple[str, ...] = getattr(self.place.week, DAYS[date.weekday()])
        return hours

    def _opening(self, span: tuple[datetime.datetime, datetime.datetime]) -> tuple[int, int]:
        begin, end = (self._first(wall) for wall in span)
        return begin, end

    def _first(self, wall: datetime.datetime) -> int:
        """Return the first minute at which the clock shows this or later."""
        return bisect_left(latest(self.place.zone, self.first_ms, self.last_ms), wall)
