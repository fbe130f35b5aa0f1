"""When a resource could begin as if nobody had booked, cheaply: for a search among many.

What the calendar says is worked out once for all resources with the same rules, and holds for as
long as they stay open.
"""

import datetime

import msgspec

from shared.core.booking import grid, local_time, taken
from shared.core.booking.calendar import Differing
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import DAY, HOUR_MS, SECOND_MS
from shared.core.booking.resource import Resource
from shared.core.booking.slot import TIME_MS_MAX
from shared.core.booking.track import Track, Wish

LAST = 7  # how many days ahead calendars are compared
NEVER = TIME_MS_MAX + 1
_NO_START = Interval(NEVER, NEVER)

Rules = tuple[int, int]
Days = tuple[datetime.tzinfo, int, int, datetime.date, tuple[Differing, ...]]


class Earliest:
    """The starts that hours, notice, horizon and grid allow."""

    def __init__(self, wish: Wish, now_ms: int) -> None:
        """Know nothing yet.

        Args:
            wish: What is looked for.
            now_ms: Wall clock, Unix ms.
        """
        self._wish = wish
        self._now_ms = now_ms
        # By calendar and limits, as objects: those of a search live as long as it does. From the
        # first start to the last one before it closes, the grid left aside.
        self._by_rules: dict[Rules, Interval] = {}
        self._by_days: dict[Days, Interval] = {}
        self._dates: dict[tuple[datetime.tzinfo, int], datetime.date] = {}
        self._at_ms = 0
        self._answers: dict[Rules, int] = {}  # for that instant

    def of(self, resource: Resource, at_ms: int) -> int:
        """Return the first start at or after an instant; NEVER: there is none.

        Args:
            resource: The resource.
            at_ms: Not before that of an earlier call.
        """
        if at_ms != self._at_ms:
            self._at_ms = at_ms
            self._answers.clear()
        rules = (id(resource.calendar), id(resource.limits))
        found = self._answers.get(rules)
        if found is None:
            found = self._answers[rules] = self._first(resource, rules, at_ms)
        return found

    def _first(self, resource: Resource, rules: Rules, start: int) -> int:
        starts = self._by_rules.get(rules)
        while True:
            if starts is None or start > starts.end_ms:
                starts = self._by_rules[rules] = self._look(resource, start)
            if starts is _NO_START:
                return NEVER
            start = max(start, starts.start_ms)
            on_grid = grid.following(resource.limits.grid, resource.calendar, start)
            if on_grid == start:
                return start
            start = on_grid

    def _look(self, resource: Resource, at_ms: int) -> Interval:
        """Look for what is known of the same days before laying them out."""
        calendar, limits = resource.calendar, resource.limits
        notice_ms = self._now_ms + limits.notice_s * SECOND_MS
        date = self._date(max(at_ms, self._wish.after_ms, notice_ms), calendar.zone)
        differing = calendar.differing(date - DAY, date + LAST * DAY)
        days = (calendar.zone, id(limits), id(calendar.week), date, differing)
        found = self._by_days.get(days)
        if found is not None and at_ms <= found.end_ms:
            return found
        wish = msgspec.structs.replace(self._wish, after_ms=max(at_ms, self._wish.after_ms))
        track = Track(resource, wish, taken.nothing, self._now_ms)
        start = track.seek(track.first_ms, TIME_MS_MAX)
        if start is None:
            return _NO_START
        opening = next(calendar.open(start, start + wish.length_ms + 24 * HOUR_MS))
        found = Interval(start, min(opening.end_ms - wish.length_ms, track.last_ms))
        # Others have these days in common, and may differ in those after them.
        if local_time.day(opening.end_ms, calendar.zone) < date + (LAST - 1) * DAY:
            self._by_days[days] = found
        return found

    def _date(self, at_ms: int, zone: datetime.tzinfo) -> datetime.date:
        found = self._dates.get((zone, at_ms))
        if found is None:
            found = self._dates[zone, at_ms] = local_time.day(at_ms, zone)
        return found
