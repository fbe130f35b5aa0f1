"""Whether a booking fits, worked out anew: by looking at every instant, with nothing of ours.

Production sweeps over sorted intervals, lazily and by SQL. Here a place is counted at each instant
at which anything begins, and hours are looked up every five minutes: slow, and hard to get wrong.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared.core.booking.booking import Booking
from shared.core.booking.rules import Hours, Limits
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status

MINUTE_MS = 60_000
STEP_MS = 5 * MINUTE_MS  # all hours that are played are multiples of it
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Fault = tuple[str, str | None]  # the rule that says no, and of which resource


@dataclass
class Shelf:
    """What can be booked, as the hub last wrote it.

    Attributes:
        hours: By resource.
        limits: By resource.
        groups: Members of each group.
        retired: No longer booked.
    """

    hours: dict[str, Hours]
    limits: dict[str, Limits]
    groups: dict[str, tuple[str, ...]]
    retired: set[str]

    def members(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the resources behind names, sorted."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name in self.groups:
                left += self.groups[name]
            else:
                found.add(name)
        return tuple(sorted(found))


def is_taken(booking: Booking, now_ms: int) -> bool:
    """Say whether a booking takes its places now."""
    if booking.status is Status.HELD:
        assert booking.held_until_ms is not None
        return now_ms < booking.held_until_ms
    return booking.status is Status.CONFIRMED


def fullest(spans: Iterable[tuple[int, int]], within: tuple[int, int] | None = None) -> int:
    """Return how many spans are on at the instant at which most are."""
    spans = list(spans)
    low, high = within or (min((start for start, _ in spans), default=0), 1 << 62)
    instants = {low} | {start for start, _ in spans if low <= start < high}
    return max(sum(start <= t < end for start, end in spans) for t in instants)


def occupied(limits: Limits, slot: Slot) -> tuple[int, int]:
    """Return a booking with its buffers."""
    return slot.start_ms - limits.before_s * 1000, slot.end_ms + limits.after_s * 1000


def places(
    shelf: Shelf, name: str, bookings: Mapping[str, Booking], now_ms: int, but: str = ""
) -> list[tuple[int, int]]:
    """Return what is occupied of a resource now."""
    return [
        occupied(shelf.limits[name], one.slot)
        for one in bookings.values()
        if one.id != but and one.slot and name in one.slot.resources and is_taken(one, now_ms)
    ]


def faults(
    shelf: Shelf, slot: Slot, bookings: Mapping[str, Booking], now_ms: int, but: str = ""
) -> Iterator[Fault]:
    """Yield every rule that a slot of resolved resources breaks.

    Args:
        shelf: What can be booked.
        slot: What is wanted.
        bookings: All there are.
        now_ms: By the hub's clock.
        but: The booking that asks: it is not in its own way.
    """
    for name in slot.resources:
        if name not in shelf.hours or name in shelf.retired:
            yield "unknown", name
            continue
        limits = shelf.limits[name]
        if slot.end_ms > now_ms + limits.horizon_s * 1000:
            yield "horizon", name
            continue
        if slot.start_ms < now_ms + limits.notice_s * 1000:
            yield "notice", name
        if not _is_open(shelf.hours[name], slot):
            yield "hours", name
        if limits.grid is not None and _past_midnight(shelf.hours[name], slot.start_ms) % (
            limits.grid.minutes * MINUTE_MS
        ):
            yield "grid", name
        wanted = occupied(limits, slot)
        if fullest(places(shelf, name, bookings, now_ms, but), wanted) >= limits.capacity:
            yield "capacity", name


def _is_open(hours: Hours, slot: Slot) -> bool:
    """Look every five minutes; no exceptions, holidays or nights are played."""
    zone = ZoneInfo(hours.timezone)
    for at_ms in (*range(slot.start_ms, slot.end_ms, STEP_MS), slot.end_ms - 1):
        moment = datetime.datetime.fromtimestamp(at_ms / 1000, zone)
        clock = moment.strftime("%H:%M")
        day = getattr(hours.week, DAYS[moment.weekday()])
        if not any(start <= clock < end for start, end in (span.split("-") for span in day)):
            return False
    return True


def _past_midnight(hours: Hours, at_ms: int) -> int:
    moment = datetime.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(hours.timezone))
    return (moment.hour * 60 + moment.minute) * MINUTE_MS + at_ms % MINUTE_MS
