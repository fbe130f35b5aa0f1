"""Where a booking may begin: a grid by the local clock, or from the opening."""

from shared.core.booking import local_time
from shared.core.booking.calendar import Calendar
from shared.core.booking.hours import DAY_MIN
from shared.core.booking.local_time import DAY, MINUTE_MS, SECOND_MS
from shared.core.booking.rules import Anchor, Grid

_DAY_MS = DAY_MIN * MINUTE_MS


def following(grid: Grid | None, calendar: Calendar, at_ms: int) -> int:
    """Return the first instant at or after this one at which a booking may begin, Unix ms.

    Args:
        grid: None: any instant will do.
        calendar: Of the resource.
        at_ms: With a grid from the opening: if nothing opens soon, the answer is the end of the
            next day, before which no booking may begin.
    """
    if grid is None:
        return at_ms
    step_ms = grid.minutes * MINUTE_MS
    if grid.anchor is Anchor.MIDNIGHT:
        return _by_clock(step_ms, calendar, at_ms)
    return _from_opening(step_ms, calendar, at_ms)


def _by_clock(step_ms: int, calendar: Calendar, at_ms: int) -> int:
    """Count by what the local clock shows: on the hour stays on the hour when it is changed."""
    zone = calendar.zone
    offset = local_time.offset_ms(at_ms, zone)
    passed = (at_ms + offset) % _DAY_MS
    # A step that does not divide the day begins anew at midnight.
    ahead = min(-passed % step_ms, _DAY_MS - passed)
    found = at_ms + ahead
    if local_time.offset_ms(found, zone) == offset:
        return found
    changed = local_time.shift(at_ms // SECOND_MS * SECOND_MS, found, zone)
    return _by_clock(step_ms, calendar, changed)


def _from_opening(step_ms: int, calendar: Calendar, at_ms: int) -> int:
    found = [
        start
        for opening in calendar.near(at_ms)
        if (start := _on_or_after(opening.start_ms, step_ms, at_ms)) < opening.end_ms
    ]
    if found:
        return min(found)
    date = local_time.day(at_ms, calendar.zone)
    return local_time.midnight(date + 2 * DAY, calendar.zone)


def _on_or_after(first_ms: int, step_ms: int, at_ms: int) -> int:
    return first_ms + max(0, -(-(at_ms - first_ms) // step_ms)) * step_ms
